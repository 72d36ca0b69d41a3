//! One request and its response, within the limits.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Client, redirect};
use rustls::pki_types::CertificateDer;
use url::Url;
use vestibule_enforcement::outbound::networks::{Network, Networks, Refused};

use super::certificate_fault::CertificateFault;
use super::names::{self, Lookup, Names};
use super::tls;
use super::{Failure, OutboundError, OutboundOptions, ProviderResponse};
use crate::bindings::vestibule::filter::outbound_http::{Error, Request, Response};

/// Some providers (GitHub) answer 403 to a request that does not name its client.
const USER_AGENT: &str = concat!("vestibule/", env!("CARGO_PKG_VERSION"));

/// The client's own: a request that sets one could make two parsers see two different messages.
const REFUSED_HEADERS: [HeaderName; 7] = [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

pub(super) struct ProviderClient {
    options: OutboundOptions,
    extra_roots: Vec<CertificateDer<'static>>,
    lookup: Lookup,
    /// By the networks that it reaches: connections that were made under one permission are not used under another.
    /// There are as few as there are kinds of networks with metadata documents on them.
    clients: Mutex<HashMap<(Networks, Connections), Client>>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Failed(error)
    }
}

impl ProviderClient {
    pub(super) fn new(options: &OutboundOptions) -> Result<ProviderClient, OutboundError> {
        ProviderClient::with_lookup(options, names::of_the_system())
    }

    pub(super) fn with_lookup(options: &OutboundOptions, lookup: Lookup) -> Result<ProviderClient, OutboundError> {
        let extra_roots = match &options.extra_roots {
            Some(path) => tls::certificates(path)?,
            None => Vec::new(),
        };
        let made = ProviderClient { options: options.clone(), extra_roots, lookup, clients: Mutex::default() };
        // What is wrong with the settings is told now, not at the first login.
        made.client(Networks::ALL, Connections::Kept)?;
        Ok(made)
    }

    pub(super) fn total_timeout(&self) -> Duration {
        self.options.total_timeout
    }

    /// Sends to `url`, which the caller has found permitted on these networks; `request.url` and `request.timeout_ms` are
    /// the caller's.
    pub(super) async fn perform(&self, url: Url, request: Request, networks: Networks) -> Result<ProviderResponse, Failure> {
        Refused::judge(&url, networks).map_err(Failure::Refused)?;
        let method = match request.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            other => return Err(Error::Protocol(format!("method {other:?} is not GET or POST")).into()),
        };
        let limit = usize_of(request.max_response_bytes.min(self.options.max_response_bytes));
        let fields = headers(&request.headers)?;
        let ask = async |connections| {
            let client = self.client(networks, connections).map_err(Unanswered::Client)?;
            let sending = client.request(method.clone(), url.clone()).headers(fields.clone()).body(request.body.clone()).send();
            let response = sending.await.map_err(Unanswered::BrokenOff)?;
            let network = response.remote_addr().filter(|_| !self.options.proxy_from_environment).map(|peer| Network::of(peer.ip()));
            let status = response.status().as_u16();
            let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
            Ok(ProviderResponse { response: Response { status, headers, body: read_body(response, limit).await? }, network })
        };
        // A code is redeemed once, so it does not go out on a connection that may be closing.
        let connections = if method == Method::GET { Connections::Kept } else { Connections::New };
        let answer = match ask(connections).await {
            // Providers close connections when they like, also while the next request is on its way, or its answer (RFC 9110
            // section 9.2.2).
            Err(Unanswered::BrokenOff(error)) if connections == Connections::Kept && is_broken_off(&error) => ask(Connections::New).await,
            answer => answer,
        };
        answer.map_err(Unanswered::into_failure)
    }

    fn client(&self, networks: Networks, connections: Connections) -> Result<Client, OutboundError> {
        // No code panics while it holds the lock; if it did, each client would still be whole.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&(networks, connections)) {
            return Ok(client.clone());
        }
        // A proxy resolves the names; what is resolved here is then its own.
        let resolved = if self.options.proxy_from_environment { Networks::ALL } else { networks };
        let names = Arc::new(Names { lookup: Arc::clone(&self.lookup), networks: resolved });
        let tls = tls::configuration(&self.extra_roots)?;
        let client = builder(&self.options, &names, connections).tls_backend_preconfigured(tls).build();
        let client = client.map_err(|error| OutboundError::Client(error.to_string()))?;
        clients.insert((networks, connections), client.clone());
        Ok(client)
    }
}

/// Which connections a request may go out on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Connections {
    /// One that has answered before, if there is one.
    Kept,
    New,
}

/// Why there is no response, or not the whole of it.
enum Unanswered {
    Client(OutboundError),
    BrokenOff(reqwest::Error),
    TooLarge,
}

impl Unanswered {
    fn into_failure(self) -> Failure {
        match self {
            Self::Client(error) => Error::Unreachable(error.to_string()).into(),
            Self::BrokenOff(error) => refusal(&error).map_or_else(|| describe(error).into(), Failure::Refused),
            Self::TooLarge => Error::TooLarge.into(),
        }
    }
}

/// Whether a connection was there, and no whole response came on it: it ended, or what came is no HTTP.
fn is_broken_off(error: &reqwest::Error) -> bool {
    !error.is_timeout() && !error.is_connect() && !error.is_builder() && refusal(error).is_none()
}

async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, Unanswered> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(Unanswered::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Unanswered::BrokenOff)? {
        if chunk.len() > limit - body.len() {
            return Err(Unanswered::TooLarge);
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

/// Whether it was the address that was refused, by [`Names`].
fn refusal(error: &reqwest::Error) -> Option<Refused> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused.clone());
        }
        cause = error.source();
    }
    None
}

/// The URL is left out: its query may hold what no log should.
fn describe(error: reqwest::Error) -> Error {
    let error = error.without_url();
    // Nothing was sent: whoever asks again, here or elsewhere, asks for the first time.
    if error.is_timeout() && error.is_connect() {
        return Error::Unreachable("no connection came about in time".into());
    }
    if error.is_timeout() {
        return Error::TimedOut;
    }
    if let Some(fault) = CertificateFault::cause_of(&error) {
        return Error::Unreachable(fault.to_string());
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if error.is_connect() { Error::Unreachable(text) } else { Error::Protocol(text) }
}

fn builder(options: &OutboundOptions, names: &Arc<Names>, connections: Connections) -> reqwest::ClientBuilder {
    let builder = match connections {
        Connections::Kept => Client::builder(),
        Connections::New => Client::builder().pool_max_idle_per_host(0),
    };
    let builder = builder
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .dns_resolver(Arc::clone(names))
        .connect_timeout(options.connect_timeout)
        .timeout(options.total_timeout);
    if options.proxy_from_environment { builder } else { builder.no_proxy() }
}
