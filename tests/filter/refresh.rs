//! Sessions that are kept fresh: when a provider is asked, what its answers count for, and what becomes of a session that it
//! disowns.

use serde_json::{Value, json};
use vestibule::config::{Config, Source};
use vestibule::decision::{Decision, Forward, Outcome};
use vestibule::web::http::{OutboundError, RequestHead};

use crate::rig::{self, Browser, CONFIG, HOST, RefreshTokens, Rig, SigningKey, query};

const EXPOSED: &str = "expose_tokens = [\"id\", \"access\"]\nclient_secret";
const AUTO: &str = "\n[vestibule.session]\nrefresh = \"auto\"\n";
const VALIDATED: &str = "\n[vestibule.session]\nrefresh = \"auto\"\nrevalidate = \"5m\"\n";

/// Of the access tokens here, in seconds; they are due after 270.
const LIFETIME: u64 = 300;

fn exposing(session: &str) -> String {
    format!("{}{session}", CONFIG.replace("client_secret", EXPOSED))
}

fn validating(more: &str) -> String {
    format!("{CONFIG}{VALIDATED}{more}")
}

/// Somebody who has logged in, at a provider that issues refresh tokens.
fn logged_in(toml: &str) -> (Rig, Browser) {
    let mut rig = Rig::new(toml);
    rig.provider.refresh_tokens = Some(RefreshTokens::default());
    let browser = logged_in_at(&mut rig);
    (rig, browser)
}

fn logged_in_at(rig: &mut Rig) -> Browser {
    let mut browser = Browser::default();
    let answer = browser.log_in(rig, "/", "alice");
    assert_eq!(answer.status, 302, "{}", String::from_utf8_lossy(&answer.body));
    browser
}

fn tokens(rig: &mut Rig) -> &mut RefreshTokens {
    rig.provider.refresh_tokens.as_mut().unwrap()
}

fn header(forward: &Forward, name: &str) -> Option<String> {
    let (_, value) = forward.set_headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name))?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

fn access_token(forward: &Forward) -> Option<String> {
    header(forward, "x-forwarded-access-token")
}

fn user(rig: &mut Rig, browser: &Browser) -> Value {
    serde_json::from_slice(&browser.clone().visit(rig, "/.vestibule/user").response().body).unwrap()
}

/// The sessions that are over.
fn ended(decision: &Decision) -> Vec<String> {
    decision.ended_sessions.iter().map(|ended| ended.name.clone()).collect()
}

/// The request of a script.
fn script(browser: &Browser) -> RequestHead {
    let mut head = browser.head("/");
    head.headers.retain(|name, _| name != "accept");
    head
}

#[test]
fn an_access_token_is_refreshed_before_it_is_over_and_not_earlier() {
    let (mut rig, mut browser) = logged_in(&exposing(AUTO));
    let started = rig.now;
    for (after, expected) in [(0, "access-token-1"), (269, "access-token-1"), (270, "access-token-2"), (271, "access-token-2")] {
        rig.now = started + after;
        let forward = browser.visit(&mut rig, "/").forward();
        assert_eq!(access_token(&forward).as_deref(), Some(expected), "{after}");
    }
    assert_eq!((tokens(&mut rig).refreshed, rig.last_event()), (1, "session.refreshed"));
    for round in 2..20 {
        rig.now += LIFETIME * round;
        let forward = browser.visit(&mut rig, "/").forward();
        assert_eq!(access_token(&forward), Some(format!("access-token-{}", round + 1)), "also when it has long been over");
    }
    assert!(!tokens(&mut rig).is_any_revoked());
}

#[test]
fn nothing_is_asked_for_unless_it_is_configured() {
    for toml in [exposing(""), exposing("\n[vestibule.session]\nrefresh = \"off\"\n")] {
        let mut rig = Rig::new(&toml);
        rig.provider.refresh_tokens = Some(RefreshTokens::default());
        rig.provider.edit_metadata = Some(Box::new(|metadata| metadata["scopes_supported"] = json!(["openid", "offline_access"])));
        let mut browser = Browser::default();
        assert_eq!(query(&browser.start(&mut rig, "/"))["scope"], "openid email profile");
        let mut browser = logged_in_at(&mut rig);
        assert!(!browser.cookies.keys().any(|name| name.contains("refresh")));
        rig.now += 10 * LIFETIME;
        let forward = browser.visit(&mut rig, "/").forward();
        assert_eq!(access_token(&forward).as_deref(), Some("access-token-1"), "whether it is over is not known");
        assert_eq!(tokens(&mut rig).refreshed, 0);
    }
    // What the application does not see is not kept fresh for it.
    let (mut rig, mut browser) = logged_in(&format!("{CONFIG}{AUTO}"));
    rig.now += 10 * LIFETIME;
    browser.visit(&mut rig, "/").forward();
    assert_eq!(tokens(&mut rig).refreshed, 0);
}

#[test]
fn a_refresh_token_is_asked_for_as_the_provider_takes_it() {
    let start = |edit: fn(&mut Value), toml: &str| {
        let mut rig = Rig::new(toml);
        rig.provider.edit_metadata = Some(Box::new(edit));
        query(&Browser::default().start(&mut rig, "/"))
    };
    let toml = format!("{CONFIG}{AUTO}");
    let lists = |metadata: &mut Value| metadata["scopes_supported"] = json!(["openid", "offline_access"]);
    assert_eq!(start(lists, &toml)["scope"], "openid email profile offline_access");
    assert_eq!(start(|_| {}, &toml)["scope"], "openid email profile");
    let odd = |metadata: &mut Value| metadata["scopes_supported"] = json!("offline_access");
    assert_eq!(start(odd, &toml)["scope"], "openid email profile");
    let written = toml.replace("client_secret", "client_kwargs = { scope = \"offline_access openid\" }\nclient_secret");
    assert_eq!(start(lists, &written)["scope"], "offline_access openid");

    let mut rig = Rig::new(&toml.replace("https://op.example", "https://accounts.google.com"));
    rig.provider = rig::Provider::new("https://accounts.google.com");
    let google = query(&Browser::default().start(&mut rig, "/"));
    assert_eq!((google["access_type"].as_str(), google["scope"].as_str()), ("offline", "openid email profile"));
}

#[test]
fn a_refresh_token_is_neither_in_plain_sight_nor_the_applications() {
    let (mut rig, mut browser) = logged_in(&exposing(AUTO));
    let kept = browser.cookies.iter().find(|(name, _)| name.starts_with("__Host-vestibule_refresh_")).unwrap().1.clone();
    assert!(kept.starts_with("1~3."), "{kept}");
    let forward = browser.visit(&mut rig, "/").forward();
    assert!(!format!("{forward:?}").contains("refresh-token"), "{forward:?}");
    assert!(forward.set_headers.iter().all(|(_, value)| !String::from_utf8_lossy(value).contains("refresh")));
    assert!(!user(&mut rig, &browser).to_string().contains("refresh-token"));
    // Another session's opens nothing here.
    let other = logged_in_at(&mut rig);
    let name = browser.cookies.keys().find(|name| name.contains("refresh")).unwrap().clone();
    browser.cookies.insert(name.clone(), other.cookies[&name].clone());
    rig.now += LIFETIME;
    assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()), None);
    assert_eq!(tokens(&mut rig).refreshed, 0);
    browser.visit(&mut rig, "/.vestibule/logout");
    assert!(!browser.cookies.keys().any(|name| name.contains("refresh")), "a logout leaves none behind");
}

#[test]
fn only_what_keeps_cookies_refreshes_early_and_what_only_looks_never_does() {
    let (mut rig, browser) = logged_in(&exposing(AUTO));
    let with = |name: &str, value: &str| browser.head("/").with(name, value);
    let head = RequestHead { method: "HEAD".into(), ..browser.head("/") };
    let quiet = [head, with("sec-purpose", "prefetch")];
    rig.now += 280;
    for head in quiet.iter().cloned().chain([with("sec-fetch-dest", "image"), with("sec-fetch-dest", "script")]) {
        let forward = browser.clone().send(&mut rig, &head).forward();
        assert_eq!(access_token(&forward).as_deref(), Some("access-token-1"));
    }
    rig.now += 20;
    for head in quiet {
        assert_eq!(access_token(&browser.clone().send(&mut rig, &head).forward()), None, "it is over");
    }
    let again = RequestHead { was_forwarded: true, ..browser.head("/") };
    let forward = browser.clone().send(&mut rig, &again).forward();
    assert!(forward.response_headers.is_empty());
    assert_eq!(tokens(&mut rig).refreshed, 0);
    let forward = browser.clone().send(&mut rig, &with("sec-fetch-dest", "image")).forward();
    assert_eq!(access_token(&forward).as_deref(), Some("access-token-2"));
    assert_eq!(tokens(&mut rig).refreshed, 1);
}

#[test]
fn a_request_goes_on_as_it_was_after_a_refresh() {
    let (mut rig, browser) = logged_in(&exposing(AUTO));
    rig.now += LIFETIME;
    let post = RequestHead { method: "POST".into(), ..script(&browser) };
    let forward = browser.clone().send(&mut rig, &post).forward();
    assert_eq!(access_token(&forward).as_deref(), Some("access-token-2"));
    assert!(forward.response_headers.iter().any(|(name, _)| name == "set-cookie"));
    assert_eq!(header(&forward, "x-forwarded-user").as_deref(), Some("alice"));
}

/// Conformance: oidcc-client-test-refresh-token.
#[test]
fn oidcc_client_test_refresh_token() {
    for rotates in [true, false] {
        let (mut rig, mut browser) = logged_in(&exposing(AUTO));
        tokens(&mut rig).rotates = rotates;
        let before = user(&mut rig, &browser);
        for number in 2..5 {
            rig.now += LIFETIME;
            let forward = browser.visit(&mut rig, "/").forward();
            assert_eq!(access_token(&forward), Some(format!("access-token-{number}")));
        }
        let sent = rig.sent.last().unwrap();
        let form: Vec<_> = url::form_urlencoded::parse(&sent.body).into_owned().collect();
        let token = if rotates { "refresh-token-2" } else { "refresh-token-0" };
        assert_eq!(form, [("grant_type".to_owned(), "refresh_token".to_owned()), ("refresh_token".to_owned(), token.to_owned())]);
        assert!(sent.headers.iter().any(|(name, value)| name == "authorization" && value.starts_with(b"Basic ")));
        assert_eq!(sent.shared_for_ms, Some(60_000));
        assert_eq!(user(&mut rig, &browser), before, "no claim of the account has changed");
    }
}

fn refused_with(name: &str, value: Value, expected: &str) {
    let (mut rig, mut browser) = logged_in(&exposing(AUTO));
    let named = name.to_owned();
    tokens(&mut rig).edit_claims = Some(Box::new(move |claims| match &value {
        Value::Null => drop(claims.remove(&named)),
        value => drop(claims.insert(named.clone(), value.clone())),
    }));
    rig.now += LIFETIME;
    let session = browser.clone().send(&mut rig, &RequestHead { was_forwarded: true, ..browser.head("/") }).forward().session.unwrap();
    let decision = rig.decide(&script(&browser), None);
    assert_eq!(ended(&decision), [session], "{name}");
    let Outcome::Respond(answer) = decision.outcome else { panic!("{name}: {:?}", decision.outcome) };
    assert_eq!(answer.status, 401, "{name}");
    let codes: Vec<_> = decision.events.iter().map(|event| event.code.as_str()).collect();
    assert_eq!(codes, [expected, "session.disowned", "request.login_required"][..codes.len()], "{name}");
    assert_eq!(codes[..2], [expected, "session.disowned"], "{name}");
    // A visitor goes to the login, and the cookies go.
    tokens(&mut rig).rotates = false;
    let answer = browser.visit(&mut rig, "/").response();
    assert_eq!(answer.status, 302);
    assert!(!browser.cookies.keys().any(|name| name.contains("session") || name.contains("refresh") || name.contains("tokens")));
}

/// Conformance: oidcc-client-test-refresh-token-invalid-issuer.
#[test]
fn oidcc_client_test_refresh_token_invalid_issuer() {
    refused_with("iss", json!("https://other.example"), "id_token.issuer");
}

/// Conformance: oidcc-client-test-refresh-token-invalid-sub.
#[test]
fn oidcc_client_test_refresh_token_invalid_sub() {
    refused_with("sub", json!("mallory"), "id_token.subject");
}

/// OIDC Core section 12.2.
#[test]
fn an_id_token_that_is_not_of_the_login_ends_the_session() {
    for (name, value, code) in [
        ("sub", Value::Null, "id_token.subject"),
        ("aud", json!(["client-1", "client-2"]), "id_token.audience"),
        ("azp", json!("client-1"), "id_token.authorized_party"),
        ("nonce", json!("another"), "id_token.nonce"),
        ("iat", json!(1_600_000_000), "id_token.issued_at"),
        ("exp", json!(1_600_000_000), "id_token.expired"),
        ("at_hash", json!("another"), "id_token.access_token_hash"),
    ] {
        refused_with(name, value, code);
    }
    let (mut rig, mut browser) = logged_in(&exposing(AUTO));
    rig.provider.edit_token = Some(Box::new(|token| token.replace_range(token.len() - 4.., "AAAA")));
    rig.now += LIFETIME;
    assert_eq!(browser.visit(&mut rig, "/").response().status, 302);
    assert!(rig.events.iter().any(|code| code == "id_token.signature"), "{:?}", rig.events);
}

#[test]
fn keys_that_are_new_are_fetched() {
    let (mut rig, mut browser) = logged_in(&exposing(AUTO));
    (rig.provider.key, rig.provider.kid) = (SigningKey::ed25519(8), Some("key-2".into()));
    rig.now += LIFETIME;
    assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()).as_deref(), Some("access-token-2"));
    // Another node knows nothing of the provider.
    rig.forget();
    rig.now += LIFETIME;
    assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()).as_deref(), Some("access-token-3"));
    // And where keys cannot be had, the tokens are used, and nothing is learned.
    rig.forget();
    rig.provider.silent = vec!["/jwks"];
    rig.now += LIFETIME;
    assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()).as_deref(), Some("access-token-4"));
    assert_eq!(rig.events[rig.events.len() - 2..], ["session.refresh_failed", "session.refreshed"]);
}

#[test]
fn what_a_provider_states_as_lifetime_is_read_with_care() {
    for (expires_in, is_known) in [
        (json!(300), true),
        (json!("300"), true),
        (json!(300.9), true),
        (json!(1e300), true),
        (Value::Null, false),
        (json!(0), false),
        (json!(-1), false),
        (json!("soon"), false),
        (json!("-300"), false),
        (json!(""), false),
        (json!("99999999999999999999"), false),
        (json!([300]), false),
        (json!(true), false),
    ] {
        let mut rig = Rig::new(&exposing(AUTO));
        rig.provider.refresh_tokens = Some(RefreshTokens::lasting(expires_in.clone()));
        let mut browser = logged_in_at(&mut rig);
        rig.now += 400 * 24 * 60 * 60;
        rig.now -= 399 * 24 * 60 * 60;
        let forward = browser.visit(&mut rig, "/").forward();
        let is_long = expires_in == json!(1e300);
        let expected = if is_known && !is_long { "access-token-2" } else { "access-token-1" };
        assert_eq!(access_token(&forward).as_deref(), Some(expected), "{expires_in}");
    }
}

#[test]
fn an_answer_without_an_id_token_keeps_the_claims() {
    let (mut rig, mut browser) = logged_in(&exposing(VALIDATED));
    tokens(&mut rig).has_id_token = false;
    let before = user(&mut rig, &browser);
    for number in 2..4 {
        rig.now += LIFETIME;
        assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()), Some(format!("access-token-{number}")));
    }
    assert_eq!(user(&mut rig, &browser), before);
    let hint = query(&url::Url::parse(browser.visit(&mut rig, "/.vestibule/logout").response().header("location").unwrap()).unwrap());
    assert!(hint.contains_key("id_token_hint"), "and the ID token");
}

#[test]
fn the_account_is_judged_by_what_the_provider_says_now() {
    let rules = "[[vestibule.rule]]\nrequire = { groups = \"admins\" }\n";
    let (mut rig, mut browser) = logged_in(&validating(rules));
    rig.now += 299;
    tokens(&mut rig).edit_claims = Some(Box::new(|claims| drop(claims.insert("groups".into(), json!(["staff"])))));
    browser.visit(&mut rig, "/").forward();
    rig.now += 1;
    // `name` is not repeated, and is kept; groups are what the provider says.
    let answer = browser.visit(&mut rig, "/").response();
    assert_eq!(answer.status, 403);
    assert!(answer.headers.iter().any(|(name, _)| name == "set-cookie"), "the refusal carries the new session");
    assert_eq!(user(&mut rig, &browser)["groups"], json!(["staff"]));
    // And back again, without a login.
    tokens(&mut rig).edit_claims = Some(Box::new(|claims| drop(claims.remove("name"))));
    rig.now += 300;
    browser.visit(&mut rig, "/").forward();
    assert_eq!(user(&mut rig, &browser)["groups"], json!(["staff", "admins"]));
    assert_eq!(user(&mut rig, &browser)["name"], "Alice Example");
    // No claim is none.
    tokens(&mut rig).edit_claims = Some(Box::new(|claims| drop(claims.remove("groups"))));
    rig.now += 300;
    assert_eq!(browser.visit(&mut rig, "/").response().status, 403);
}

#[test]
fn whom_the_provider_has_disabled_is_out_within_the_interval() {
    let (mut rig, mut browser) = logged_in(&validating(""));
    let session = browser.visit(&mut rig, "/").forward().session.unwrap();
    tokens(&mut rig).revoke_all();
    rig.now += 299;
    browser.visit(&mut rig, "/").forward();
    rig.now += 1;
    let decision = rig.decide(&script(&browser), None);
    assert!(matches!(&decision.outcome, Outcome::Respond(answer) if answer.status == 401));
    assert_eq!(ended(&decision), [session]);
    // Whatever the request pretends to be.
    for (name, value) in [("sec-fetch-dest", "image"), ("sec-purpose", "prefetch"), ("purpose", "prefetch"), ("accept", "*/*")] {
        let answer = browser.clone().send(&mut rig, &browser.head("/").with(name, value)).response();
        assert!([302, 401].contains(&answer.status), "{name}: {}", answer.status);
    }
    let head = RequestHead { method: "HEAD".into(), ..browser.head("/") };
    assert_eq!(browser.clone().send(&mut rig, &head).response().status, 302);
    let answer = browser.visit(&mut rig, "/").response();
    assert_eq!(answer.status, 302);
    assert!(!browser.cookies.keys().any(|name| name.contains("_session_")));
}

/// Where everybody may pass, the request goes on without the session.
/// What no person does counts for no idle time, also when the provider is asked for it.
#[test]
fn images_prolong_no_session() {
    let toml = format!("{CONFIG}\n[vestibule.session]\nrefresh = \"auto\"\nrevalidate = \"1m\"\nidle_timeout = \"90s\"\n");
    for (dest, is_in) in [("image", false), ("document", true)] {
        let (mut rig, mut browser) = logged_in(&toml);
        for _ in 0..3 {
            rig.now += 62;
            let head = browser.head("/").with("sec-fetch-dest", dest);
            browser.send(&mut rig, &head);
        }
        assert_eq!(user(&mut rig, &browser)["is_logged_in"], is_in, "{dest}");
    }
}

#[test]
fn who_is_out_is_nobody_where_no_login_is_needed() {
    let toml = validating("").replace("[vestibule.session]", "[vestibule]\nlogin = \"optional\"\n[vestibule.session]");
    let mut rig = Rig::new(&toml);
    rig.provider.refresh_tokens = Some(RefreshTokens::default());
    let mut browser = Browser::default();
    browser.log_in(&mut rig, "/.vestibule/login", "alice");
    assert_eq!(header(&browser.visit(&mut rig, "/").forward(), "x-forwarded-user").as_deref(), Some("alice"));
    tokens(&mut rig).revoke_all();
    rig.now += 300;
    let forward = browser.visit(&mut rig, "/").forward();
    assert_eq!((header(&forward, "x-forwarded-user"), forward.session), (None, None));
    assert!(!browser.cookies.keys().any(|name| name.contains("_session_")), "{:?}", browser.cookies.keys());
}

#[test]
fn a_session_without_a_refresh_token_ends_when_it_would_be_validated() {
    let mut rig = Rig::new(&validating(""));
    let mut browser = logged_in_at(&mut rig);
    assert!(rig.events.iter().any(|code| code == "session.no_refresh_token"), "{:?}", rig.events);
    let told = |rig: &Rig| rig.events.iter().filter(|code| *code == "session.unvalidated").count();
    rig.now += 299;
    browser.visit(&mut rig, "/").forward();
    assert_eq!(told(&rig), 0);
    rig.now += 1;
    assert_eq!(browser.clone().send(&mut rig, &script(&browser)).response().status, 401);
    assert_eq!(told(&rig), 1);
    assert_eq!(browser.visit(&mut rig, "/").response().status, 302);
    assert_eq!(told(&rig), 2);
    // Where nothing is validated it goes on, without a token that is over.
    let mut rig = Rig::new(&exposing(AUTO));
    let mut browser = logged_in_at(&mut rig);
    rig.now += LIFETIME;
    assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()), None);
    assert_eq!(told(&rig), 0);
}

#[test]
fn a_refresh_token_that_is_not_accepted_ends_the_session_with_its_access_token() {
    let (mut rig, mut browser) = logged_in(&exposing(AUTO));
    tokens(&mut rig).revoke_all();
    rig.now += 280;
    assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()).as_deref(), Some("access-token-1"));
    assert_eq!(rig.last_event(), "session.refresh_failed");
    let asked = rig.sent.len();
    rig.now += 5;
    browser.visit(&mut rig, "/").forward();
    assert_eq!(rig.sent.len(), asked, "there is a pause");
    rig.now += 15;
    assert_eq!(browser.visit(&mut rig, "/").response().status, 302);
    assert!(rig.events.iter().any(|code| code == "session.disowned"));
}

#[test]
fn while_a_provider_is_down_the_session_goes_on() {
    for outage in [OutboundError::TimedOut, OutboundError::Unreachable("down".into())] {
        let (mut rig, mut browser) = logged_in(&exposing(AUTO));
        rig.provider.outage = Some(outage);
        rig.now += 280;
        assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()).as_deref(), Some("access-token-1"));
        assert_eq!(rig.last_event(), "session.refresh_failed");
        let asked = rig.sent.len();
        // Neither this session nor any other asks again at once.
        browser.visit(&mut rig, "/").forward();
        assert_eq!(rig.sent.len(), asked);
        rig.now += 20;
        assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()), None, "it is over");
        rig.provider.outage = None;
        rig.now += 9;
        assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()), None, "and there is a pause");
        rig.now += 1;
        assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()).as_deref(), Some("access-token-2"));
    }
}

#[test]
fn requests_can_be_refused_while_a_provider_is_down() {
    let refusing = |session: &str| format!("{session}on_outage = \"refuse\"\n");
    let (mut rig, mut browser) = logged_in(&exposing(&refusing(AUTO)));
    rig.provider.instead = vec![("/token", 503, vec![])];
    rig.now += 280;
    assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()).as_deref(), Some("access-token-1"));
    rig.now += 20;
    for _ in 0..2 {
        let answer = browser.visit(&mut rig, "/").response();
        assert_eq!((answer.status, rig.last_event()), (503, "session.refresh_failed"));
    }
    let head = RequestHead { method: "HEAD".into(), ..browser.head("/") };
    assert_eq!(browser.clone().send(&mut rig, &head).response().status, 503);
    rig.provider.instead.clear();
    rig.now += 10;
    assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()).as_deref(), Some("access-token-2"));

    let (mut rig, mut browser) = logged_in(&validating("on_outage = \"refuse\"\n"));
    rig.provider.outage = Some(OutboundError::TimedOut);
    rig.now += 599;
    browser.visit(&mut rig, "/").forward();
    rig.now += 1;
    assert_eq!(browser.visit(&mut rig, "/").response().status, 503, "also in the pause");
    let (mut rig, mut browser) = logged_in(&validating(""));
    rig.provider.outage = Some(OutboundError::TimedOut);
    rig.now += 100_000;
    browser.visit(&mut rig, "/").forward();
}

#[test]
fn answers_that_are_no_answers_end_nothing() {
    for (status, body) in [
        (400, "{\"error\":\"invalid_request\"}"),
        (401, "{\"error\":\"unauthorized_client\"}"),
        (400, "invalid_grant"),
        (200, "{\"error\":\"invalid_grant\"}"),
        (500, "{\"error\":\"invalid_grant\"}"),
        (200, "{\"access_token\":\"x\",\"token_type\":\"mac\"}"),
        (200, "{\"token_type\":\"bearer\"}"),
        (302, ""),
        (429, "{}"),
    ] {
        let (mut rig, mut browser) = logged_in(&exposing(VALIDATED));
        rig.provider.instead = vec![("/token", status, body.as_bytes().to_vec())];
        rig.now += LIFETIME;
        let forward = browser.visit(&mut rig, "/").forward();
        assert_eq!((access_token(&forward), rig.last_event()), (None, "session.refresh_failed"), "{status} {body}");
        assert!(!rig.last_message().contains("refresh-token-0"));
        rig.provider.instead.clear();
        rig.now += 10;
        assert_eq!(access_token(&browser.visit(&mut rig, "/").forward()).as_deref(), Some("access-token-2"), "{status} {body}");
    }
}

#[test]
fn userinfo_is_asked_again() {
    let toml = validating("[vestibule.provider.default]\nuserinfo = true\n");
    let (mut rig, mut browser) = logged_in(&toml);
    assert_eq!(user(&mut rig, &browser)["locale"], "de");
    rig.provider.edit_userinfo = Some(Box::new(|told| told["locale"] = "fr".into()));
    rig.now += 300;
    browser.visit(&mut rig, "/").forward();
    assert_eq!(user(&mut rig, &browser)["locale"], "fr");
    // Of somebody else: nothing is learned, and it is asked again after a pause.
    rig.provider.edit_userinfo = Some(Box::new(|told| told["sub"] = "mallory".into()));
    rig.now += 300;
    browser.visit(&mut rig, "/").forward();
    assert_eq!(user(&mut rig, &browser)["locale"], "fr");
    rig.provider.edit_userinfo = Some(Box::new(|told| told["locale"] = "ja".into()));
    rig.now += 10;
    browser.visit(&mut rig, "/").forward();
    assert_eq!(user(&mut rig, &browser)["locale"], "ja");
    rig.provider.instead = vec![("/userinfo", 403, vec![])];
    rig.now += 300;
    assert_eq!(browser.visit(&mut rig, "/").response().status, 302);
}

#[test]
fn the_session_stays_the_one_that_it_is() {
    let (mut rig, mut browser) = logged_in(&exposing(VALIDATED));
    let before = browser.visit(&mut rig, "/").forward();
    rig.now += LIFETIME;
    let after = browser.visit(&mut rig, "/").forward();
    assert_eq!((before.session, before.expires_at), (after.session, after.expires_at));
    // A request that is judged again has the cookies of long ago: they are neither refreshed nor held against it.
    let old = browser.clone();
    rig.now += 5 * LIFETIME;
    browser.visit(&mut rig, "/").forward();
    let again = RequestHead { was_forwarded: true, ..old.head("/") };
    let (asked, forward) = (rig.sent.len(), old.clone().send(&mut rig, &again).forward());
    assert_eq!((forward.session, rig.sent.len()), (browser.visit(&mut rig, "/").forward().session, asked));
}

#[test]
fn a_streamlit_app_gets_fresh_tokens_whenever_it_connects() {
    let toml = exposing(AUTO).replace("[vestibule.session]", "[vestibule]\napp = \"streamlit\"\n[vestibule.session]");
    let mut rig = Rig::new(&toml);
    rig.provider.refresh_tokens = Some(RefreshTokens::default());
    let mut browser = Browser::default();
    let login = rig.route("/login");
    browser.log_in(&mut rig, &login, "alice");
    let connect = |browser: &mut Browser, rig: &mut Rig| {
        let head = browser.head("/_stcore/stream").with("upgrade", "websocket").with("connection", "Upgrade");
        let head = RequestHead { application_server: Some("TornadoServer/6.5".into()), ..head.with("origin", &format!("https://{HOST}")) };
        let forward = browser.send(rig, &head).forward();
        let cookies: Vec<_> = forward.set_headers.iter().filter(|(name, _)| *name == "cookie").map(|(_, value)| value.to_vec()).collect();
        (forward.session, String::from_utf8(cookies.concat()).unwrap())
    };
    let part = |cookies: &str, name: &str| {
        let value = cookies.split("; ").find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(str::to_owned)).unwrap();
        value.split('|').nth(4).unwrap().to_owned()
    };
    let (session, first) = connect(&mut browser, &mut rig);
    rig.now += LIFETIME;
    let (same, second) = connect(&mut browser, &mut rig);
    assert_eq!(session, same);
    assert_eq!(tokens(&mut rig).refreshed, 1);
    assert_eq!(part(&first, "_streamlit_user"), part(&second, "_streamlit_user"), "the user is the same, byte for byte");
    assert_ne!(part(&first, "_streamlit_user_tokens"), part(&second, "_streamlit_user_tokens"));
}

#[test]
fn settings_that_promise_what_cannot_be_are_refused() {
    let faults = |session: &str, more: &str| {
        let toml = format!("{CONFIG}\n[vestibule.session]\n{session}{more}");
        let faults = Config::parse(&Source::new("secrets.toml", &toml)).err().unwrap_or_default();
        faults.into_iter().filter(|fault| fault.fatal).map(|fault| fault.key).collect::<Vec<_>>()
    };
    assert_eq!(faults("revalidate = \"5m\"\n", ""), ["vestibule.session.revalidate"]);
    assert_eq!(faults("refresh = \"off\"\non_outage = \"refuse\"\n", ""), ["vestibule.session.on_outage"]);
    assert_eq!(faults("refresh = \"auto\"\nrevalidate = \"9s\"\n", ""), ["vestibule.session.revalidate"]);
    assert_eq!(faults("refresh = \"on\"\nrevalidate = \"5m\"\n", ""), ["vestibule.session.refresh"]);
    assert_eq!(faults("refresh = \"auto\"\non_outage = \"refuse\"\n", ""), ["vestibule.session.on_outage"]);
    assert_eq!(faults("refresh = \"auto\"\nrevalidate = \"10s\"\non_outage = \"continue\"\n", ""), [""; 0]);
}
