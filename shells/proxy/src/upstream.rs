//! To the application and back.

use std::cell::Cell;
use std::pin::pin;

use futures::future::{Either, select};
use url::Url;
use vestibule::pages::HostFailure;
use vestibule_enforcement::headers::Fields as _;
use vestibule_wasi::Onward;

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, FutureIncomingResponse, IncomingResponse, Method, OutgoingRequest, ResponseOutparam, Scheme,
};
use crate::body::{self, Begun, BodyError, RequestBody, Unfinished};
use crate::message;
use crate::provider_client;

/// What was asked for: the same that was decided on.
pub(crate) struct RequestLine {
    pub(crate) method: Method,
    pub(crate) path_with_query: String,
}

/// Sends the request to the application, and its response to the peer. Both bodies are under way at the same time.
pub(crate) async fn forward(line: RequestLine, onward: &Onward, is_head: bool, body: RequestBody, out: ResponseOutparam) {
    let body = match outgoing(&line, onward, body).await {
        Ok(body) => body,
        // The peer is gone, and nobody sees the answer.
        Err(BodyError::Broken | BodyError::Refused | BodyError::TooLarge) => {
            return fail(onward, &ErrorCode::ConnectionTerminated, is_head, out).await;
        }
    };
    let (response, up) = match send(line, onward, body) {
        Ok(sent) => sent,
        Err(code) => return fail(onward, &code, is_head, out).await,
    };
    // Dropped as soon as it ends: a request that breaks off is the application's to answer.
    let up = pin!(async { up.await.is_err_and(|unfinished| unfinished.is_broken) });
    let has_begun = Cell::new(false);
    let down = pin!(async {
        match provider_client::response(response).await {
            Ok(response) => {
                has_begun.set(true);
                deliver(&response, onward, out).await;
            }
            Err(code) => fail(onward, &code, is_head, out).await,
        }
    });
    match select(down, up).await {
        // A response that is whole makes the rest of the request useless.
        Either::Left(_) => {}
        // The peer has gone while it sent, and waits for nothing. An application may wait for the rest for ever.
        Either::Right((true, _)) if !has_begun.get() => {}
        Either::Right((_, down)) => down.await,
    }
}

/// What is sent as a request's body.
enum Outgoing {
    None,
    Whole(Vec<u8>),
    Streamed(Begun),
    Unread(RequestBody),
}

/// Requests of these methods mostly have no body, and servers are used to that: they get one only if there is one. A
/// length says so; without one, the beginning of the body does. Others are not held up by a beginning that is long in
/// coming.
async fn outgoing(line: &RequestLine, onward: &Onward, body: RequestBody) -> Result<Outgoing, BodyError> {
    if let Some(read) = &onward.body {
        return Ok(Outgoing::Whole(read.clone()));
    }
    if !matches!(line.method, Method::Get | Method::Head | Method::Options | Method::Delete) || onward.fields.contain("content-length") {
        return Ok(Outgoing::Unread(body));
    }
    let begun = body.begin().await?;
    Ok(if begun.is_empty() { Outgoing::None } else { Outgoing::Streamed(begun) })
}

/// Begins the exchange: what waits for the response, and what copies the body.
fn send(
    line: RequestLine,
    onward: &Onward,
    body: Outgoing,
) -> Result<(FutureIncomingResponse, impl Future<Output = Result<(), Unfinished>>), ErrorCode> {
    let refused = |()| ErrorCode::HttpRequestUriInvalid;
    let upstream = onward.upstream.as_deref().and_then(|url| Url::parse(url).ok()).ok_or(ErrorCode::ConfigurationError)?;
    let request = OutgoingRequest::new(message::fields(&onward.fields)?);
    request.set_method(&line.method).map_err(|()| ErrorCode::HttpRequestMethodInvalid)?;
    request.set_path_with_query(Some(&line.path_with_query)).map_err(refused)?;
    request.set_scheme(Some(&scheme(&upstream))).map_err(refused)?;
    request.set_authority(Some(upstream.authority())).map_err(refused)?;
    let to = match body {
        Outgoing::None => None,
        _ => Some(request.body().map_err(refused)?),
    };
    // No limits of time: an application may be silent for long, and hosts know no limit for the connecting alone.
    let response = outgoing_handler::handle(request, None)?;
    let copied = async move {
        match (body, to) {
            (Outgoing::Whole(bytes), Some(to)) => body::write(to, &bytes).await,
            (Outgoing::Streamed(begun), Some(to)) => begun.copy_to(to).await,
            (Outgoing::Unread(body), Some(to)) => body.copy_to(to).await,
            _ => Ok(()),
        }
    };
    Ok((response, copied))
}

/// By which scheme a server is asked.
pub(crate) fn scheme(url: &Url) -> Scheme {
    if url.scheme() == "https" { Scheme::Https } else { Scheme::Http }
}

async fn deliver(response: &IncomingResponse, onward: &Onward, out: ResponseOutparam) {
    let mut headers = response.headers().entries();
    if let Err(refused) = onward.edit_response(&mut headers) {
        return message::respond(out, onward.failure(HostFailure::Filter, &refused.to_string(), false)).await;
    }
    let Ok(from) = response.consume() else { return };
    let Some(to) = message::begin(out, response.status(), &headers) else { return };
    if let Err(unfinished) = body::copy_all(from, to).await {
        unfinished.of_response();
    }
}

async fn fail(onward: &Onward, code: &ErrorCode, is_head: bool, out: ResponseOutparam) {
    let failure = match code {
        ErrorCode::ConnectionReadTimeout | ErrorCode::ConnectionWriteTimeout | ErrorCode::HttpResponseTimeout => {
            HostFailure::UpstreamTimedOut
        }
        _ => HostFailure::UpstreamUnreachable,
    };
    message::respond(out, onward.failure(failure, &format!("the application does not answer: {code:?}"), is_head)).await;
}
