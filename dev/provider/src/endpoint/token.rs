//! `/token`: a code or a refresh token against tokens (OpenID Connect Core sections 3.1.3 and 12). `/revoke`: the end of a token
//! (RFC 7009).

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::RawFormRejection;
use axum::extract::{RawForm, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::client::{Client, ClientError, authenticate};
use crate::clock::unix_time;
use crate::grant::{AccessGrant, CodeGrant};
use crate::id_token::IdToken;
use crate::parameters::{Parameters, Repeated};
use crate::provider::Provider;
use crate::signing_key::KeyError;

/// What the client is told (RFC 6749 section 5.2).
#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error("the body is not application/x-www-form-urlencoded")]
    NoForm,
    #[error(transparent)]
    Repeated(#[from] Repeated),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    #[error("the grant type is not supported; send grant_type=authorization_code or refresh_token")]
    GrantType,
    #[error("the code is unknown, expired or used already, or belongs to another client")]
    Code,
    #[error("the refresh token is unknown, was used already, or belongs to another client")]
    RefreshToken,
    #[error("the redirect_uri is not the one of the authorization request")]
    RedirectUri,
    #[error("the code_verifier does not fit the code_challenge of the authorization request")]
    Verifier,
    #[error("nobody here has the name that the code was made for")]
    NoSuchPerson,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("unavailable on request")]
    Scripted(StatusCode),
}

pub(crate) async fn exchange(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    form: Result<RawForm, RawFormRejection>,
) -> Response {
    let answer = match redeem(&provider, &headers, form) {
        Ok(tokens) => Json(tokens).into_response(),
        Err(error) => error.into_response(),
    };
    ([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], answer).into_response()
}

fn redeem(provider: &Provider, headers: &HeaderMap, form: Result<RawForm, RawFormRejection>) -> Result<Map<String, Value>, TokenError> {
    let (scripted, basic_only) = provider.faults.with(|script| (script.token_status, script.basic_only));
    if let Some(status) = scripted.and_then(|status| StatusCode::from_u16(status).ok()) {
        return Err(TokenError::Scripted(status));
    }
    let RawForm(form) = form.map_err(|_| TokenError::NoForm)?;
    let parameters = Parameters::parse(&form)?;
    if basic_only && !headers.contains_key(header::AUTHORIZATION) {
        return Err(ClientError::Missing.into());
    }
    let client = authenticate(&provider.clients, headers, &parameters)?;
    let now = unix_time();
    match parameters.value("grant_type") {
        Some("authorization_code") => {
            let code = parameters.value("code").ok_or(TokenError::Missing("code"))?;
            // Whatever is wrong from here on: the code is spent.
            let grant = provider.grants().redeem(code, now).ok_or(TokenError::Code)?;
            check(&grant, client, &parameters)?;
            let asked = provider.issues_refresh_tokens && grant.scope.split(' ').any(|scope| scope == "offline_access");
            let refresh_token = asked.then(|| provider.refresh_tokens().begin(&grant));
            tokens(provider, Some(code), &grant, refresh_token, now)
        }
        Some("refresh_token") => {
            let token = parameters.value("refresh_token").ok_or(TokenError::Missing("refresh_token"))?;
            let redeemed = provider.refresh_tokens().redeem(token, &client.client_id, now, provider.refresh_leeway);
            let (grant, next) = redeemed.ok_or(TokenError::RefreshToken)?;
            tokens(provider, None, &grant, Some(next), now)
        }
        Some(_) => Err(TokenError::GrantType),
        None => Err(TokenError::Missing("grant_type")),
    }
}

pub(crate) async fn revoke(State(provider): State<Arc<Provider>>, headers: HeaderMap, form: Result<RawForm, RawFormRejection>) -> Response {
    let revoked = || {
        let RawForm(form) = form.map_err(|_| TokenError::NoForm)?;
        let parameters = Parameters::parse(&form)?;
        let client = authenticate(&provider.clients, &headers, &parameters)?;
        let token = parameters.value("token").ok_or(TokenError::Missing("token"))?;
        provider.refresh_tokens().revoke(token, &client.client_id);
        provider.grants().revoke(token);
        Ok::<_, TokenError>(StatusCode::OK)
    };
    revoked().into_response()
}

fn check(grant: &CodeGrant, client: &Client, parameters: &Parameters) -> Result<(), TokenError> {
    if grant.client_id != client.client_id {
        return Err(TokenError::Code);
    }
    let redirect_uri = parameters.value("redirect_uri").ok_or(TokenError::Missing("redirect_uri"))?;
    if grant.redirect_uri != redirect_uri {
        return Err(TokenError::RedirectUri);
    }
    let verifier = parameters.value("code_verifier").ok_or(TokenError::Missing("code_verifier"))?;
    // RFC 7636 section 4.1: 43 to 128 unreserved characters.
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let fits = bool::from(challenge.as_bytes().ct_eq(grant.code_challenge.as_bytes()));
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) || !fits {
        return Err(TokenError::Verifier);
    }
    Ok(())
}

fn tokens(
    provider: &Provider,
    code: Option<&str>,
    grant: &CodeGrant,
    refresh_token: Option<String>,
    now: u64,
) -> Result<Map<String, Value>, TokenError> {
    let person = provider.person(&grant.sign_on.sub).ok_or(TokenError::NoSuchPerson)?;
    let lifetime = provider.token_lifetime;
    let access = AccessGrant { sub: person.sub.clone(), scope: grant.scope.clone() };
    let access_token = provider.grants().issue_access_token(code, access, now, lifetime);
    let id_token = IdToken {
        issuer: &provider.issuer,
        person,
        grant,
        access_token: &access_token,
        issued_at: now,
        expires_at: now.saturating_add(lifetime.as_secs()),
    };
    provider.faults.with(|script| {
        let id_token = id_token.sign(provider.keys().current(), script)?;
        let mut tokens = Map::from_iter([
            ("access_token".to_owned(), json!(access_token)),
            ("token_type".to_owned(), json!("Bearer")),
            ("expires_in".to_owned(), json!(lifetime.as_secs())),
            ("id_token".to_owned(), json!(id_token)),
            ("scope".to_owned(), json!(grant.scope)),
        ]);
        tokens.extend(refresh_token.map(|token| ("refresh_token".to_owned(), json!(token))));
        if let Some(edit) = &script.edit_token_response {
            edit(&mut tokens);
        }
        Ok(tokens)
    })
}

impl TokenError {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoForm | Self::Repeated(_) | Self::Missing(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::Client(ClientError::Several) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::Client(_) => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::GrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::Code | Self::RefreshToken | Self::RedirectUri | Self::Verifier | Self::NoSuchPerson => {
                (StatusCode::BAD_REQUEST, "invalid_grant")
            }
            Self::Key(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
            Self::Scripted(status) => (*status, "temporarily_unavailable"),
        }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        let body = Json(json!({ "error": code, "error_description": self.to_string() }));
        if status == StatusCode::UNAUTHORIZED {
            return (status, [(header::WWW_AUTHENTICATE, "Basic realm=\"token\"")], body).into_response();
        }
        (status, body).into_response()
    }
}
