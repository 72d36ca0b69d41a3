//! What only Streamlit needs: its word for a provider, and the upgrade that says who is logged in.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use url::form_urlencoded;
use vestibule::decision::{Decision, Forward, Outcome};
use vestibule::filter::{Filter, Step};
use vestibule::identity::streamlit::resumption::{self, Opener};
use vestibule::web::http::{Header, Request, RequestHead};

use super::cookies::{is_streamlits, is_vestibules, read_as_latin1, read_as_utf8};
use super::site::{self, COOKIE_SECRET, HOST, NOW, ORIGIN, PLAIN};
use super::visitor::{self, Cookies};

const STREAM: &str = "/_stcore/stream";

/// Streamlit's servers refuse longer heads.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Two providers to choose from.
static LOGIN: LazyLock<Filter> = LazyLock::new(|| {
    let named = |name: &str| {
        format!(
            "[auth.{name}]\nclient_id = \"{name}\"\nclient_secret = \"a~secret/of {name}\"\nserver_metadata_url = \"https://{name}.example/.well-known/openid-configuration\"\n"
        )
    };
    let shared: String = PLAIN.lines().take(4).map(|line| format!("{line}\n")).collect();
    let toml = format!("{shared}{}{}", named("one"), named("two"));
    site::of(&toml)
});

static APP: LazyLock<(Filter, Cookies)> = LazyLock::new(|| {
    let filter = site::filter("[vestibule]\nlogin = \"optional\"\napp = \"streamlit\"\n");
    let cookies = visitor::log_in(&filter, "/auth/login");
    (filter, cookies)
});

/// The first byte of `data` says what the rest is: a provider as `/auth/login` is told; header and payload, a line each,
/// of such a token, to be signed; or header fields of an upgrade, one a line, where 2 is an anonymous one.
pub fn run(data: &[u8]) {
    match data {
        [0, provider @ ..] => {
            let name = String::from_utf8_lossy(provider);
            assert_eq!(login(provider), ["one", "two"].into_iter().find(|known| *known == name), "{name}");
        }
        [1, text @ ..] => {
            let Some(end) = text.iter().position(|&byte| byte == b'\n') else { return };
            token(&text[..end], &text[end + 1..]);
        }
        [kind @ (2 | 3), lines @ ..] => upgrade(lines, *kind == 3),
        _ => {}
    }
}

/// Which provider's login has begun.
fn login(provider: &[u8]) -> Option<&'static str> {
    let query: String = form_urlencoded::byte_serialize(provider).collect();
    match site::begin(&LOGIN, &RequestHead::get(&format!("/auth/login?provider={query}"), HOST), None) {
        Step::Look(..) => None,
        Step::Fetch(request, _) => ["one", "two"].into_iter().find(|name| request.url.host_str() == Some(&format!("{name}.example"))),
        Step::Done(Decision { outcome: Outcome::Respond(_), .. }) => None,
        Step::Done(decision) => panic!("{decision:?}"),
    }
}

fn token(header: &[u8], payload: &[u8]) {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let sign = |secret: &str| {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("keys of any length").chain_update(&signed);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    };
    if let Some(begun) = login(sign(COOKIE_SECRET).as_bytes()) {
        // The library does not look into members that it does not know.
        let Ok(said) = serde_json::from_slice::<Value>(payload) else { return };
        assert!(said["provider"] == begun && said["exp"].as_f64().is_some_and(|exp| exp > NOW as f64), "{said}");
    }
    assert_eq!(login(sign("another secret of at least 32 bytes").as_bytes()), None);
}

/// `application-server` is what the application calls itself.
fn upgrade(lines: &[u8], is_logged_in: bool) {
    let (filter, cookies) = &*APP;
    let Some(mut given) = read(lines) else { return };
    if is_logged_in {
        given.push(("cookie".to_owned(), visitor::line(cookies).into_bytes()));
    }
    opener(&given);
    let server = given.extract_if(.., |(name, _)| name == "application-server").last();
    let server = server.and_then(|(_, value)| String::from_utf8(value).ok());
    let mut head = RequestHead { application_server: server.clone(), ..RequestHead::get(STREAM, HOST) };
    head.headers.extend(given);
    let Step::Done(Decision { outcome, .. }) = site::begin(filter, &head, None) else { panic!("a provider is not needed") };
    let forward = match outcome {
        Outcome::Forward(forward) => forward,
        Outcome::Respond(response) => {
            assert!(matches!(response.status, 400 | 403 | 431 | 500), "{}", response.status);
            return;
        }
        Outcome::NeedBody(_) => panic!("a GET has no body"),
    };
    let request = Request::parse(&head).expect("what is forwarded has one reading");
    let origins: Vec<&[u8]> = request.header("origin").collect();
    let is_upgrade = request.header("upgrade").next().is_some();
    let is_ours = origins.iter().all(|origin| *origin == ORIGIN.as_bytes());
    assert!(is_ours || !is_upgrade || forward.expires_at.is_none(), "a page of another origin gets a connection of the user's");
    let is_stream = origins == [ORIGIN.as_bytes()] && request.header("upgrade").count() == 1;

    let received = received(&head, &forward);
    assert!(!read_as_utf8(&received).iter().any(|(name, _)| is_vestibules(name)));
    let seen = [read_as_utf8(&received), read_as_latin1(&received)].concat();
    let said: Vec<_> = seen.into_iter().filter(|(name, _)| is_streamlits(name)).collect();
    assert!(said.is_empty() || (is_stream && forward.expires_at.is_some()), "nobody is told to be logged in");
    assert_eq!(said, told(server, !said.is_empty()), "Streamlit is told what it is told of this session without anything else");

    let bytes: usize = received.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    assert!(!is_stream || forward.expires_at.is_none() || bytes <= MAX_HEAD_BYTES, "{bytes}");
    let protocols = received.iter().filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"));
    let entries: usize = protocols.map(|(_, value)| value.split(|&byte| byte == b',').count()).sum();
    assert!(entries <= 2, "the third entry resumes somebody's session");
}

/// Who resumes a session, for hosts that know who opened it.
fn opener(given: &[Header]) {
    let lines =
        |name: &'static str| given.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice());
    if let Some(id) = resumption::resumed(lines("sec-websocket-protocol")) {
        let kept = resumption::restored(b"streamlit, x", &id);
        assert_eq!(resumption::resumed([kept.as_slice()].into_iter()), Some(id), "what is put back is what was asked for");
    }
    if let Some(browser) = Opener::of(None, lines("cookie")) {
        let tokens = read_as_utf8(given).into_iter().filter(|(name, _)| name == "_streamlit_xsrf").count();
        assert!(tokens >= 1 && browser.is(&browser) && !browser.is(&Opener::Session(String::new())));
    }
}

/// The login cookies of an upgrade with nothing else in it, each read twice.
fn told(server: Option<String>, is_told: bool) -> Vec<(String, String)> {
    if !is_told {
        return vec![];
    }
    let (filter, cookies) = &*APP;
    let head = visitor::head(STREAM, cookies).with("upgrade", "websocket").with("origin", ORIGIN);
    let head = RequestHead { application_server: server, ..head };
    match site::begin(filter, &head, None) {
        Step::Done(Decision { outcome: Outcome::Forward(forward), .. }) => {
            let received = received(&head, &forward);
            let seen = [read_as_utf8(&received), read_as_latin1(&received)].concat();
            seen.into_iter().filter(|(name, _)| is_streamlits(name)).collect()
        }
        step => panic!("{step:?}"),
    }
}

fn received(head: &RequestHead, forward: &Forward) -> Vec<Header> {
    let is_removed = |name: &str| forward.remove_headers.iter().any(|removed| removed.eq_ignore_ascii_case(name));
    let received = head.headers.iter().filter(|(name, _)| !is_removed(name)).chain(&forward.set_headers);
    received.map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

fn read(lines: &[u8]) -> Option<Vec<Header>> {
    let field = |line: &[u8]| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((String::from_utf8(line[..colon].to_vec()).ok()?, line[colon + 1..].to_vec()))
    };
    lines.split(|&byte| byte == b'\n').map(field).collect()
}
