//! What goes wrong between us and a provider, with the provider's answers, or with what the browser brings back from it.

use std::fmt;

pub use super::reported_error::ReportedError;
use crate::code::Code;
use crate::web::http::OutboundError;

/// Longest value from outside in a message, in characters.
const MAX_SHOWN: usize = 120;

/// Why a step of the protocol failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the authorization response is malformed: {0}")]
    AuthorizationResponse(&'static str),
    #[error(
        "the authorization response to a login with provider `{provider}` {given}, and that provider's issuer is {expected} \
         (RFC 9207): this can be a mix-up attack"
    )]
    IssuerParameter { provider: String, given: String, expected: String },
    #[error("the provider reports {0}")]
    ProviderReported(ReportedError),
    #[error("{what} of provider `{provider}` {error}")]
    Unreachable { provider: String, what: Endpoint, error: OutboundError },
    #[error("{what} of provider `{provider}` answered with status {status}{detail}{}", what.advice(*status))]
    Status { provider: String, what: Endpoint, status: u16, detail: String },
    #[error("{what} of provider `{provider}`: {fault}")]
    Answer { provider: String, what: Endpoint, fault: String },
    #[error("the ID token of provider `{provider}` is rejected: {rejection}")]
    IdToken { provider: String, rejection: Rejection },
}

/// A value from outside, for a message: bounded, and without the mark that ends a quotation. What is not printable goes when
/// the message becomes an event.
pub(crate) fn shown(text: &str) -> String {
    bounded(text, MAX_SHOWN)
}

pub(super) fn bounded(text: &str, characters: usize) -> String {
    let mut rest = text.trim().chars();
    let mut line: String = rest.by_ref().take(characters).map(|c| if c == '"' { '\'' } else { c }).collect();
    if rest.next().is_some() {
        line.push('…');
    }
    line
}

/// What of a provider was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Metadata,
    Token,
    Keys,
    Userinfo,
    Revocation,
}

impl Endpoint {
    /// What the operator can do about an answer of this status, whatever else it says.
    fn advice(self, status: u16) -> &'static str {
        match (self, status) {
            (_, 300..=399) => ": Vestibule follows no redirect here; configure the address that it leads to",
            (Endpoint::Metadata, 401 | 403 | 404 | 410) => ": check server_metadata_url",
            (Endpoint::Keys, 401 | 403 | 404 | 410) => ": check `jwks_uri` in the provider's metadata",
            (Endpoint::Token, 404 | 405 | 410) => ": check `token_endpoint` in the provider's metadata",
            (Endpoint::Userinfo, 401 | 403) => {
                ": the provider does not accept its own access token there; check `scope` in client_kwargs, or remove userinfo = true"
            }
            (Endpoint::Userinfo, 404 | 405 | 410) => ": check `userinfo_endpoint` in the provider's metadata, or remove userinfo = true",
            (_, 429) => ": the provider limits requests; try again later",
            _ => "",
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Endpoint::Metadata => "the metadata",
            Endpoint::Token => "the token endpoint",
            Endpoint::Keys => "the key set",
            Endpoint::Userinfo => "the userinfo endpoint",
            Endpoint::Revocation => "the revocation endpoint",
        })
    }
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("it is not a signed JWT")]
    Malformed,
    #[error("its type is that of another token")]
    Type,
    #[error("its signature algorithm is not accepted")]
    Algorithm,
    #[error("it names a critical extension")]
    Critical,
    #[error("the provider has no such key")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("it is from another issuer")]
    Issuer,
    #[error("it is from a tenant that may not log in")]
    Tenant,
    #[error("it is for another audience")]
    Audience,
    #[error("it was issued to another party")]
    AuthorizedParty,
    #[error("it has no subject")]
    Subject,
    #[error("it has expired, or does not say when it does")]
    Expired,
    #[error("it was issued too long ago, in the future, or at no stated time")]
    IssuedAt,
    #[error("it is not valid yet")]
    NotBefore,
    #[error("it belongs to another login")]
    Nonce,
    #[error("it belongs to another access token")]
    AccessTokenHash,
    #[error("it does not prove the authentication that `acr_values` asks for")]
    AuthenticationContext,
    #[error("the person authenticated longer ago than `max_age` allows, or at no stated time")]
    AuthenticationTime,
    #[error("the account is not of the domain that `hd` asks for")]
    HostedDomain,
    /// Of a logout token.
    #[error("it does not say that it is about a logout")]
    Events,
    /// Of a logout token.
    #[error("it has no `jti`")]
    TokenId,
    /// Of a logout token.
    #[error("it was used before")]
    Spent,
}

impl Rejected {
    /// Of an ID token. Stable: operators search and alert on it.
    pub fn code(self) -> Code {
        match self {
            // The last three are nothing that is looked for in one.
            Rejected::Malformed | Rejected::Events | Rejected::TokenId | Rejected::Spent => Code::IdTokenMalformed,
            Rejected::Type => Code::IdTokenType,
            Rejected::Algorithm => Code::IdTokenAlgorithm,
            Rejected::Critical => Code::IdTokenCritical,
            Rejected::UnknownKey => Code::IdTokenUnknownKey,
            Rejected::Signature => Code::IdTokenSignature,
            Rejected::Issuer => Code::IdTokenIssuer,
            Rejected::Tenant => Code::IdTokenTenant,
            Rejected::Audience => Code::IdTokenAudience,
            Rejected::AuthorizedParty => Code::IdTokenAuthorizedParty,
            Rejected::Subject => Code::IdTokenSubject,
            Rejected::Expired => Code::IdTokenExpired,
            Rejected::IssuedAt => Code::IdTokenIssuedAt,
            Rejected::NotBefore => Code::IdTokenNotBefore,
            Rejected::Nonce => Code::IdTokenNonce,
            Rejected::AccessTokenHash => Code::IdTokenAccessTokenHash,
            Rejected::AuthenticationContext => Code::IdTokenAuthenticationContext,
            Rejected::AuthenticationTime => Code::IdTokenAuthenticationTime,
            Rejected::HostedDomain => Code::IdTokenHostedDomain,
        }
    }

    /// The same of a logout token.
    pub fn code_of_logout(self) -> Code {
        match self {
            Rejected::Type => Code::LogoutTokenType,
            Rejected::Algorithm => Code::LogoutTokenAlgorithm,
            Rejected::Critical => Code::LogoutTokenCritical,
            Rejected::UnknownKey => Code::LogoutTokenUnknownKey,
            Rejected::Signature => Code::LogoutTokenSignature,
            Rejected::Issuer => Code::LogoutTokenIssuer,
            Rejected::Audience => Code::LogoutTokenAudience,
            Rejected::Subject => Code::LogoutTokenSubject,
            Rejected::Expired => Code::LogoutTokenExpired,
            Rejected::IssuedAt => Code::LogoutTokenIssuedAt,
            Rejected::NotBefore => Code::LogoutTokenNotBefore,
            Rejected::Nonce => Code::LogoutTokenNonce,
            Rejected::Events => Code::LogoutTokenEvents,
            Rejected::TokenId => Code::LogoutTokenId,
            Rejected::Spent => Code::LogoutTokenSpent,
            // The others are nothing that is looked for in one.
            Rejected::Malformed
            | Rejected::Tenant
            | Rejected::AuthorizedParty
            | Rejected::AccessTokenHash
            | Rejected::AuthenticationContext
            | Rejected::AuthenticationTime
            | Rejected::HostedDomain => Code::LogoutTokenMalformed,
        }
    }
}

/// A token that is not accepted, in words for the log: the values that differ, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub reason: Rejected,
    words: Option<String>,
    is_of_any_key: bool,
}

impl Rejection {
    /// Of a signature that may be of any key: the token names none, or the keys have no names.
    pub(crate) fn of_any_key(self) -> Self {
        Self { is_of_any_key: true, ..self }
    }

    /// Whether it may be of a key that the provider has not published yet, though its keys were fetched just now.
    pub(crate) fn may_be_of_newer_key(&self) -> bool {
        self.reason == Rejected::UnknownKey || self.is_of_any_key
    }
}

impl Rejected {
    /// With words of its own, in which what comes from the token has gone through `shown`.
    pub(crate) fn because(self, words: impl Into<String>) -> Rejection {
        Rejection { reason: self, words: Some(words.into()), is_of_any_key: false }
    }
}

impl From<Rejected> for Rejection {
    fn from(reason: Rejected) -> Self {
        Self { reason, words: None, is_of_any_key: false }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.words {
            Some(words) => f.write_str(words),
            None => self.reason.fmt(f),
        }
    }
}

/// How asking failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer, or that of a server in trouble: what it said before may still hold.
    Unavailable,
    /// An answer that must not be used: what it said before does not hold any more either.
    Unacceptable,
}

impl Error {
    /// Stable: operators search and alert on it.
    pub fn code(&self) -> Code {
        match self {
            Error::AuthorizationResponse(_) => Code::CallbackMalformed,
            Error::IssuerParameter { .. } => Code::CallbackIssuerMismatch,
            Error::ProviderReported(reported) if reported.kind() == "access_denied" => Code::CallbackAccessDenied,
            Error::ProviderReported(_) => Code::CallbackProviderError,
            Error::Unreachable { .. } => Code::ProviderUnreachable,
            Error::Status { what: Endpoint::Token, .. } => Code::TokenRefused,
            Error::Status { .. } => Code::ProviderStatus,
            Error::Answer { what: Endpoint::Metadata, .. } => Code::MetadataInvalid,
            Error::Answer { what: Endpoint::Token, .. } => Code::TokenInvalid,
            Error::Answer { what: Endpoint::Keys, .. } => Code::KeysInvalid,
            Error::Answer { what: Endpoint::Userinfo, .. } => Code::UserinfoInvalid,
            Error::Answer { what: Endpoint::Revocation, .. } => Code::LogoutNotRevoked,
            Error::IdToken { rejection, .. } => rejection.reason.code(),
        }
    }

    /// Of the response to the browser.
    pub fn status(&self) -> u16 {
        match self {
            Error::AuthorizationResponse(_) | Error::IssuerParameter { .. } => 400,
            Error::ProviderReported(reported) => match reported.kind() {
                "temporarily_unavailable" | "server_error" => 503,
                "access_denied" | "login_required" | "interaction_required" | "account_selection_required" | "consent_required" => 403,
                _ => 502,
            },
            Error::Unreachable { .. } => 503,
            Error::Status { status, .. } if *status >= 500 || *status == 429 => 503,
            Error::Status { .. } | Error::Answer { .. } | Error::IdToken { .. } => 502,
        }
    }

    /// What it means for what is remembered of the provider.
    pub fn failure(&self) -> Failure {
        if self.status() == 503 { Failure::Unavailable } else { Failure::Unacceptable }
    }

    /// Whether the endpoint may have moved, so that newer metadata can help.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Error::Status { status: 404 | 410, .. } | Error::Unreachable { error: OutboundError::Unreachable(_), .. })
    }
}
