//! What a host that counts learns of a filter while it works: instances, traps, memory and requests to providers.

use std::fmt;
use std::time::Duration;

use crate::decision::Event;

/// Is told of what happens inside a [`crate::Filter`]. Every method is called where it happens, some under a lock or in the middle of a
/// decision: it must return at once, and must not call the filter. None is called for a decision that needs no provider and finds
/// an instance. Each does nothing by default.
pub trait Observer: fmt::Debug + Send + Sync {
    /// An instance was made and has its configuration.
    fn instance_made(&self) {}

    /// An instance that was made has ended: it trapped, was stuck, or its filter was dropped.
    fn instance_retired(&self) {}

    /// An instance trapped, or broke its contract.
    fn instance_trapped(&self) {}

    /// Instances have so many more bytes of linear memory.
    fn memory_grown(&self, bytes: usize) {
        let _ = bytes;
    }

    /// Instances have so many bytes of linear memory less.
    fn memory_freed(&self, bytes: usize) {
        let _ = bytes;
    }

    /// What is done after an answer, such as the revocation of tokens, has this to say, which is in no decision. It has been logged.
    fn event_afterwards(&self, event: &Event) {
        let _ = event;
    }

    /// A request to a provider has its answer, or has failed. Requests that several decisions wait for are told once.
    fn provider_asked(&self, exchange: &ProviderExchange<'_>) {
        let _ = exchange;
    }
}

/// One request to a provider, and what came of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProviderExchange<'a> {
    /// Of the provider, as in [`crate::Summary::metadata_urls`], but normalised as a URL. With several providers of one metadata URL, or
    /// of one token endpoint, it is that of the first. `None` if no metadata document names the endpoint.
    pub metadata_url: Option<&'a str>,
    /// What was asked for.
    pub kind: ProviderRequest,
    /// From the permission to send to the last byte, or to the failure.
    pub duration: Duration,
    /// The status of the answer, whatever it is, or why there is none.
    pub result: Result<u16, ProviderFailure>,
}

/// What a provider is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProviderRequest {
    /// The metadata document (OpenID Connect Discovery 1.0 section 4).
    Metadata,
    /// The key set that `jwks_uri` names.
    Keys,
    /// Tokens (OpenID Connect Core section 3.1.3).
    Token,
    /// Claims (OpenID Connect Core section 5.3).
    Userinfo,
    /// The end of a token (RFC 7009).
    Revocation,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProviderFailure {
    /// The URL or its address is not permitted; nothing was sent.
    NotAllowed,
    /// No connection: name resolution, TCP, TLS.
    Unreachable,
    /// No answer within the time.
    TimedOut,
    /// The answer is longer than was asked for.
    TooLarge,
    /// The answer is no HTTP.
    Protocol,
    /// Too many requests wait for providers; nothing was sent.
    Overloaded,
}

impl ProviderRequest {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Metadata, Self::Keys, Self::Token, Self::Userinfo, Self::Revocation];
}

impl ProviderFailure {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::NotAllowed, Self::Unreachable, Self::TimedOut, Self::TooLarge, Self::Protocol, Self::Overloaded];
}
