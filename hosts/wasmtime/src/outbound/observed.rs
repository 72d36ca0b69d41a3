//! Requests to providers, told to the [`Observer`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use url::Url;
use vestibule_enforcement::outbound::documents::MetadataDocuments;

use super::{Failure, ProviderResponse};
use crate::bindings::vestibule::filter::outbound_http::{Error, Request};
use crate::observer::{Observer, ProviderExchange, ProviderFailure, ProviderRequest};

/// Whoever is told, if anybody is.
pub(super) type Told = Option<Arc<dyn Observer>>;

/// One request that is under way. Told when it is dropped: without a result, its time was over.
pub(super) struct Asking<'a> {
    told: &'a dyn Observer,
    documents: &'a MetadataDocuments,
    url: &'a Url,
    kind: ProviderRequest,
    began: Instant,
    result: Result<u16, ProviderFailure>,
}

impl<'a> Asking<'a> {
    pub(super) fn begin(told: &'a Told, documents: &'a MetadataDocuments, url: &'a Url, request: &Request) -> Option<Self> {
        let told = told.as_deref()?;
        let kind = kind(documents, url, request);
        Some(Self { told, documents, url, kind, began: Instant::now(), result: Err(ProviderFailure::TimedOut) })
    }

    pub(super) fn end(mut self, answer: &Result<ProviderResponse, Failure>) {
        self.result = match answer {
            Ok(answered) => Ok(answered.response.status),
            Err(failure) => Err(failure_of(failure)),
        };
    }

    /// Nothing was sent.
    pub(super) fn refused(mut self, failure: ProviderFailure) {
        self.result = Err(failure);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let document = self.documents.document_of(self.url);
        let duration: Duration = self.began.elapsed();
        let metadata_url = document.as_ref().map(Url::as_str);
        self.told.provider_asked(&ProviderExchange { metadata_url, kind: self.kind, duration, result: self.result });
    }
}

/// By the form of the request, which is the component's: of those for keys and for claims, the second has a token; a form that begins
/// with a token is about its end.
fn kind(documents: &MetadataDocuments, url: &Url, request: &Request) -> ProviderRequest {
    let has_token = || request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    match request.method.as_str() {
        "POST" if request.body.starts_with(b"token=") => ProviderRequest::Revocation,
        "POST" => ProviderRequest::Token,
        _ if documents.is_document(url) => ProviderRequest::Metadata,
        _ if has_token() => ProviderRequest::Userinfo,
        _ => ProviderRequest::Keys,
    }
}

fn failure_of(failure: &Failure) -> ProviderFailure {
    match failure {
        Failure::Refused(_) | Failure::Failed(Error::NotAllowed) => ProviderFailure::NotAllowed,
        Failure::Failed(Error::Unreachable(_)) => ProviderFailure::Unreachable,
        Failure::Failed(Error::TimedOut) => ProviderFailure::TimedOut,
        Failure::Failed(Error::TooLarge) => ProviderFailure::TooLarge,
        Failure::Failed(Error::Protocol(_)) => ProviderFailure::Protocol,
    }
}
