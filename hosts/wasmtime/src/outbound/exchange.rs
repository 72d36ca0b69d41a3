//! One request and its response, within the limits.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Certificate, Client, ClientBuilder, redirect};
use url::Url;

use super::names::Names;
use super::{OutboundError, OutboundOptions};
use crate::bindings::vestibule::filter::outbound_http::{Error, Request, Response};

/// Some providers (GitHub) answer 403 to a request that does not name its client.
const USER_AGENT: &str = concat!("vestibule/", env!("CARGO_PKG_VERSION"));

/// The client's own: a request that sets one could make two parsers see two different messages.
const REFUSED_HEADERS: [HeaderName; 7] = [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

pub(super) struct Exchange {
    client: Client,
    total_timeout: Duration,
    max_response_bytes: u32,
}

impl Exchange {
    pub(super) fn new(options: &OutboundOptions) -> Result<Exchange, OutboundError> {
        Ok(Exchange { client: client(options)?, total_timeout: options.total_timeout, max_response_bytes: options.max_response_bytes })
    }

    pub(super) fn total_timeout(&self) -> Duration {
        self.total_timeout
    }

    /// Sends to `url`, which the caller has found permitted; `request.url` and `request.timeout_ms` are the caller's.
    pub(super) async fn perform(&self, url: Url, request: Request) -> Result<Response, Error> {
        let method = match request.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            other => return Err(Error::Protocol(format!("method {other:?} is not GET or POST"))),
        };
        let limit = usize_of(request.max_response_bytes.min(self.max_response_bytes));
        let response =
            self.client.request(method, url).headers(headers(&request.headers)?).body(request.body).send().await.map_err(describe)?;
        let status = response.status().as_u16();
        let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
        Ok(Response { status, headers, body: read_body(response, limit).await? })
    }
}

async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, Error> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(Error::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(describe)? {
        if chunk.len() > limit - body.len() {
            return Err(Error::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn headers(fields: &[(String, Vec<u8>)]) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let refused = || Error::Protocol(format!("header {name:?} cannot be sent"));
        let field_name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        if REFUSED_HEADERS.contains(&field_name) {
            return Err(refused());
        }
        let value = HeaderValue::from_bytes(value).map_err(|_| refused())?;
        headers.append(field_name, value);
    }
    Ok(headers)
}

fn usize_of(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The URL is left out: its query may hold what no log should.
fn describe(error: reqwest::Error) -> Error {
    let error = error.without_url();
    if error.is_timeout() {
        return Error::TimedOut;
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if error.is_connect() { Error::Unreachable(text) } else { Error::Protocol(text) }
}

fn client(options: &OutboundOptions) -> Result<Client, OutboundError> {
    // The process may have chosen a provider already: then that one is used, and this returns it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let extra = match &options.extra_roots {
        Some(path) => certificates(path)?,
        None => Vec::new(),
    };
    let with_system_roots = builder(options).tls_certs_merge(extra.clone()).build();
    match with_system_roots {
        Ok(client) => Ok(client),
        // A container without certificates still serves providers on loopback and those of the extra roots.
        Err(error) => {
            tracing::warn!(
                code = "outbound.no_system_roots",
                "the system's root certificates cannot be used ({}); https providers are unreachable unless the extra root certificates cover them: install the package `ca-certificates`",
                error.source().map_or_else(|| error.to_string(), ToString::to_string)
            );
            builder(options).tls_certs_only(extra).build().map_err(|error| OutboundError::Client(error.to_string()))
        }
    }
}

fn builder(options: &OutboundOptions) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .dns_resolver(Names)
        .connect_timeout(options.connect_timeout)
        .timeout(options.total_timeout);
    if options.proxy_from_environment { builder } else { builder.no_proxy() }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, OutboundError> {
    let pem = std::fs::read(path).map_err(|source| OutboundError::UnreadableRoots { path: path.into(), source })?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(OutboundError::NoRoots(path.into())),
    }
}
