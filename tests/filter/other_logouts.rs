//! Logouts that are neither this browser's own nor a token's: everywhere, and by a frame in a provider's page.

use serde_json::json;
use vestibule::decision::{Decision, Outcome};
use vestibule::session::EndedWhat;
use vestibule::web::http::{RequestHead, Response};

use crate::rig::{Browser, CONFIG, Memory, Rig};

const EVERYWHERE: &str = "/.vestibule/logout?everywhere";
const FRAME: &str = "/.vestibule/frontchannel-logout";
const ORIGIN: &str = "https://app.example";

fn rig() -> Rig {
    rig_with("")
}

fn rig_with(more: &str) -> Rig {
    let mut rig = Rig::new(&format!("{CONFIG}{more}"));
    rig.memory = Memory::of_everything();
    rig
}

fn logged_in(rig: &mut Rig, sub: &str) -> Browser {
    let mut browser = Browser::default();
    assert_eq!(browser.log_in(rig, "/", sub).status, 302, "{:?}", rig.messages);
    browser
}

fn logged_in_as(rig: &mut Rig, sub: &str, sid: &'static str) -> Browser {
    rig.provider.edit_claims = Some(Box::new(move |claims| drop(claims.insert("sid".into(), json!(sid)))));
    logged_in(rig, sub)
}

fn is_in(rig: &mut Rig, browser: &Browser) -> bool {
    let decision = rig.decide(&browser.head("/").with("sec-fetch-mode", "cors"), None);
    matches!(decision.outcome, Outcome::Forward(forward) if forward.session.is_some())
}

fn post(browser: &Browser, path: &str) -> RequestHead {
    RequestHead { method: "POST".into(), ..browser.head(path) }.with("sec-fetch-mode", "navigate")
}

fn response(decision: Decision) -> Response {
    let Outcome::Respond(response) = decision.outcome else { panic!("{:?}", decision.outcome) };
    response
}

fn whats(decision: &Decision) -> Vec<EndedWhat> {
    decision.ended_sessions.iter().map(|ended| ended.what).collect()
}

fn deletes_session(response: &Response) -> bool {
    let is_deletion = |value: &[u8]| String::from_utf8_lossy(value).contains("Max-Age=0");
    response.headers.iter().any(|(name, value)| name == "set-cookie" && is_deletion(value))
}

#[test]
fn a_logout_everywhere_is_asked_about_and_then_ends_every_session_of_the_account() {
    let mut rig = rig();
    let (one, two, bob) = (logged_in(&mut rig, "alice"), logged_in(&mut rig, "alice"), logged_in(&mut rig, "bob"));
    rig.now += 60;
    for path in [EVERYWHERE, "/.vestibule/logout?everywhere=1&return_to=%2Fbye"] {
        let asked = rig.decide(&one.head(path), None);
        assert!(asked.ended_sessions.is_empty());
        let page = response(asked);
        assert!(page.status == 200 && !deletes_session(&page));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("form-action"), "{policy}");
        // Or the form would come with `Origin: null`.
        assert_eq!((page.header("referrer-policy"), page.header("x-frame-options")), (Some("same-origin"), Some("DENY")));
        let body = String::from_utf8(page.body).unwrap();
        let action = path.replace('&', "&#38;");
        assert!(body.contains(&format!("<form method=\"post\" action=\"{action}\"><button>Log out everywhere</button></form>")), "{body}");
    }
    assert!(is_in(&mut rig, &one));
    let decision = rig.decide(&post(&one, EVERYWHERE).with("origin", ORIGIN).with("sec-fetch-site", "same-origin"), None);
    assert_eq!(whats(&decision), [EndedWhat::Session, EndedWhat::Account]);
    assert_eq!(rig.last_event(), "logout.everywhere");
    let answer = response(decision);
    // 303: the provider is visited, and nothing posted to it.
    assert!(answer.status == 303 && deletes_session(&answer));
    assert!(answer.header("location").unwrap().starts_with("https://op.example/logout?"));
    assert!(!is_in(&mut rig, &one) && !is_in(&mut rig, &two) && is_in(&mut rig, &bob));
    rig.now += 6;
    let again = logged_in(&mut rig, "alice");
    assert!(is_in(&mut rig, &again));
}

#[test]
fn a_page_of_another_site_ends_nothing_elsewhere() {
    let mut rig = rig();
    let (one, two) = (logged_in(&mut rig, "alice"), logged_in(&mut rig, "alice"));
    let head = || post(&one, EVERYWHERE);
    for head in [
        head(),
        head().with("origin", "null"),
        head().with("origin", "https://evil.example"),
        head().with("origin", "https://app.example.evil.example"),
        head().with("origin", ORIGIN).with("origin", ORIGIN),
        head().with("origin", ORIGIN).with("sec-fetch-site", "same-site"),
        head().with("origin", ORIGIN).with("sec-fetch-site", "cross-site"),
    ] {
        let decision = rig.decide(&head, None);
        assert_eq!((rig.last_event(), decision.ended_sessions.len()), ("request.foreign_origin", 0));
        let answer = response(decision);
        assert!(answer.status == 403 && !deletes_session(&answer));
    }
    let fetched = RequestHead { method: "POST".into(), ..one.head(EVERYWHERE) }.with("origin", ORIGIN).with("sec-fetch-mode", "cors");
    assert_eq!((response(rig.decide(&fetched, None)).status, rig.last_event()), (403, "request.not_visited"));
    let posted = post(&one, "/.vestibule/logout").with("origin", ORIGIN);
    assert_eq!((response(rig.decide(&posted, None)).status, rig.last_event()), (405, "request.method_not_allowed"));
    let looked = rig.decide(&RequestHead { method: "HEAD".into(), ..one.head(EVERYWHERE) }, None);
    assert!(looked.ended_sessions.is_empty() && response(looked).status == 200);
    assert!(is_in(&mut rig, &one) && is_in(&mut rig, &two));
}

#[test]
fn without_a_session_there_is_nothing_to_ask() {
    let mut rig = rig();
    for head in [Browser::default().head(EVERYWHERE), post(&Browser::default(), EVERYWHERE).with("origin", ORIGIN)] {
        let decision = rig.decide(&head, None);
        assert!(decision.ended_sessions.is_empty());
        assert!(String::from_utf8(response(decision).body).unwrap().contains("You are logged out"));
    }
}

#[test]
fn a_host_that_forgets_says_that_it_cannot() {
    let mut rig = rig();
    let alice = logged_in(&mut rig, "alice");
    rig.memory = Memory::default();
    for head in [alice.head(EVERYWHERE), post(&alice, EVERYWHERE).with("origin", ORIGIN)] {
        let answer = response(rig.decide(&head, None));
        assert!(!deletes_session(&answer));
        assert_eq!((answer.status, rig.last_event()), (501, "logout.not_remembered"));
    }
    assert!(is_in(&mut rig, &alice));
}

fn frame(browser: &Browser, query: &str) -> RequestHead {
    browser
        .head(&format!("{FRAME}{query}"))
        .with("sec-fetch-mode", "navigate")
        .with("sec-fetch-dest", "iframe")
        .with("sec-fetch-site", "same-site")
}

#[test]
fn a_frame_of_the_provider_ends_the_session_that_it_names_and_the_browser_brings() {
    let mut rig = rig();
    let (one, same, other) =
        (logged_in_as(&mut rig, "alice", "s-1"), logged_in_as(&mut rig, "alice", "s-1"), logged_in_as(&mut rig, "alice", "s-2"));
    let decision = rig.decide(&frame(&one, "?iss=https%3A%2F%2Fop.example&sid=s-1"), None);
    assert_eq!(whats(&decision), [EndedWhat::Session, EndedWhat::ProviderSession]);
    assert_eq!(rig.last_event(), "logout.by_provider");
    let page = response(decision);
    assert!(page.status == 200 && page.body.is_empty() && deletes_session(&page));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("content-security-policy"), Some("default-src 'none'; frame-ancestors https://op.example"));
    assert!(!is_in(&mut rig, &one) && !is_in(&mut rig, &same) && is_in(&mut rig, &other));
}

#[test]
fn a_frame_that_names_another_session_or_comes_without_cookies_ends_nothing() {
    let mut rig = rig();
    let alice = logged_in_as(&mut rig, "alice", "s-1");
    let full = "?iss=https%3A%2F%2Fop.example&sid=s-1";
    for (browser, query, ancestors) in [
        (&Browser::default(), full, "https://op.example"),
        (&alice, "", "'none'"),
        (&alice, "?sid=s-1", "'none'"),
        (&alice, "?iss=https%3A%2F%2Fop.example", "https://op.example"),
        (&alice, "?iss=https%3A%2F%2Fop.example&sid=s-2", "https://op.example"),
        (&alice, "?iss=https%3A%2F%2Fop.example&sid=", "https://op.example"),
        (&alice, "?iss=https%3A%2F%2Fop.example&sid=s-1&sid=s-1", "https://op.example"),
        (&alice, "?iss=https%3A%2F%2Fevil.example&sid=s-1", "'none'"),
        (&alice, "?iss=https%3A%2F%2Fop.example%3B%20script-src%20*&sid=s-1", "'none'"),
    ] {
        let decision = rig.decide(&frame(browser, query), None);
        assert!(decision.ended_sessions.is_empty(), "{query}");
        let page = response(decision);
        assert!(page.status == 200 && page.body.is_empty() && !deletes_session(&page), "{query}");
        assert_eq!(page.header("content-security-policy"), Some(&*format!("default-src 'none'; frame-ancestors {ancestors}")), "{query}");
    }
    // Neither an image nor a script, nor what is no GET.
    let fetched = alice.head(&format!("{FRAME}{full}")).with("sec-fetch-mode", "no-cors");
    assert_eq!((response(rig.decide(&fetched, None)).status, rig.last_event()), (403, "request.not_visited"));
    let posted = RequestHead { method: "POST".into(), ..frame(&alice, full) };
    assert_eq!((response(rig.decide(&posted, None)).status, rig.last_event()), (405, "request.method_not_allowed"));
    for head in [RequestHead { method: "HEAD".into(), ..frame(&alice, full) }, frame(&alice, full).with("sec-purpose", "prefetch")] {
        assert!(rig.decide(&head, None).ended_sessions.is_empty());
    }
    assert!(is_in(&mut rig, &alice));
    // A session whose ID token had no `sid` is none that a frame can name.
    rig.provider.edit_claims = None;
    let unnamed = logged_in(&mut rig, "bob");
    rig.decide(&frame(&unnamed, "?iss=https%3A%2F%2Fop.example&sid="), None);
    assert!(is_in(&mut rig, &unnamed));
}

#[test]
fn a_logout_token_arrives_beside_another_proxy_and_below_every_prefix() {
    let authz = ["nginx", "envoy", "traefik", "caddy"]
        .map(|proxy| format!("[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"{proxy}\"\n"));
    let others = ["[vestibule]\nroutes = \"/a/b\"\n", "[vestibule]\napp = \"streamlit\"\n"].map(str::to_owned);
    for more in authz.iter().chain(&others) {
        let mut rig = rig_with(more);
        let route = rig.route("/backchannel-logout");
        let claims = json!({
            "iss": "https://op.example", "aud": "client-1", "iat": rig.now, "exp": rig.now + 60, "jti": "1", "sub": "alice",
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        let token = rig.provider.sign(&json!({ "alg": "EdDSA", "typ": "logout+jwt", "kid": "key-1" }), &claims);
        let head = RequestHead { method: "POST".into(), ..Browser::default().head(&route) };
        let head = head.with("content-type", "application/x-www-form-urlencoded");
        assert!(matches!(rig.decide(&head, None).outcome, Outcome::NeedBody(_)), "{more}");
        let decision = rig.decide(&head, Some(format!("logout_token={token}").as_bytes()));
        assert_eq!(whats(&decision), [EndedWhat::LogoutToken, EndedWhat::Account], "{more}: {:?}", rig.messages);
        assert_eq!(response(decision).status, 200);
    }
}

#[test]
fn beside_another_proxy_the_routes_are_served_and_never_asked_about() {
    for prefix in ["/.vestibule", "/auth"] {
        let authz = format!("[vestibule]\nmode = \"authz\"\nroutes = \"{prefix}\"\n[vestibule.authz]\nproxy = \"caddy\"\n");
        let rig = Rig::new(&format!("{CONFIG}{authz}"));
        let routes = rig.filter.config().public.routes();
        for route in ["backchannel-logout", "frontchannel-logout"] {
            assert!(routes.contains(&format!("{prefix}/{route}")), "{routes:?}");
        }
    }
}
