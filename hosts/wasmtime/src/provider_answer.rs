//! Asking a provider as the component would, for who wants to know whether it can be reached.

use crate::bindings::vestibule::filter::outbound_http::{Error, Request, Response};
use crate::decision::Header;

/// For a whole exchange: a person is waiting.
const TIMEOUT_MS: u32 = 10_000;

/// What a provider has answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProviderAnswer {
    /// The status of the response.
    pub status: u16,
    /// Its fields.
    pub headers: Vec<Header>,
    /// Its body, whole.
    pub body: Vec<u8>,
}

/// Why it has not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The address is none of a provider's, or on a network where none of its metadata may be.
    #[error("this address is not allowed")]
    NotAllowed,
    /// There is no connection; the text says why.
    #[error("{0}")]
    Unreachable(String),
    /// Not within ten seconds, or the host's own limit.
    #[error("no answer in time")]
    TimedOut,
    /// Longer than was asked for.
    #[error("the answer is too large")]
    TooLarge,
    /// What came is no HTTP, or less than it said.
    #[error("{0}")]
    Protocol(String),
}

pub(crate) fn request(url: &str, max_response_bytes: u32) -> Request {
    let headers = [("accept", "application/json"), ("accept-encoding", "identity")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into();
    Request {
        method: "GET".into(),
        url: url.to_owned(),
        headers,
        body: vec![],
        max_response_bytes,
        timeout_ms: TIMEOUT_MS,
        shared_for_ms: None,
    }
}

impl From<Response> for ProviderAnswer {
    fn from(Response { status, headers, body }: Response) -> Self {
        Self { status, headers, body }
    }
}

impl From<Error> for ProviderError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotAllowed => Self::NotAllowed,
            Error::Unreachable(reason) => Self::Unreachable(reason),
            Error::TimedOut => Self::TimedOut,
            Error::TooLarge => Self::TooLarge,
            Error::Protocol(reason) => Self::Protocol(reason),
        }
    }
}
