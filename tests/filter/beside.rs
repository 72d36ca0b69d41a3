//! A login that ends after another tab has logged in: what that tab has opened goes on, and nobody is shown a failure without need.

use serde_json::json;
use vestibule::decision::{Decision, Outcome};
use vestibule::session::EndedWhat;
use vestibule::web::http::RequestHead;

use crate::rig::{Browser, CONFIG, HOST, Memory, Rig, way_on};

fn rig() -> Rig {
    let mut rig = Rig::new(CONFIG);
    rig.memory = Memory::of_everything();
    rig
}

/// The callback's decision, whose cookies the browser takes.
fn call_back(browser: &mut Browser, rig: &mut Rig, callback: &str) -> Decision {
    let decision = rig.decide(&browser.head(callback), None);
    let Outcome::Respond(response) = &decision.outcome else { panic!("an answer") };
    browser.take(&response.headers);
    decision
}

fn handle(browser: &mut Browser, rig: &mut Rig) -> String {
    browser.visit(rig, "/data").forward().session.expect("a session")
}

#[test]
fn a_second_tab_of_the_same_user_ends_nothing_that_the_first_has_opened() {
    for seconds in [0, 1, 600] {
        let (mut rig, mut browser) = (rig(), Browser::default());
        let tabs: Vec<_> = (0..4).map(|tab| browser.start(&mut rig, &format!("/{tab}"))).collect();
        let mut first = None;
        for (number, tab) in tabs.iter().enumerate() {
            let callback = rig.provider.authorize(tab, "alice");
            let decision = call_back(&mut browser, &mut rig, &callback);
            assert!(decision.ended_sessions.is_empty(), "tab {number}, after {seconds} s");
            let handle = handle(&mut browser, &mut rig);
            assert_eq!(*first.get_or_insert(handle.clone()), handle, "tab {number}, after {seconds} s");
            rig.now += seconds;
        }
        // One logout ends it, and every copy.
        let copy = browser.clone();
        browser.visit(&mut rig, "/.vestibule/logout");
        assert_ne!(copy.clone().visit(&mut rig, "/data").response().status, 200);
    }
}

#[test]
fn another_user_or_a_login_that_began_later_ends_the_session_that_was_there() {
    for (sub, began_before) in [("bob", true), ("alice", false), ("bob", false)] {
        let (mut rig, mut browser) = (rig(), Browser::default());
        let early = browser.start(&mut rig, "/early");
        browser.log_in(&mut rig, "/", "alice");
        let earlier = handle(&mut browser, &mut rig);
        rig.now += 5;
        let tab = if began_before { early } else { browser.start(&mut rig, "/.vestibule/login?return_to=/late") };
        let callback = rig.provider.authorize(&tab, sub);
        let decision = call_back(&mut browser, &mut rig, &callback);
        let ended: Vec<_> = decision.ended_sessions.iter().map(|ended| ended.what).collect();
        assert_eq!(ended, [EndedWhat::Session], "{sub} {began_before}");
        assert_ne!(handle(&mut browser, &mut rig), earlier, "{sub} {began_before}");
    }
}

#[test]
fn a_login_that_gets_no_answer_goes_on_where_another_tab_has_logged_in() {
    for (status, answer) in
        [(400, json!({ "error": "invalid_grant" })), (500, json!({})), (503, json!("busy")), (200, json!({ "access_token": 7 }))]
    {
        let (mut rig, mut browser) = (rig(), Browser::default());
        let tab = browser.start(&mut rig, "/reports?x=1");
        let callback = rig.provider.authorize(&tab, "alice");
        // Nobody is logged in: it is told.
        let (mut other, mut alone) = (self::rig(), Browser::default());
        let lonely = alone.start(&mut other, "/reports?x=1");
        let lonely = other.provider.authorize(&lonely, "alice");
        other.provider.first = vec![("/token", status, answer.clone())];
        let alone = alone.visit(&mut other, &lonely).response();
        assert!(alone.status >= 500, "{status} {answer}: {}", alone.status);
        let told = other.last_event().to_owned();

        rig.now += 1;
        browser.log_in(&mut rig, "/", "alice");
        rig.provider.first = vec![("/token", status, answer.clone())];
        let page = browser.visit(&mut rig, &callback).response();
        assert_eq!(way_on(&page), "/reports?x=1", "{status} {answer}");
        assert_eq!(rig.last_event(), "callback.already_logged_in");
        assert_eq!(rig.events[rig.events.len() - 2], told, "the operator is told all the same");
    }
}

#[test]
fn an_answer_that_may_be_forged_is_told_although_another_tab_has_logged_in() {
    let (mut rig, mut browser) = (rig(), Browser::default());
    let tab = browser.start(&mut rig, "/reports");
    browser.log_in(&mut rig, "/", "alice");
    let callback = rig.provider.authorize(&tab, "alice");
    rig.provider.edit_claims = Some(Box::new(|claims| claims["aud"] = "another".into()));
    let page = browser.visit(&mut rig, &callback).response();
    assert_eq!((page.status, rig.last_event()), (502, "id_token.audience"));
}

/// A navigation, as a browser sends it for a frame of a page of that site.
fn framed(path: &str, site: &str) -> RequestHead {
    let head = RequestHead::get(path, HOST);
    let head = head.with("accept", "text/html").with("sec-fetch-mode", "navigate").with("sec-fetch-dest", "iframe");
    head.with("sec-fetch-site", site)
}

#[test]
fn no_login_begins_in_a_frame_of_another_site_and_none_of_its_callbacks_counts() {
    let mut rig = rig();
    let browser = Browser::default();
    for path in ["/", "/reports", "/.vestibule/login", "/.vestibule/login?provider=default&return_to=/x"] {
        let decision = rig.decide(&framed(path, "cross-site"), None);
        let Outcome::Respond(response) = decision.outcome else { panic!("an answer") };
        assert_eq!((response.status, rig.last_event()), (403, "request.not_visited"), "{path}");
        assert!(response.counts_as.is_none() && response.header("set-cookie").is_none(), "{path}");
    }
    let callback = "/oauth2callback?code=1&state=x";
    let counts = |rig: &mut Rig, head: &RequestHead| {
        let Outcome::Respond(response) = rig.decide(head, None).outcome else { panic!("an answer") };
        assert_eq!(response.status, 400);
        response.counts_as.is_some()
    };
    assert!(!counts(&mut rig, &framed(callback, "cross-site")));
    assert!(counts(&mut rig, &browser.head(callback)), "of a visit it counts");
    assert!(counts(&mut rig, &framed(callback, "same-origin")));
    // With a login on its way, it is a guess.
    let mut waiting = Browser::default();
    waiting.start(&mut rig, "/x");
    let cookies: Vec<_> = waiting.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert!(counts(&mut rig, &framed(callback, "cross-site").with("cookie", &cookies.join("; "))));
    // A frame of the application's own pages is the application's affair.
    let decision = rig.decide(&framed("/reports", "same-origin"), None);
    assert!(matches!(decision.outcome, Outcome::Respond(response) if response.status == 302));
}

#[test]
fn a_login_on_another_host_name_keeps_the_page_that_was_open_there() {
    let mut rig = rig();
    let mut moved = |header: Option<&str>, path: &str| {
        let head = RequestHead { authority: Some("192.168.1.5:8501".into()), ..RequestHead::get(path, "192.168.1.5:8501") };
        let head = head.with("accept", "text/html").with("sec-fetch-mode", "navigate");
        let head = header.map_or(head.clone(), |referer| head.with("referer", referer));
        let Outcome::Respond(response) = rig.decide(&head, None).outcome else { panic!("an answer") };
        response.header("location").expect("a redirect").to_owned()
    };
    let there = |page: &str| format!("https://{HOST}/.vestibule/login?return_to={page}&moved=1");
    for scheme in ["http", "https"] {
        assert_eq!(moved(Some(&format!("{scheme}://192.168.1.5:8501/Sales?x=1")), "/.vestibule/login"), there("%2FSales%3Fx%3D1"));
        let asked = format!("/.vestibule/login?return_to={scheme}://192.168.1.5:8501/deep%23here");
        assert_eq!(moved(None, &asked), there("%2Fdeep%23here"));
    }
    for foreign in [
        "http://192.168.1.5:8502/Sales",
        "http://192.168.1.5:8501.evil.example/Sales",
        "http://192.168.1.5:8501@evil.example/",
        "http://evil.example/192.168.1.5:8501/",
        "http://192.168.1.5:8501",
        "http://192.168.1.5:8501//evil.example/",
        "http://192.168.1.5:8501/\\evil.example",
    ] {
        let without = format!("https://{HOST}/.vestibule/login?moved=1");
        assert_eq!(moved(Some(foreign), "/.vestibule/login"), without, "{foreign}");
    }
}
