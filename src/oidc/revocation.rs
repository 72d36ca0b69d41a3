//! Token revocation (RFC 7009): a provider is told that nobody uses a token any more.
//!
//! The refresh token is what is revoked, and the provider invalidates the access tokens of the same grant with it (section 2.1).
//! Where there is none, the access token is. The client authenticates as at the token endpoint.

use std::fmt;

use url::form_urlencoded;

use super::cache::Question;
use super::error::{Endpoint, Error};
use super::metadata::ProviderMetadata;
use super::refusal;
use super::token::{self, CredentialForm};
use crate::oidc::provider::Provider;
use crate::secret::Secret;
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};

/// Nobody waits, and a provider that is slow must not hold up what is done for others.
const TIMEOUT_MS: u32 = 5_000;

/// An answer has no body, or an error (sections 2.2 and 2.2.1).
const MAX_BYTES: u32 = 16 * 1024;

/// A token that may be revoked.
#[derive(Debug)]
pub struct Revocable {
    token: Secret,
    kind: TokenType,
}

/// For `token_type_hint` (section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenType {
    RefreshToken,
    AccessToken,
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenType::RefreshToken => "refresh token",
            TokenType::AccessToken => "access token",
        })
    }
}

impl Revocable {
    pub fn refresh_token(token: Secret) -> Self {
        Self { token, kind: TokenType::RefreshToken }
    }

    pub fn access_token(token: Secret) -> Self {
        Self { token, kind: TokenType::AccessToken }
    }

    /// For messages.
    pub fn name(&self) -> impl fmt::Display + use<> {
        self.kind
    }

    /// `None` where the provider has no endpoint for it.
    pub fn request(&self, metadata: &ProviderMetadata, provider: &Provider, credentials: CredentialForm) -> Option<OutboundRequest> {
        let endpoint = metadata.revocation_endpoint.clone()?;
        let hint = match self.kind {
            TokenType::RefreshToken => "refresh_token",
            TokenType::AccessToken => "access_token",
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", self.token.expose()).append_pair("token_type_hint", hint);
        let request = token::authenticated_at(endpoint, form, metadata, provider, credentials);
        Some(OutboundRequest { max_response_bytes: MAX_BYTES, timeout_ms: TIMEOUT_MS, ..request })
    }

    /// What the provider has answered: 200 also for a token that it does not know (section 2.2).
    ///
    /// # Errors
    /// There is no answer, or another one.
    pub fn parse(&self, answer: Result<OutboundResponse, OutboundError>, provider: &Provider) -> Result<(), Error> {
        let answer = answer.map_err(|error| Error::Unreachable { provider: provider.name.clone(), what: Endpoint::Revocation, error })?;
        if matches!(answer.status, 200 | 204) {
            return Ok(());
        }
        let detail = refusal::refusal(&answer, provider, &[&self.token]);
        Err(Error::Status { provider: provider.name.clone(), what: Endpoint::Revocation, status: answer.status, detail })
    }
}

/// A revocation that waits for an answer of the provider.
#[derive(Debug)]
pub struct Revocation {
    pub(crate) provider: String,
    pub(crate) revocable: Revocable,
    /// Who it is about; only where the configuration wants people named.
    pub(crate) subject: Option<String>,
    pub(crate) awaited: Awaited,
}

/// What for.
#[derive(Debug)]
pub(crate) enum Awaited {
    Metadata(Question),
    Answer { metadata: Box<ProviderMetadata>, credentials: CredentialForm, has_changed_credentials: bool },
}
