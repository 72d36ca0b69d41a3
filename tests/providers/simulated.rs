//! A provider of a known make, on the rig.

use serde_json::{Map, Value, json};
use url::Url;
use vestibule::decision::Forward;
use vestibule::web::http::OutboundRequest;

use crate::rig::{Browser, Rig, SigningKey, query};

/// Where the application of the documentation's examples is.
pub(crate) const HOST: &str = "localhost:8501";

/// What every configuration of the documentation's examples begins with; the secret is filled in.
pub(crate) const SHARED: &str = r#"
[auth]
redirect_uri = "http://localhost:8501/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
"#;

/// What is published about a provider.
pub(crate) struct Published {
    pub metadata_url: String,
    pub metadata: Value,
    pub keys: Value,
    /// Beside `alg`, which is RS256 for all of them.
    pub header: Value,
    /// Beside `aud`, `iat`, `exp` and `nonce`.
    pub claims: Value,
    pub has_at_hash: bool,
    /// `iss` in authorization responses.
    pub response_issuer: Option<&'static str>,
    pub response_extras: Vec<(&'static str, String)>,
}

/// A rig with this configuration, whose provider is the published one.
pub(crate) fn rig(config: &str, published: Published) -> Rig {
    let mut rig = Rig::new(config);
    let Published { metadata_url, metadata, keys, header, claims, has_at_hash, response_issuer, response_extras } = published;
    let provider = &mut rig.provider;
    provider.metadata_url = metadata_url;
    provider.key = SigningKey::rsa();
    provider.response_issuer = response_issuer.map(str::to_owned);
    provider.response_extras = response_extras;
    provider.edit_metadata = Some(Box::new(move |given| *given = metadata.clone()));
    provider.edit_jwks = Some(Box::new(move |given| *given = keys.clone()));
    provider.edit_header = Some(Box::new(move |given| {
        *given = header.clone();
        given["alg"] = "RS256".into();
    }));
    provider.edit_claims = Some(Box::new(move |given| {
        let kept = |name: &str| matches!(name, "aud" | "iat" | "exp" | "nonce") || (has_at_hash && name == "at_hash");
        given.retain(|name, _| kept(name));
        given.extend(claims.as_object().unwrap().clone());
    }));
    rig
}

/// The rig's signing key as a published one, with these members besides.
pub(crate) fn signing_key(more: Value) -> Value {
    merged(SigningKey::rsa().public_jwk(), more)
}

/// A key of the same kind that nothing is signed with.
pub(crate) fn other_key(more: Value) -> Value {
    let mut key = signing_key(more);
    let modulus = key["n"].as_str().unwrap();
    // Another modulus of the same size, odd like every modulus.
    key["n"] = format!("{}{}", &modulus[..modulus.len() - 8], "AAAAAAAQ").into();
    key
}

pub(crate) fn merged(mut object: Value, more: Value) -> Value {
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

pub(crate) fn browser() -> Browser {
    Browser { host: HOST, ..Browser::default() }
}

/// One login from the page that names a provider; the authorization request, and where the application is entered.
pub(crate) fn log_in(rig: &mut Rig, browser: &mut Browser, provider: Option<&str>) -> Url {
    let page = provider.map_or("/".to_owned(), |name| login_with(rig, name));
    let location = browser.start(rig, &page);
    let callback = rig.provider.authorize(&location, "set by the claims");
    let response = browser.visit(rig, &callback).response();
    assert_eq!((response.status, response.header("location")), (302, Some("/")), "{:?}", rig.events);
    location
}

/// One login that is refused: status and event.
pub(crate) fn refused(rig: &mut Rig, provider: Option<&str>) -> (u16, String) {
    let mut browser = browser();
    let page = provider.map_or("/".to_owned(), |name| login_with(rig, name));
    let location = browser.start(rig, &page);
    let callback = rig.provider.authorize(&location, "set by the claims");
    let status = browser.visit(rig, &callback).response().status;
    assert!(browser.cookies.keys().all(|name| !name.contains("session")), "no session");
    (status, rig.last_event().to_owned())
}

/// Changes the claims after the published ones have been put in.
pub(crate) fn claims(rig: &mut Rig, change: impl Fn(&mut Map<String, Value>) + 'static) {
    let published = rig.provider.edit_claims.take().unwrap();
    rig.provider.edit_claims = Some(Box::new(move |claims| {
        published(claims);
        change(claims);
    }));
}

/// Changes the metadata after the published one has been put in.
pub(crate) fn metadata(rig: &mut Rig, change: impl Fn(&mut Value) + 'static) {
    let published = rig.provider.edit_metadata.take().unwrap();
    rig.provider.edit_metadata = Some(Box::new(move |metadata| {
        published(metadata);
        change(metadata);
    }));
}

/// What a parameter of the authorization request says.
pub(crate) fn asked(location: &Url, name: &str) -> Option<String> {
    query(location).remove(name)
}

/// The token request that went out last.
pub(crate) fn token_request(rig: &Rig) -> &OutboundRequest {
    rig.sent.iter().rev().find(|request| request.method == "POST").unwrap()
}

/// The credentials of the token request, as they were joined.
pub(crate) fn basic_credentials(rig: &Rig) -> String {
    use base64::Engine as _;
    let (_, value) = token_request(rig).headers.iter().find(|(name, _)| name == "authorization").unwrap();
    let encoded = std::str::from_utf8(value).unwrap().strip_prefix("Basic ").unwrap();
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()).unwrap()
}

/// What the application is told in this header.
pub(crate) fn told(forward: &Forward, name: &str) -> Option<String> {
    let mut lines = forward.set_headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
    let line = lines.next().map(|(_, value)| String::from_utf8(value.to_vec()).unwrap());
    assert!(lines.next().is_none(), "{name} twice");
    line
}

/// `/.vestibule/user`, which a script in the page asks.
pub(crate) fn user(rig: &mut Rig, browser: &mut Browser) -> Value {
    serde_json::from_slice(&browser.visit(rig, "/.vestibule/user").response().body).unwrap()
}

/// Where the logout leads, when it leads to the provider.
pub(crate) fn log_out(rig: &mut Rig, browser: &mut Browser) -> Option<Url> {
    let response = browser.visit(rig, "/.vestibule/logout").response();
    assert!(browser.cookies.keys().all(|name| name.contains("_logout_")), "{:?}", browser.cookies.keys());
    assert_eq!(user(rig, browser), json!({ "is_logged_in": false }));
    response.header("location").map(|location| Url::parse(location).unwrap())
}

/// Everything that went out, as host and path.
pub(crate) fn asked_for(rig: &Rig) -> Vec<String> {
    rig.sent.iter().map(|request| format!("{}{}", request.url.host_str().unwrap(), request.url.path())).collect()
}

/// Streamlit has its own place for it.
fn login_with(rig: &Rig, name: &str) -> String {
    let routes = if rig.filter.config().streamlit.is_some() { "/auth" } else { "/.vestibule" };
    format!("{routes}/login?provider={name}")
}
