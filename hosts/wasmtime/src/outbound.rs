//! How providers are reached: the host's side of `outbound-http`.
//!
//! 1. https only, or http on a loopback host and on the hosts that the configuration names so; no user name or password in the
//!    URL.
//! 2. Only origins that the configuration names (metadata documents), or that a metadata document names.
//! 3. Only addresses on the internet, or on the network that the metadata document came from; hosts that the configuration
//!    names may be anywhere. These three rules are [`vestibule_enforcement`]'s. An address is judged when its name is resolved,
//!    for each connection, and the connection is made to that address.
//! 4. No redirect is followed, no cookie stored, nothing decompressed, no proxy used unless an option says so.
//! 5. Time and size are bounded by the smaller of what the component asks for and what the host allows.
//! 6. Exchanges at once are bounded per origin; more wait for their turn, within their own time. Requests that are under way or
//!    wait are bounded, in all and per origin; one more fails at once.
//! 7. Requests for the same document that wait at the same time get it by one exchange, or by two. Equal requests whose answer
//!    counts for all of them, as the component says, get one answer.

#[cfg(feature = "outbound")]
mod certificate_fault;
mod flights;
#[cfg(feature = "outbound")]
mod names;
mod observed;
mod places;
#[cfg(feature = "outbound")]
mod provider_client;
#[cfg(not(feature = "outbound"))]
#[path = "outbound/no_client.rs"]
mod provider_client;
mod shared_answers;
#[cfg(feature = "outbound")]
mod system_roots;
#[cfg(feature = "outbound")]
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::time::timeout;
use url::Url;
use vestibule_enforcement::outbound::documents::MetadataDocuments;
use vestibule_enforcement::outbound::networks::{Network, Networks, Refused};
use vestibule_enforcement::outbound::urls::configured_url;

use crate::bindings::vestibule::filter::outbound_http::{Error, Request, Response};
use crate::observer::{Observer, ProviderFailure};
use crate::trusted_file::ChangeableByOthers;
use flights::Flights;
use observed::{Asking, Told};
use places::Places;
use provider_client::ProviderClient;
pub(crate) use shared_answers::SharedAnswers;
#[cfg(feature = "outbound")]
pub use system_roots::system_roots_file;

/// Limits and trust of the outbound client.
#[derive(Clone, Debug)]
pub struct OutboundOptions {
    /// For name resolution, TCP and TLS. Default: 5 s.
    pub connect_timeout: Duration,
    /// For a whole exchange; the component may ask for less. Default: 10 s.
    pub total_timeout: Duration,
    /// Bytes of a response body; the component may ask for less. Default: 1 MiB.
    pub max_response_bytes: u32,
    /// Exchanges at once with one origin; one more waits for its turn. When the requests for one origin, under way and
    /// waiting, are three quarters of those that may wait for providers at all, one more is answered that the provider is
    /// unreachable. Default: 32.
    pub max_exchanges_per_origin: usize,
    /// A PEM file with certificates of authorities to be trusted besides the system's. Default: none.
    pub extra_roots: Option<PathBuf>,
    /// Whether `HTTPS_PROXY` and the like are heeded. Then it is the proxy that resolves names, and that has to refuse
    /// addresses; only those that are written in URLs are judged here. Default: no.
    pub proxy_from_environment: bool,
}

impl Default for OutboundOptions {
    fn default() -> Self {
        OutboundOptions {
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(10),
            max_response_bytes: 1 << 20,
            max_exchanges_per_origin: 32,
            extra_roots: None,
            proxy_from_environment: false,
        }
    }
}

/// The outbound client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The file of extra roots cannot be read.
    #[error("cannot read the extra root certificates {}: {reason}; name a readable PEM file", path.display())]
    UnreadableRoots {
        /// As given.
        path: PathBuf,
        /// The system's reason. It is in the message.
        reason: std::io::Error,
    },
    /// Others can change the file of extra roots, and so decide whom to believe.
    #[error(transparent)]
    ChangeableRoots(#[from] ChangeableByOthers),
    /// The file of extra roots holds none.
    #[error("no certificate in {}; give the authority's certificate in PEM form (-----BEGIN CERTIFICATE-----)", .0.display())]
    NoRoots(PathBuf),
    /// The client refuses these settings.
    #[error("the outbound HTTPS client cannot be set up: {0}; check the extra root certificates")]
    Client(String),
}

/// What came of a request.
#[derive(Debug)]
struct ProviderResponse {
    response: Response,
    /// That the answer came from. None behind a proxy, whose own address tells nothing.
    network: Option<Network>,
}

/// Why there is no response.
#[derive(Debug)]
#[cfg_attr(not(feature = "outbound"), expect(dead_code, reason = "nothing is refused where nothing is sent"))]
enum Failure {
    /// Before anything was sent.
    Refused(Refused),
    Failed(Error),
}

/// One client with its connections, and what it may reach. Shared by the instances of a filter.
pub(crate) struct Outbound {
    client: Arc<ProviderClient>,
    documents: Arc<MetadataDocuments>,
    /// The beginning of the documents' time.
    started: Instant,
    places: Places,
    flights: Flights,
    shared: Arc<SharedAnswers>,
    told: Told,
}

impl Outbound {
    /// `max_exchanges`: at once, with all providers together. `internal_hosts`: those that may be on any network.
    pub(crate) fn new(
        options: &OutboundOptions,
        max_exchanges: usize,
        metadata_urls: &[String],
        internal_hosts: &[String],
    ) -> Result<Outbound, OutboundError> {
        Ok(Outbound::with_client(ProviderClient::new(options)?, options, max_exchanges, metadata_urls, internal_hosts))
    }

    fn with_client(
        client: ProviderClient,
        options: &OutboundOptions,
        max_exchanges: usize,
        metadata_urls: &[String],
        internal_hosts: &[String],
    ) -> Outbound {
        let urls = metadata_urls.iter().filter_map(|url| {
            let permitted = configured_url(url);
            if permitted.is_none() {
                tracing::warn!(code = "outbound.url_refused", "{url} is never asked: write an https URL");
            }
            permitted
        });
        Outbound {
            documents: Arc::new(MetadataDocuments::new(urls, internal_hosts.iter().cloned())),
            client: Arc::new(client),
            started: Instant::now(),
            places: Places::new(max_exchanges, options.max_exchanges_per_origin),
            flights: Flights::new(flights::PATIENCE),
            shared: Arc::default(),
            told: None,
        }
    }

    /// The same, telling of every exchange.
    pub(crate) fn observed_by(self, told: Option<Arc<dyn Observer>>) -> Outbound {
        Outbound { told, ..self }
    }

    /// The same, with answers that may be another one's: after a reload, those of before.
    pub(crate) fn sharing(self, shared: Arc<SharedAnswers>) -> Outbound {
        Outbound { shared, ..self }
    }

    pub(crate) async fn send(&self, request: Request) -> Result<Response, Error> {
        let limit = Duration::from_millis(request.timeout_ms.into()).min(self.client.total_timeout());
        timeout(limit, self.send_within_limit(request, limit)).await.unwrap_or(Err(Error::TimedOut))
    }

    async fn send_within_limit(&self, request: Request, limit: Duration) -> Result<Response, Error> {
        let url = self.documents.permitted_url(&request.url).ok_or(Error::NotAllowed)?;
        // Before the permission: waiting for it takes a place as well, and so does waiting for another one's exchange.
        let Some(place) = self.places.take(url.origin()) else {
            if let Some(asking) = Asking::begin(&self.told, &self.documents, &url, &request) {
                asking.refused(ProviderFailure::Overloaded);
            }
            return Err(Error::Unreachable("too many exchanges are waiting for providers".into()));
        };
        let asked = Asked { client: Arc::clone(&self.client), documents: Arc::clone(&self.documents), told: self.told.clone() };
        let (started, turns) = (self.started, place.turns());
        let exchange = |request| {
            async move {
                let _turn = turns.next().await;
                exchange(asked, started, url, request).await
            }
            .boxed()
        };
        match request.shared_for_ms {
            Some(milliseconds) => {
                let kept_for = Duration::from_millis(milliseconds.into());
                self.shared.answer(request, kept_for, limit, exchange).await
            }
            None => self.flights.answer(request, exchange).await,
        }
    }
}

/// What providers are asked with, and whoever is told of it.
#[derive(Clone)]
struct Asked {
    client: Arc<ProviderClient>,
    documents: Arc<MetadataDocuments>,
    told: Told,
}

/// One request and its answer, when the networks are known that it may go to.
async fn exchange(asked: Asked, started: Instant, url: Url, request: Request) -> Result<Response, Error> {
    let Asked { client, documents, told } = &asked;
    let now = || started.elapsed();
    let read = |url| drop(tokio::spawn(read_document(asked.clone(), url)));
    let Some(networks) = documents.permit(&url, now, read).await else {
        if let Some(asking) = Asking::begin(told, documents, &url, &request) {
            asking.refused(ProviderFailure::NotAllowed);
        }
        return Err(Error::NotAllowed);
    };
    let is_get = request.method == "GET";
    let asking = Asking::begin(told, documents, &url, &request);
    let mut answer = client.perform(url.clone(), request.clone(), networks).await;
    // Nothing was sent of a request that was refused.
    if matches!(answer, Err(Failure::Refused(_)))
        && let Some(networks) = documents.permit_more(&url, networks, now, read).await
    {
        answer = client.perform(url.clone(), request, networks).await;
    }
    if let Some(asking) = asking {
        asking.end(&answer);
    }
    let ProviderResponse { response, network } = answer.map_err(|failure| match failure {
        Failure::Refused(refused) => {
            log_refused(&refused);
            Error::NotAllowed
        }
        Failure::Failed(error) => error,
    })?;
    if is_get && response.status == 200 {
        documents.learn(&url, &response.body, network);
    }
    Ok(response)
}

/// In a task of its own: a caller that gives up must not stop what others wait for.
async fn read_document(Asked { client, documents, told }: Asked, url: Url) {
    let request = Request {
        method: "GET".into(),
        url: url.to_string(),
        headers: vec![("accept".into(), b"application/json".to_vec()), ("accept-encoding".into(), b"identity".to_vec())],
        body: Vec::new(),
        max_response_bytes: u32::MAX,
        timeout_ms: u32::MAX,
        shared_for_ms: None,
    };
    let asking = Asking::begin(&told, &documents, &url, &request);
    let answer = timeout(client.total_timeout(), client.perform(url.clone(), request, Networks::ALL)).await;
    if let (Some(asking), Ok(answer)) = (asking, &answer) {
        asking.end(answer);
    }
    match answer {
        Ok(Ok(ProviderResponse { response, network })) if response.status == 200 => documents.learn(&url, &response.body, network),
        Ok(Ok(ProviderResponse { response, .. })) => log_unread(&url, &format!("status {}", response.status)),
        Ok(Err(failure)) => log_unread(&url, &format!("{failure:?}")),
        Err(_) => log_unread(&url, "no answer in time"),
    }
    documents.done(&url);
}

fn log_refused(refused: &Refused) {
    let Refused { host, address, network } = refused;
    tracing::warn!(code = "outbound.address_refused", host, address, network = %network, "{refused}");
}

fn log_unread(url: &Url, reason: &str) {
    tracing::warn!(code = "outbound.metadata_unread", "{url} could not be read: {reason}");
}

#[cfg(test)]
#[cfg(feature = "outbound")]
mod tests;
