//! Requests and responses of `wasi:http` 0.3, made anew around the bodies that they came with.

use vestibule_enforcement::edits::is_the_connections;
use vestibule_enforcement::headers::Field;
use vestibule_wasi::{Body, Onward, Unread};
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult};

use crate::bindings::wasi::http::types::{ErrorCode, Fields, HeaderError, Method, Request, RequestOptions, Response, Scheme};
use crate::bindings::{wit_future, wit_stream};

vestibule_wasi::conversions!(ErrorCode, Method);

/// What is read of a body at once.
const CHUNK_BYTES: usize = 64 << 10;

/// What comes after a body.
pub(crate) type Trailers = FutureReader<Result<Option<Fields>, ErrorCode>>;

/// How it went with a message, in one direction or the other.
type Sent = Result<(), ErrorCode>;

/// Where a request goes, and how: all of it that is neither a field nor the body.
pub(crate) struct RequestLine {
    method: Method,
    path_with_query: Option<String>,
    scheme: Option<Scheme>,
    authority: Option<String>,
    options: Option<RequestOptions>,
}

impl RequestLine {
    pub(crate) fn of(request: &Request) -> RequestLine {
        RequestLine {
            method: request.get_method(),
            path_with_query: request.get_path_with_query(),
            scheme: request.get_scheme(),
            authority: request.get_authority(),
            // Those of a request that was received cannot be passed on as they are.
            options: request.get_options().map(|options| options.clone()),
        }
    }
}

/// The body of a request, with what belongs to it.
pub(crate) struct RequestBody {
    stream: Option<StreamReader<u8>>,
    trailers: Option<Trailers>,
    outcome: FutureWriter<Sent>,
}

impl RequestBody {
    pub(crate) fn of(request: Request) -> RequestBody {
        let (outcome, told) = wit_future::new(|| Ok(()));
        let (stream, trailers) = Request::consume_body(request, told);
        RequestBody { stream: Some(stream), trailers: Some(trailers), outcome }
    }
}

impl Body for RequestBody {
    async fn read(&mut self, max_bytes: usize) -> Result<Vec<u8>, Unread> {
        let (Some(stream), Some(trailers)) = (self.stream.take(), self.trailers.take()) else { return Err(Unread::Broken) };
        match read(stream, trailers, max_bytes).await {
            Ok(bytes) => Ok(bytes),
            Err(ReadError::TooLarge) => Err(Unread::TooLarge),
            Err(ReadError::Failed(_)) => Err(Unread::Broken),
        }
    }
}

/// Why a body could not be read to its end.
pub(crate) enum ReadError {
    TooLarge,
    Failed(ErrorCode),
}

/// Reads a whole body of at most this many bytes.
pub(crate) async fn read(mut stream: StreamReader<u8>, trailers: Trailers, max_bytes: usize) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    loop {
        let (result, chunk) = stream.read(Vec::with_capacity(CHUNK_BYTES)).await;
        if chunk.len() > max_bytes - body.len() {
            return Err(ReadError::TooLarge);
        }
        body.extend(chunk);
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    trailers.await.map(|_| body).map_err(ReadError::Failed)
}

/// The request as the application gets it.
pub(crate) fn onward_request(line: RequestLine, onward: &Onward, body: RequestBody) -> Result<Request, ErrorCode> {
    let fields = fields(&onward.fields)?;
    let (stream, trailers) = match (body.stream, body.trailers, &onward.body) {
        (Some(stream), Some(trailers), _) => (stream, without_trailers(trailers)),
        (_, _, read) => whole(read.clone().unwrap_or_default()),
    };
    let (request, sent) = Request::new(fields, Some(stream), trailers, line.options);
    relay(sent, body.outcome);
    let refused = |()| ErrorCode::InternalError(Some("the request cannot be made anew".to_owned()));
    request.set_method(&line.method).map_err(refused)?;
    request.set_path_with_query(line.path_with_query.as_deref()).map_err(refused)?;
    request.set_scheme(line.scheme.as_ref()).map_err(refused)?;
    request.set_authority(line.authority.as_deref()).map_err(refused)?;
    Ok(request)
}

/// How a request's body ends, but without its trailers: some servers take them for headers, and nobody has decided on them.
fn without_trailers(trailers: Trailers) -> Trailers {
    let (end, ended) = wit_future::new(|| Ok(None));
    drop(wit_bindgen::spawn_local(async move {
        let result = trailers.await.map(|_| None);
        // Whoever does not read to the end does not want to know.
        drop(end.write(result).await);
    }));
    ended
}

/// The application's response with the decision's fields.
pub(crate) fn edited_response(response: Response, onward: &Onward) -> Result<Response, ErrorCode> {
    let status = response.get_status_code();
    let mut edited = response.get_headers().copy_all();
    onward.edit_response(&mut edited).map_err(|refused| ErrorCode::InternalError(Some(refused.to_string())))?;
    let (outcome, told) = wit_future::new(|| Ok(()));
    let (stream, trailers) = Response::consume_body(response, told);
    let (response, sent) = Response::new(fields(&edited)?, Some(stream), trailers);
    relay(sent, outcome);
    with_status(response, status)
}

/// A response of our own.
pub(crate) fn own_response(response: vestibule::web::http::Response) -> Result<Response, ErrorCode> {
    let (stream, trailers) = whole(response.body);
    let (own, _sent) = Response::new(fields(&response.headers)?, Some(stream), trailers);
    with_status(own, response.status)
}

/// A body that is there in whole.
pub(crate) fn whole(bytes: Vec<u8>) -> (StreamReader<u8>, Trailers) {
    let (mut writer, stream) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    drop(wit_bindgen::spawn_local(async move {
        // What is not written is not wanted any more.
        writer.write_all(bytes).await;
        drop(writer);
        drop(end);
    }));
    (stream, trailers)
}

/// Fields of a message that is made anew. Those of the connection may be refused by the host, and are its own to set.
pub(crate) fn fields(list: &[Field]) -> Result<Fields, ErrorCode> {
    let fields = Fields::new();
    for (name, value) in list {
        match fields.append(name, value) {
            Ok(()) => {}
            Err(HeaderError::Forbidden) if is_the_connections(name) => {}
            Err(error) => return Err(ErrorCode::InternalError(Some(format!("the header {name:?} cannot be sent: {error:?}")))),
        }
    }
    Ok(fields)
}

fn with_status(response: Response, status: u16) -> Result<Response, ErrorCode> {
    response.set_status_code(status).map_err(|()| ErrorCode::InternalError(Some(format!("the status {status} cannot be sent"))))?;
    Ok(response)
}

/// Tells the sender of a message how it went with the one that was made of it.
fn relay(sent: FutureReader<Sent>, outcome: FutureWriter<Sent>) {
    drop(wit_bindgen::spawn_local(async move {
        let result = sent.await;
        // A sender that has gone does not want to know.
        drop(outcome.write(result).await);
    }));
}
