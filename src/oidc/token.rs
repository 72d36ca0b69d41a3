//! The token request and response (RFC 6749 sections 4.1.3, 5.1 and 5.2, OIDC Core section 3.1.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::error::{Endpoint, Error};
use super::outbound;
use crate::oidc::grant::AuthorizationGrant;
use crate::oidc::provider::{ClientAuthentication, Provider};
use crate::secret::Secret;
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};

/// Room for tokens that list thousands of groups; far under what would hurt.
const MAX_BYTES: u32 = 512 * 1024;

/// Redeems an authorization grant. That the grant exists proves that state and issuer have been matched.
pub fn request(grant: &AuthorizationGrant, provider: &Provider, redirect_uri: &Url) -> OutboundRequest {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("redirect_uri", redirect_uri.as_str())
        .append_pair("code", grant.code.0.expose())
        .append_pair("code_verifier", grant.code_verifier.expose());
    let secret = provider.client_secret.as_ref().map(Secret::expose);
    let mut authorization = None;
    match (grant.metadata.client_authentication, secret) {
        (ClientAuthentication::Basic, Some(secret)) => {
            // RFC 6749 section 2.3.1: both are form-encoded before they are joined; Entra's secrets hold a `~`.
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let credentials = STANDARD.encode(format!("{}:{}", encode(&provider.client_id), encode(secret)));
            authorization = Some(format!("Basic {credentials}"));
        }
        (ClientAuthentication::Post, Some(secret)) => {
            form.append_pair("client_id", &provider.client_id).append_pair("client_secret", secret);
        }
        _ => {
            form.append_pair("client_id", &provider.client_id);
        }
    }
    let mut request = outbound::post_form(grant.metadata.token_endpoint.clone(), form.finish(), MAX_BYTES);
    request.headers.extend(authorization.map(|value| ("authorization".to_owned(), value.into_bytes())));
    request
}

/// A successful token response. Nothing in it is verified yet.
#[derive(Debug)]
pub struct TokenResponse {
    pub id_token: Secret,
    pub access_token: Secret,
}

#[derive(Deserialize)]
struct Success {
    id_token: Option<Secret>,
    access_token: Option<Secret>,
    token_type: Option<String>,
}

#[derive(Deserialize)]
struct Failure {
    error: String,
}

impl TokenResponse {
    /// Parses the answer to [`request`].
    ///
    /// # Errors
    /// When there is no answer, when it is an error, or lacks a token, or brings one that is not a bearer token
    /// (OIDC Core section 3.1.3.3; the type compares case-insensitively, RFC 6749 section 5.1).
    pub fn parse(answer: Result<OutboundResponse, OutboundError>, provider: &Provider) -> Result<Self, Error> {
        if let Ok(OutboundResponse { status, body, .. }) = &answer
            && (400..500).contains(status)
        {
            let detail = match outbound::object::<Failure>(body) {
                Ok(failure) if failure.error.len() <= 64 && failure.error.bytes().all(|b| b.is_ascii_graphic()) => {
                    format!(" and the error `{}`", failure.error)
                }
                _ => String::new(),
            };
            return Err(Error::Status { provider: provider.name.clone(), what: Endpoint::Token, status: *status, detail });
        }
        let body = outbound::success(answer, MAX_BYTES, &provider.name, Endpoint::Token)?;
        let fault = |text: &str| outbound::unacceptable(&provider.name, Endpoint::Token, text);
        // The parser's own message could quote a token.
        let answer: Success = outbound::object(&body).map_err(|_| fault("not a token response"))?;
        if !answer.token_type.is_some_and(|token_type| token_type.eq_ignore_ascii_case("bearer")) {
            return Err(fault("the token type is not bearer"));
        }
        let id_token = answer.id_token.ok_or_else(|| fault("there is no ID token: does the scope hold `openid`?"))?;
        let access_token = answer.access_token.ok_or_else(|| fault("there is no access token"))?;
        Ok(Self { id_token, access_token })
    }
}
