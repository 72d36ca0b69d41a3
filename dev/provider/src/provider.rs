//! The provider behind its endpoints: what it knows, and which path leads where.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::client::Client;
use crate::endpoint::{about, authorization, discovery, end_session, jwks, token, userinfo};
use crate::fault::{Faults, ResponseIssuer};
use crate::grant::Grants;
use crate::options::Options;
use crate::pages;
use crate::person::Person;
use crate::refresh::RefreshTokens;
use crate::sign_on::SignOns;
use crate::signing_key::{KeyRing, SigningAlgorithm, SigningKey};

/// An OpenID Provider. [`Provider::start`] makes one that runs.
pub struct Provider {
    pub(crate) issuer: String,
    pub(crate) clients: Vec<Client>,
    pub(crate) people: Vec<Person>,
    pub(crate) signing_algorithm: SigningAlgorithm,
    pub(crate) token_lifetime: Duration,
    /// Whether there are any.
    pub(crate) issues_refresh_tokens: bool,
    pub(crate) refresh_leeway: Duration,
    pub(crate) faults: Faults,
    keys: Mutex<KeyRing>,
    grants: Mutex<Grants>,
    refresh_tokens: Mutex<RefreshTokens>,
    sign_ons: Mutex<SignOns>,
    requests: Mutex<HashMap<String, usize>>,
}

/// The longest request this provider reads. The longest one that means something is a logout with an ID token.
const MAX_BODY_BYTES: usize = 64 * 1024;

impl Provider {
    pub(crate) fn new(options: Options, address: SocketAddr, key: SigningKey) -> Self {
        Self {
            issuer: format!("http://{address}"),
            clients: options.clients,
            people: options.people,
            signing_algorithm: options.signing_algorithm,
            token_lifetime: options.token_lifetime,
            issues_refresh_tokens: options.refresh_tokens,
            refresh_leeway: options.refresh_leeway,
            faults: Faults::default(),
            keys: Mutex::new(KeyRing::new(key)),
            grants: Mutex::default(),
            refresh_tokens: Mutex::default(),
            sign_ons: Mutex::new(SignOns::new(address.port())),
            requests: Mutex::default(),
        }
    }

    pub(crate) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/", get(about::page))
            .route("/style.css", get(pages::stylesheet))
            .route("/.well-known/openid-configuration", get(discovery::metadata))
            .route("/authorize", get(authorization::request).post(authorization::request))
            .route("/consent", post(authorization::consent))
            .route("/token", post(token::exchange))
            .route("/revoke", post(token::revoke))
            .route("/userinfo", get(userinfo::claims).post(userinfo::claims))
            .route("/jwks", get(jwks::key_set))
            .route("/end_session", get(end_session::request).post(end_session::request))
            .route("/end_session/confirmed", post(end_session::confirmed))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .layer(middleware::from_fn_with_state(Arc::clone(&self), observe))
            .with_state(self)
    }

    pub(crate) fn person(&self, sub: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.sub == sub)
    }

    /// The `iss` parameter of an authorization response.
    pub(crate) fn response_issuer(&self) -> Option<String> {
        match self.faults.with(|script| script.response_issuer.clone()) {
            ResponseIssuer::True => Some(self.issuer.clone()),
            ResponseIssuer::Omitted => None,
            ResponseIssuer::Replaced(other) => Some(other),
        }
    }

    pub(crate) fn keys(&self) -> MutexGuard<'_, KeyRing> {
        lock(&self.keys)
    }

    pub(crate) fn grants(&self) -> MutexGuard<'_, Grants> {
        lock(&self.grants)
    }

    pub(crate) fn refresh_tokens(&self) -> MutexGuard<'_, RefreshTokens> {
        lock(&self.refresh_tokens)
    }

    pub(crate) fn sign_ons(&self) -> MutexGuard<'_, SignOns> {
        lock(&self.sign_ons)
    }

    pub(crate) fn requests(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        lock(&self.requests)
    }
}

/// Every critical section leaves its value whole, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts requests, and plays the faults that concern all of them.
async fn observe(State(provider): State<Arc<Provider>>, request: Request, next: Next) -> Response {
    *provider.requests().entry(request.uri().path().to_owned()).or_default() += 1;
    let (offline, latency) = provider.faults.with(|script| (script.offline, script.latency));
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if offline {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "offline on request\n").into_response();
    }
    next.run(request).await
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
