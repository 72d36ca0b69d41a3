//! Tokens that are revoked at the provider when their user logs out (RFC 7009): which, how, and that nobody waits for it.

use std::collections::BTreeMap;

use serde_json::json;
use url::form_urlencoded;
use vestibule::decision::{Decision, Outcome};
use vestibule::web::http::{OutboundError, OutboundRequest, RequestHead};

use crate::rig::{Browser, CONFIG, Memory, RefreshTokens, Rig};

const AUTO: &str = "[vestibule.session]\nrefresh = \"auto\"\n";
const EXPOSED: &str = "expose_tokens = \"access\"\nclient_secret";
const LOGOUT: &str = "/.vestibule/logout";

/// A provider that issues refresh tokens where `refreshes`, and revokes tokens.
fn logged_in(toml: &str, refreshes: bool) -> (Rig, Browser) {
    let mut rig = Rig::new(toml);
    rig.memory = Memory::of_everything();
    rig.provider.refresh_tokens = refreshes.then(RefreshTokens::default);
    rig.provider.edit_metadata = Some(Box::new(|metadata| metadata["revocation_endpoint"] = json!("https://op.example/revoke")));
    let mut browser = Browser::default();
    assert_eq!(browser.log_in(&mut rig, "/.vestibule/login", "alice").status, 302);
    (rig, browser)
}

fn refreshing() -> String {
    format!("{CONFIG}{AUTO}")
}

fn exposing() -> String {
    CONFIG.replace("client_secret", EXPOSED)
}

/// The decision about a visit to the logout. It has not asked the revocation endpoint.
fn log_out(rig: &mut Rig, browser: &Browser, path: &str) -> Decision {
    let decision = rig.decide(&browser.head(path), None);
    assert!(matches!(&decision.outcome, Outcome::Respond(response) if response.status == 302 || response.status == 200), "{decision:?}");
    assert_eq!(rig.asked("/revoke"), 0, "the user does not wait");
    decision
}

fn form(request: &OutboundRequest) -> BTreeMap<String, String> {
    form_urlencoded::parse(&request.body).into_owned().collect()
}

fn header<'a>(request: &'a OutboundRequest, name: &str) -> Option<&'a str> {
    let value = request.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    value.map(|value| std::str::from_utf8(value).unwrap())
}

#[test]
fn the_refresh_token_is_revoked_once_the_user_has_the_answer() {
    let (mut rig, browser) = logged_in(&refreshing(), true);
    let decision = log_out(&mut rig, &browser, LOGOUT);
    assert!(!rig.events.iter().any(|code| code.starts_with("logout.")), "nothing is said before it is so");
    let sent = rig.finish(decision);
    let [request] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((request.method, request.url.as_str()), ("POST", "https://op.example/revoke"));
    let expected = [("token", "refresh-token-0"), ("token_type_hint", "refresh_token")];
    assert_eq!(form(request), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(header(request, "content-type"), Some("application/x-www-form-urlencoded"));
    let basic = header(request, "authorization").unwrap().to_owned();
    let at_login = rig.sent.iter().find(|request| request.url.path() == "/token").unwrap();
    assert_eq!(Some(basic.as_str()), header(at_login, "authorization"), "the client is who it is at the token endpoint");
    assert!(request.timeout_ms <= 5_000 && request.shared_for_ms.is_none());
    assert_eq!(rig.last_event(), "logout.revoked");
    assert!(!rig.messages.iter().any(|message| message.contains("refresh-token-0")), "{:?}", rig.messages);
}

#[test]
fn the_newest_refresh_token_is_the_one_that_is_revoked() {
    let (mut rig, mut browser) = logged_in(&format!("{}{AUTO}", exposing()), true);
    rig.now += 300;
    browser.visit(&mut rig, "/").forward();
    let decision = log_out(&mut rig, &browser, LOGOUT);
    assert_eq!(form(&rig.finish(decision)[0])["token"], "refresh-token-1");
}

#[test]
fn without_a_refresh_token_the_access_token_is_revoked_where_it_is_at_hand() {
    let (mut rig, browser) = logged_in(&exposing(), false);
    let decision = log_out(&mut rig, &browser, LOGOUT);
    let sent = rig.finish(decision);
    assert_eq!((form(&sent[0])["token"].as_str(), form(&sent[0])["token_type_hint"].as_str()), ("access-token-1", "access_token"));

    // None is kept, so that none can be revoked.
    let (mut rig, browser) = logged_in(CONFIG, false);
    let decision = log_out(&mut rig, &browser, LOGOUT);
    assert!(rig.finish(decision).is_empty());
}

#[test]
fn a_provider_without_an_endpoint_for_it_is_not_asked() {
    for endpoint in [json!(null), json!("http://op.example/revoke"), json!("https://user@op.example/revoke"), json!(7)] {
        let mut rig = Rig::new(&refreshing());
        rig.provider.refresh_tokens = Some(RefreshTokens::default());
        let named = endpoint.clone();
        rig.provider.edit_metadata = Some(Box::new(move |metadata| metadata["revocation_endpoint"] = named.clone()));
        let mut browser = Browser::default();
        browser.log_in(&mut rig, "/.vestibule/login", "alice");
        let decision = log_out(&mut rig, &browser, LOGOUT);
        assert!(rig.finish(decision).is_empty(), "{endpoint}");
    }
}

#[test]
fn a_logout_everywhere_revokes_what_this_browser_has() {
    let (mut rig, browser) = logged_in(&refreshing(), true);
    let form_of_ours = RequestHead { method: "POST".into(), ..browser.head("/.vestibule/logout?everywhere") };
    let form_of_ours = form_of_ours.with("origin", "https://app.example").with("sec-fetch-site", "same-origin");
    let decision = rig.decide(&form_of_ours, None);
    assert_eq!(decision.ended_sessions.len(), 2);
    assert_eq!(form(&rig.finish(decision)[0])["token"], "refresh-token-0");
}

#[test]
fn who_only_looks_or_has_no_session_revokes_nothing() {
    let (mut rig, browser) = logged_in(&refreshing(), true);
    let head = RequestHead { method: "HEAD".into(), ..browser.head(LOGOUT) };
    let ahead = browser.head(LOGOUT).with("sec-purpose", "prefetch");
    let image = browser.head(LOGOUT).with("sec-fetch-mode", "no-cors");
    let foreign =
        RequestHead { method: "POST".into(), ..browser.head("/.vestibule/logout?everywhere") }.with("origin", "https://evil.example");
    for asked in [head, ahead, image, foreign, Browser::default().head(LOGOUT)] {
        assert!(rig.decide(&asked, None).afterwards.is_none(), "{asked:?}");
    }
    // The cookie of another session is none of this one.
    let mut other = Browser::default();
    other.log_in(&mut rig, "/.vestibule/login", "bob");
    let mixed = browser.cookies.iter().filter(|(name, _)| name.contains("refresh"));
    other.cookies.extend(mixed.map(|(name, value)| (name.clone(), value.clone())));
    assert!(rig.decide(&other.head(LOGOUT), None).afterwards.is_none());
}

#[test]
fn a_failure_is_logged_and_not_tried_again() {
    for (status, body, code, level) in [
        (503, json!({}), "logout.not_revoked", "503"),
        (400, json!({ "error": "unsupported_token_type" }), "logout.not_revoked", "unsupported_token_type"),
        (
            400,
            json!({ "error": "invalid_request", "error_description": "what is refresh-token-0" }),
            "logout.not_revoked",
            "invalid_request",
        ),
        (401, json!({ "error": "invalid_client" }), "logout.not_revoked", "invalid_client"),
        (302, json!({}), "logout.not_revoked", "302"),
        (200, json!({ "anything": true }), "logout.revoked", ""),
    ] {
        // Of a secret that is the same in both spellings.
        let toml = refreshing().replace("a~secret/of the client", "plainsecret");
        let (mut rig, browser) = logged_in(&toml, true);
        rig.provider.instead = vec![("/revoke", status, body.to_string().into_bytes())];
        let decision = log_out(&mut rig, &browser, LOGOUT);
        assert_eq!(rig.finish(decision).len(), 1, "{status} {body}");
        assert_eq!(rig.last_event(), code, "{status} {body}");
        assert!(rig.last_message().contains(level), "{}", rig.last_message());
        assert!(!rig.messages.iter().any(|message| message.contains("refresh-token-0")), "{:?}", rig.messages);
    }
    let (mut rig, browser) = logged_in(&refreshing(), true);
    let decision = log_out(&mut rig, &browser, LOGOUT);
    rig.provider.outage = Some(OutboundError::TimedOut);
    assert_eq!(rig.finish(decision).len(), 1);
    assert_eq!(rig.last_event(), "logout.not_revoked");
}

#[test]
fn credentials_that_the_provider_does_not_read_are_sent_once_in_their_other_form() {
    let (mut rig, browser) = logged_in(&refreshing(), true);
    rig.provider.instead = vec![("/revoke", 401, json!({ "error": "invalid_client" }).to_string().into_bytes())];
    let decision = log_out(&mut rig, &browser, LOGOUT);
    let sent = rig.finish(decision);
    assert_eq!(sent.len(), 2);
    assert_ne!(header(&sent[0], "authorization"), header(&sent[1], "authorization"));
    assert_eq!(form(&sent[0]), form(&sent[1]));
    assert_eq!(rig.last_event(), "logout.not_revoked");
}

#[test]
fn with_an_address_of_its_own_for_logouts_the_metadata_is_asked_for_afterwards() {
    let toml = format!("{}[vestibule.provider.default]\nlogout_url = \"https://op.example/bye\"\n", refreshing());
    let (mut rig, browser) = logged_in(&toml, true);
    rig.forget();
    let asked = rig.sent.len();
    let decision = log_out(&mut rig, &browser, LOGOUT);
    assert_eq!(rig.sent.len(), asked, "the user waits for nothing");
    let paths: Vec<_> = rig.finish(decision).iter().map(|request| request.url.path().to_owned()).collect();
    assert_eq!(paths, ["/.well-known/openid-configuration", "/revoke"]);
    assert_eq!(rig.last_event(), "logout.revoked");

    let (mut rig, browser) = logged_in(&toml, true);
    rig.forget();
    let decision = log_out(&mut rig, &browser, LOGOUT);
    rig.provider.outage = Some(OutboundError::TimedOut);
    assert_eq!(rig.finish(decision).len(), 1);
    assert_eq!(rig.last_event(), "logout.not_revoked");
}

#[test]
fn a_provider_whose_metadata_cannot_be_had_revokes_nothing_and_the_log_says_so() {
    let (mut rig, browser) = logged_in(&refreshing(), true);
    rig.forget();
    rig.provider.outage = Some(OutboundError::TimedOut);
    let decision = log_out(&mut rig, &browser, LOGOUT);
    assert!(decision.afterwards.is_none());
    let last: Vec<_> = rig.events.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(last, ["logout.not_revoked", "logout.local_only"]);
}

#[test]
fn logouts_by_others_revoke_nothing() {
    let (mut rig, browser) = logged_in(&refreshing(), true);
    let frame = "/.vestibule/frontchannel-logout?iss=https%3A%2F%2Fop.example&sid=s-1";
    assert!(rig.decide(&browser.head(frame), None).afterwards.is_none());
}
