//! Requests to providers, by `wasi:http/outgoing-handler`.

use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures::future::{Either, select};
use vestibule::web::http::{OutboundError, OutboundRequest, OutboundResponse};
use vestibule_wasi::ProviderClient;
use vestibule_wasi::each_version::{CONNECT_TIMEOUT, nanoseconds};

use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{ErrorCode, FutureIncomingResponse, IncomingResponse, Method, OutgoingRequest, RequestOptions};
use crate::body::{self, BodyError};
use crate::message;
use crate::reactor::{block_on, ready};
use crate::upstream::scheme;

#[derive(Clone)]
pub(crate) struct HttpClient;

thread_local! {
    /// What is to be done when the response of the request has been sent.
    static LATER: RefCell<Vec<Pin<Box<dyn Future<Output = ()>>>>> = const { RefCell::new(Vec::new()) };
}

/// Does it. A host may have ended the call by then.
pub(crate) async fn run_what_is_left() {
    for future in LATER.take() {
        future.await;
    }
}

impl ProviderClient for HttpClient {
    const NEEDS_UPSTREAM: bool = true;

    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let limit = Duration::from_millis(request.timeout_ms.into());
        let exchange = pin!(exchange(request));
        let too_late = pin!(ready(monotonic_clock::subscribe_duration(nanoseconds(limit))));
        match select(exchange, too_late).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(OutboundError::TimedOut),
        }
    }

    fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        // There is one request at a time, and it is this one that waits.
        block_on(future);
    }

    fn run_later(&self, future: impl Future<Output = ()> + 'static) {
        LATER.with_borrow_mut(|later| later.push(Box::pin(future)));
    }
}

fn options() -> RequestOptions {
    let options = RequestOptions::new();
    // A host without this one still has the limit for the whole, where there is one.
    let _ = options.set_connect_timeout(Some(nanoseconds(CONNECT_TIMEOUT)));
    options
}

/// Waits for a response.
pub(crate) async fn response(future: FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    loop {
        match future.get() {
            Some(Ok(answer)) => return answer,
            Some(Err(())) => return Err(ErrorCode::InternalError(None)),
            None => ready(future.subscribe()).await,
        }
    }
}

async fn exchange(request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
    let max_bytes = usize::try_from(request.max_response_bytes).unwrap_or(usize::MAX);
    let mut answer = sent(&request).await?;
    if answer.as_ref().is_err_and(|code| message::is_repeated(request.method, code)) {
        answer = sent(&request).await?;
    }
    let response = answer.map_err(message::outbound_error)?;
    let status = response.status();
    let headers = response.headers().entries();
    let broken = || OutboundError::Protocol("the answer ends early".to_owned());
    let incoming = response.consume().map_err(|()| broken())?;
    match body::read(incoming, max_bytes).await {
        Ok(body) => Ok(OutboundResponse { status, headers, body }),
        Err(BodyError::TooLarge) => Err(OutboundError::TooLarge),
        Err(BodyError::Broken | BodyError::Refused) => Err(broken()),
    }
}

/// The response, or why there is none; a request that cannot be made is an error of its own.
async fn sent(request: &OutboundRequest) -> Result<Result<IncomingResponse, ErrorCode>, OutboundError> {
    let OutboundRequest { method, url, headers, body, .. } = request;
    let mut headers = headers.clone();
    let refused = || OutboundError::Protocol("the host does not take this request".to_owned());
    if !body.is_empty() {
        headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
    }
    let made = OutgoingRequest::new(message::fields(&headers).map_err(message::outbound_error)?);
    made.set_method(&if *method == "POST" { Method::Post } else { Method::Get }).map_err(|()| refused())?;
    made.set_scheme(Some(&scheme(url))).map_err(|()| refused())?;
    made.set_authority(Some(url.authority())).map_err(|()| refused())?;
    let path_with_query = &url[url::Position::BeforePath..url::Position::AfterQuery];
    made.set_path_with_query(Some(path_with_query)).map_err(|()| refused())?;
    let outgoing = if body.is_empty() { None } else { Some(made.body().map_err(|()| refused())?) };
    let future = match outgoing_handler::handle(made, Some(options())) {
        Ok(future) => future,
        Err(code) => return Ok(Err(code)),
    };
    if let Some(outgoing) = outgoing {
        // A server may answer without having read it all.
        let _ = body::write(outgoing, body).await;
    }
    Ok(response(future).await)
}
