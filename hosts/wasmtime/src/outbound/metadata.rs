//! The providers' metadata documents: the origins that may be asked are theirs, and those that they name.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use url::{Origin, Url};

use super::permitted_url;

/// A provider that is down is asked no more often than this.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The endpoints that a filter asks itself; all others are for browsers.
const ENDPOINTS: [&str; 4] = ["token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint"];

pub(super) struct MetadataDocuments {
    documents: Mutex<Vec<Document>>,
    changed: Notify,
}

struct Document {
    url: Url,
    /// Of its endpoints; none until the document was read by this process.
    origins: Option<HashSet<Origin>>,
    /// When the host itself asked for it last.
    asked_at: Option<Instant>,
    being_read: bool,
}

impl MetadataDocuments {
    pub(super) fn new(urls: impl Iterator<Item = Url>) -> Self {
        let documents = urls.map(|url| Document { url, origins: None, asked_at: None, being_read: false }).collect();
        MetadataDocuments { documents: Mutex::new(documents), changed: Notify::new() }
    }

    /// Whether the configuration or a document that was read names this origin.
    pub(super) fn name(&self, origin: &Origin) -> bool {
        self.documents()
            .iter()
            .any(|document| document.url.origin() == *origin || document.origins.as_ref().is_some_and(|origins| origins.contains(origin)))
    }

    /// The documents that have not been read, and that were not asked for lately. The caller reads them now, and says
    /// so with [`Self::done`] afterwards.
    pub(super) fn take_due(&self, now: Instant) -> Vec<Url> {
        let mut due = Vec::new();
        for document in self.documents().iter_mut() {
            let lately = document.asked_at.is_some_and(|asked_at| now.saturating_duration_since(asked_at) < RETRY_AFTER);
            if document.origins.is_none() && !document.being_read && !lately {
                document.asked_at = Some(now);
                document.being_read = true;
                due.push(document.url.clone());
            }
        }
        due
    }

    pub(super) fn are_being_read(&self) -> bool {
        self.documents().iter().any(|document| document.being_read)
    }

    /// Takes the endpoints' origins from the answer to a metadata URL; an answer to any other URL is ignored, and so
    /// is one that is no metadata.
    pub(super) fn learn(&self, url: &Url, answer: &[u8]) {
        let mut documents = self.documents();
        let Some(document) = documents.iter_mut().find(|document| document.url == *url) else {
            return;
        };
        let Ok(Value::Object(metadata)) = serde_json::from_slice(answer) else {
            return;
        };
        let origins = ENDPOINTS
            .iter()
            .filter_map(|endpoint| permitted_url(metadata.get(*endpoint)?.as_str()?))
            .map(|endpoint| endpoint.origin())
            .collect();
        document.origins = Some(origins);
        drop(documents);
        self.changed.notify_waiters();
    }

    /// The reading that [`Self::take_due`] began is over, whatever came of it.
    pub(super) fn done(&self, url: &Url) {
        for document in self.documents().iter_mut() {
            if document.url == *url {
                document.being_read = false;
            }
        }
        self.changed.notify_waiters();
    }

    /// Ready when a document was read, or could not be.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    fn documents(&self) -> MutexGuard<'_, Vec<Document>> {
        // No code panics while it holds the lock; if it did, each document would still be whole.
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &[u8] = br#"{
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
    fn a_later_answer_replaces_the_endpoints() {
        let (documents, document) = documents();
        documents.learn(&document, METADATA);
        documents.learn(&document, br#"{"token_endpoint": "https://new.example/t"}"#);
        assert!(documents.name(&url("https://new.example/").origin()));
        assert!(!documents.name(&url("https://token.example/").origin()));
    }

    #[test]
    fn answers_to_other_urls_and_other_content_teach_nothing() {
        let (documents, document) = documents();
        documents.learn(&url("https://provider.example/other"), METADATA);
        documents.learn(&document, b"[]");
        documents.learn(&document, b"<html>");
        assert!(!documents.name(&url("https://token.example/").origin()));
    }

    #[test]
    fn an_unread_document_is_due_at_most_every_thirty_seconds() {
        let (documents, document) = documents();
        let start = Instant::now();
        assert_eq!(documents.take_due(start), std::slice::from_ref(&document));
        assert!(documents.are_being_read());
        assert!(documents.take_due(start + RETRY_AFTER).is_empty(), "still being read");
        documents.done(&document);
        assert!(!documents.are_being_read());
        assert!(documents.take_due(start + Duration::from_secs(29)).is_empty());
        assert_eq!(documents.take_due(start + RETRY_AFTER), std::slice::from_ref(&document));
        documents.learn(&document, METADATA);
        documents.done(&document);
        assert!(documents.take_due(start + 10 * RETRY_AFTER).is_empty(), "it has been read");
    }
}
