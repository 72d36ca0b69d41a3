//! A browser that has been to the login, for targets that begin later.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;
use vestibule::decision::{Decision, Outcome};
use vestibule::entropy::Fixed;
use vestibule::filter::{Filter, Step, Surroundings};
use vestibule::oidc::cache::ProviderCache;
use vestibule::session::{Claimed, NothingEnded};
use vestibule::time::UnixTime;
use vestibule::web::http::{OutboundRequest, OutboundResponse, RequestHead, Response};

use super::provider::Provider;
use super::site::{HOST, ISSUER, NOW, cookies_set};

/// Cookies by name.
pub type Cookies = BTreeMap<String, String>;

/// A login that waits for the provider.
pub struct Started {
    pub cookies: Cookies,
    pub state: String,
    pub nonce: String,
}

pub fn head(target: &str, cookies: &Cookies) -> RequestHead {
    let head = RequestHead::get(target, HOST).with("accept", "text/html");
    if cookies.is_empty() { head } else { head.with("cookie", &line(cookies)) }
}

pub fn line(cookies: &Cookies) -> String {
    cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

/// What the provider answers when nothing is wrong.
pub fn answer(provider: &Provider, request: &OutboundRequest, nonce: &str) -> OutboundResponse {
    let body = match request.url.as_str().strip_prefix(ISSUER) {
        Some("/.well-known/openid-configuration") => provider.metadata(ISSUER),
        Some("/jwks") => provider.jwks(),
        Some("/token") => {
            let claims = provider.claims("alice", nonce, NOW).to_string();
            provider.token_answer(&provider.sign(provider.header().to_string().as_bytes(), claims.as_bytes()))
        }
        Some("/userinfo") => provider.userinfo("alice"),
        _ => panic!("asked for {}", request.url),
    };
    json(&body)
}

pub fn json(body: &Value) -> OutboundResponse {
    OutboundResponse { status: 200, headers: vec![], body: body.to_string().into_bytes() }
}

/// Starts a login on a page, with nothing in the browser before.
pub fn start(filter: &Filter, page: &str) -> Started {
    let mut cookies = Cookies::new();
    let response = visit(filter, page, "", &mut cookies);
    let location = response.header("location").and_then(|location| Url::parse(location).ok()).expect("a redirect to the provider");
    let asked: BTreeMap<String, String> = location.query_pairs().into_owned().collect();
    Started { cookies, state: asked["state"].clone(), nonce: asked["nonce"].clone() }
}

/// The cookies of somebody who has logged in.
pub fn log_in(filter: &Filter, page: &str) -> Cookies {
    let Started { mut cookies, state, nonce } = start(filter, page);
    let callback = callback(&state);
    let response = visit(filter, &callback, &nonce, &mut cookies);
    assert_eq!(response.status, 302, "logged in");
    cookies
}

pub fn callback(state: &str) -> String {
    format!("/oauth2callback?code=code-1&state={state}&iss=https%3A%2F%2Fop.example")
}

fn visit(filter: &Filter, target: &str, nonce: &str, cookies: &mut Cookies) -> Response {
    let (provider, now) = (Provider::default(), UnixTime::from_secs(NOW));
    let (mut cache, mut entropy) = (ProviderCache::default(), Fixed::default());
    let mut step = filter.begin(
        head(target, cookies),
        None,
        &mut Surroundings { cache: &mut cache, now, entropy: &mut entropy, ended: &NothingEnded },
    );
    loop {
        match step {
            Step::Fetch(request, waiting) => {
                step = waiting.resume(
                    Ok(answer(&provider, &request, nonce)),
                    filter,
                    &mut Surroundings { cache: &mut cache, now, entropy: &mut entropy, ended: &NothingEnded },
                );
            }
            Step::Done(Decision { outcome: Outcome::Respond(response), .. }) => {
                cookies.retain(|name, _| !response.headers.iter().any(|(_, value)| value.starts_with(format!("{name}=;").as_bytes())));
                cookies.extend(cookies_set(&response.headers));
                return response;
            }
            Step::Done(decision) => panic!("{decision:?}"),
            Step::Look(_, waiting) => {
                step = waiting.resume(
                    Claimed::Granted,
                    filter,
                    &mut Surroundings { cache: &mut cache, now, entropy: &mut entropy, ended: &NothingEnded },
                );
            }
        }
    }
}
