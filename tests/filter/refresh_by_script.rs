//! A script asks for a refresh: who may, how often, and what it is told.

use serde_json::{Value, json};
use vestibule::decision::{Decision, Outcome};
use vestibule::session::EndedWhat;
use vestibule::web::http::{OutboundError, RequestHead, Response};

use crate::rig::{Browser, CONFIG, Memory, RefreshTokens, Rig};

const AUTO: &str = "[vestibule.session]\nrefresh = \"auto\"\n";
const VALIDATED: &str = "[vestibule.session]\nrefresh = \"auto\"\nrevalidate = \"1h\"\n";
const ROUTE: &str = "/.vestibule/refresh";

fn logged_in(toml: &str) -> (Rig, Browser) {
    let mut rig = Rig::new(&format!("{CONFIG}{toml}"));
    rig.memory = Memory::of_everything();
    rig.provider.refresh_tokens = Some(RefreshTokens::default());
    let mut browser = Browser::default();
    let answer = browser.log_in(&mut rig, "/.vestibule/login", "alice");
    assert_eq!(answer.status, 302, "{}", String::from_utf8_lossy(&answer.body));
    (rig, browser)
}

/// What `fetch("/.vestibule/refresh", { method: "POST" })` of a page of the origin sends.
fn script(browser: &Browser, route: &str) -> RequestHead {
    let mut head = RequestHead { method: "POST".into(), ..browser.head(route) };
    head.headers.retain(|name, _| name != "accept");
    head.with("accept", "*/*")
        .with("origin", "https://app.example")
        .with("sec-fetch-site", "same-origin")
        .with("sec-fetch-mode", "cors")
        .with("sec-fetch-dest", "empty")
}

fn response(decision: Decision) -> Response {
    match decision.outcome {
        Outcome::Respond(response) => response,
        other => panic!("{other:?}"),
    }
}

fn ask(rig: &mut Rig, browser: &mut Browser) -> Response {
    let response = response(rig.decide(&script(browser, ROUTE), None));
    browser.take(&response.headers);
    response
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

/// Status and code of a refusal, which is a problem document and not for caches.
fn refused(response: &Response) -> (u16, String) {
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let problem = body(response);
    assert_eq!(problem["status"], response.status);
    (response.status, problem["code"].as_str().unwrap().to_owned())
}

fn changes_groups(rig: &mut Rig, groups: Value) {
    rig.provider.refresh_tokens.as_mut().unwrap().edit_claims =
        Some(Box::new(move |claims| drop(claims.insert("groups".into(), groups.clone()))));
}

#[test]
fn a_script_gets_the_providers_new_word_and_so_does_whoever_comes_after() {
    let (mut rig, mut browser) = logged_in(AUTO);
    changes_groups(&mut rig, json!(["customers"]));
    rig.now += 60;
    let answer = ask(&mut rig, &mut browser);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let told = body(&answer);
    assert_eq!((&told["groups"], &told["is_logged_in"], &told["provider"]), (&json!(["customers"]), &json!(true), &json!("default")));
    assert!(!String::from_utf8_lossy(&answer.body).contains("token"), "{told}");
    let user = browser.visit(&mut rig, "/.vestibule/user").response();
    assert_eq!(body(&user), told, "the route of the user says the same");
    let forward = browser.visit(&mut rig, "/").forward();
    let groups = forward.set_headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-groups")).unwrap().1.to_vec();
    assert_eq!(groups, b"customers");
    assert_eq!(rig.asked("/token"), 2);
}

#[test]
fn a_minute_is_between_an_answer_of_the_provider_and_a_scripts_wish() {
    let (mut rig, mut browser) = logged_in(AUTO);
    for (after, wait) in [(0, "60"), (1, "59"), (59, "1")] {
        let started = rig.now;
        rig.now += after;
        let answer = ask(&mut rig, &mut browser);
        assert_eq!(refused(&answer), (429, "refresh.too_soon".into()));
        assert_eq!(answer.header("retry-after"), Some(wait));
        rig.now = started;
    }
    assert_eq!(rig.asked("/token"), 1, "the login only");
    for round in 2..6 {
        rig.now += 60;
        assert_eq!(ask(&mut rig, &mut browser).status, 200);
        assert_eq!(refused(&ask(&mut rig, &mut browser)), (429, "refresh.too_soon".into()));
        assert_eq!(rig.asked("/token"), round);
    }
    assert!(!rig.provider.refresh_tokens.as_ref().unwrap().is_any_revoked());
}

#[test]
fn only_a_page_of_the_origin_asks() {
    let (mut rig, browser) = logged_in(AUTO);
    rig.now += 60;
    let with = |name: &str, value: &str| {
        let mut head = script(&browser, ROUTE);
        head.headers.retain(|given, _| given != name);
        if value.is_empty() { head } else { head.with(name, value) }
    };
    for (name, value) in [
        ("origin", ""),
        ("origin", "null"),
        ("origin", "https://evil.example"),
        ("origin", "https://app.example.evil.example"),
        ("origin", "http://app.example"),
        ("origin", "https://APP.example"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "none"),
    ] {
        let answer = response(rig.decide(&with(name, value), None));
        assert_eq!(refused(&answer), (403, "request.foreign_origin".into()), "{name}: {value}");
    }
    let twice = script(&browser, ROUTE).with("origin", "https://app.example");
    assert_eq!(refused(&response(rig.decide(&twice, None))), (403, "request.foreign_origin".into()));
    assert_eq!(rig.asked("/token"), 1);
    let without_metadata = with("sec-fetch-site", "");
    assert_eq!(response(rig.decide(&without_metadata, None)).status, 200, "an older browser");
}

#[test]
fn it_is_a_post_and_no_prefetch() {
    let (mut rig, browser) = logged_in(AUTO);
    rig.now += 60;
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let answer = response(rig.decide(&RequestHead { method: method.into(), ..script(&browser, ROUTE) }, None));
        assert_eq!(refused(&answer), (405, "request.method_not_allowed".into()), "{method}");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    let head = response(rig.decide(&RequestHead { method: "HEAD".into(), ..script(&browser, ROUTE) }, None));
    assert_eq!((head.status, head.body.len()), (405, 0));
    let ahead = script(&browser, ROUTE).with("sec-purpose", "prefetch");
    assert_eq!(refused(&response(rig.decide(&ahead, None))), (403, "request.not_visited".into()));
    assert_eq!(rig.asked("/token"), 1);
}

#[test]
fn without_a_session_or_a_refresh_token_there_is_nothing_to_refresh() {
    let (mut rig, mut browser) = logged_in(AUTO);
    let answer = ask(&mut rig, &mut Browser::default());
    assert_eq!(refused(&answer), (401, "request.login_required".into()));
    assert_eq!(body(&answer)["login"], "/.vestibule/login");
    let named = response(rig.decide(&script(&Browser::default(), ROUTE).with("x-request-id", "4bf92f35-77b3"), None));
    assert_eq!((&body(&named)["request_id"], body(&answer).get("request_id")), (&json!("4bf92f35-77b3"), None));
    rig.now += 60;
    browser.cookies.retain(|name, _| !name.contains("refresh"));
    assert_eq!(refused(&ask(&mut rig, &mut browser)), (409, "refresh.no_token".into()));

    let (mut rig, mut browser) = logged_in("");
    rig.now += 60;
    assert_eq!(refused(&ask(&mut rig, &mut browser)), (404, "refresh.off".into()));
    assert_eq!(refused(&ask(&mut rig, &mut Browser::default())), (404, "refresh.off".into()), "also to strangers");
    assert_eq!(rig.asked("/token"), 1);
}

#[test]
fn an_account_that_the_provider_disowns_is_out() {
    let (mut rig, mut browser) = logged_in(VALIDATED);
    rig.provider.refresh_tokens.as_mut().unwrap().revoke_all();
    rig.now += 60;
    let decision = rig.decide(&script(&browser, ROUTE), None);
    assert_eq!(decision.ended_sessions.iter().map(|ended| ended.what).collect::<Vec<_>>(), [EndedWhat::Session]);
    assert_eq!(refused(&response(decision)), (401, "request.login_required".into()));
    assert_eq!(body(&browser.visit(&mut rig, "/.vestibule/user").response()), json!({"is_logged_in": false}));
}

#[test]
fn where_accounts_are_not_validated_a_session_outlasts_a_token_that_is_refused() {
    let (mut rig, mut browser) = logged_in(AUTO);
    rig.provider.refresh_tokens.as_mut().unwrap().revoke_all();
    rig.now += 60;
    let answer = ask(&mut rig, &mut browser);
    assert_eq!(refused(&answer), (409, "refresh.refused".into()));
    assert_eq!(answer.header("set-cookie"), None, "newer cookies than these may be there");
    assert_eq!(body(&browser.visit(&mut rig, "/.vestibule/user").response())["is_logged_in"], true);
}

#[test]
fn a_provider_that_does_not_answer_ends_nothing() {
    let (mut rig, mut browser) = logged_in(VALIDATED);
    rig.now += 60;
    rig.provider.outage = Some(OutboundError::TimedOut);
    let answer = ask(&mut rig, &mut browser);
    assert_eq!(refused(&answer), (503, "session.refresh_failed".into()));
    assert_eq!(answer.header("retry-after"), Some("5"));
    let asked = rig.sent.len();
    assert_eq!(refused(&ask(&mut rig, &mut browser)), (503, "session.refresh_failed".into()));
    assert_eq!(rig.sent.len(), asked, "not asked again within the pause");
    rig.provider.outage = None;
    rig.now += 10;
    assert_eq!(ask(&mut rig, &mut browser).status, 200);
}

/// The tokens are new, and the keys of the ID token cannot be had.
#[test]
fn what_could_not_be_learned_is_no_answer() {
    let (mut rig, mut browser) = logged_in(VALIDATED);
    changes_groups(&mut rig, json!(["customers"]));
    rig.forget();
    rig.provider.silent = vec!["/jwks"];
    rig.now += 60;
    assert_eq!(refused(&ask(&mut rig, &mut browser)), (503, "session.refresh_failed".into()));
    rig.provider.silent.clear();
    rig.forget();
    rig.now += 10;
    let answer = ask(&mut rig, &mut browser);
    assert_eq!((answer.status, &body(&answer)["groups"]), (200, &json!(["customers"])), "the refresh token of the failure was kept");
}

#[test]
fn the_route_lies_below_every_prefix() {
    for (lines, route) in [
        ("[vestibule]\nroutes = \"/a/b\"\n", "/a/b/refresh"),
        ("[vestibule]\napp = \"streamlit\"\n", "/auth/refresh"),
        ("[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"nginx\"\n", "/.vestibule/refresh"),
    ] {
        let mut rig = Rig::new(&format!("{CONFIG}{lines}{AUTO}"));
        rig.provider.refresh_tokens = Some(RefreshTokens::default());
        let mut browser = Browser::default();
        let login = rig.route("/login");
        assert_eq!(browser.log_in(&mut rig, &login, "alice").status, 302, "{lines}");
        rig.now += 60;
        assert_eq!(response(rig.decide(&script(&browser, route), None)).status, 200, "{lines}");
    }
}

/// Rules are about pages: who is denied all of them may still learn that it has changed.
#[test]
fn no_rule_governs_it() {
    let rules = "[[vestibule.rule]]\npath = \"/**\"\nrequire = { groups = \"customers\" }\n";
    let (mut rig, mut browser) = logged_in(&format!("{AUTO}{rules}"));
    assert_eq!(browser.visit(&mut rig, "/").response().status, 403);
    changes_groups(&mut rig, json!(["customers"]));
    rig.now += 60;
    assert_eq!(ask(&mut rig, &mut browser).status, 200);
    browser.visit(&mut rig, "/").forward();
}
