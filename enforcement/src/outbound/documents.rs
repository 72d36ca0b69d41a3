//! The providers' metadata documents: the origins that may be asked are theirs, and those that they name.
//!
//! The documents' URLs come from the configuration. The list of origins grows by every metadata document that passes
//! through; a host that has just started reads the documents itself before it says no.
//!
//! Where an origin may be, whatever its name resolves to, follows from who names it:
//!
//! 1. The configuration: a metadata URL, and hosts of `internal_hosts`, may be on any network.
//! 2. A document: on the internet, and on the network that the document itself came from. Otherwise a provider could
//!    have this host ask machines that only this host reaches.
//!
//! Endpoints from before the last change stay permitted, for logins that are under way. A document that cannot be read is
//! asked for again after `RETRY_AFTER`. Plain http is for endpoints of a document that itself comes by plain http: on this
//! machine when the document is on this machine, else on the very host of the document.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::Notify;
use url::{Origin, Url};

use crate::outbound::networks::{Network, Networks, without_root};
use crate::outbound::urls::{configured_url, is_loopback};

/// A provider that is down is asked no more often than this.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The endpoints that a filter asks itself; all others are for browsers.
const ENDPOINTS: [&str; 4] = ["token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint"];

/// What this host knows of the documents. Shared by everything that asks providers.
pub struct MetadataDocuments {
    documents: Mutex<Vec<MetadataDocument>>,
    /// Names and addresses in the spelling of URLs; names without the root's dot.
    internal_hosts: HashSet<String>,
    /// A document was read, or could not be.
    changed: Notify,
}

struct MetadataDocument {
    url: Url,
    /// That it came from: of a name, those of the addresses that have answered.
    networks: Networks,
    /// Of its endpoints; none until the document was read by this process.
    origins: Option<HashSet<Origin>>,
    /// Its endpoints, as it named them last.
    endpoints: Vec<Url>,
    /// Of the endpoints before they changed last: logins that began with them come to their end.
    former_origins: HashSet<Origin>,
    /// When the host itself asked for it last.
    asked_at: Option<Duration>,
    being_read: bool,
}

impl MetadataDocuments {
    /// The documents of a configuration, and its `internal_hosts`. What [`configured_url`] refuses is never asked: the
    /// caller says so in its log.
    pub fn new(urls: impl Iterator<Item = Url>, internal_hosts: impl IntoIterator<Item = String>) -> Self {
        let internal_hosts = internal_hosts.into_iter().map(|host| without_root(&host).to_owned()).collect();
        MetadataDocuments { documents: Mutex::new(urls.map(MetadataDocument::new).collect()), internal_hosts, changed: Notify::new() }
    }

    /// None for a URL that is never asked: in its scheme, or for what is in it. Plain http is for this machine, and for hosts
    /// of documents that the configuration names so. [`permit`](Self::permit) judges its origin.
    pub fn permitted_url(&self, url: &str) -> Option<Url> {
        let is_named = |url: &Url| self.documents().iter().any(|document| may_have(&document.url, url));
        configured_url(url).filter(|url| url.scheme() == "https" || is_loopback(url) || is_named(url))
    }

    /// Waits until it is known whether this URL's origin may be asked: reads the documents that have not been read, where
    /// the answer depends on them. Then it says on which networks; `None` when neither the configuration nor a document
    /// names the origin. `now` is the time on any clock that does not go back; `read` starts to read the document in a
    /// task of its own, for a caller that gives up must not stop what others wait for, and calls [`Self::learn`] and
    /// [`Self::done`] there.
    pub async fn permit(&self, url: &Url, now: impl Fn() -> Duration, read: impl Fn(Url)) -> Option<Networks> {
        self.wait_for(|| self.networks(url), now, read).await
    }

    /// The same for a URL that was refused on `networks`: a document that has not been read may have come from there.
    /// `None` when all that can be known is known, and this is not permitted.
    pub async fn permit_more(&self, url: &Url, networks: Networks, now: impl Fn() -> Duration, read: impl Fn(Url)) -> Option<Networks> {
        self.wait_for(|| self.networks(url).filter(|known| *known != networks), now, read).await
    }

    async fn wait_for<T>(&self, answer: impl Fn() -> Option<T>, now: impl Fn() -> Duration, read: impl Fn(Url)) -> Option<T> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(known) = answer() {
                return Some(known);
            }
            self.take_due(now()).into_iter().for_each(&read);
            if !self.are_being_read() {
                // What `read` has read already counts as well.
                return answer();
            }
            changed.await;
        }
    }

    /// Where a URL may be, when its origin may be asked at all.
    fn networks(&self, url: &Url) -> Option<Networks> {
        let origin = url.origin();
        let documents = self.documents();
        let mut naming = documents.iter().filter(|document| document.names(&origin)).peekable();
        naming.peek()?;
        let host = url.host_str().unwrap_or_default();
        if self.internal_hosts.contains(without_root(host)) {
            return Some(Networks::ALL);
        }
        Some(naming.fold(Networks::default(), |networks, document| {
            networks.union(if document.url == *url { Networks::ALL } else { document.networks })
        }))
    }

    /// The documents that have not been read, and that were not asked for lately. The caller reads them now, and says
    /// so with [`Self::done`] afterwards.
    fn take_due(&self, now: Duration) -> Vec<Url> {
        let mut due = Vec::new();
        for document in self.documents().iter_mut() {
            let lately = document.asked_at.is_some_and(|asked_at| now.saturating_sub(asked_at) < RETRY_AFTER);
            if document.origins.is_none() && !document.being_read && !lately {
                document.asked_at = Some(now);
                document.being_read = true;
                due.push(document.url.clone());
            }
        }
        due
    }

    fn are_being_read(&self) -> bool {
        self.documents().iter().any(|document| document.being_read)
    }

    /// Takes the endpoints' origins from the answer to a metadata URL; an answer to any other URL is ignored, and so
    /// is one that is no metadata: what was learned before stays. `network` is that of the address that has answered,
    /// where it is known.
    pub fn learn(&self, url: &Url, answer: &[u8], network: Option<Network>) {
        let mut documents = self.documents();
        let Some(document) = documents.iter_mut().find(|document| document.url == *url) else {
            return;
        };
        let Some(endpoints) = endpoints(&document.url, answer) else {
            return;
        };
        let origins = endpoints.iter().map(Url::origin).collect();
        document.endpoints = endpoints;
        if let Some(network) = network {
            document.networks = document.networks.with(network);
        }
        if let Some(before) = document.origins.replace(origins)
            && document.origins.as_ref() != Some(&before)
        {
            document.former_origins = before;
        }
        drop(documents);
        self.changed.notify_waiters();
    }

    /// Whether this is the URL of a document.
    pub fn is_document(&self, url: &Url) -> bool {
        self.documents().iter().any(|document| document.url == *url)
    }

    /// The URL of the document that a URL belongs to, for a host that counts: of the first that it is, else that names it as an
    /// endpoint, else that names its origin. `None` if none does.
    pub fn document_of(&self, url: &Url) -> Option<Url> {
        let documents = self.documents();
        let first = |belongs: &dyn Fn(&MetadataDocument) -> bool| documents.iter().find(|document| belongs(document));
        let origin = url.origin();
        let found = first(&|document| document.url == *url)
            .or_else(|| first(&|document| document.endpoints.contains(url)))
            .or_else(|| first(&|document| document.names(&origin)));
        found.map(|document| document.url.clone())
    }

    /// The reading that `take_due` began is over, whatever came of it.
    pub fn done(&self, url: &Url) {
        for document in self.documents().iter_mut() {
            if document.url == *url {
                document.being_read = false;
            }
        }
        self.changed.notify_waiters();
    }

    fn documents(&self) -> MutexGuard<'_, Vec<MetadataDocument>> {
        // No code panics while it holds the lock; if it did, each document would still be whole.
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetadataDocument {
    fn new(url: Url) -> Self {
        let written = url.host().and_then(|host| Network::of_host(&host));
        let networks = written.map_or_else(Networks::default, |network| Networks::default().with(network));
        MetadataDocument {
            url,
            networks,
            origins: None,
            endpoints: Vec::new(),
            former_origins: HashSet::new(),
            asked_at: None,
            being_read: false,
        }
    }

    fn names(&self, origin: &Origin) -> bool {
        self.url.origin() == *origin
            || self.origins.as_ref().is_some_and(|origins| origins.contains(origin))
            || self.former_origins.contains(origin)
    }
}

/// Whether an endpoint of this document may be at this URL, as far as its scheme is concerned. A provider that is not itself
/// on this machine could name the application, which trusts this machine.
fn may_have(document: &Url, endpoint: &Url) -> bool {
    let is_alike = (is_loopback(document) && is_loopback(endpoint)) || document.host() == endpoint.host();
    endpoint.scheme() == "https" || (document.scheme() == "http" && is_alike)
}

/// None for what is no metadata: without what every login needs (OpenID Connect Discovery 1.0 section 3).
fn endpoints(document: &Url, answer: &[u8]) -> Option<Vec<Url>> {
    // As they are written: however deep another one is nested, these can be read.
    let metadata: BTreeMap<String, &RawValue> = serde_json::from_slice(answer).ok()?;
    let text = |member: &str| serde_json::from_str::<String>(metadata.get(member)?.get()).ok();
    let endpoint = |member: &str| configured_url(&text(member)?).filter(|endpoint| may_have(document, endpoint));
    text("issuer")?;
    endpoint("token_endpoint")?;
    endpoint("jwks_uri")?;
    Some(ENDPOINTS.iter().filter_map(|member| endpoint(member)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &[u8] = br#"{
        "issuer": "https://provider.example",
        "token_endpoint": "https://token.example/t",
        "jwks_uri": "https://keys.example:8443/k",
        "userinfo_endpoint": "http://plain.example/u",
        "authorization_endpoint": "https://login.example/a"
    }"#;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn documents() -> (MetadataDocuments, Url) {
        let document = url("https://provider.example/.well-known/openid-configuration");
        (MetadataDocuments::new([document.clone()].into_iter(), []), document)
    }

    #[test]
    fn origins_come_from_the_configuration_and_the_endpoints_that_a_filter_asks() {
        let (documents, document) = documents();
        let named = |text| documents.networks(&url(text)).is_some();
        assert!(named("https://provider.example/anything"));
        assert!(!named("https://token.example/"));
        documents.learn(&document, METADATA, None);
        assert!(named("https://token.example:443/"));
        assert!(named("https://keys.example:8443/"));
        assert!(!named("https://keys.example/"), "another port is another origin");
        assert!(!named("http://plain.example/"), "http off loopback");
        assert!(!named("https://login.example/"), "for browsers only");
        assert!(!named("http://token.example/"), "another scheme");
    }

    #[test]
    fn a_url_belongs_to_the_document_that_names_it() {
        let (one, other) = (url("https://provider.example/one/metadata"), url("https://provider.example/other/metadata"));
        let documents = MetadataDocuments::new([one.clone(), other.clone()].into_iter(), []);
        let document_of = |text| documents.document_of(&url(text));
        assert_eq!(document_of("https://provider.example/other/metadata"), Some(other.clone()));
        assert_eq!(document_of("https://provider.example/other/token"), Some(one.clone()), "of the same origin, the first");
        assert_eq!(document_of("https://token.example/t"), None);
        documents.learn(&other, METADATA, None);
        assert_eq!(document_of("https://token.example/t"), Some(other.clone()));
        assert_eq!(document_of("https://token.example/another"), Some(other.clone()));
        let same_host = std::str::from_utf8(METADATA).unwrap().replace("https://token.example/t", "https://provider.example/other/token");
        documents.learn(&other, same_host.as_bytes(), None);
        assert_eq!(document_of("https://provider.example/other/token"), Some(other.clone()));
        assert!(documents.is_document(&one) && !documents.is_document(&url("https://provider.example/one")));
    }

    #[test]
    fn a_later_answer_replaces_all_but_the_last_endpoints() {
        let (documents, document) = documents();
        documents.learn(&document, METADATA, None);
        let named = |text: &str| documents.networks(&url(text)).is_some();
        for name in ["new", "newer"] {
            // Twice: only a change makes the ones before former ones.
            for _ in 0..2 {
                let metadata =
                    format!(r#"{{"issuer": "x", "token_endpoint": "https://{name}.example/t", "jwks_uri": "https://provider.example/k"}}"#);
                documents.learn(&document, metadata.as_bytes(), None);
            }
            assert!(named(&format!("https://{name}.example/")));
            assert_eq!(named("https://token.example/"), name == "new", "logins under way know the one before");
        }
    }

    #[test]
    fn plain_http_is_for_providers_on_this_machine() {
        let metadata = br#"{
            "issuer": "x", "token_endpoint": "https://provider.example/t", "jwks_uri": "https://provider.example/k",
            "userinfo_endpoint": "http://127.0.0.1:8080/"
        }"#;
        for (document, permitted) in [("https://provider.example/metadata", false), ("http://localhost:9000/metadata", true)] {
            let documents = MetadataDocuments::new([url(document)].into_iter(), []);
            documents.learn(&url(document), metadata, None);
            assert!(documents.networks(&url("https://provider.example/")).is_some());
            assert_eq!(documents.networks(&url("http://127.0.0.1:8080/")).is_some(), permitted, "{document}");
        }
    }

    #[test]
    fn plain_http_off_this_machine_is_for_the_host_that_the_configuration_names_so() {
        let document = url("http://keycloak.auth.svc:8080/realms/acme/.well-known/openid-configuration");
        let public = url("https://login.example/.well-known/openid-configuration");
        let documents = MetadataDocuments::new([document.clone(), public.clone()].into_iter(), []);
        let metadata = |token: &str, keys: &str| format!(r#"{{"issuer": "x", "token_endpoint": "{token}", "jwks_uri": "{keys}"}}"#);
        let learned = metadata("http://keycloak.auth.svc:9090/token", "https://keys.auth.svc/keys");
        documents.learn(&document, learned.as_bytes(), Some(Network::Private));
        for (asked, permitted) in [
            ("http://keycloak.auth.svc:9090/token", true),
            ("https://keys.auth.svc/keys", true),
            ("http://other.auth.svc/", false),
            ("http://auth.svc/", false),
            ("http://keycloak.auth.svc.evil.example/", false),
            ("http://login.example/", false),
            ("http://user@keycloak.auth.svc:9090/", false),
            ("ftp://keycloak.auth.svc/", false),
        ] {
            let permitted_url = documents.permitted_url(asked);
            assert_eq!(permitted_url.is_some_and(|url| documents.networks(&url).is_some()), permitted, "{asked}");
        }
        let networks = documents.networks(&url("http://keycloak.auth.svc:9090/token")).unwrap();
        assert!(networks.contains(Network::Private) && !networks.contains(Network::Loopback), "where the document came from");
        // Neither this machine, nor another host, nor a document that came by https.
        for (document, token) in [
            (&document, "http://127.0.0.1:8080/token"),
            (&document, "http://other.auth.svc/token"),
            (&public, "http://login.example/token"),
            (&public, "http://keycloak.auth.svc:7070/token"),
        ] {
            documents.learn(document, metadata(token, "https://login.example/keys").as_bytes(), Some(Network::Private));
            assert!(documents.networks(&url(token)).is_none(), "{token}");
        }
    }

    #[test]
    fn a_public_issuer_may_have_its_endpoints_at_the_internal_address_of_its_document() {
        let document = url("https://keycloak.auth.svc/realms/acme/.well-known/openid-configuration");
        let documents = MetadataDocuments::new([document.clone()].into_iter(), []);
        let metadata = br#"{
            "issuer": "https://login.example/realms/acme", "authorization_endpoint": "https://login.example/auth",
            "token_endpoint": "https://keycloak.auth.svc/token", "jwks_uri": "https://keycloak.auth.svc/keys"
        }"#;
        documents.learn(&document, metadata, Some(Network::Private));
        assert!(documents.networks(&url("https://keycloak.auth.svc/token")).unwrap().contains(Network::Private));
        assert!(documents.networks(&url("https://login.example/token")).is_none(), "only the browser goes there");
    }

    #[test]
    fn answers_to_other_urls_and_other_content_teach_nothing() {
        let (documents, document) = documents();
        documents.learn(&url("https://provider.example/other"), METADATA, None);
        assert!(documents.networks(&url("https://token.example/")).is_none());
        documents.learn(&document, METADATA, None);
        for answer in [
            "[]",
            "<html>",
            "{}",
            r#"{"error": "maintenance"}"#,
            r#"{"token_endpoint": "https://other.example/t", "jwks_uri": "https://other.example/k"}"#,
            r#"{"issuer": "x", "token_endpoint": "http://other.example/t", "jwks_uri": "https://other.example/k"}"#,
            r#"{"issuer": "x", "token_endpoint": "https://other.example/t"}"#,
        ] {
            for _ in 0..2 {
                documents.learn(&document, answer.as_bytes(), None);
            }
            assert!(documents.networks(&url("https://token.example/")).is_some(), "{answer} made it forget");
            assert!(documents.networks(&url("https://other.example/")).is_none(), "{answer} was believed");
        }
    }

    #[test]
    fn an_unread_document_is_due_at_most_every_thirty_seconds() {
        let (documents, document) = documents();
        let start = Duration::from_secs(7);
        assert_eq!(documents.take_due(start), std::slice::from_ref(&document));
        assert!(documents.are_being_read());
        assert!(documents.take_due(start + RETRY_AFTER).is_empty(), "still being read");
        documents.done(&document);
        assert!(!documents.are_being_read());
        assert!(documents.take_due(start + Duration::from_secs(29)).is_empty());
        assert_eq!(documents.take_due(start + RETRY_AFTER), std::slice::from_ref(&document));
        documents.learn(&document, b"{}", None);
        documents.done(&document);
        assert_eq!(documents.take_due(start + 2 * RETRY_AFTER), std::slice::from_ref(&document), "that was no metadata");
        documents.learn(&document, METADATA, None);
        documents.done(&document);
        assert!(documents.take_due(start + 10 * RETRY_AFTER).is_empty(), "it has been read");
    }

    #[tokio::test]
    async fn who_asks_for_an_unknown_origin_waits_for_the_documents() {
        let (documents, document) = documents();
        let now = || Duration::ZERO;
        let asked = std::cell::Cell::new(0);
        let learn = |url: Url| {
            asked.set(asked.get() + 1);
            documents.learn(&url, METADATA, None);
            documents.done(&url);
        };
        assert!(documents.permit(&document, now, learn).await.is_some());
        assert_eq!(asked.get(), 0, "the configuration names it");
        assert!(documents.permit(&url("https://token.example/"), now, learn).await.is_some());
        assert!(documents.permit(&url("https://other.example/"), now, learn).await.is_none());
        assert_eq!(asked.get(), 1);
    }

    #[tokio::test]
    async fn an_origin_is_refused_when_no_document_can_be_read() {
        let (documents, _) = documents();
        let fail = |url: Url| documents.done(&url);
        assert!(documents.permit(&url("https://token.example/"), || Duration::ZERO, fail).await.is_none());
    }

    fn metadata(host: &str) -> String {
        format!(r#"{{"issuer": "x", "token_endpoint": "https://{host}/t", "jwks_uri": "https://{host}/k"}}"#)
    }

    #[test]
    fn endpoints_may_be_on_the_internet_and_where_their_document_came_from() {
        let networks =
            [Network::Loopback, Network::Private, Network::Shared, Network::LinkLocal, Network::MetadataService, Network::Reserved];
        for came_from in networks {
            let (documents, document) = documents();
            documents.learn(&document, metadata("token.example").as_bytes(), Some(came_from));
            for endpoint in ["https://token.example/t", "https://provider.example/t"] {
                let permitted = documents.networks(&url(endpoint)).unwrap();
                assert!(permitted.contains(Network::Internet));
                for network in networks {
                    assert_eq!(permitted.contains(network), network == came_from, "{endpoint}, {came_from} and {network}");
                }
            }
            assert_eq!(documents.networks(&document), Some(Networks::ALL), "the operator's own word");
        }
    }

    #[test]
    fn a_document_at_an_address_says_by_itself_where_it_is() {
        for (host, network) in [("10.1.2.3", Network::Private), ("[::1]", Network::Loopback), ("idp.localhost", Network::Loopback)] {
            let document = url(&format!("https://{host}/metadata"));
            let documents = MetadataDocuments::new([document].into_iter(), []);
            let permitted = documents.networks(&url(&format!("https://{host}/token"))).unwrap();
            assert_eq!(permitted, Networks::default().with(network), "{host}");
        }
    }

    #[test]
    fn one_documents_network_is_not_for_the_endpoints_of_another() {
        let (internal, public) = (url("https://10.0.0.1/metadata"), url("https://provider.example/metadata"));
        let documents = MetadataDocuments::new([internal.clone(), public.clone()].into_iter(), []);
        documents.learn(&internal, metadata("one.example").as_bytes(), Some(Network::Private));
        documents.learn(&public, metadata("two.example").as_bytes(), Some(Network::Internet));
        assert!(documents.networks(&url("https://one.example/t")).unwrap().contains(Network::Private));
        assert!(!documents.networks(&url("https://two.example/t")).unwrap().contains(Network::Private));
    }

    #[test]
    fn internal_hosts_are_those_of_the_configuration_and_no_others() {
        let document = url("https://provider.example/metadata");
        let hosts = ["token.example", "10.0.0.7", "[fd00::7]"].map(str::to_owned);
        let documents = MetadataDocuments::new([document.clone()].into_iter(), hosts);
        for (host, internal) in [
            ("token.example", true),
            ("TOKEN.example.", true),
            ("10.0.0.7", true),
            ("[fd00:0::7]", true),
            ("sub.token.example", false),
            ("nottoken.example", false),
            ("10.0.0.8", false),
        ] {
            documents.learn(&document, metadata(host).as_bytes(), Some(Network::Internet));
            let permitted = documents.networks(&url(&format!("https://{host}/t"))).unwrap();
            assert_eq!(permitted == Networks::ALL, internal, "{host}");
        }
        assert_eq!(documents.networks(&url("https://token.example:8443/")), None, "no document names this origin");
    }

    #[tokio::test]
    async fn a_refused_address_is_permitted_when_an_unread_document_came_from_there() {
        let (documents, document) = documents();
        let endpoint = url("https://provider.example/t");
        let now = || Duration::ZERO;
        let asked = std::cell::Cell::new(0);
        let learn = |document: Url| {
            asked.set(asked.get() + 1);
            documents.learn(&document, metadata("provider.example").as_bytes(), Some(Network::Private));
            documents.done(&document);
        };
        let first = documents.permit(&endpoint, now, learn).await.unwrap();
        assert_eq!((first, asked.get()), (Networks::default(), 0), "the configuration names the origin");
        let more = documents.permit_more(&endpoint, first, now, learn).await;
        assert_eq!((more, asked.get()), (Some(Networks::default().with(Network::Private)), 1));
        assert_eq!(documents.permit_more(&endpoint, more.unwrap(), now, learn).await, None);
        assert_eq!(asked.get(), 1, "{document} has been read");
    }
}
