//! A browser and a relying party, as far as the tests need them: real HTTP, cookies, no redirects followed.

use std::collections::BTreeMap;
use std::error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};
use vestibule_dev_provider::{AllowedUris, Options, SigningAlgorithm};

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) const CALLBACK: &str = "http://127.0.0.1:8501/oauth2callback";
pub(crate) const SIGNED_OUT: &str = "http://127.0.0.1:8501/signed-out";
/// Id and secret need form encoding before Basic (RFC 6749 section 2.3.1).
pub(crate) const CONFIDENTIAL: (&str, &str) = ("app:one", "s%cret+with spaces");
pub(crate) const PUBLIC: &str = "public-app";

/// Two clients. ES256, because making an RSA key costs most of a second.
pub(crate) fn options() -> Options {
    let client = |client_id: &str, client_secret: Option<&str>| vestibule_dev_provider::Client {
        client_id: client_id.to_owned(),
        client_secret: client_secret.map(str::to_owned),
        redirect_uris: AllowedUris::Exactly(vec![CALLBACK.to_owned()]),
        post_logout_redirect_uris: AllowedUris::Exactly(vec![SIGNED_OUT.to_owned()]),
    };
    Options {
        clients: vec![client(CONFIDENTIAL.0, Some(CONFIDENTIAL.1)), client(PUBLIC, None)],
        signing_algorithm: SigningAlgorithm::Es256,
        ..Options::default()
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> TestResult<Map<String, Value>> {
        Ok(serde_json::from_str(&self.body)?)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Where a redirect leads; an error when it is none.
    pub(crate) fn location(&self) -> TestResult<Url> {
        if self.status != 303 {
            return Err(format!("no redirect: {self:?}").into());
        }
        Ok(Url::parse(self.header("location"))?)
    }

    /// The parameters of an authorization response.
    pub(crate) fn response(&self) -> TestResult<BTreeMap<String, String>> {
        Ok(self.location()?.query_pairs().into_owned().collect())
    }

    /// The error code of a token response.
    pub(crate) fn error(&self) -> TestResult<String> {
        Ok(self.json()?["error"].as_str().unwrap_or_default().to_owned())
    }
}

pub(crate) struct Browser {
    client: Client<HttpConnector, Full<axum::body::Bytes>>,
    issuer: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn new(issuer: String) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, issuer, cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> TestResult<Reply> {
        self.send("GET", path, &[], String::new()).await
    }

    pub(crate) async fn get_as_bearer(&mut self, path: &str, token: &str) -> TestResult<Reply> {
        let bearer = format!("Bearer {token}");
        self.send("GET", path, &[("authorization", &bearer)], String::new()).await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> TestResult<Reply> {
        self.send("POST", path, &[("content-type", FORM)], encoded(form)).await
    }

    pub(crate) async fn post_as(&mut self, path: &str, client: (&str, &str), form: &[(&str, &str)]) -> TestResult<Reply> {
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded_value(client.0), encoded_value(client.1))));
        self.send("POST", path, &[("content-type", FORM), ("authorization", &basic)], encoded(form)).await
    }

    async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> TestResult<Reply> {
        let mut request = axum::http::Request::builder().method(method).uri(format!("{}{path}", self.issuer));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        let response = self.client.request(request.body(Full::from(body))?).await?;
        let (head, body) = response.into_parts();
        for line in head.headers.get_all("set-cookie") {
            let cookie = cookie::Cookie::parse(line.to_str()?)?;
            if cookie.max_age() == Some(cookie::time::Duration::ZERO) {
                self.cookies.remove(cookie.name());
            } else {
                self.cookies.insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
        }
        let body = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
        Ok(Reply { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Chooses a person on the consent page.
    pub(crate) async fn consent(&mut self, client_id: &str, person: &str) -> TestResult<Reply> {
        self.post(&format!("/consent?{}", authorization_query(client_id, &[])), &[("person", person)]).await
    }

    /// The code after `person` agreed.
    pub(crate) async fn code(&mut self, client_id: &str, person: &str) -> TestResult<String> {
        let mut response = self.consent(client_id, person).await?.response()?;
        response.remove("code").ok_or_else(|| format!("no code: {response:?}").into())
    }

    /// The token response of the confidential client for `person`.
    pub(crate) async fn tokens(&mut self, person: &str) -> TestResult<Map<String, Value>> {
        let code = self.code(CONFIDENTIAL.0, person).await?;
        let reply = self.post_as("/token", CONFIDENTIAL, &token_form(&code)).await?;
        if reply.status != 200 {
            return Err(format!("no tokens: {reply:?}").into());
        }
        reply.json()
    }

    /// Header and claims of the ID token for `person`.
    pub(crate) async fn id_token(&mut self, person: &str) -> TestResult<(Map<String, Value>, Map<String, Value>)> {
        let tokens = self.tokens(person).await?;
        decoded(tokens["id_token"].as_str().unwrap_or_default())
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) fn authorization_query(client_id: &str, extra: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile email"),
        ("state", "the state & more"),
        ("nonce", "the-nonce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    query.extend_pairs(extra).finish()
}

pub(crate) fn token_form(code: &str) -> Vec<(&str, &str)> {
    vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)]
}

/// Header and claims, unverified.
pub(crate) fn decoded(token: &str) -> TestResult<(Map<String, Value>, Map<String, Value>)> {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part));
    let mut object = || -> TestResult<Map<String, Value>> { Ok(serde_json::from_slice(&parts.next().ok_or("too few parts")??)?) };
    Ok((object()?, object()?))
}

fn encoded(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

fn encoded_value(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
