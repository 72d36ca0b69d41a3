//! `/userinfo` (OpenID Connect Core section 5.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::clock::unix_time;
use crate::provider::Provider;

pub(crate) async fn claims(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response {
    let Some(token) = bearer_token(&headers) else {
        return unauthorized("Bearer");
    };
    let access = provider.grants().access(token, unix_time()).cloned();
    let granted = access.and_then(|access| Some(provider.person(&access.sub)?.claims(&access.scope)));
    let Some(mut claims) = granted else {
        return unauthorized("Bearer error=\"invalid_token\", error_description=\"unknown, expired or revoked\"");
    };
    provider.faults.with(|script| {
        if let Some(edit) = &script.edit_userinfo {
            edit(&mut claims);
        }
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(claims)).into_response()
}

/// RFC 6750 section 2.1. The scheme compares case-insensitively (RFC 9110 section 11.1).
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// RFC 6750 section 3: without any token in the request, no error code.
fn unauthorized(challenge: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
}
