//! Bodies of `wasi:http` 0.2: read in whole, or copied piece by piece.

use vestibule_wasi::{Body, Unread};

use crate::bindings::wasi::http::types::{ErrorCode, Fields, FutureTrailers, IncomingBody, IncomingRequest, OutgoingBody};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::jco;
use crate::reactor::ready;

/// What is copied at once. Not `blocking-splice`: hosts trap on bodies over 1 MB there.
const CHUNK_BYTES: u64 = 64 << 10;

/// Why a body did not come to its end.
pub(crate) enum BodyError {
    /// Longer than asked for.
    TooLarge,
    /// Its sender is gone.
    Broken,
    /// Its receiver does not take the rest.
    Refused,
}

/// A body that did not come to its end. Its receiver knows when this is dropped.
pub(crate) struct Unfinished {
    body: Option<OutgoingBody>,
    /// Whether it is the sender who is gone.
    pub(crate) is_broken: bool,
}

impl Unfinished {
    /// Tells the peer, whose response it is.
    pub(crate) fn of_response(self) {
        self.body.map(jco::drop_late);
    }
}

/// The body of the request that is served.
pub(crate) struct RequestBody {
    body: Option<IncomingBody>,
    // After what it is the parent of.
    _request: IncomingRequest,
}

impl RequestBody {
    pub(crate) fn of(request: IncomingRequest) -> RequestBody {
        RequestBody { body: request.consume().ok(), _request: request }
    }

    /// Copies it, without trailers.
    pub(crate) async fn copy_to(mut self, to: OutgoingBody) -> Result<(), Unfinished> {
        let Some(body) = self.body.take() else { return Err(Unfinished { body: Some(to), is_broken: true }) };
        match body.stream() {
            Ok(input) => copy_request(Vec::new(), body, input, to).await,
            Err(()) => Err(Unfinished { body: Some(to), is_broken: true }),
        }
    }

    /// Looks at the beginning. Only a request without a body ends at once; who sends one that is empty sends none.
    pub(crate) async fn begin(mut self) -> Result<Begun, BodyError> {
        let body = self.body.take().ok_or(BodyError::Broken)?;
        let stream = body.stream().map_err(|()| BodyError::Broken)?;
        let first = next(&stream, CHUNK_BYTES).await?;
        Ok(Begun { first, stream, body, _request: self })
    }
}

/// A body of which the beginning is known.
pub(crate) struct Begun {
    first: Option<Vec<u8>>,
    // In this order: a stream goes before its body.
    stream: InputStream,
    body: IncomingBody,
    _request: RequestBody,
}

impl Begun {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Copies it, without trailers.
    pub(crate) async fn copy_to(self, to: OutgoingBody) -> Result<(), Unfinished> {
        copy_request(self.first.unwrap_or_default(), self.body, self.stream, to).await
    }
}

impl Body for RequestBody {
    async fn read(&mut self, max_bytes: usize) -> Result<Vec<u8>, Unread> {
        match read(self.body.take().ok_or(Unread::Broken)?, max_bytes).await {
            Ok(bytes) => Ok(bytes),
            Err(BodyError::TooLarge) => Err(Unread::TooLarge),
            Err(BodyError::Broken | BodyError::Refused) => Err(Unread::Broken),
        }
    }
}

/// Reads a whole body of at most this many bytes.
pub(crate) async fn read(body: IncomingBody, max_bytes: usize) -> Result<Vec<u8>, BodyError> {
    let stream = body.stream().map_err(|()| BodyError::Broken)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = next(&stream, CHUNK_BYTES).await? {
        if chunk.len() > max_bytes - bytes.len() {
            return Err(BodyError::TooLarge);
        }
        bytes.extend(chunk);
    }
    Ok(bytes)
}

/// Writes a whole body, and ends it.
pub(crate) async fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), Unfinished> {
    let written = async {
        let stream = body.write().map_err(|()| BodyError::Refused)?;
        write_to(&stream, bytes).await?;
        flush(&stream).await
    };
    let result = written.await;
    finish(body, result.map(|()| None))
}

fn finish(body: OutgoingBody, trailers: Result<Option<Fields>, BodyError>) -> Result<(), Unfinished> {
    match trailers {
        Ok(trailers) => OutgoingBody::finish(body, trailers).map_err(|_: ErrorCode| Unfinished { body: None, is_broken: false }),
        Err(error) => Err(Unfinished { body: Some(body), is_broken: matches!(error, BodyError::Broken) }),
    }
}

async fn write_to(stream: &OutputStream, bytes: &[u8]) -> Result<(), BodyError> {
    let mut left = bytes;
    while !left.is_empty() {
        let room = room(stream).await?.min(CHUNK_BYTES);
        let (chunk, rest) = left.split_at(left.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        stream.write(chunk).map_err(|_| BodyError::Refused)?;
        left = rest;
    }
    Ok(())
}

/// Copies a response's body with its trailers. One that breaks off is not finished.
pub(crate) async fn copy_all(from: IncomingBody, to: OutgoingBody) -> Result<(), Unfinished> {
    match from.stream() {
        Ok(input) => {
            let result = pass(Vec::new(), from, input, &to).await;
            finish(to, result)
        }
        Err(()) => Err(Unfinished { body: Some(to), is_broken: true }),
    }
}

/// Copies what was read of a request's body and the rest of it. Its trailers end here: some servers take them for headers,
/// and nobody has decided on them. One that breaks off is not finished.
async fn copy_request(read: Vec<u8>, from: IncomingBody, input: InputStream, to: OutgoingBody) -> Result<(), Unfinished> {
    let result = pass(read, from, input, &to).await;
    finish(to, result.map(|_trailers| None))
}

/// Copies all of a body's bytes, and gives the trailers. `input` comes behind `from`, and so goes before it, as it must.
async fn pass(read: Vec<u8>, from: IncomingBody, input: InputStream, to: &OutgoingBody) -> Result<Option<Fields>, BodyError> {
    let output = to.write().map_err(|()| BodyError::Refused)?;
    write_to(&output, &read).await?;
    loop {
        let room = room(&output).await?.min(CHUNK_BYTES);
        let chunk = match input.read(room) {
            Ok(chunk) => chunk,
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(BodyError::Broken),
        };
        if chunk.is_empty() {
            // What has come is not held back while nothing more comes.
            flush(&output).await?;
            ready(input.subscribe()).await;
        } else {
            output.write(&chunk).map_err(|_| BodyError::Refused)?;
        }
    }
    flush(&output).await?;
    drop((input, output));
    trailers(IncomingBody::finish(from)).await
}

async fn trailers(future: FutureTrailers) -> Result<Option<Fields>, BodyError> {
    loop {
        match future.get() {
            // A host without trailers (jco) may have an empty list for everybody, and then not take it.
            Some(Ok(Ok(trailers))) => return Ok(trailers.filter(|trailers| !trailers.entries().is_empty())),
            Some(_) => return Err(BodyError::Broken),
            None => ready(future.subscribe()).await,
        }
    }
}

/// The next piece; `None` at the end.
async fn next(stream: &InputStream, max_bytes: u64) -> Result<Option<Vec<u8>>, BodyError> {
    loop {
        match stream.read(max_bytes) {
            Ok(chunk) if chunk.is_empty() => ready(stream.subscribe()).await,
            Ok(chunk) => return Ok(Some(chunk)),
            Err(StreamError::Closed) => return Ok(None),
            Err(StreamError::LastOperationFailed(_)) => return Err(BodyError::Broken),
        }
    }
}

/// How much may be written, once something may.
async fn room(stream: &OutputStream) -> Result<u64, BodyError> {
    loop {
        match stream.check_write() {
            Ok(0) => jco::unless_stalled(ready(stream.subscribe())).await.ok_or(BodyError::Refused)?,
            Ok(room) => return Ok(room),
            Err(_) => return Err(BodyError::Refused),
        }
    }
}

async fn flush(stream: &OutputStream) -> Result<(), BodyError> {
    stream.flush().map_err(|_| BodyError::Refused)?;
    room(stream).await.map(drop)
}
