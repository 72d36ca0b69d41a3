//! The whole step machine: browsers that send anything, providers that answer anything.
//!
//! `data` is a play, one act a line. The first line is the number of a configuration; the first byte of every other says
//! what happens:
//!
//! | act | what happens |
//! |---|---|
//! | `G target` | the browser visits a page |
//! | `R method target`, then fields `name:value`, all between `\|` | anybody sends a request; 1 stands for the browser's cookies, 2 for the `state` of its latest login |
//! | `P form` | a form is posted to the callback |
//! | `C`, more | the browser comes back from its latest login, with more in the query |
//! | `X`, more | the same with the code of the login before |
//! | `m`, `t`, `k`, `u`, `h`, `i` and an object | from now on its members replace those of the metadata, token answer, key set, userinfo, or of the ID token's header or claims; `null` removes one |
//! | `M`, `T`, `K`, `U` and a text | from now on that is the body of such an answer |
//! | `S` number, `E`, `F` | from now on answers have this status, do not come, are signed by somebody else |
//! | `N` | the provider behaves again |
//! | `B`, which, where (two bytes), bits | a cookie of the browser changes |
//! | `W` number, `O`, `Y` | seconds pass, the instance forgets, another browser is used |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};
use vestibule::decision::{Decision, Forward, Outcome};
use vestibule::entropy::Fixed;
use vestibule::filter::{Filter, Step, Surroundings};
use vestibule::oidc::cache::ProviderCache;
use vestibule::policy::Login as Access;
use vestibule::session::{Claimed, NothingEnded};
use vestibule::time::UnixTime;
use vestibule::web::http::{OutboundError, OutboundRequest, OutboundResponse, RequestHead, Response};

use super::destination::assert_is_ours;
use super::provider::{Provider, is_for};
use super::site::{self, HOST, ISSUER, NOW, PLAIN, cookies_set, is_session};
use super::visitor::{self, Cookies};

const OTHER_ISSUER: &str = "https://other.example";

/// More than any play needs.
const MAX_ACTS: usize = 40;

/// Metadata, tokens, keys and userinfo.
const MAX_FETCHES: usize = 4;

const RULES: &str = "
[vestibule.session]
idle_timeout = \"30m\"
[[vestibule.rule]]
path = \"/public/**\"
access = \"public\"
[[vestibule.rule]]
path = \"/admin/**\"
require = { groups = \"admins\" }
[[vestibule.rule]]
";

static SITES: LazyLock<[Filter; 5]> = LazyLock::new(|| {
    let named = |name: &str, issuer: &str| {
        format!(
            "[auth.{name}]\nclient_id = \"client-1\"\nclient_secret = \"a~secret/of {name}\"\nserver_metadata_url = \"{issuer}/.well-known/openid-configuration\"\n"
        )
    };
    let shared: String = PLAIN.lines().take(4).map(|line| format!("{line}\n")).collect();
    let two = format!("{shared}{}{}", named("op", ISSUER), named("other", OTHER_ISSUER));
    [
        PLAIN.to_owned(),
        format!(
            "{PLAIN}expose_tokens = [\"id\", \"access\"]\n[vestibule]\napp = \"streamlit\"\nlogin = \"required\"\n\
             [vestibule.provider.default]\nuserinfo = true\n"
        ),
        format!("{PLAIN}{RULES}"),
        format!("{PLAIN}[vestibule]\nlogin = \"optional\"\n[vestibule.session]\nmax_age = \"10m\"\nidle_timeout = \"1m\"\n"),
        two,
    ]
    .map(|toml| site::of(&toml))
});

pub fn run(data: &[u8]) {
    let mut acts = data.split(|&byte| byte == b'\n');
    let number = acts.next().and_then(|line| line.first()).map_or(0, |byte| usize::from(byte.wrapping_sub(b'0')));
    let mut stage = Stage::new(&SITES[number % SITES.len()]);
    acts.take(MAX_ACTS).for_each(|act| stage.play(act));
}

/// A login that a browser was sent to the provider for.
struct Started {
    state: String,
    nonce: String,
    issuer: String,
}

/// A session that was rightly given out.
#[derive(Clone)]
struct Given {
    claims: Value,
    ends_at: u64,
}

/// What is wrong with the provider, by the letters of the acts.
#[derive(Default)]
struct Faults {
    members: BTreeMap<u8, Map<String, Value>>,
    bodies: BTreeMap<u8, Vec<u8>>,
    status: Option<u16>,
    is_silent: bool,
    is_foreign: bool,
}

struct Stage {
    filter: &'static Filter,
    cache: ProviderCache,
    entropy: Fixed,
    now: u64,
    provider: Provider,
    faults: Faults,
    browsers: [Cookies; 2],
    current: usize,
    started: Vec<Started>,
    /// By what is in the session's first cookie.
    given: BTreeMap<String, Given>,
    /// Every URL in metadata that was served.
    published: BTreeSet<String>,
    /// The bodies of the latest token answer and the latest userinfo.
    tokens: Vec<u8>,
    userinfo: Vec<u8>,
}

impl Stage {
    fn new(filter: &'static Filter) -> Self {
        Self {
            filter,
            cache: ProviderCache::default(),
            entropy: Fixed::default(),
            now: NOW,
            provider: Provider::default(),
            faults: Faults::default(),
            browsers: [Cookies::new(), Cookies::new()],
            current: 0,
            started: vec![],
            given: BTreeMap::new(),
            published: BTreeSet::new(),
            tokens: vec![],
            userinfo: vec![],
        }
    }

    fn play(&mut self, act: &[u8]) {
        let Some((&what, rest)) = act.split_first() else { return };
        let text = || std::str::from_utf8(rest).unwrap_or_default();
        match what {
            b'G' => self.visit(text()),
            b'R' => self.send_anything(rest),
            b'P' => {
                let head = RequestHead { method: "POST".into(), ..visitor::head("/oauth2callback", &self.browsers[self.current]) };
                self.decide(&head, Some(rest));
            }
            b'C' => self.come_back(1, text()),
            b'X' => self.come_back(2, text()),
            b'm' | b't' | b'k' | b'u' | b'h' | b'i' => {
                if let Ok(members) = serde_json::from_slice(rest) {
                    self.faults.members.insert(what, members);
                }
            }
            b'M' | b'T' | b'K' | b'U' => {
                self.faults.bodies.insert(what.to_ascii_lowercase(), rest.to_vec());
            }
            b'S' => self.faults.status = text().parse().ok(),
            b'E' => self.faults.is_silent = true,
            b'F' => self.faults.is_foreign = true,
            b'N' => self.faults = Faults::default(),
            b'B' => self.change_cookie(rest),
            b'W' => self.now += u64::from(text().parse::<u32>().unwrap_or_default()),
            b'O' => self.cache = ProviderCache::default(),
            b'Y' => self.current = 1 - self.current,
            _ => {}
        }
    }

    fn visit(&mut self, target: &str) {
        let head = visitor::head(target, &self.browsers[self.current]);
        self.decide(&head, None);
    }

    fn come_back(&mut self, ago: usize, more: &str) {
        let Some(started) = self.started.last() else { return };
        let code = self.started.len().saturating_sub(ago);
        let issuer: String = form_urlencoded::byte_serialize(started.issuer.as_bytes()).collect();
        let target = format!("/oauth2callback?code={code}&state={}&iss={issuer}{more}", started.state);
        self.visit(&target);
    }

    fn send_anything(&mut self, act: &[u8]) {
        let mut written = vec![];
        for &byte in act {
            match byte {
                1 => written.extend(visitor::line(&self.browsers[self.current]).bytes()),
                2 => written.extend(self.started.last().iter().flat_map(|started| started.state.bytes())),
                _ => written.push(byte),
            }
        }
        let mut parts = written.split(|&byte| byte == b'|');
        let Some((method, target)) = parts.next().and_then(|part| std::str::from_utf8(part).ok()?.trim().split_once(' ')) else { return };
        let mut head = RequestHead { method: method.to_owned(), ..RequestHead::get(target, HOST) };
        head.headers.extend(parts.filter_map(|part| {
            let colon = part.iter().position(|&byte| byte == b':')?;
            Some((String::from_utf8(part[..colon].to_vec()).ok()?, part[colon + 1..].to_vec()))
        }));
        self.decide(&head, None);
    }

    fn change_cookie(&mut self, change: &[u8]) {
        let [which, high, low, bits, ..] = *change else { return };
        let cookies = &mut self.browsers[self.current];
        let Some(value) = cookies.values_mut().nth(which.into()) else { return };
        let mut bytes = value.clone().into_bytes();
        let length = bytes.len();
        if let Some(byte) = bytes.get_mut(usize::from(u16::from_be_bytes([high, low])) % length.max(1)) {
            *byte ^= bits;
        }
        *value = String::from_utf8(bytes).unwrap_or_default();
    }

    /// One decision with all its fetches, and everything that must hold of it.
    fn decide(&mut self, head: &RequestHead, body: Option<&[u8]>) {
        let mut step = self.filter.begin(
            head.clone(),
            body,
            &mut Surroundings {
                cache: &mut self.cache,
                now: UnixTime::from_secs(self.now),
                entropy: &mut self.entropy,
                ended: &NothingEnded,
            },
        );
        // And the claim of a login attempt.
        for _ in 0..=MAX_FETCHES + 1 {
            let (request, waiting) = match step {
                Step::Done(decision) => return self.judge(head, decision),
                Step::Fetch(request, waiting) => (request, waiting),
                Step::Look(_, waiting) => {
                    step = waiting.resume(
                        Claimed::Granted,
                        self.filter,
                        &mut Surroundings {
                            cache: &mut self.cache,
                            now: UnixTime::from_secs(self.now),
                            entropy: &mut self.entropy,
                            ended: &NothingEnded,
                        },
                    );
                    continue;
                }
            };
            let answer = self.answer(&request);
            step = waiting.resume(
                answer,
                self.filter,
                &mut Surroundings {
                    cache: &mut self.cache,
                    now: UnixTime::from_secs(self.now),
                    entropy: &mut self.entropy,
                    ended: &NothingEnded,
                },
            );
        }
        panic!("the filter asks for ever");
    }

    fn judge(&mut self, head: &RequestHead, decision: Decision) {
        let token = serde_json::from_slice::<Value>(&self.tokens).unwrap_or_default()["id_token"].as_str().map(str::to_owned);
        if let Some(signature) = token.as_deref().and_then(|token| token.rsplit('.').next()).filter(|signature| signature.len() > 40) {
            assert!(!decision.events.iter().any(|event| event.message.contains(signature)), "a token in the log");
        }
        match decision.outcome {
            Outcome::Forward(forward) => self.judge_forward(head, &forward),
            Outcome::Respond(response) => self.judge_response(head, &response),
            Outcome::NeedBody(_) => assert!(head.method == "POST" && path(head) == "/oauth2callback"),
        }
    }

    fn judge_forward(&mut self, head: &RequestHead, forward: &Forward) {
        let told = |name: &str| forward.set_headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let user =
            told("x-forwarded-user").map(|value| percent_decode_str(&String::from_utf8_lossy(value)).decode_utf8_lossy().into_owned());
        let sessions = self.sessions_of(head);
        let session = sessions.iter().find(|given| user.is_none() || given.claims["sub"].as_str() == user.as_deref());
        if user.is_some() || forward.expires_at.is_some() || forward.session.is_some() {
            let session = session.expect("a user without a session");
            assert!(forward.expires_at.is_some_and(|at| at > UnixTime::from_secs(self.now)));
            // Renewed.
            let cookies: Vec<_> = cookies_set(&forward.response_headers).collect();
            self.given.extend(cookies.iter().find(|(name, _)| is_session(name)).map(|(_, sealed)| (sealed.clone(), session.clone())));
            self.browsers[self.current].extend(cookies);
        } else {
            let config = self.filter.config();
            assert!(!cookies_set(&forward.response_headers).any(|(name, _)| is_session(&name)));
            let is_open =
                if config.admission.policy.is_some() { is_under(head, "public") } else { config.admission.login == Access::Optional };
            assert!(is_open, "nobody may see {}", head.path_with_query);
        }
        if self.filter.config().admission.policy.is_some() && is_under(head, "admin") {
            let groups = &session.expect("a session").claims["groups"];
            assert!(groups == "admins" || groups.as_array().is_some_and(|all| all.iter().any(|group| group == "admins")), "{groups}");
        }
    }

    fn judge_response(&mut self, head: &RequestHead, response: &Response) {
        assert!(matches!(response.status, 200..=599), "{}", response.status);
        let given: Vec<_> = cookies_set(&response.headers).filter(|(name, _)| is_session(name)).collect();
        if let Some((_, sealed)) = given.first() {
            let claims = self.proven(head);
            let lifetime = self.filter.config().sessions.lifetime.max_age.as_secs();
            self.given.insert(sealed.clone(), Given { claims, ends_at: self.now + lifetime });
        }
        if path(head) == "/auth/user" && response.status == 200 && head.method == "GET" {
            let user: Value = serde_json::from_slice(&response.body).expect("JSON");
            let known = self.sessions_of(head).iter().any(|given| given.claims["sub"] == user["sub"]);
            assert!(user["is_logged_in"] == false || known, "a user without a session");
        }
        if let Some(location) = response.header("location") {
            self.judge_location(location);
        }
        let cookies = &mut self.browsers[self.current];
        cookies.retain(|name, _| !response.headers.iter().any(|(_, line)| line.starts_with(format!("{name}=;").as_bytes())));
        cookies.extend(cookies_set(&response.headers));
    }

    fn judge_location(&mut self, location: &str) {
        if location.starts_with('/') {
            return assert_is_ours(location);
        }
        let url = Url::parse(location).expect("a URL");
        if url.as_str().starts_with(&format!("{}/", site::ORIGIN)) {
            return;
        }
        let is_published = |text: &String| Url::parse(text).is_ok_and(|known| (known.origin(), known.path()) == (url.origin(), url.path()));
        assert!(self.published.iter().any(is_published), "{location}");
        let asked = |name: &str| url.query_pairs().filter(|(given, _)| given == name).last().map(|(_, value)| value.into_owned());
        if let (Some(state), Some(nonce), Some(_)) = (asked("state"), asked("nonce"), asked("code_challenge")) {
            let is_other = self.filter.config().providers.len() > 1 && !url.as_str().starts_with(ISSUER);
            let issuer = if is_other { OTHER_ISSUER } else { ISSUER };
            self.started.push(Started { state, nonce, issuer: issuer.to_owned() });
        }
    }

    /// The claims of the login that has just succeeded: those that the provider signed for it.
    fn proven(&self, head: &RequestHead) -> Value {
        assert_eq!(path(head), "/oauth2callback");
        let query = head.path_with_query.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let state = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state").map(|(_, value)| value.into_owned());
        let started = self.started.iter().find(|started| Some(&started.state) == state.as_ref()).expect("a login that was started");
        let answer: Value = serde_json::from_slice(&self.tokens).expect("a token answer");
        let token = answer["id_token"].as_str().expect("an ID token");
        let claims = self.provider.payload_of(token).expect("a token that the provider has signed");
        // A slash at the end of an issuer is the provider's choice.
        let mut compared = claims.clone();
        if let Some(issuer) = claims["iss"].as_str().and_then(|issuer| issuer.strip_suffix('/')) {
            compared["iss"] = issuer.into();
        }
        assert!(is_for(&compared, &started.issuer, &started.nonce, self.now), "{claims}");
        if self.filter.config().providers.iter().any(|provider| provider.userinfo) {
            let userinfo: Value = serde_json::from_slice(&self.userinfo).expect("userinfo");
            assert_eq!(userinfo["sub"], claims["sub"]);
            // What the token does not say may come from there.
            let mut completed = userinfo;
            completed.as_object_mut().expect("an object").extend(claims.as_object().expect("an object").clone());
            return completed;
        }
        claims
    }

    /// The sessions in force whose cookies a request brings, unchanged.
    fn sessions_of(&self, head: &RequestHead) -> Vec<Given> {
        let lines = head.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let line = lines.map(|(_, value)| String::from_utf8_lossy(value)).collect::<Vec<_>>().join(";");
        let brought = self.given.iter().filter(|(sealed, given)| line.contains(sealed.as_str()) && given.ends_at > self.now);
        brought.map(|(_, given)| given.clone()).collect()
    }

    fn answer(&mut self, request: &OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let is_metadata = self.filter.config().providers.iter().any(|provider| provider.metadata_url == request.url);
        assert!(is_metadata || self.published.iter().any(|text| Url::parse(text).ok().as_ref() == Some(&request.url)), "{}", request.url);
        assert_eq!(request.url.scheme(), "https");
        if self.faults.is_silent {
            return Err(OutboundError::TimedOut);
        }
        let issuer = if request.url.host_str() == Some("other.example") { OTHER_ISSUER } else { ISSUER };
        let has = |name: &str| request.headers.iter().any(|(given, _)| given == name);
        let (letter, body) = match request.method {
            "POST" => (b't', self.token_answer(request, issuer)),
            _ if is_metadata => (b'm', self.provider.metadata(issuer)),
            _ if has("authorization") => (b'u', self.provider.userinfo("alice")),
            _ => (b'k', self.provider.jwks()),
        };
        let body = self.faults.members.get(&letter).map_or_else(|| body.clone(), |members| replaced(body.clone(), members));
        let body = self.faults.bodies.get(&letter).cloned().unwrap_or_else(|| body.to_string().into_bytes());
        match letter {
            b't' => self.tokens.clone_from(&body),
            b'u' => self.userinfo.clone_from(&body),
            b'm' => {
                let document: Value = serde_json::from_str(&String::from_utf8_lossy(&body)).unwrap_or_default();
                let members = document.as_object().into_iter().flatten();
                self.published.extend(members.filter_map(|(_, value)| value.as_str().map(str::to_owned)));
            }
            _ => {}
        }
        Ok(OutboundResponse { status: self.faults.status.unwrap_or(200), headers: vec![], body })
    }

    fn token_answer(&self, request: &OutboundRequest, issuer: &str) -> Value {
        let code = form_urlencoded::parse(&request.body).find(|(name, _)| name == "code").map(|(_, value)| value.into_owned());
        let started = code.and_then(|code| self.started.get(code.parse::<usize>().ok()?));
        let mut claims = self.provider.claims("alice", started.map_or("", |started| started.nonce.as_str()), self.now);
        claims["iss"] = issuer.into();
        let made = |letter: u8, value: Value| self.faults.members.get(&letter).map_or(value.clone(), |members| replaced(value, members));
        let (header, payload) = (made(b'h', self.provider.header()).to_string(), made(b'i', claims).to_string());
        let sign = if self.faults.is_foreign { Provider::sign_with_foreign_key } else { Provider::sign };
        self.provider.token_answer(&sign(&self.provider, header.as_bytes(), payload.as_bytes()))
    }
}

fn replaced(mut value: Value, members: &Map<String, Value>) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.extend(members.clone());
        object.retain(|_, member| !member.is_null());
    }
    value
}

fn path(head: &RequestHead) -> &str {
    head.path_with_query.split('?').next().unwrap_or_default()
}

/// Whether a path begins with this segment.
fn is_under(head: &RequestHead, segment: &str) -> bool {
    let decoded = percent_decode_str(path(head)).decode_utf8_lossy();
    decoded.split('/').nth(1) == Some(segment)
}
