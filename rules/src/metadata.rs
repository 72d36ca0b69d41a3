//! The providers' metadata documents: the origins that may be asked are theirs, and those that they name.
//!
//! The documents' URLs come from the configuration. The list of origins grows by every metadata document that passes
//! through; a host that has just started reads the documents itself before it says no.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::Notify;
use url::{Origin, Url};

use crate::addresses::permitted_url;

/// A provider that is down is asked no more often than this.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The endpoints that a filter asks itself; all others are for browsers.
const ENDPOINTS: [&str; 4] = ["token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint"];

/// What this host knows of the documents. Shared by everything that asks providers.
pub struct MetadataDocuments {
    documents: Mutex<Vec<Document>>,
    /// A document was read, or could not be.
    changed: Notify,
}

struct Document {
    url: Url,
    /// Of its endpoints; none until the document was read by this process.
    origins: Option<HashSet<Origin>>,
    /// Of the endpoints before they changed last: logins that began with them come to their end.
    former_origins: HashSet<Origin>,
    /// When the host itself asked for it last.
    asked_at: Option<Duration>,
    being_read: bool,
}

impl MetadataDocuments {
    /// The documents of a configuration. What [`permitted_url`] refuses is never asked: the caller says so in its log.
    pub fn new(urls: impl Iterator<Item = Url>) -> Self {
        let documents =
            urls.map(|url| Document { url, origins: None, former_origins: HashSet::new(), asked_at: None, being_read: false }).collect();
        MetadataDocuments { documents: Mutex::new(documents), changed: Notify::new() }
    }

    /// Waits until it is known whether this origin may be asked: reads the documents that have not been read, where the
    /// answer depends on them. `now` is the time on any clock that does not go back; `read` starts to read the document
    /// in a task of its own, for a caller that gives up must not stop what others wait for, and calls [`Self::learn`] and
    /// [`Self::done`] there.
    pub async fn permit(&self, origin: &Origin, now: impl Fn() -> Duration, read: impl Fn(Url)) -> bool {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.name(origin) {
                return true;
            }
            self.take_due(now()).into_iter().for_each(&read);
            if !self.are_being_read() {
                // What `read` has read already counts as well.
                return self.name(origin);
            }
            changed.await;
        }
    }

    /// Whether the configuration or a document that was read names this origin.
    fn name(&self, origin: &Origin) -> bool {
        self.documents().iter().any(|document| document.names(origin))
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
    /// is one that is no metadata: what was learned before stays.
    pub fn learn(&self, url: &Url, answer: &[u8]) {
        let mut documents = self.documents();
        let Some(document) = documents.iter_mut().find(|document| document.url == *url) else {
            return;
        };
        let Some(origins) = endpoint_origins(&document.url, answer) else {
            return;
        };
        if let Some(before) = document.origins.replace(origins)
            && document.origins.as_ref() != Some(&before)
        {
            document.former_origins = before;
        }
        drop(documents);
        self.changed.notify_waiters();
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

    fn documents(&self) -> MutexGuard<'_, Vec<Document>> {
        // No code panics while it holds the lock; if it did, each document would still be whole.
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Document {
    fn names(&self, origin: &Origin) -> bool {
        self.url.origin() == *origin
            || self.origins.as_ref().is_some_and(|origins| origins.contains(origin))
            || self.former_origins.contains(origin)
    }
}

/// None for what is no metadata: without what every login needs (OpenID Connect Discovery 1.0 section 3).
fn endpoint_origins(document: &Url, answer: &[u8]) -> Option<HashSet<Origin>> {
    let metadata: Map<String, Value> = serde_json::from_slice(answer).ok()?;
    let text = |member: &str| metadata.get(member)?.as_str();
    // Only a provider that is itself on this machine may have endpoints that are reached by plain http: any other could
    // name the application, which trusts this machine.
    let permitted = |url: &Url| url.scheme() == "https" || document.scheme() == "http";
    let endpoint = |member: &str| permitted_url(text(member)?).filter(permitted);
    text("issuer")?;
    endpoint("token_endpoint")?;
    endpoint("jwks_uri")?;
    Some(ENDPOINTS.iter().filter_map(|member| endpoint(member)).map(|endpoint| endpoint.origin()).collect())
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
        (MetadataDocuments::new([document.clone()].into_iter()), document)
    }

    #[test]
    fn origins_come_from_the_configuration_and_the_endpoints_that_a_filter_asks() {
        let (documents, document) = documents();
        let named = |text| documents.name(&url(text).origin());
        assert!(named("https://provider.example/anything"));
        assert!(!named("https://token.example/"));
        documents.learn(&document, METADATA);
        assert!(named("https://token.example:443/"));
        assert!(named("https://keys.example:8443/"));
        assert!(!named("https://keys.example/"), "another port is another origin");
        assert!(!named("http://plain.example/"), "http off loopback");
        assert!(!named("https://login.example/"), "for browsers only");
        assert!(!named("http://token.example/"), "another scheme");
    }

    #[test]
    fn a_later_answer_replaces_all_but_the_last_endpoints() {
        let (documents, document) = documents();
        documents.learn(&document, METADATA);
        let named = |text: &str| documents.name(&url(text).origin());
        for name in ["new", "newer"] {
            // Twice: only a change makes the ones before former ones.
            for _ in 0..2 {
                let metadata =
                    format!(r#"{{"issuer": "x", "token_endpoint": "https://{name}.example/t", "jwks_uri": "https://provider.example/k"}}"#);
                documents.learn(&document, metadata.as_bytes());
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
            let documents = MetadataDocuments::new([url(document)].into_iter());
            documents.learn(&url(document), metadata);
            assert!(documents.name(&url("https://provider.example/").origin()));
            assert_eq!(documents.name(&url("http://127.0.0.1:8080/").origin()), permitted, "{document}");
        }
    }

    #[test]
    fn answers_to_other_urls_and_other_content_teach_nothing() {
        let (documents, document) = documents();
        documents.learn(&url("https://provider.example/other"), METADATA);
        assert!(!documents.name(&url("https://token.example/").origin()));
        documents.learn(&document, METADATA);
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
                documents.learn(&document, answer.as_bytes());
            }
            assert!(documents.name(&url("https://token.example/").origin()), "{answer} made it forget");
            assert!(!documents.name(&url("https://other.example/").origin()), "{answer} was believed");
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
        documents.learn(&document, b"{}");
        documents.done(&document);
        assert_eq!(documents.take_due(start + 2 * RETRY_AFTER), std::slice::from_ref(&document), "that was no metadata");
        documents.learn(&document, METADATA);
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
            documents.learn(&url, METADATA);
            documents.done(&url);
        };
        assert!(documents.permit(&document.origin(), now, learn).await);
        assert_eq!(asked.get(), 0, "the configuration names it");
        assert!(documents.permit(&url("https://token.example/").origin(), now, learn).await);
        assert!(!documents.permit(&url("https://other.example/").origin(), now, learn).await);
        assert_eq!(asked.get(), 1);
    }

    #[tokio::test]
    async fn an_origin_is_refused_when_no_document_can_be_read() {
        let (documents, _) = documents();
        let fail = |url: Url| documents.done(&url);
        assert!(!documents.permit(&url("https://token.example/").origin(), || Duration::ZERO, fail).await);
    }
}
