//! A browser, a provider and the filter in one process, with a time of the test's own. Whole logins take microseconds.

#![allow(dead_code, reason = "each test file uses its part of the rig")]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;
use vestibule::config::{Config, Source};
use vestibule::decision::{Afterwards, Decision, Forward, Outcome};
use vestibule::entropy::Fixed;
use vestibule::filter::{Filter, Step, Surroundings};
use vestibule::oidc::cache::ProviderCache;
use vestibule::time::UnixTime;
use vestibule::web::http::{OutboundError, OutboundRequest, OutboundResponse, RequestHead, Response};

pub(crate) use memory::{Memory, Store};
pub(crate) use refresh_tokens::RefreshTokens;
pub(crate) use signing_key::SigningKey;

mod memory;
mod refresh_tokens;
mod signing_key;

pub(crate) const ISSUER: &str = "https://op.example";
pub(crate) const HOST: &str = "app.example";
pub(crate) const CLIENT_ID: &str = "client-1";

/// One provider, https, nothing unusual.
pub(crate) const CONFIG: &str = r#"
[auth]
redirect_uri = "https://app.example/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
client_id = "client-1"
client_secret = "a~secret/of the client"
server_metadata_url = "https://op.example/.well-known/openid-configuration"
"#;

pub(crate) struct Rig {
    pub filter: Filter,
    pub cache: ProviderCache,
    pub entropy: Fixed,
    /// What the host remembers of sessions: nothing, where a test does not say otherwise.
    pub memory: Memory,
    /// What keeps claims.
    pub store: Store,
    pub now: u64,
    pub provider: Provider,
    /// Every request that went out, in order.
    pub sent: Vec<OutboundRequest>,
    /// Codes of every event, in order.
    pub events: Vec<String>,
    /// Their messages.
    pub messages: Vec<String>,
}

impl Rig {
    pub(crate) fn new(toml: &str) -> Self {
        let config = Config::parse(&Source::new("secrets.toml", toml)).unwrap_or_else(|faults| panic!("{faults:#?}"));
        Self {
            filter: Filter::new(config),
            cache: ProviderCache::default(),
            entropy: Fixed::default(),
            memory: Memory::default(),
            store: Store::default(),
            now: 1_700_000_000,
            provider: Provider::new(ISSUER),
            sent: vec![],
            events: vec![],
            messages: vec![],
        }
    }

    /// The same deployment on another node, or after a restart: nothing remembered.
    pub(crate) fn forget(&mut self) {
        self.cache = ProviderCache::default();
    }

    pub(crate) fn decide(&mut self, head: &RequestHead, body: Option<&[u8]>) -> Decision {
        let mut step = self.filter.begin(
            head.clone(),
            body,
            &mut Surroundings {
                cache: &mut self.cache,
                now: UnixTime::from_secs(self.now),
                entropy: &mut self.entropy,
                ended: &self.memory,
            },
        );
        loop {
            match step {
                Step::Done(decision) => {
                    self.memory.remember(&decision.ended_sessions);
                    self.events.extend(decision.events.iter().map(|event| event.code.to_string()));
                    self.messages.extend(decision.events.iter().map(|event| event.message.clone()));
                    return decision;
                }
                Step::Fetch(request, waiting) => {
                    assert!(self.sent.len() < 1000, "the filter asks for ever");
                    let answer = self.provider.answer(&request, self.now);
                    self.sent.push(request);
                    self.now += self.provider.seconds_to_answer;
                    let now = UnixTime::from_secs(self.now);
                    step = waiting.resume(
                        answer,
                        &self.filter,
                        &mut Surroundings { cache: &mut self.cache, now, entropy: &mut self.entropy, ended: &self.memory },
                    );
                }
                Step::Look(request, waiting) => {
                    let claimed = self.store.answer(request);
                    let now = UnixTime::from_secs(self.now);
                    step = waiting.resume(
                        claimed,
                        &self.filter,
                        &mut Surroundings { cache: &mut self.cache, now, entropy: &mut self.entropy, ended: &self.memory },
                    );
                }
            }
        }
    }

    /// As a host does once the answer is out: what nobody waits for. Returns the requests that it sent.
    pub(crate) fn finish(&mut self, decision: Decision) -> Vec<OutboundRequest> {
        let mut next = decision.afterwards.map(|afterwards| *afterwards);
        let mut sent = vec![];
        while let Some(Afterwards { request, revocation }) = next {
            assert!(sent.len() < 10, "it asks for ever");
            let answer = self.provider.answer(&request, self.now);
            sent.push(request);
            let now = UnixTime::from_secs(self.now);
            let mut surroundings = Surroundings { cache: &mut self.cache, now, entropy: &mut self.entropy, ended: &self.memory };
            let (events, more) = self.filter.go_on(revocation, answer, &mut surroundings);
            self.events.extend(events.iter().map(|event| event.code.to_string()));
            self.messages.extend(events.iter().map(|event| event.message.clone()));
            next = more;
        }
        sent
    }

    /// Where a route of Vestibule lies, `/login` for example.
    pub(crate) fn route(&self, route: &str) -> String {
        self.filter.config().public.route(route)
    }

    pub(crate) fn last_message(&self) -> &str {
        self.messages.last().map_or("", String::as_str)
    }

    /// How often an address that ends so was asked.
    pub(crate) fn asked(&self, end: &str) -> usize {
        self.sent.iter().filter(|request| request.url.path().ends_with(end)).count()
    }

    pub(crate) fn last_event(&self) -> &str {
        self.events.last().map_or("", String::as_str)
    }
}

/// What the user sees, or the application.
pub(crate) enum Seen {
    Forwarded(Forward),
    Answered(Response),
}

impl Seen {
    pub(crate) fn response(self) -> Response {
        match self {
            Seen::Answered(response) => response,
            Seen::Forwarded(forward) => panic!("forwarded: {forward:?}"),
        }
    }

    pub(crate) fn forward(self) -> Forward {
        match self {
            Seen::Forwarded(forward) => forward,
            Seen::Answered(response) => panic!("answered: {} {}", response.status, String::from_utf8_lossy(&response.body)),
        }
    }
}

/// Keeps cookies as a browser does that visits one host.
#[derive(Clone)]
pub(crate) struct Browser {
    pub host: &'static str,
    pub cookies: BTreeMap<String, String>,
}

impl Default for Browser {
    fn default() -> Self {
        Self { host: HOST, cookies: BTreeMap::new() }
    }
}

impl Browser {
    pub(crate) fn head(&self, path: &str) -> RequestHead {
        let head = RequestHead::get(path, self.host).with("accept", "text/html");
        if self.cookies.is_empty() {
            return head;
        }
        let line = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        head.with("cookie", &line)
    }

    pub(crate) fn visit(&mut self, rig: &mut Rig, path: &str) -> Seen {
        self.send(rig, &self.head(path))
    }

    pub(crate) fn send(&mut self, rig: &mut Rig, head: &RequestHead) -> Seen {
        match rig.decide(head, None).outcome {
            Outcome::Forward(forward) => {
                self.take(&forward.response_headers);
                Seen::Forwarded(forward)
            }
            Outcome::Respond(response) => {
                self.take(&response.headers);
                Seen::Answered(response)
            }
            Outcome::NeedBody(limit) => panic!("wants a body of up to {limit} bytes"),
        }
    }

    pub(crate) fn take(&mut self, headers: &[(String, Vec<u8>)]) {
        for (_, value) in headers.iter().filter(|(name, _)| name == "set-cookie") {
            let set = cookie::Cookie::parse(String::from_utf8(value.clone()).unwrap()).unwrap();
            assert!(set.name().len() + set.value().len() <= 4096, "{} is too long for a browser", set.name());
            if set.name().starts_with("__Host-") {
                assert!(set.secure() == Some(true) && set.path() == Some("/") && set.domain().is_none(), "{set}");
            }
            if set.max_age().is_some_and(|age| age.is_zero()) {
                self.cookies.remove(set.name());
            } else {
                self.cookies.insert(set.name().to_owned(), set.value().to_owned());
            }
        }
    }

    /// Starts at a page, logs in as somebody, comes back. Returns what the callback answered.
    pub(crate) fn log_in(&mut self, rig: &mut Rig, page: &str, sub: &str) -> Response {
        let location = self.start(rig, page);
        let callback = rig.provider.authorize(&location, sub);
        self.visit(rig, &callback).response()
    }

    /// Starts at a page; returns where the browser is sent.
    pub(crate) fn start(&mut self, rig: &mut Rig, page: &str) -> Url {
        let response = self.visit(rig, page).response();
        assert_eq!(response.status, 302, "{}", String::from_utf8_lossy(&response.body));
        Url::parse(response.header("location").unwrap()).unwrap()
    }
}

/// Where the browser goes next from the callback: as a redirect says, or a page.
pub(crate) fn way_on(answer: &Response) -> String {
    if answer.status == 302 {
        return answer.header("location").unwrap().to_owned();
    }
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{body}");
    let (_, rest) = body.split_once("<meta http-equiv=\"refresh\" content=\"0; url=").unwrap();
    rest.split_once('"').unwrap().0.replace("&#38;", "&")
}

type Edit<T> = Option<Box<dyn Fn(&mut T)>>;

type Verdict = Option<Box<dyn Fn(&OutboundRequest) -> bool>>;

/// An OpenID Provider that does what a test wants of it.
pub(crate) struct Provider {
    pub issuer: String,
    /// Where its metadata is; every other endpoint is where the metadata says.
    pub metadata_url: String,
    pub key: SigningKey,
    pub kid: Option<String>,
    /// The `iss` parameter of authorization responses (RFC 9207).
    pub response_issuer: Option<String>,
    /// What it adds to authorization responses besides.
    pub response_extras: Vec<(&'static str, String)>,
    pub edit_metadata: Edit<Value>,
    /// Changes the header of the ID token before it is signed.
    pub edit_header: Edit<Value>,
    pub edit_claims: Edit<Map<String, Value>>,
    pub edit_token: Edit<String>,
    pub edit_jwks: Edit<Value>,
    pub edit_answer: Edit<Value>,
    pub edit_userinfo: Edit<Value>,
    /// Whether it takes the credentials of a token request.
    pub knows_client: Verdict,
    /// Answers, each to one request whose URL ends so, in order.
    pub first: Vec<(&'static str, u16, Value)>,
    /// Answers every request with this instead.
    pub outage: Option<OutboundError>,
    /// Answers the requests whose URL ends so with this status and body instead.
    pub instead: Vec<(&'static str, u16, Vec<u8>)>,
    /// The type of these.
    pub content_type: Option<&'static str>,
    /// Does not answer the requests whose URL ends so.
    pub silent: Vec<&'static str>,
    /// Paths whose host takes no connection.
    pub switched_off: Vec<&'static str>,
    pub seconds_to_answer: u64,
    /// `None`: it issues no refresh token.
    pub refresh_tokens: Option<RefreshTokens>,
    codes: BTreeMap<String, Issued>,
}

#[derive(Clone)]
struct Issued {
    sub: String,
    nonce: String,
    challenge: String,
    client_id: String,
}

pub(crate) fn query(url: &Url) -> BTreeMap<String, String> {
    url.query_pairs().into_owned().collect()
}

impl Provider {
    pub(crate) fn new(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            metadata_url: format!("{issuer}/.well-known/openid-configuration"),
            key: SigningKey::ed25519(7),
            kid: Some("key-1".to_owned()),
            response_issuer: Some(issuer.to_owned()),
            response_extras: vec![],
            edit_metadata: None,
            edit_header: None,
            edit_claims: None,
            edit_token: None,
            edit_jwks: None,
            edit_answer: None,
            edit_userinfo: None,
            knows_client: None,
            first: vec![],
            outage: None,
            instead: vec![],
            content_type: None,
            silent: vec![],
            switched_off: vec![],
            seconds_to_answer: 0,
            refresh_tokens: None,
            codes: BTreeMap::new(),
        }
    }

    /// The person logs in; returns path and query of the callback.
    pub(crate) fn authorize(&mut self, location: &Url, sub: &str) -> String {
        let asked = query(location);
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["code_challenge_method"], "S256");
        let code = format!("code-{}", self.codes.len());
        let issued = Issued {
            sub: sub.to_owned(),
            nonce: asked["nonce"].clone(),
            challenge: asked["code_challenge"].clone(),
            client_id: asked["client_id"].clone(),
        };
        self.codes.insert(code.clone(), issued);
        let mut callback = Url::parse(&asked["redirect_uri"]).unwrap();
        callback
            .query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &asked["state"])
            .extend_pairs(self.response_issuer.iter().map(|issuer| ("iss", issuer)))
            .extend_pairs(&self.response_extras);
        callback[url::Position::BeforePath..].to_owned()
    }

    pub(crate) fn answer(&mut self, request: &OutboundRequest, now: u64) -> Result<OutboundResponse, OutboundError> {
        if let Some(outage) = &self.outage {
            return Err(outage.clone());
        }
        if let Some(place) = self.first.iter().position(|(end, ..)| request.url.path().ends_with(end)) {
            let (_, status, body) = self.first.remove(place);
            return Ok(OutboundResponse { status, headers: vec![], body: body.to_string().into_bytes() });
        }
        if self.silent.iter().any(|end| request.url.path().ends_with(end)) {
            return Err(OutboundError::TimedOut);
        }
        if self.switched_off.contains(&request.url.path()) {
            return Err(OutboundError::Unreachable("connection refused".into()));
        }
        if let Some((_, status, body)) = self.instead.iter().find(|(end, ..)| request.url.path().ends_with(end)) {
            let content_type = self.content_type.map(|kind| ("Content-Type".to_owned(), kind.as_bytes().to_vec()));
            return Ok(OutboundResponse { status: *status, headers: content_type.into_iter().collect(), body: body.clone() });
        }
        let metadata = self.metadata();
        let is = |endpoint: &str| metadata[endpoint] == request.url.as_str();
        let (status, body) = match request.url.as_str() {
            url if url == self.metadata_url => (200, metadata),
            _ if is("jwks_uri") => (200, self.jwks()),
            _ if is("token_endpoint") => self.token(request, now),
            _ if is("revocation_endpoint") => (200, Value::Null),
            _ if is("userinfo_endpoint") => (200, self.userinfo(request)),
            other => panic!("asked for {other}"),
        };
        Ok(OutboundResponse { status, headers: vec![], body: body.to_string().into_bytes() })
    }

    fn metadata(&self) -> Value {
        let issuer = &self.issuer;
        let mut metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "end_session_endpoint": format!("{issuer}/logout"),
            "authorization_response_iss_parameter_supported": true,
        });
        edit(&self.edit_metadata, &mut metadata);
        metadata
    }

    fn jwks(&self) -> Value {
        let mut key = self.key.public_jwk();
        key["use"] = "sig".into();
        key["alg"] = self.key.algorithm().into();
        if let Some(kid) = &self.kid {
            key["kid"] = kid.as_str().into();
        }
        let mut jwks = json!({ "keys": [key] });
        edit(&self.edit_jwks, &mut jwks);
        jwks
    }

    fn token(&mut self, request: &OutboundRequest, now: u64) -> (u16, Value) {
        if self.knows_client.as_ref().is_some_and(|knows| !knows(request)) {
            return (401, json!({ "error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided." }));
        }
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        if form["grant_type"] == "refresh_token" {
            return self.refresh(&form["refresh_token"], now);
        }
        let Some(issued) = self.codes.remove(&form["code"]) else { return (400, json!({ "error": "invalid_grant" })) };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
        if challenge != issued.challenge {
            return (400, json!({ "error": "invalid_grant" }));
        }
        let access_token = "access-token-1";
        let at_hash = self.key.half_of_hash(access_token);
        let claims = json!({
            "iss": self.issuer, "sub": issued.sub, "aud": issued.client_id, "iat": now, "exp": now + 300, "nonce": issued.nonce, "at_hash": at_hash,
            "name": "Alice Example", "email": "alice@example.com", "preferred_username": "alice", "groups": ["staff", "admins"],
        });
        let Value::Object(mut claims) = claims else { unreachable!() };
        if let Some(change) = &self.edit_claims {
            change(&mut claims);
        }
        let id_token = self.id_token(claims.clone());
        let mut answer = json!({ "access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token });
        if let Some(tokens) = &mut self.refresh_tokens {
            answer["refresh_token"] = tokens.begin(claims).into();
            answer["expires_in"] = tokens.expires_in.clone();
        }
        edit(&self.edit_answer, &mut answer);
        (200, answer)
    }

    fn refresh(&mut self, token: &str, now: u64) -> (u16, Value) {
        let spent = self.refresh_tokens.as_mut().and_then(|tokens| Some((tokens.spend(token)?, tokens.refreshed)));
        let Some(((next, mut claims), number)) = spent else { return (400, json!({ "error": "invalid_grant" })) };
        let access_token = format!("access-token-{}", number + 1);
        claims.remove("nonce");
        for (name, value) in [("iat", json!(now)), ("exp", json!(now + 300)), ("at_hash", json!(self.key.half_of_hash(&access_token)))] {
            claims.insert(name.to_owned(), value);
        }
        let Some(tokens) = &self.refresh_tokens else { unreachable!() };
        if let Some(change) = &tokens.edit_claims {
            change(&mut claims);
        }
        let mut answer = json!({ "access_token": access_token, "token_type": "Bearer", "expires_in": tokens.expires_in });
        if tokens.has_id_token {
            answer["id_token"] = self.id_token(claims).into();
        }
        if let Some(next) = next {
            answer["refresh_token"] = next.into();
        }
        edit(&tokens.edit_answer, &mut answer);
        (200, answer)
    }

    fn id_token(&self, claims: Map<String, Value>) -> String {
        let mut header = json!({ "alg": self.key.algorithm(), "typ": "JWT", "kid": self.kid });
        edit(&self.edit_header, &mut header);
        let mut id_token = self.sign(&header, &Value::Object(claims));
        if let Some(change) = &self.edit_token {
            change(&mut id_token);
        }
        id_token
    }

    /// A JWS in compact form, with exactly this header and payload: what a library would refuse to make.
    pub(crate) fn sign(&self, header: &Value, payload: &Value) -> String {
        let mut header = header.clone();
        if header["kid"].is_null() {
            header.as_object_mut().unwrap().remove("kid");
        }
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(payload));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn userinfo(&self, request: &OutboundRequest) -> Value {
        let bearer = request.headers.iter().find(|(name, _)| name == "authorization").map(|(_, value)| value.clone());
        assert!(bearer.is_some_and(|bearer| bearer.starts_with(b"Bearer access-token-")));
        let mut answer = json!({ "sub": "alice", "locale": "de", "name": "Not The Signed Name" });
        edit(&self.edit_userinfo, &mut answer);
        answer
    }
}

fn edit<T>(edit: &Edit<T>, value: &mut T) {
    if let Some(edit) = edit {
        edit(value);
    }
}
