//! The drop-in for Streamlit: what its server gets to see, and what never reaches it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use vestibule::account::Account;
use vestibule::claims::Claims;
use vestibule::config::{Config, Source};
use vestibule::decision::{Decision, Forward, Outcome};
use vestibule::policy::Verdict;
use vestibule::session::EndedWhat;
use vestibule::web::http::{Request, RequestHead};

use crate::rig::{self, Browser, CONFIG, HOST, Rig, query};

const SECRET: &str = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5";
const PRESET: &str = "[vestibule]\napp = \"streamlit\"\n";
const STREAM: &str = "/_stcore/stream";
const ORIGIN: &str = "https://app.example";
const STARLETTE: &str = "uvicorn";
const TORNADO: &str = "TornadoServer/6.5.2";

fn preset(more: &str) -> String {
    format!("{CONFIG}{PRESET}{more}")
}

/// Somebody who is logged in, before a filter with this configuration.
fn logged_in(config: &str) -> (Rig, Browser) {
    let (mut rig, mut browser) = (Rig::new(config), Browser::default());
    assert_eq!(browser.log_in(&mut rig, "/auth/login", "alice").status, 302, "{:?}", rig.events);
    (rig, browser)
}

/// What a browser sends to upgrade; `path` and `server` as given.
fn upgrade(browser: &Browser, path: &str, server: &str) -> RequestHead {
    let head = browser.head(path).with("connection", "Upgrade").with("upgrade", "websocket").with("origin", ORIGIN);
    let head = head.with("sec-websocket-protocol", "streamlit, 2|ab|cd|17, 6f9619ff-8b86-d011-b42d-00c04fc964ff");
    RequestHead { application_server: Some(server.to_owned()), ..head }
}

fn forward(decision: Decision) -> Forward {
    match decision.outcome {
        Outcome::Forward(forward) => forward,
        Outcome::Respond(response) => panic!("answered: {} {}", response.status, String::from_utf8_lossy(&response.body)),
        Outcome::NeedBody(_) => panic!("wants a body"),
    }
}

/// The lines of a header as the application gets them.
fn received(head: &RequestHead, forward: &Forward, name: &str) -> Vec<String> {
    let is_removed = forward.remove_headers.iter().any(|removed| removed.eq_ignore_ascii_case(name));
    let kept = head.headers.iter().filter(|_| !is_removed);
    let lines = kept.chain(&forward.set_headers).filter(|(given, _)| given.eq_ignore_ascii_case(name));
    lines.map(|(_, value)| String::from_utf8(value.to_vec()).unwrap()).collect()
}

fn cookies(head: &RequestHead, forward: &Forward) -> BTreeMap<String, String> {
    let lines = received(head, forward, "cookie");
    let pairs = lines.iter().flat_map(|line| line.split(';')).filter(|pair| !pair.trim().is_empty());
    let pairs: Vec<_> = pairs.map(|pair| pair.trim().split_once('=').unwrap_or((pair, ""))).collect();
    let all: BTreeMap<_, _> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(all.len(), pairs.len(), "a name comes twice");
    all
}

/// Reads a cookie as the server does that signed cookies of this form are for.
fn open(cookies: &BTreeMap<String, String>, name: &str, server: &str, now: u64) -> Option<String> {
    let one = |name: &str| {
        cookies.get(name).map(|value| if server == STARLETTE { open_itsdangerous(name, value, now) } else { open_tornado(name, value) })
    };
    let text = one(name)?;
    let Some(number) = text.strip_prefix("chunks-") else { return Some(text) };
    (1..=number.parse::<usize>().unwrap()).map(|index| one(&format!("{name}_{index}"))).collect()
}

fn open_itsdangerous(name: &str, value: &str, now: u64) -> String {
    let (signed, signature) = value.rsplit_once('.').unwrap();
    let key = Sha1::digest(format!("{name}signer{SECRET}"));
    let expected = Hmac::<Sha1>::new_from_slice(&key).unwrap().chain_update(signed).finalize().into_bytes();
    assert_eq!(signature, URL_SAFE_NO_PAD.encode(expected), "{name}");
    let (payload, time) = signed.rsplit_once('.').unwrap();
    let time = URL_SAFE_NO_PAD.decode(time).unwrap().iter().fold(0, |time, &byte| time << 8 | u64::from(byte));
    assert!(time <= now && now - time <= 120, "signed in the future, or long ago: {time}");
    let literal = match payload.strip_prefix('.') {
        Some(compressed) => miniz_oxide::inflate::decompress_to_vec_zlib(&URL_SAFE_NO_PAD.decode(compressed).unwrap()).unwrap(),
        None => URL_SAFE_NO_PAD.decode(payload).unwrap(),
    };
    serde_json::from_slice(&literal).unwrap()
}

fn open_tornado(name: &str, value: &str) -> String {
    let (signed, signature) = value.rsplit_once('|').unwrap();
    let expected = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(format!("{signed}|")).finalize().into_bytes();
    assert_eq!(signature, expected.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), "{name}");
    let fields: Vec<_> = signed.split('|').collect();
    assert_eq!(fields[..2], ["2", "1:0"]);
    assert_eq!(fields[3], format!("{}:{name}", name.len()));
    let (length, text) = fields[4].split_once(':').unwrap();
    assert_eq!(length, text.len().to_string());
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

fn user(head: &RequestHead, forward: &Forward, server: &str, now: u64) -> Option<Value> {
    open(&cookies(head, forward), "_streamlit_user", server, now).map(|text| serde_json::from_str(&text).unwrap())
}

fn tokens(head: &RequestHead, forward: &Forward, server: &str, now: u64) -> Value {
    serde_json::from_str(&open(&cookies(head, forward), "_streamlit_user_tokens", server, now).unwrap()).unwrap()
}

#[test]
fn an_upgrade_says_who_is_logged_in_in_the_form_of_the_server() {
    let (mut rig, browser) = logged_in(&preset(""));
    for server in [STARLETTE, TORNADO] {
        let head = upgrade(&browser, STREAM, server);
        let forward = forward(rig.decide(&head, None));
        let user = user(&head, &forward, server, rig.now).expect("somebody is logged in");
        for (claim, value) in [
            ("sub", json!("alice")),
            ("name", json!("Alice Example")),
            ("groups", json!(["staff", "admins"])),
            ("iss", json!("https://op.example")),
            ("aud", json!("client-1")),
            ("is_logged_in", json!(true)),
            ("provider", json!("default")),
            ("origin", json!(ORIGIN)),
        ] {
            assert_eq!(user[claim], value, "{claim}");
        }
        assert!(user["exp"].is_u64() && user["at_hash"].is_string() && user["nonce"].is_string(), "every claim is there");
        assert_eq!(tokens(&head, &forward, server, rig.now), json!({}), "none is exposed");
        assert_eq!(received(&head, &forward, "cookie").len(), 1, "one line is enough");
        assert!(forward.response_headers.is_empty(), "the browser sees nothing of it");
    }
    assert_eq!(rig.events, ["login.started", "login.succeeded"]);
}

#[test]
fn nobody_else_is_anybody_to_streamlit() {
    let (mut rig, browser) = logged_in(&preset(""));
    let plain = |path: &str| RequestHead { application_server: Some(STARLETTE.into()), ..browser.head(path) };
    let full = || upgrade(&browser, STREAM, STARLETTE);
    let without = |name: &str| {
        let mut head = full();
        head.headers.retain(|given, _| given != name);
        head
    };
    for (what, head) in [
        ("nobody", upgrade(&Browser::default(), STREAM, STARLETTE)),
        ("no Origin", without("origin")),
        ("two Origins", full().with("Origin", ORIGIN)),
        ("no upgrade", without("upgrade")),
        ("another upgrade", without("upgrade").with("upgrade", "h2c")),
        ("two upgrades", full().with("Upgrade", "websocket")),
        ("another method", RequestHead { method: "POST".into(), ..full() }),
        ("another path", upgrade(&browser, "/_stcore/streams", STARLETTE)),
        ("a path below", upgrade(&browser, "/_stcore/stream/", STARLETTE)),
        ("another spelling", upgrade(&browser, "/_stcore/strea%6d", STARLETTE)),
        ("another base path", upgrade(&browser, "/base/_stcore/stream", STARLETTE)),
        ("the first page", plain("/")),
        ("the health check", plain("/_stcore/health")),
    ] {
        let forward = forward(rig.decide(&head, None));
        let names: Vec<_> = cookies(&head, &forward).into_keys().collect();
        assert!(names.is_empty(), "{what}: {names:?}");
    }
    for foreign in ["https://evil.example", "null", "https://app.example.evil", "https://app.example:443", "HTTPS://APP.EXAMPLE"] {
        let head = without("origin").with("origin", foreign);
        assert!(matches!(rig.decide(&head, None).outcome, Outcome::Respond(response) if response.status == 403), "{foreign}");
        assert_eq!(rig.last_event(), "request.foreign_origin", "{foreign}");
    }
    // In any case, as the field's value is a name (RFC 9110 section 7.8).
    let head = without("upgrade").with("UPGRADE", "WebSocket");
    let forward = forward(rig.decide(&head, None));
    assert!(user(&head, &forward, STARLETTE, rig.now).is_some());
}

#[test]
fn a_query_is_no_hindrance_and_a_base_path_belongs_to_it() {
    let config = preset("").replace("app.example/oauth2callback", "app.example/base/oauth2callback");
    let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
    browser.log_in(&mut rig, "/base/auth/login", "alice");
    for (path, is_user) in [
        ("/base/_stcore/stream", true),
        ("/base/_stcore/stream?x=1", true),
        ("/_stcore/stream", false),
        ("/base/base/_stcore/stream", false),
        ("/base//_stcore/stream", false),
        ("/BASE/_stcore/stream", false),
    ] {
        let head = upgrade(&browser, path, STARLETTE);
        let forward = forward(rig.decide(&head, None));
        assert_eq!(user(&head, &forward, STARLETTE, rig.now).is_some(), is_user, "{path}");
    }
    assert_eq!(rig.filter.config().application_probe().as_deref(), Some("/base/_stcore/health"));
}

#[test]
fn login_cookies_of_the_browser_never_reach_streamlit() {
    let spoofed: [&[u8]; 12] = [
        b"_streamlit_user=x",
        b"_streamlit_user_1=x",
        b"_streamlit_user_tokens=x",
        b"_streamlit_user_tokens_2=x",
        b"_streamlit_user=\"a; _streamlit_user=b\"",
        b" \t_streamlit_user =x",
        b"\xa0_streamlit_user=x",
        b"_streamlit_user\x85=x",
        b"\xe2\x80\x83_streamlit_user=x",
        b"_streamlit_user",
        b"_streamlit_user=2|1:0|10:1700000000|15:_streamlit_user|4:e30=|00",
        b"_streamlit_user=x; _streamlit_user=y",
    ];
    let (mut rig, browser) = logged_in(&preset(""));
    for browser in [browser, Browser::default()] {
        for path in ["/", STREAM, "/_stcore/upload_file/1"] {
            for spoof in spoofed {
                let mut head = browser.head(path);
                head.headers.push("cookie", [b"a=1; ", spoof, b"; _streamlit_xsrf=2|ab|cd|17"].concat());
                head.headers.push("Cookie", spoof);
                let forward = forward(rig.decide(&head, None));
                let lines = received(&head, &forward, "cookie");
                // A `;` ends a cookie in quotes as well, for every server that is meant.
                let lines: Vec<_> = lines.iter().map(|line| line.replace("_streamlit_xsrf", "")).collect();
                assert!(
                    lines.iter().all(|line| !line.contains("_streamlit")),
                    "{path}: {} becomes {lines:?}",
                    String::from_utf8_lossy(spoof)
                );
                assert_eq!(lines, ["a=1; =2|ab|cd|17"], "everything else is as it was");
            }
        }
    }
}

/// Streamlit's page shows the text of what refuses it while it tries to connect again.
#[test]
fn a_page_whose_session_has_ended_is_told_so_in_words() {
    const REQUIRED: &str = "login = \"required\"\n";
    let ask = |config: &str, path: &str, accept_language: &str| {
        let mut rig = Rig::new(config);
        let head = RequestHead::get(path, HOST).with("accept", "*/*").with("accept-language", accept_language);
        let response = Browser::default().send(&mut rig, &head).response();
        let text = String::from_utf8(response.body.clone()).unwrap();
        (response, text)
    };
    for path in ["/_stcore/health", "/_stcore/host-config", "/_stcore/health?x"] {
        for (accepted, tag, words) in [
            ("de-CH, en;q=0.5", "de", "Ihre Sitzung ist beendet. Laden Sie die Seite neu, um sich wieder anzumelden."),
            ("zh", "en", "Your session has ended. Reload the page to log in again."),
        ] {
            let (response, text) = ask(&preset(REQUIRED), path, accepted);
            assert_eq!((response.status, text.as_str()), (401, words), "{path}");
            assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
            assert_eq!((response.header("content-language"), response.header("cache-control")), (Some(tag), Some("no-store")));
            assert!(response.header("www-authenticate").is_some() && response.header("vary").unwrap().contains("accept-language"));
        }
    }
    let below = preset(REQUIRED).replace("app.example/oauth2callback", "app.example/base/oauth2callback");
    assert!(ask(&below, "/base/_stcore/health", "fr").1.starts_with("Votre session"));
    // Everything else is a problem document.
    for (config, path) in [
        (preset(REQUIRED), "/_stcore/stream"),
        (preset(REQUIRED), "/_stcore/health/x"),
        (below, "/_stcore/health"),
        (CONFIG.to_owned(), "/_stcore/health"),
    ] {
        let (response, text) = ask(&config, path, "de");
        assert_eq!((response.status, response.header("content-type")), (401, Some("application/problem+json")), "{path}");
        assert!(text.contains("\"code\""), "{text}");
    }
}

#[test]
fn cookies_of_the_application_are_left_as_they_are() {
    let (mut rig, browser) = logged_in(&preset(""));
    let others = "theme=\"dark\"; _streamlit_xsrf=2|ab|cd|17; _streamlit_username=me; nameless; b=ü";
    for server in [STARLETTE, TORNADO] {
        let mut head = upgrade(&browser, STREAM, server);
        head.headers.push("cookie", others);
        let forward = forward(rig.decide(&head, None));
        let line = received(&head, &forward, "cookie").join("; ");
        assert!(line.starts_with("_streamlit_xsrf=2|ab|cd|17; _streamlit_user="), "what the server needs comes first: {line}");
        assert!(line.contains("; theme=\"dark\"; _streamlit_username=me; nameless; b=ü; _streamlit_user_tokens="), "{line}");
    }
    let head = browser.head("/").with("cookie", others);
    let forward = forward(rig.decide(&head, None));
    assert_eq!(received(&head, &forward, "cookie"), [others]);
}

#[test]
fn nobody_resumes_a_session_of_streamlits() {
    let (mut rig, browser) = logged_in(&preset(""));
    for browser in [browser, Browser::default()] {
        for path in [STREAM, "/_stcore/strea%6d", "/elsewhere"] {
            let head = upgrade(&browser, path, STARLETTE).with("Sec_WebSocket_Protocol", "a, b, c");
            let forward = forward(rig.decide(&head, None));
            assert_eq!(received(&head, &forward, "sec-websocket-protocol"), ["streamlit, 2|ab|cd|17"], "{path}");
            assert!(received(&head, &forward, "sec_websocket_protocol").is_empty(), "{path}");
        }
    }
}

#[test]
fn headers_that_streamlit_trusts_are_nobodys_to_send() {
    let config = preset("[vestibule.streamlit]\ntrusted_user_headers = [\"X-Remote-User\"]\n");
    let (mut rig, browser) = logged_in(&config);
    for name in ["X-Remote-User", "x-remote-user", "X_Remote_User", "X.Remote.User", "X-Streamlit-User", "x_streamlit_user"] {
        let head = upgrade(&browser, STREAM, STARLETTE).with(name, "mallory");
        let forward = forward(rig.decide(&head, None));
        assert!(received(&head, &forward, name).is_empty(), "{name}");
    }
}

#[test]
fn the_application_sees_the_tokens_that_are_exposed_and_no_other() {
    for (exposed, expected) in [
        ("", vec![]),
        ("expose_tokens = \"id\"\n", vec!["id_token"]),
        ("expose_tokens = [\"access\"]\n", vec!["access_token"]),
        ("expose_tokens = [\"id\", \"access\"]\n", vec!["access_token", "id_token"]),
    ] {
        let (mut rig, browser) = logged_in(&format!("{CONFIG}{exposed}{PRESET}"));
        for server in [STARLETTE, TORNADO] {
            let head = upgrade(&browser, STREAM, server);
            let forward = forward(rig.decide(&head, None));
            let tokens = tokens(&head, &forward, server, rig.now);
            assert_eq!(tokens.as_object().unwrap().keys().collect::<Vec<_>>(), expected, "{exposed}");
        }
    }
}

#[test]
fn claims_are_the_same_at_every_upgrade_and_streamlits_own_words_are_not_claims() {
    let (mut rig, mut browser) = (Rig::new(&preset("[vestibule.session]\nidle_timeout = \"1h\"\n")), Browser::default());
    rig.provider.edit_claims = Some(Box::new(|claims| {
        claims.insert("origin".into(), "https://evil.example".into());
        claims.insert("is_logged_in".into(), false.into());
        claims.insert("provider".into(), "another".into());
        claims.insert("name".into(), "Chloë \u{1f600} \"x\" \\ \u{7f}".into());
        claims.insert("address".into(), json!({ "region": ["Zürich", 1.5, null] }));
    }));
    browser.log_in(&mut rig, "/auth/login", "alice");
    let mut seen = vec![];
    for _ in 0..3 {
        for server in [STARLETTE, TORNADO] {
            let head = upgrade(&browser, STREAM, server);
            let forward = forward(rig.decide(&head, None));
            seen.push(open(&cookies(&head, &forward), "_streamlit_user", server, rig.now).unwrap());
        }
        rig.now += 1000;
        browser.visit(&mut rig, "/");
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    assert!(seen[0].is_ascii() && seen[0].contains(r#""name": "Chlo\u00eb \ud83d\ude00 \"x\" \\ \u007f""#), "{}", seen[0]);
    let user: Value = serde_json::from_str(&seen[0]).unwrap();
    assert_eq!((&user["origin"], &user["is_logged_in"], &user["provider"]), (&json!(ORIGIN), &json!(true), &json!("default")));
    assert_eq!(user["address"], json!({ "region": ["Zürich", 1.5, null] }));
}

/// Many groups, each a GUID that is like no other.
fn groups(number: usize) -> Value {
    let guid = |n: usize| {
        let digest = Sha1::digest(n.to_string());
        let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
    };
    (0..number).map(guid).collect::<Vec<_>>().into()
}

#[test]
fn two_hundred_groups_with_tokens_arrive() {
    let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}expose_tokens = [\"id\", \"access\"]\n{PRESET}")), Browser::default());
    rig.provider.edit_claims = Some(Box::new(|claims| drop(claims.insert("groups".into(), groups(200)))));
    assert_eq!(browser.log_in(&mut rig, "/auth/login", "alice").status, 302);
    for server in [STARLETTE, TORNADO] {
        let head = upgrade(&browser, STREAM, server).with("cookie", "_streamlit_xsrf=2|ab|cd|17");
        let forward = forward(rig.decide(&head, None));
        let lines = received(&head, &forward, "cookie");
        if server == STARLETTE {
            assert!(lines.iter().all(|line| line.len() <= 8_182), "{:?}", lines.iter().map(String::len).collect::<Vec<_>>());
            assert!(forward.set_headers.iter().all(|(name, value)| name.len() + value.len() + 4 <= 8_192));
        } else {
            assert_eq!(lines.len(), 1);
        }
        assert_eq!(user(&head, &forward, server, rig.now).unwrap()["groups"], groups(200));
        let id_token = tokens(&head, &forward, server, rig.now)["id_token"].as_str().unwrap().to_owned();
        assert!(id_token.len() > 10_000 && id_token.split('.').count() == 3);
    }
    assert_eq!(rig.last_event(), "login.succeeded", "nothing is left out");
}

/// A request of 64 KiB, the most that is taken, by somebody whose session is large.
fn crowded(more: &str, server: &str) -> (Rig, RequestHead) {
    let (mut rig, mut browser) = (Rig::new(&preset(more)), Browser::default());
    rig.provider.edit_metadata = Some(Box::new(|metadata| drop(metadata.as_object_mut().unwrap().remove("end_session_endpoint"))));
    rig.provider.edit_claims = Some(Box::new(|claims| {
        claims.insert("groups".into(), groups(160));
        claims.insert("roles".into(), groups(100));
    }));
    assert_eq!(browser.log_in(&mut rig, "/auth/login", "alice").status, 302);
    let head = upgrade(&browser, STREAM, server);
    let used: usize = head.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    // The application does not get the first.
    let filler = format!("vestibule_filler={}; filler=", "x".repeat(8_000));
    let more = "x".repeat(64 * 1024 - used - "cookie".len() - filler.len());
    (rig, head.with("cookie", &(filler + &more)))
}

#[test]
fn claims_are_left_out_in_the_order_that_is_configured() {
    let drop_claims = "[vestibule.streamlit]\ndrop_claims = [\"absent\", \"roles\", \"groups\"]\n";
    let (mut rig, head) = crowded(drop_claims, TORNADO);
    let forward = forward(rig.decide(&head, None));
    let user = user(&head, &forward, TORNADO, rig.now).unwrap();
    assert_eq!((&user["sub"], &user["roles"], &user["groups"]), (&json!("alice"), &Value::Null, &groups(160)));
    assert_eq!(rig.last_event(), "streamlit.claim_left_out");
    assert_eq!(rig.events.iter().filter(|code| *code == "streamlit.claim_left_out").count(), 1);
    assert!(rig.events.iter().any(|code| code == "streamlit.header_left_out"), "they say the same, and go first");
    assert!(received(&head, &forward, "x-forwarded-groups").is_empty());
}

#[test]
fn what_does_not_fit_at_all_is_refused_and_nobody_is_made_anonymous() {
    let (mut rig, head) = crowded("", TORNADO);
    let decision = rig.decide(&head, None);
    assert!(matches!(&decision.outcome, Outcome::Respond(response) if response.status == 500));
    assert_eq!(rig.last_event(), "streamlit.too_large");
    let message = &decision.events.last().unwrap().message;
    assert!(message.contains("`groups`") && message.contains("vestibule.streamlit.drop_claims"), "{message}");
}

#[test]
fn a_setting_says_the_form_and_a_server_that_is_not_known_is_said() {
    for (setting, server, read_as, event) in [
        ("auto", Some(STARLETTE), STARLETTE, "login.succeeded"),
        ("auto", Some(TORNADO), TORNADO, "login.succeeded"),
        ("auto", Some("nginx"), STARLETTE, "streamlit.server_unknown"),
        ("auto", None, STARLETTE, "streamlit.server_unknown"),
        ("tornado", Some("nginx"), TORNADO, "login.succeeded"),
        ("itsdangerous", Some(TORNADO), STARLETTE, "login.succeeded"),
    ] {
        let (mut rig, browser) = logged_in(&preset(&format!("[vestibule.streamlit]\ncookies = \"{setting}\"\n")));
        let head = RequestHead { application_server: server.map(str::to_owned), ..upgrade(&browser, STREAM, "") };
        let forward = forward(rig.decide(&head, None));
        assert!(user(&head, &forward, read_as, rig.now).is_some(), "{setting} {server:?}");
        assert_eq!(rig.last_event(), event, "{setting} {server:?}");
        assert_eq!(rig.filter.config().application_probe().is_some(), setting == "auto");
    }
}

#[test]
fn without_the_preset_nothing_of_this_happens() {
    let (mut rig, browser) = logged_in(CONFIG);
    let head = upgrade(&browser, STREAM, STARLETTE).with("cookie", "_streamlit_user=x");
    let forward = forward(rig.decide(&head, None));
    assert_eq!(received(&head, &forward, "cookie"), ["_streamlit_user=x"]);
    assert_eq!(received(&head, &forward, "sec-websocket-protocol")[0].split(',').count(), 3);
    assert_eq!(rig.filter.config().application_probe(), None);
}

/// The names of those that a decision ends.
fn sessions(decision: &Decision) -> Vec<String> {
    decision.ended_sessions.iter().inspect(|ended| assert_eq!(ended.what, EndedWhat::Session)).map(|ended| ended.name.clone()).collect()
}

#[test]
fn a_session_that_ends_is_named_so_that_its_connections_can_be_closed() {
    let (mut rig, mut browser) = logged_in(&preset(""));
    let session = |rig: &mut Rig, browser: &Browser| forward(rig.decide(&upgrade(browser, STREAM, STARLETTE), None)).session;
    let first = session(&mut rig, &browser).expect("an upgrade names its session");
    assert_eq!(session(&mut rig, &browser).as_deref(), Some(first.as_str()), "the same one every time");
    assert_eq!(forward(rig.decide(&browser.head("/"), None)).session.as_deref(), Some(first.as_str()), "whatever is asked for");
    assert_eq!(session(&mut rig, &Browser::default()), None);
    assert!(!browser.cookies.values().any(|value| value.contains(&first)));

    // Another login in the same browser takes the place of the first.
    let location = browser.start(&mut rig, "/auth/login");
    let callback = rig.provider.authorize(&location, "bob");
    let decision = rig.decide(&browser.head(&callback), None);
    assert_eq!(sessions(&decision), std::slice::from_ref(&first));
    let location = browser.start(&mut rig, "/auth/login");
    let callback = rig.provider.authorize(&location, "bob");
    browser.visit(&mut rig, &callback);
    let second = session(&mut rig, &browser).unwrap();
    assert_ne!(first, second);

    for (path, ended) in [("/auth/logout", vec![second]), ("/", vec![])] {
        assert_eq!(sessions(&rig.decide(&browser.head(path), None)), ended, "{path}");
    }
    // And from an instance that has to ask the provider first, and finds it gone.
    rig.forget();
    rig.provider.outage = Some(vestibule::web::http::OutboundError::TimedOut);
    assert_eq!(rig.decide(&browser.head("/auth/logout"), None).ended_sessions.len(), 1);
    assert!(rig.decide(&Browser::default().head("/auth/logout"), None).ended_sessions.is_empty());
}

#[test]
fn the_login_leads_back_to_the_page_that_asked_for_it() {
    let (long, too_long) = (format!("{ORIGIN}/{}", "x".repeat(3000)), format!("{ORIGIN}/{}", "x".repeat(6200)));
    for (query, referer, page) in [
        ("", Some("https://app.example/page?x=1&y=%2F"), "/page?x=1&y=%2F"),
        ("?return_to=/other", Some("https://app.example/page?x=1"), "/other"),
        ("?return_to=https://evil.example/", Some("https://app.example/page?x=1"), "/"),
        ("", Some("https://evil.example/page?x=1"), "/"),
        ("", Some("https://app.example.evil/page"), "/"),
        ("", Some("https://app.example@evil.example/page"), "/"),
        ("", Some("https://app.example//evil.example"), "/"),
        ("", Some("https://app.example/auth/login"), "/"),
        ("", Some("https://app.example/auth/logout"), "/"),
        ("", Some("https://app.example/oauth2callback?code=x&state=y"), "/"),
        ("", Some(&long), long.strip_prefix(ORIGIN).unwrap()),
        ("", Some(&too_long), "/"),
        ("", Some("about:blank"), "/"),
        ("", None, "/"),
    ] {
        let (mut rig, mut browser) = (Rig::new(&preset("")), Browser::default());
        let mut head = browser.head(&format!("/auth/login{query}"));
        if let Some(referer) = referer {
            head = head.with("referer", referer);
        }
        let response = browser.send(&mut rig, &head).response();
        let location = url::Url::parse(response.header("location").unwrap()).unwrap();
        let callback = rig.provider.authorize(&location, "alice");
        assert_eq!(rig::way_on(&browser.visit(&mut rig, &callback).response()), page, "{query} {referer:?}");
    }
    let (mut rig, browser) = (Rig::new(&preset("")), Browser::default());
    let twice = browser.head("/auth/login").with("referer", "https://app.example/a").with("referer", "https://app.example/b");
    assert!(matches!(rig.decide(&twice, None).outcome, Outcome::Respond(response) if response.status == 302));
}

/// What `st.login(…)` makes, with the claims and the header of a test's own.
fn provider_token(header: &str, claims: &Value, secret: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn st_login_is_understood_in_every_form_that_streamlit_gives_it() {
    let named = "[auth.my_provider]\nclient_id = \"client-2\"\nclient_secret = \"another secret\"\n\
                 server_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n";
    let mut rig = Rig::new(&format!("{CONFIG}{named}{PRESET}"));
    let now = rig.now;
    let (plain, typed) = (r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = |provider: &str, exp: Value| json!({ "provider": provider, "exp": exp });
    #[expect(clippy::cast_precision_loss, reason = "a time of day has no 53 bits")]
    let fraction = now as f64 + 119.5;
    for (token, status, to) in [
        (provider_token(plain, &claims("default", json!(now + 120)), SECRET), 302, "https://op.example/authorize?client-1"),
        (provider_token(typed, &claims("default", json!(fraction)), SECRET), 302, "https://op.example/authorize?client-1"),
        (provider_token(plain, &claims("my_provider", json!(now + 120)), SECRET), 302, "https://op.example/authorize?client-2"),
        ("my_provider".to_owned(), 302, "https://op.example/authorize?client-2"),
        (provider_token(plain, &claims("nobody", json!(now + 120)), SECRET), 404, "login.unknown_provider"),
        ("nobody".to_owned(), 404, "login.unknown_provider"),
        (provider_token(plain, &claims("default", json!(now)), SECRET), 302, "/"),
        (provider_token(plain, &claims("default", json!(true)), SECRET), 302, "/"),
        (provider_token(plain, &json!({ "provider": "default" }), SECRET), 302, "/"),
        (provider_token(plain, &json!({ "exp": now + 120 }), SECRET), 302, "/"),
        (provider_token(plain, &claims("default", json!(now + 120)), "another-secret-of-the-same-length"), 302, "/"),
        (provider_token(r#"{"alg":"none"}"#, &claims("default", json!(now + 120)), SECRET), 302, "/"),
        (provider_token(r#"{"alg":"HS512"}"#, &claims("default", json!(now + 120)), SECRET), 302, "/"),
    ] {
        let response = Browser::default().visit(&mut rig, &format!("/auth/login?provider={token}")).response();
        assert_eq!(response.status, status, "{token}");
        let location = response.header("location").unwrap_or_default();
        let found = match url::Url::parse(location) {
            Ok(url) => format!("{}?{}", &url[..url::Position::AfterPath], query(&url)["client_id"]),
            Err(_) if status == 404 => rig.last_event().to_owned(),
            Err(_) => location.to_owned(),
        };
        assert_eq!(found, to, "{token}");
    }
}

#[test]
fn a_refusal_at_the_provider_leaves_an_existing_login_alone() {
    let (mut rig, mut browser) = logged_in(&preset(""));
    rig.now += 1;
    let asked = query(&browser.start(&mut rig, "/auth/login"));
    let callback = format!("/oauth2callback?error=access_denied&state={}&iss=https://op.example", asked["state"]);
    let page = browser.visit(&mut rig, &callback).response();
    assert_eq!((page.status, rig.last_event()), (403, "callback.access_denied"));
    assert!(String::from_utf8(page.body).unwrap().contains("You were not logged in"));
    assert!(browser.cookies.keys().all(|name| !name.contains("login")), "the state is consumed: {:?}", browser.cookies.keys());
    let head = upgrade(&browser, STREAM, STARLETTE);
    let forward = forward(rig.decide(&head, None));
    assert!(user(&head, &forward, STARLETTE, rig.now).is_some());
}

#[test]
fn the_landing_after_a_logout_is_the_first_page() {
    for landing in ["", "?state=STATE"] {
        let (mut rig, mut browser) = logged_in(&preset(""));
        let location = browser.start(&mut rig, "/auth/logout");
        assert_eq!(query(&location)["post_logout_redirect_uri"], "https://app.example/oauth2callback");
        let landing = format!("/oauth2callback{}", landing.replace("STATE", &query(&location)["state"]));
        assert_eq!(browser.visit(&mut rig, &landing).response().header("location"), Some("/"), "{landing}");
        assert!(browser.cookies.is_empty(), "{:?}", browser.cookies.keys());
    }
}

#[test]
fn the_preset_is_configured_or_says_what_is_wrong() {
    let parse = |toml: &str| Config::parse(&Source::new("secrets.toml", toml));
    let login = |toml: &str| format!("{:?}", parse(toml).unwrap().admission.login);
    assert_eq!(login(CONFIG), "Required");
    assert_eq!(login(&preset("")), "Optional");
    assert_eq!(login(&preset("login = \"required\"\n")), "Required", "what is written wins");

    let key = |toml: &str| parse(toml).unwrap_err().into_iter().map(|fault| fault.key).collect::<Vec<_>>();
    assert_eq!(key(&format!("{CONFIG}[vestibule]\napp = \"streamlite\"\n")), ["vestibule.app"]);
    assert_eq!(key(&format!("{CONFIG}[vestibule.streamlit]\ncookies = \"tornado\"\n")), ["vestibule.streamlit"]);
    assert_eq!(key(&preset("[vestibule.streamlit]\ncookies = \"flask\"\n")), ["vestibule.streamlit.cookies"]);
    assert_eq!(key(&preset("[vestibule.streamlit]\ndrop_claim = \"groups\"\n")), ["vestibule.streamlit.drop_claim"]);
    for name in ["Cookie", "Origin", "Sec-WebSocket-Protocol", "X Y", ""] {
        let toml = preset(&format!("[vestibule.streamlit]\ntrusted_user_headers = [\"{name}\"]\n"));
        assert_eq!(key(&toml), ["vestibule.streamlit.trusted_user_headers"], "{name}");
    }
    assert_eq!(HOST, "app.example");
}

/// Pages, and what is none, of an app at `/base`.
const PAGES: [&str; 8] = ["/base", "/base/", "/base/Admin", "/base/admin", "/base/static", "/base/a/b", "/base/Admin/x", "/base/_stcore"];

const STREAM_OF_BASE: &str = "/base/_stcore/stream";

fn some_rules() -> impl Strategy<Value = String> {
    let paths = [
        "",
        "/**",
        "/base/**",
        "/base/*",
        "/base/Admin/**",
        "/base/Admin",
        "/base/_stcore/**",
        "/base/_stcore/stream",
        "/**/stream",
        "/*/*/stream",
        "/base/static/**",
        "/base/static/*",
        "/*/Admin",
        "/base",
        "/other/**",
        "/base/*/**",
    ];
    let path = proptest::sample::select(paths.to_vec())
        .prop_map(|path| if path.is_empty() { String::new() } else { format!("path = \"{path}\"\n") });
    let host = proptest::sample::select(vec!["", "", "", "host = \"app.example\"\n", "host = [\"app.example\", \"b.example\"]\n"]);
    let methods = proptest::sample::select(vec!["", "", "", "methods = \"POST\"\n", "methods = [\"GET\", \"POST\"]\n"]);
    let access = proptest::sample::select(vec![
        "access = \"public\"\n",
        "access = \"optional\"\n",
        "access = \"required\"\n",
        "access = \"deny\"\n",
        "require = { groups = \"a\" }\n",
        "require = { groups = [\"a\", \"b\"] }\n",
        "require = { any = [{ groups = \"a\" }, { roles = \"r\" }] }\n",
        "require = { groups = \"a\", roles = \"r\" }\n",
    ]);
    let rule = (path, host, methods, access)
        .prop_map(|(path, host, methods, access)| format!("[[vestibule.rule]]\n{path}{host}{methods}{access}"));
    proptest::collection::vec(rule, 1..5).prop_map(|rules| rules.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// A configuration promises nothing about pages that the stream does not hold: whom the stream admits on any host is
    /// admitted to every page, or has no stream there.
    #[test]
    fn whoever_has_the_stream_may_see_every_page_of_an_accepted_configuration(rules in some_rules()) {
        let toml = preset(&rules).replace("example/oauth2callback", "example/base/oauth2callback");
        let Ok(config) = Config::parse(&Source::new("secrets.toml", &toml)) else { return Ok(()) };
        let claims = [json!({}), json!({ "groups": ["a"] }), json!({ "groups": ["b"] }), json!({ "roles": ["r"] }),
            json!({ "groups": ["a"], "roles": ["r"] })].map(|claims| Claims::from(claims.as_object().unwrap().clone()));
        let passes = |path: &str, host: &str, claims: Option<&Claims<'_>>| {
            let account = claims.map(|claims| Account { provider: &config.providers[0], claims });
            let head = RequestHead::get(path, host);
            let request = Request::parse(&head).unwrap();
            // What is 400 promises nothing: it is another spelling of a page.
            config.admission.ruling(&request).map_or(path != STREAM_OF_BASE, |ruling| ruling.verdict(account.as_ref()) == Verdict::Pass)
        };
        for account in std::iter::once(None).chain(claims.iter().map(Some)) {
            let hosts = ["app.example", "b.example", "c.example"].map(|host| (host, passes(STREAM_OF_BASE, host, account)));
            let admitted = hosts.iter().any(|(_, admitted)| *admitted);
            for (host, own) in hosts {
                for page in PAGES {
                    // Where nobody has the stream there is no page, whatever the rules of pages say.
                    let has_stream = own || (admitted && claims.iter().any(|claims| passes(STREAM_OF_BASE, host, Some(claims))));
                    // Hosts that no rule names get what is public: the page is there on the host that is served.
                    let may_see = passes(page, host, account) || passes(page, "app.example", account);
                    prop_assert!(!has_stream || may_see, "{} on {}, of {:?}, under\n{}", page, host, account, rules);
                }
            }
        }
    }
}
