//! `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0 section 3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::provider::Provider;

#[derive(Serialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: String,
    jwks_uri: String,
    end_session_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint: Option<String>,
    scopes_supported: &'static [&'static str],
    claims_supported: &'static [&'static str],
    response_types_supported: &'static [&'static str],
    response_modes_supported: &'static [&'static str],
    grant_types_supported: &'static [&'static str],
    subject_types_supported: &'static [&'static str],
    prompt_values_supported: &'static [&'static str],
    id_token_signing_alg_values_supported: [&'static str; 1],
    token_endpoint_auth_methods_supported: &'static [&'static str],
    code_challenge_methods_supported: &'static [&'static str],
    authorization_response_iss_parameter_supported: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
}

/// The last one where there are refresh tokens.
const SCOPES: [&str; 5] = ["openid", "profile", "email", "groups", "offline_access"];

impl Metadata {
    fn of(provider: &Provider) -> Self {
        let at = |path: &str| format!("{}{path}", provider.issuer);
        Self {
            issuer: provider.issuer.clone(),
            authorization_endpoint: at("/authorize"),
            token_endpoint: at("/token"),
            userinfo_endpoint: at("/userinfo"),
            jwks_uri: at("/jwks"),
            end_session_endpoint: at("/end_session"),
            revocation_endpoint: provider.issues_refresh_tokens.then(|| at("/revoke")),
            scopes_supported: if provider.issues_refresh_tokens { &SCOPES } else { &SCOPES[..SCOPES.len() - 1] },
            claims_supported: &[
                "sub",
                "name",
                "given_name",
                "family_name",
                "preferred_username",
                "email",
                "email_verified",
                "groups",
                "auth_time",
            ],
            response_types_supported: &["code"],
            response_modes_supported: &["query"],
            grant_types_supported: if provider.issues_refresh_tokens {
                &["authorization_code", "refresh_token"]
            } else {
                &["authorization_code"]
            },
            subject_types_supported: &["public"],
            prompt_values_supported: &["none", "login", "consent", "select_account"],
            id_token_signing_alg_values_supported: [provider.signing_algorithm.name()],
            token_endpoint_auth_methods_supported: &["client_secret_basic", "client_secret_post", "none"],
            code_challenge_methods_supported: &["S256"],
            authorization_response_iss_parameter_supported: true,
            request_parameter_supported: false,
            request_uri_parameter_supported: false,
        }
    }
}

pub(crate) async fn metadata(State(provider): State<Arc<Provider>>) -> Response {
    let mut metadata = match serde_json::to_value(Metadata::of(&provider)) {
        Ok(Value::Object(metadata)) => metadata,
        // A struct of strings and lists is always an object.
        Ok(_) | Err(_) => Map::new(),
    };
    provider.faults.with(|script| {
        if let Some(issuer) = &script.discovery_issuer {
            metadata.insert("issuer".into(), json!(issuer));
        }
        if let Some(edit) = &script.edit_metadata {
            edit(&mut metadata);
        }
    });
    Json(metadata).into_response()
}
