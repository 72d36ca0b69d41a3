//! What goes wrong between us and a provider, with the provider's answers, or with what the browser brings back from it.

use crate::code::Code;
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
    pub fn code(self) -> Code {
        match self {
            Rejected::Malformed => Code::IdTokenMalformed,
            Rejected::Type => Code::IdTokenType,
            Rejected::Algorithm => Code::IdTokenAlgorithm,
            Rejected::Critical => Code::IdTokenCritical,
            Rejected::UnknownKey => Code::IdTokenUnknownKey,
            Rejected::AmbiguousKey => Code::IdTokenAmbiguousKey,
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
            Error::IssuerParameter => Code::CallbackIssuerMismatch,
            Error::AccessDenied => Code::CallbackAccessDenied,
            Error::ProviderReported(_) => Code::CallbackProviderError,
            Error::Unreachable { .. } => Code::ProviderUnreachable,
            Error::Status { what: Endpoint::Token, .. } => Code::TokenRefused,
            Error::Status { .. } => Code::ProviderStatus,
            Error::Answer { what: Endpoint::Metadata, .. } => Code::MetadataInvalid,
            Error::Answer { what: Endpoint::Token, .. } => Code::TokenInvalid,
            Error::Answer { what: Endpoint::Keys, .. } => Code::KeysInvalid,
            Error::Answer { what: Endpoint::Userinfo, .. } => Code::UserinfoInvalid,
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
