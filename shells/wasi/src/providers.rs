//! Requests to providers, by the same rules as in every host: only addresses that configuration and metadata name, no
//! redirect followed, limits kept. `wasi:http` does not tell what a name is resolved to: hosts that are written as
//! addresses, and names of this machine, are judged here; of other names that is the server's own.

use std::rc::Rc;
use std::time::Duration;

use url::Url;
use vestibule::web::http::{OutboundError, OutboundRequest, OutboundResponse};
use vestibule_enforcement::outbound::networks::{Networks, Refused};

use crate::configuration::Loaded;
use crate::{log, system};

/// Some providers (GitHub) answer 403 to a request that does not name its client.
const USER_AGENT: &str = concat!("vestibule/", env!("CARGO_PKG_VERSION"));

/// What a metadata document may have, in bytes, and how long its reading may take: as the core has it.
const METADATA_BYTES: u32 = 256 << 10;
const METADATA_MILLISECONDS: u32 = 10_000;

/// A shell's own HTTP.
#[expect(async_fn_in_trait, reason = "guests have one thread: no future need be Send")]
pub trait ProviderClient: Clone + 'static {
    /// Whether the shell sends requests to the application at `vestibule.upstream`.
    const NEEDS_UPSTREAM: bool;

    /// Sends one request, complete but for `Host`, and delivers its answer: within the request's time, with a body of at
    /// most the request's number of bytes. Follows no redirect.
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError>;

    /// Runs a future to its end, now or in a task of its own.
    fn spawn(&self, future: impl Future<Output = ()> + 'static);

    /// Runs a future when the response is on its way, so that its reader does not wait for it.
    fn run_later(&self, future: impl Future<Output = ()> + 'static);
}

/// Sends a request of the core's, if its address is one that may be asked.
pub(crate) async fn send(
    loaded: &Rc<Loaded>,
    client: &impl ProviderClient,
    request: OutboundRequest,
) -> Result<OutboundResponse, OutboundError> {
    let url = loaded.documents.permitted_url(request.url.as_str()).ok_or(OutboundError::NotAllowed)?;
    let since_epoch = || Duration::from_secs(system::now().as_secs());
    let read = |url: Url| client.spawn(read_document(Rc::clone(loaded), client.clone(), url));
    let networks = loaded.documents.permit(&url, since_epoch, read).await.ok_or(OutboundError::NotAllowed)?;
    admit(&url, networks)?;
    let is_get = request.method == "GET";
    let response = client.send(named(request)).await?;
    if is_get && response.status == 200 {
        loaded.documents.learn(&url, &response.body, None);
    }
    Ok(response)
}

/// Where a document came from is known of addresses only, and of those from the start: nothing is to be learned by reading.
fn admit(url: &Url, networks: Networks) -> Result<(), OutboundError> {
    Refused::judge(url, networks).map_err(|refused| {
        log::line(&format!("WARN outbound.address_refused: {refused}"));
        OutboundError::NotAllowed
    })
}

async fn read_document(loaded: Rc<Loaded>, client: impl ProviderClient, url: Url) {
    // A host may end this task with the request that it came from.
    let _done = Done { loaded: Rc::clone(&loaded), url: url.clone() };
    let request = OutboundRequest {
        method: "GET",
        url: url.clone(),
        headers: vec![("accept".to_owned(), b"application/json".to_vec()), ("accept-encoding".to_owned(), b"identity".to_vec())],
        body: Vec::new(),
        max_response_bytes: METADATA_BYTES,
        timeout_ms: METADATA_MILLISECONDS,
        shared_for_ms: None,
    };
    let unread = |reason: &str| log::line(&format!("WARN outbound.metadata_unread: {url} could not be read: {reason}"));
    match client.send(named(request)).await {
        Ok(response) if response.status == 200 => loaded.documents.learn(&url, &response.body, None),
        Ok(response) => unread(&format!("status {}", response.status)),
        Err(error) => unread(&error.to_string()),
    }
}

/// The end of a reading, whatever comes of it.
struct Done {
    loaded: Rc<Loaded>,
    url: Url,
}

impl Drop for Done {
    fn drop(&mut self) {
        self.loaded.documents.done(&self.url);
    }
}

fn named(mut request: OutboundRequest) -> OutboundRequest {
    request.headers.push(("user-agent".to_owned(), USER_AGENT.as_bytes().to_vec()));
    request
}
