//! What goes wrong between us and a provider, with the provider's answers, or with what the browser brings back from it.

use crate::web::http::OutboundError;

/// Why a step of the protocol failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the authorization response is malformed: {0}")]
    AuthorizationResponse(&'static str),
    #[error("the authorization response names another issuer, or none (RFC 9207)")]
    IssuerParameter,
    #[error("the provider reports that access was denied")]
    AccessDenied,
    #[error("the provider reports the error `{0}`")]
    ProviderReported(String),
    #[error("{what} of provider `{provider}`: {error}")]
    Unreachable { provider: String, what: Endpoint, error: OutboundError },
    #[error("{what} of provider `{provider}` answered with status {status}{detail}")]
    Status { provider: String, what: Endpoint, status: u16, detail: String },
    #[error("{what} of provider `{provider}`: {fault}")]
    Answer { provider: String, what: Endpoint, fault: String },
    #[error("the ID token of provider `{provider}` is rejected: {reason}")]
    IdToken { provider: String, reason: Rejected },
}

/// What of a provider was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Metadata,
    Token,
    Keys,
    Userinfo,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Endpoint::Metadata => "the metadata",
            Endpoint::Token => "the token endpoint",
            Endpoint::Keys => "the key set",
            Endpoint::Userinfo => "the userinfo endpoint",
        })
    }
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("it is not a signed JWT")]
    Malformed,
    #[error("its type is not that of an ID token")]
    Type,
    #[error("its signature algorithm is not accepted")]
    Algorithm,
    #[error("it names a critical extension")]
    Critical,
    #[error("the provider has no such key")]
    UnknownKey,
    #[error("several keys fit and it does not say which")]
    AmbiguousKey,
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
}

impl Rejected {
    /// Stable: operators search and alert on it.
    pub fn code(self) -> &'static str {
        match self {
            Rejected::Malformed => "id_token.malformed",
            Rejected::Type => "id_token.type",
            Rejected::Algorithm => "id_token.algorithm",
            Rejected::Critical => "id_token.critical",
            Rejected::UnknownKey => "id_token.unknown_key",
            Rejected::AmbiguousKey => "id_token.ambiguous_key",
            Rejected::Signature => "id_token.signature",
            Rejected::Issuer => "id_token.issuer",
            Rejected::Tenant => "id_token.tenant",
            Rejected::Audience => "id_token.audience",
            Rejected::AuthorizedParty => "id_token.authorized_party",
            Rejected::Subject => "id_token.subject",
            Rejected::Expired => "id_token.expired",
            Rejected::IssuedAt => "id_token.issued_at",
            Rejected::NotBefore => "id_token.not_before",
            Rejected::Nonce => "id_token.nonce",
            Rejected::AccessTokenHash => "id_token.access_token_hash",
            Rejected::AuthenticationContext => "id_token.authentication_context",
            Rejected::AuthenticationTime => "id_token.authentication_time",
            Rejected::HostedDomain => "id_token.hosted_domain",
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
    pub fn code(&self) -> &'static str {
        match self {
            Error::AuthorizationResponse(_) => "callback.malformed",
            Error::IssuerParameter => "callback.issuer_mismatch",
            Error::AccessDenied => "callback.access_denied",
            Error::ProviderReported(_) => "callback.provider_error",
            Error::Unreachable { .. } => "provider.unreachable",
            Error::Status { what: Endpoint::Token, .. } => "token.refused",
            Error::Status { .. } => "provider.status",
            Error::Answer { what: Endpoint::Metadata, .. } => "metadata.invalid",
            Error::Answer { what: Endpoint::Token, .. } => "token.invalid",
            Error::Answer { what: Endpoint::Keys, .. } => "keys.invalid",
            Error::Answer { what: Endpoint::Userinfo, .. } => "userinfo.invalid",
            Error::IdToken { reason, .. } => reason.code(),
        }
    }

    /// Of the response to the browser.
    pub fn status(&self) -> u16 {
        match self {
            Error::AuthorizationResponse(_) | Error::IssuerParameter => 400,
            Error::AccessDenied => 403,
            Error::ProviderReported(code) => match code.as_str() {
                "temporarily_unavailable" | "server_error" => 503,
                "login_required" | "interaction_required" | "account_selection_required" | "consent_required" => 403,
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
}
