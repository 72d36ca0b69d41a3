//! A token endpoint that issues each refresh token for one use, and answers no more when one is used twice. It redeems codes at the
//! development provider.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use vestibule_dev_provider::Running;

/// Of the access tokens, in seconds.
pub(crate) const LIFETIME: u64 = 1;

/// How long a refresh takes: long enough for a whole page to ask meanwhile.
const LATENCY: Duration = Duration::from_millis(300);

#[derive(Clone)]
pub(crate) struct RotatingTokens {
    of_codes: String,
    state: Arc<Mutex<Tokens>>,
}

#[derive(Default)]
struct Tokens {
    issued: usize,
    refreshes: usize,
    is_revoked: bool,
}

impl RotatingTokens {
    /// In place of the provider's own token endpoint.
    pub(crate) async fn in_front_of(provider: &Running) -> RotatingTokens {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/token", listener.local_addr().unwrap());
        let tokens = RotatingTokens { of_codes: format!("{}/token", provider.issuer()), state: Arc::default() };
        let app = Router::new().route("/token", post(answer)).with_state(tokens.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        provider.faults().script(|script| {
            script.edit_metadata = Some(Box::new(move |metadata| drop(metadata.insert("token_endpoint".into(), endpoint.as_str().into()))));
        });
        tokens
    }

    /// Requests with a refresh token, and whether one of them was used twice.
    pub(crate) fn seen(&self) -> (usize, bool) {
        let state = self.state.lock().unwrap();
        (state.refreshes, state.is_revoked)
    }
}

async fn answer(State(tokens): State<RotatingTokens>, headers: HeaderMap, body: String) -> Response {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let given = |name: &str| form.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
    let Some(refresh_token) = given("refresh_token") else { return redeemed(&tokens, &headers, body).await };
    let is_current = {
        let mut state = tokens.state.lock().unwrap();
        state.refreshes += 1;
        state.is_revoked |= refresh_token != format!("refresh-{}", state.issued);
        state.issued += 1;
        !state.is_revoked
    };
    tokio::time::sleep(LATENCY).await;
    if !is_current {
        return (StatusCode::BAD_REQUEST, json!({ "error": "invalid_grant" }).to_string()).into_response();
    }
    let number = tokens.state.lock().unwrap().issued;
    let answer = json!({ "access_token": format!("access-{number}"), "refresh_token": format!("refresh-{number}"), "token_type": "Bearer",
        "expires_in": 3600 });
    (StatusCode::OK, answer.to_string()).into_response()
}

async fn redeemed(tokens: &RotatingTokens, headers: &HeaderMap, body: String) -> Response {
    let mut request = reqwest::Client::builder().no_proxy().build().unwrap().post(&tokens.of_codes).body(body);
    for name in [header::AUTHORIZATION, header::CONTENT_TYPE] {
        request = request.header(name.clone(), &headers[name]);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    answer["refresh_token"] = "refresh-0".into();
    answer["expires_in"] = LIFETIME.into();
    (StatusCode::OK, answer.to_string()).into_response()
}
