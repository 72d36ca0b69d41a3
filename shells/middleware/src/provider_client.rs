//! Requests to providers, by `wasi:http/client`.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use vestibule::web::http::{OutboundError, OutboundRequest, OutboundResponse};
use vestibule_wasi::ProviderClient;
use vestibule_wasi::each_version::{CONNECT_TIMEOUT, nanoseconds};

use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::http::client;
use crate::bindings::wasi::http::types::{Fields, Method, Request, RequestOptions, Response, Scheme};
use crate::bindings::wit_future;
use crate::message::{self, ReadError};

#[derive(Clone)]
pub(crate) struct HttpClient;

impl ProviderClient for HttpClient {
    // The application is composed with this component.
    const NEEDS_UPSTREAM: bool = false;

    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let limit = Duration::from_millis(request.timeout_ms.into());
        let exchange = pin!(exchange(request));
        let too_late = pin!(monotonic_clock::wait_for(nanoseconds(limit)));
        match select(exchange, too_late).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(OutboundError::TimedOut),
        }
    }

    fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        drop(wit_bindgen::spawn_local(future));
    }

    fn run_later(&self, future: impl Future<Output = ()> + 'static) {
        // The call returns its response without it.
        self.spawn(future);
    }
}

async fn exchange(request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
    let max_bytes = usize::try_from(request.max_response_bytes).unwrap_or(usize::MAX);
    let mut answer = client::send(made(&request)?).await;
    if answer.as_ref().is_err_and(|code| message::is_repeated(request.method, code)) {
        answer = client::send(made(&request)?).await;
    }
    let response = answer.map_err(message::outbound_error)?;
    let status = response.get_status_code();
    let headers = response.get_headers().copy_all();
    let (_outcome, told) = wit_future::new(|| Ok(()));
    let (stream, trailers) = Response::consume_body(response, told);
    match message::read(stream, trailers, max_bytes).await {
        Ok(body) => Ok(OutboundResponse { status, headers, body }),
        Err(ReadError::TooLarge) => Err(OutboundError::TooLarge),
        Err(ReadError::Failed(code)) => Err(message::outbound_error(code)),
    }
}

fn made(request: &OutboundRequest) -> Result<Request, OutboundError> {
    let OutboundRequest { method, url, headers, body, .. } = request;
    let mut headers = headers.clone();
    let refused = || OutboundError::Protocol("the host does not take this request".to_owned());
    let method = match *method {
        "POST" => Method::Post,
        _ => Method::Get,
    };
    let contents = if body.is_empty() {
        None
    } else {
        headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
        Some(body.clone())
    };
    let fields = Fields::from_list(&headers).map_err(|_| refused())?;
    let options = RequestOptions::new();
    // A host without this one still has the limit for the whole.
    let _ = options.set_connect_timeout(Some(nanoseconds(CONNECT_TIMEOUT)));
    let (stream, trailers) = match contents {
        Some(body) => {
            let (stream, trailers) = message::whole(body);
            (Some(stream), trailers)
        }
        None => (None, wit_future::new(|| Ok(None)).1),
    };
    let (made, _sent) = Request::new(fields, stream, trailers, Some(options));
    made.set_method(&method).map_err(|()| refused())?;
    made.set_scheme(Some(&if url.scheme() == "https" { Scheme::Https } else { Scheme::Http })).map_err(|()| refused())?;
    made.set_authority(Some(url.authority())).map_err(|()| refused())?;
    let path_with_query = &url[url::Position::BeforePath..url::Position::AfterQuery];
    made.set_path_with_query(Some(path_with_query)).map_err(|()| refused())?;
    Ok(made)
}
