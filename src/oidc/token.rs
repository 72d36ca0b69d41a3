//! The token request and response (RFC 6749 sections 4.1.3, 5.1 and 5.2, OIDC Core section 3.1.3).

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::error::{Endpoint, Error, shown};
use super::outbound;
use super::refusal::{Failure, refusal};
use crate::oidc::grant::AuthorizationGrant;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::provider::{ClientAuthentication, Provider};
use crate::secret::Secret;
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};

/// Room for tokens that list thousands of groups; far under what would hurt.
const MAX_BYTES: u32 = 512 * 1024;

/// How id and secret are written into HTTP Basic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialForm {
    /// As RFC 6749 section 2.3.1 has it: form-encoded.
    #[default]
    Encoded,
    /// As they are: what many providers expect, and many clients send, Streamlit's among them.
    Raw,
}

impl CredentialForm {
    /// The other one, where the provider could take the two for different credentials.
    pub fn other(self, method: ClientAuthentication, provider: &Provider) -> Option<Self> {
        let is_basic = method == ClientAuthentication::Basic;
        let secret = provider.client_secret.as_ref().filter(|_| is_basic && encoding_changes(provider))?.expose();
        match self {
            // A colon ends the id, and a header has one line.
            Self::Encoded => (!provider.client_id.contains(':')
                && !(provider.client_id.chars().chain(secret.chars())).any(char::is_control))
            .then_some(Self::Raw),
            Self::Raw => Some(Self::Encoded),
        }
    }

    pub(super) fn write(self, text: &str) -> String {
        match self {
            Self::Encoded => form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            Self::Raw => text.to_owned(),
        }
    }
}

impl fmt::Display for CredentialForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoded => "form-encoded (RFC 6749 section 2.3.1)",
            Self::Raw => "as they are, not form-encoded",
        })
    }
}

/// Whether form-encoding makes other texts of id and secret: of `+ / = ~ : %`, and more.
pub(super) fn encoding_changes(provider: &Provider) -> bool {
    let secret = provider.client_secret.as_ref().map(Secret::expose);
    [Some(provider.client_id.as_str()), secret].into_iter().flatten().any(|text| CredentialForm::Encoded.write(text) != text)
}

/// Redeems an authorization grant. That the grant exists proves that state and issuer have been matched.
pub fn request(grant: &AuthorizationGrant, provider: &Provider, redirect_uri: &Url, credentials: CredentialForm) -> OutboundRequest {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("redirect_uri", redirect_uri.as_str())
        .append_pair("code", grant.code.0.expose())
        .append_pair("code_verifier", grant.code_verifier.expose());
    authenticated(form, &grant.metadata, provider, credentials)
}

/// A token request with this form, as the client.
pub(super) fn authenticated(
    form: form_urlencoded::Serializer<'_, String>,
    metadata: &ProviderMetadata,
    provider: &Provider,
    credentials: CredentialForm,
) -> OutboundRequest {
    authenticated_at(metadata.token_endpoint.clone(), form, metadata, provider, credentials)
}

/// The same at another endpoint of the provider.
pub(super) fn authenticated_at(
    endpoint: Url,
    mut form: form_urlencoded::Serializer<'_, String>,
    metadata: &ProviderMetadata,
    provider: &Provider,
    credentials: CredentialForm,
) -> OutboundRequest {
    let secret = provider.client_secret.as_ref().map(Secret::expose);
    let mut authorization = None;
    match (metadata.client_authentication, secret) {
        (ClientAuthentication::Basic, Some(secret)) => {
            let pair = format!("{}:{}", credentials.write(&provider.client_id), credentials.write(secret));
            authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
        }
        (ClientAuthentication::Post, Some(secret)) => {
            form.append_pair("client_id", &provider.client_id).append_pair("client_secret", secret);
        }
        _ => {
            form.append_pair("client_id", &provider.client_id);
        }
    }
    let mut request = outbound::post_form(endpoint, form.finish(), MAX_BYTES);
    request.headers.extend(authorization.map(|value| ("authorization".to_owned(), value.into_bytes())));
    request
}

/// Whether the provider does not know the client by its credentials (RFC 6749 section 5.2).
pub fn is_invalid_client(answer: &Result<OutboundResponse, OutboundError>) -> bool {
    let Ok(OutboundResponse { status: 400 | 401, body, .. }) = answer else { return false };
    outbound::object::<Failure>(body).is_ok_and(|failure| failure.error == "invalid_client")
}

/// A successful token response. Nothing in it is verified yet.
#[derive(Debug)]
pub struct TokenResponse {
    pub id_token: Secret,
    pub access_token: Secret,
    pub refresh_token: Option<Secret>,
    /// Of the access token, from its issue on; `None` where it is not stated.
    pub lifetime: Option<Duration>,
}

/// What a token response says (RFC 6749 section 5.1), to whatever request.
pub(super) struct Issued {
    pub(super) id_token: Option<Secret>,
    pub(super) access_token: Secret,
    pub(super) refresh_token: Option<Secret>,
    pub(super) lifetime: Option<Duration>,
}

#[derive(Deserialize)]
struct Success {
    id_token: Option<Secret>,
    access_token: Option<Secret>,
    token_type: Option<String>,
    #[serde(default)]
    refresh_token: TextIfAny,
    #[serde(default)]
    expires_in: Value,
}

/// A member that is of use as a text, and is as good as absent otherwise.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum TextIfAny {
    Text(Secret),
    #[default]
    Absent,
    Other(IgnoredAny),
}

impl TokenResponse {
    /// Parses the answer to [`request`]. `asked_with`: what of the request no log may show, beside the client secret.
    ///
    /// # Errors
    /// When there is no answer, when it is an error, or lacks a token, or brings one that is not a bearer token
    /// (OIDC Core section 3.1.3.3; the type compares case-insensitively, RFC 6749 section 5.1).
    pub fn parse(answer: Result<OutboundResponse, OutboundError>, provider: &Provider, asked_with: &[&Secret]) -> Result<Self, Error> {
        let Issued { id_token, access_token, refresh_token, lifetime } = issued(answer, provider, asked_with)?;
        let missing = || outbound::unacceptable(&provider.name, Endpoint::Token, "there is no ID token: does the scope hold `openid`?");
        Ok(Self { id_token: id_token.ok_or_else(missing)?, access_token, refresh_token, lifetime })
    }
}

/// What was issued, with an ID token or without.
pub(super) fn issued(
    answer: Result<OutboundResponse, OutboundError>,
    provider: &Provider,
    asked_with: &[&Secret],
) -> Result<Issued, Error> {
    if let Ok(answer) = &answer
        && (answer.status != 200 || is_failure(answer))
    {
        let detail = refusal(answer, provider, asked_with);
        return Err(Error::Status { provider: provider.name.clone(), what: Endpoint::Token, status: answer.status, detail });
    }
    let body = outbound::success(answer, MAX_BYTES, &provider.name, Endpoint::Token)?;
    let fault = |text: &str| outbound::unacceptable(&provider.name, Endpoint::Token, text);
    // The parser's own message could quote a token.
    let answer: Success = outbound::object(&body).map_err(|_| fault(&format!("not a token response: {}", outbound::form_of(&body))))?;
    match answer.token_type.as_deref() {
        Some(token_type) if token_type.eq_ignore_ascii_case("bearer") => {}
        Some(other) => return Err(fault(&format!("its token_type is `{}`, and Vestibule uses `Bearer` only", shown(other)))),
        None => return Err(fault("there is no token_type, which must be `Bearer`")),
    }
    let access_token = answer.access_token.ok_or_else(|| fault("there is no access_token"))?;
    let refresh_token = match answer.refresh_token {
        TextIfAny::Text(token) if !token.expose().is_empty() => Some(token),
        _ => None,
    };
    Ok(Issued { id_token: answer.id_token, access_token, refresh_token, lifetime: lifetime(&answer.expires_in) })
}

/// `expires_in` (RFC 6749 section 5.1), which some providers write as a text. What is no positive number of seconds states
/// nothing.
fn lifetime(expires_in: &Value) -> Option<Duration> {
    let seconds = match expires_in {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) if text.len() <= MAX_SECONDS_DIGITS && text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
        _ => return None,
    };
    (seconds >= 1.0).then(|| Duration::from_secs_f64(seconds.min(MAX_LIFETIME_SECS)))
}

/// Of a lifetime that is a text.
const MAX_SECONDS_DIGITS: usize = 12;

/// Longer than any session: 400 days.
const MAX_LIFETIME_SECS: f64 = 400.0 * 24.0 * 60.0 * 60.0;

/// The error code of a refusal (RFC 6749 section 5.2).
pub(crate) fn error_code(answer: &Result<OutboundResponse, OutboundError>) -> Option<String> {
    let Ok(OutboundResponse { status: 400..=499, body, .. }) = answer else { return None };
    outbound::object::<Failure>(body).ok().map(|failure| failure.error)
}

/// Whether an answer is an error by what it says, under a status of success: GitHub's are. One with a token is none.
pub(super) fn is_failure(answer: &OutboundResponse) -> bool {
    let has_token = || outbound::object::<Success>(&answer.body).is_ok_and(|success| success.access_token.is_some());
    outbound::object::<Failure>(&answer.body).is_ok_and(|failure| !failure.error.is_empty()) && !has_token()
}
