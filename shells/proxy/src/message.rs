//! Heads of requests and responses of `wasi:http` 0.2.

use vestibule::web::http::Response;
use vestibule_enforcement::edits::is_the_connections;
use vestibule_enforcement::headers::Field;
use vestibule_wasi::spelling;

use crate::bindings::wasi::http::types::{ErrorCode, Fields, HeaderError, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};
use crate::body;

vestibule_wasi::conversions!(ErrorCode, Method);

/// Sends a response of our own.
pub(crate) async fn respond(out: ResponseOutparam, response: Response) {
    let Response { status, headers, body, .. } = response;
    let outgoing = begin(out, status, &headers);
    let written = match outgoing {
        Some(outgoing) => body::write(outgoing, &body).await,
        None => Ok(()),
    };
    if let Err(unfinished) = written {
        // A peer that is gone has no need of the rest.
        unfinished.of_response();
    }
}

/// Sends a response without its body, and gives that body. What cannot be sent is answered by status 500 instead: an
/// error in place of a response ends the whole host in jco.
pub(crate) fn begin(out: ResponseOutparam, status: u16, headers: &[Field]) -> Option<OutgoingBody> {
    let made = fields(&spelled(headers)).ok().and_then(|fields| with_status(fields, status));
    let is_whole = made.is_some();
    let response = made.or_else(|| with_status(Fields::new(), 500))?;
    let body = response.body().ok();
    ResponseOutparam::set(out, Ok(response));
    body.filter(|_| is_whole)
}

/// A login sets several cookies at a time.
fn spelled(headers: &[Field]) -> Vec<Field> {
    let before = |index: usize, name: &str| headers[..index].iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).count();
    let lines = headers.iter().enumerate();
    lines.map(|(index, (name, value))| (spelling::of_line(name, before(index, name)), value.clone())).collect()
}

fn with_status(fields: Fields, status: u16) -> Option<OutgoingResponse> {
    let response = OutgoingResponse::new(fields);
    response.set_status_code(status).ok()?;
    Some(response)
}

/// Fields of a message that is made anew. Those of the connection may be refused by the host, and are its own to set.
pub(crate) fn fields(list: &[Field]) -> Result<Fields, ErrorCode> {
    let fields = Fields::new();
    for (name, value) in list {
        match fields.append(name, value) {
            Ok(()) => {}
            Err(HeaderError::Forbidden) if is_the_connections(name) => {}
            Err(_) => return Err(refused(&format!("the header {name:?}"))),
        }
    }
    Ok(fields)
}

fn refused(what: &str) -> ErrorCode {
    ErrorCode::InternalError(Some(format!("{what} cannot be sent")))
}
