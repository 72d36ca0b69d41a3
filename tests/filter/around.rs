//! What a decision takes from around it, and what it tells: sessions that the host knows to have ended, and events.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use vestibule::decision::{Decision, Outcome};
use vestibule::entropy::Fixed;
use vestibule::filter::{Step, Surroundings};
use vestibule::oidc::cache::ProviderCache;
use vestibule::session::{Ended, EndedName, EndedWhat};
use vestibule::time::UnixTime;
use vestibule::web::http::RequestHead;

use crate::rig::{Browser, CONFIG, Memory, Rig};

/// Remembers what it was asked, and answers as it is told.
#[derive(Default)]
struct Asked {
    questions: RefCell<Vec<(Vec<u8>, u64)>>,
    answer: bool,
}

impl Ended for Asked {
    fn ended(&self, names: &[u8], began_at: UnixTime) -> bool {
        self.questions.borrow_mut().push((names.to_vec(), began_at.as_secs()));
        self.answer
    }

    fn remembers(&self) -> bool {
        true
    }
}

fn decide(rig: &Rig, head: RequestHead, ended: &Asked) -> Decision {
    let (mut cache, mut entropy) = (ProviderCache::default(), Fixed::default());
    let mut around = Surroundings { cache: &mut cache, now: UnixTime::from_secs(rig.now), entropy: &mut entropy, ended };
    match rig.filter.begin(head, None, &mut around) {
        Step::Done(decision) => decision,
        Step::Fetch(..) | Step::Look(..) => panic!("nobody has to be asked"),
    }
}

fn script(browser: &Browser, path: &str) -> RequestHead {
    browser.head(path).with("sec-fetch-mode", "cors")
}

#[test]
fn a_session_that_has_ended_is_none() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let began_at = rig.now;
    browser.log_in(&mut rig, "/", "alice");
    rig.now += 60;
    let goes_on = Asked::default();
    let Outcome::Forward(forward) = decide(&rig, script(&browser, "/"), &goes_on).outcome else { panic!("not logged in") };
    let [(names, asked_of)] = goes_on.questions.borrow().clone().try_into().unwrap();
    assert_eq!(asked_of, began_at - 5, "from when the login was asked for, by any clock");
    assert_eq!(URL_SAFE_NO_PAD.encode(&names[..16]), forward.session.unwrap(), "the first name is that of the session");
    assert_eq!(names.len(), 48, "with a name for the sessions of an account that the provider does not name");

    let over = Asked { answer: true, ..Asked::default() };
    assert!(matches!(decide(&rig, script(&browser, "/"), &over).outcome, Outcome::Respond(response) if response.status == 401));
    let Outcome::Respond(user) = decide(&rig, script(&browser, "/.vestibule/user"), &over).outcome else { panic!("a route of ours") };
    assert_eq!(user.body, br#"{"is_logged_in":false}"#);
}

#[test]
fn sessions_of_one_account_and_of_one_provider_session_share_their_names() {
    let names = |sub: &str, sid: &str| {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        let sid = sid.to_owned();
        rig.provider.edit_claims = Some(Box::new(move |claims| drop(claims.insert("sid".into(), json!(sid)))));
        browser.log_in(&mut rig, "/", sub);
        let asked = Asked::default();
        decide(&rig, script(&browser, "/"), &asked);
        let [(names, _)] = asked.questions.borrow().clone().try_into().unwrap();
        assert_eq!(names.len(), 48);
        (names[16..32].to_vec(), names[32..].to_vec())
    };
    let (alice, one) = names("alice", "1");
    assert_eq!(names("alice", "2").0, alice);
    assert_ne!(names("alice", "2").1, one);
    assert_eq!(names("alice", "1").1, one);
    assert_ne!(names("bob", "1").0, alice);
    assert_ne!(alice, one);
}

#[test]
fn a_logout_tells_which_session_ends_and_until_when_that_matters() {
    let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}[vestibule.session]\nmax_age = \"8h\"\n")), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let expires_at = rig.now + 8 * 60 * 60;
    let Outcome::Forward(forward) = rig.decide(&script(&browser, "/"), None).outcome else { panic!("not logged in") };
    rig.now += 60;
    let [ended] = rig.decide(&browser.head("/.vestibule/logout"), None).ended_sessions.try_into().unwrap();
    let (at, until) = (UnixTime::from_secs(rig.now), UnixTime::from_secs(expires_at + 120));
    assert_eq!(ended, EndedName { name: forward.session.unwrap(), what: EndedWhat::Session, at, until });
}

#[test]
fn a_login_whose_account_was_logged_out_meanwhile_ends_on_a_page() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let asked = Asked::default();
    decide(&rig, script(&browser, "/"), &asked);
    let account = URL_SAFE_NO_PAD.encode(&asked.questions.borrow()[0].0[16..32]);
    let at = UnixTime::from_secs(rig.now + 60);
    rig.memory = Memory::of_everything();
    rig.memory.remember(&[EndedName { name: account, what: EndedWhat::Account, at, until: at }]);
    assert_eq!(rig.decide(&script(&browser, "/"), None).events.len(), 0);
    for (seconds, logged_in) in [(60, false), (65, false), (66, true)] {
        rig.now = at.as_secs() - 60 + seconds;
        let mut browser = Browser::default();
        let answer = browser.log_in(&mut rig, "/reports", "alice");
        if logged_in {
            assert_eq!((answer.status, answer.header("location")), (302, Some("/reports")));
            assert_eq!(browser.visit(&mut rig, "/").forward().session.map(|session| session.len()), Some(22));
        } else {
            // Not back to the application, which would ask for the next login, and so on.
            assert_eq!((answer.status, rig.last_event()), (403, "login.ended"), "{seconds}");
            let page = String::from_utf8(answer.body).unwrap();
            assert!(page.contains("This login was ended") && page.contains("/.vestibule/login?return_to=%2Freports"), "{page}");
            assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);
        }
        assert_eq!(Browser::default().log_in(&mut rig, "/", "bob").status, 302, "somebody else's login");
    }
}

#[test]
fn nobody_is_asked_about_a_request_without_a_session() {
    let rig = Rig::new(&format!("{CONFIG}[[vestibule.rule]]\npath = \"/public\"\naccess = \"public\"\n[[vestibule.rule]]\n"));
    let asked = Asked::default();
    decide(&rig, script(&Browser::default(), "/"), &asked);
    let (mut logged_in, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut logged_in, "/", "alice");
    decide(&rig, script(&browser, "/public"), &asked);
    assert!(asked.questions.borrow().is_empty());
}

const RULES: &str = "[[vestibule.rule]]\npath = \"/open\"\n[[vestibule.rule]]\npath = \"/admin\"\nrequire = { groups = \"owners\" }\n";

#[test]
fn an_event_names_the_rule_and_the_request_and_people_only_where_that_is_wanted() {
    for (more, subject) in [("", None), ("[vestibule.log]\nsubject = true\n", Some("alice")), ("[vestibule.log]\nsubject = false\n", None)]
    {
        let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}{RULES}{more}")), Browser::default());
        browser.log_in(&mut rig, "/open", "alice");
        let denied = rig.decide(&browser.head("/admin").with("X-Request-Id", "4bf92f35-77b3"), None);
        let [event] = <[_; 1]>::try_from(denied.events).unwrap();
        assert_eq!((event.code.as_str(), event.rule), ("policy.denied", Some(2)));
        assert_eq!((event.request_id.as_deref(), event.subject.as_deref()), (Some("4bf92f35-77b3"), subject));
        let logout = rig.decide(&browser.head("/.vestibule/logout"), None);
        assert_eq!(logout.events[0].subject.as_deref(), subject);
        assert_eq!(logout.events[0].rule, None);
    }
}

#[test]
fn a_decision_names_the_rule_that_decided_and_a_login_its_provider() {
    let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}{RULES}")), Browser::default());
    let rule_of = |rig: &mut Rig, browser: &Browser, path: &str| rig.decide(&browser.head(path), None).rule;
    assert_eq!(rule_of(&mut rig, &browser, "/open"), Some(1), "a login is needed");
    let started = rig.decide(&browser.head("/.vestibule/login"), None);
    assert_eq!((started.rule, started.events[0].code.as_str()), (None, "login.started"));
    assert_eq!(started.events[0].provider.as_deref(), Some("default"));
    browser.log_in(&mut rig, "/open", "alice");
    assert_eq!(rule_of(&mut rig, &browser, "/open"), Some(1));
    assert_eq!(rule_of(&mut rig, &browser, "/admin"), Some(2));
    assert_eq!(rule_of(&mut rig, &browser, "/elsewhere"), None, "no rule fits");
    assert_eq!(rule_of(&mut rig, &browser, "/.vestibule/user"), None);
    let unknown = rig.decide(&browser.head("/oauth2callback?code=a&state=b"), None);
    assert_eq!(unknown.events[0].provider, None, "nobody knows which login this belongs to");
    let logout = rig.decide(&browser.head("/.vestibule/logout"), None);
    assert_eq!((logout.events[0].code.as_str(), logout.events[0].provider.as_deref()), ("logout", Some("default")));
    let mut without_rules = Rig::new(CONFIG);
    assert_eq!(rule_of(&mut without_rules, &Browser::default(), "/open"), None);
}

#[test]
fn a_name_of_a_request_that_does_not_belong_into_a_log_is_left_out() {
    let longest = "x".repeat(128);
    let id = |values: &[&str]| {
        let head = values.iter().fold(RequestHead::get("//", "app.example"), |head, value| head.with("x-request-id", value));
        let head = head.with("sec-fetch-mode", "cors");
        let mut rig = Rig::new(&format!("{CONFIG}{RULES}"));
        let [event] = rig.decide(&head, None).events.try_into().unwrap();
        event.request_id
    };
    assert_eq!(id(&["a"]).as_deref(), Some("a"));
    assert_eq!(id(&[&longest]).as_deref(), Some(longest.as_str()));
    for values in [&[][..], &["a", "a"], &[""], &["a b"], &["a\tb"], &["\u{e9}"], &[&format!("{longest}x")]] {
        assert_eq!(id(values), None, "{values:?}");
    }
}

#[test]
fn every_refusal_has_the_name_that_the_log_has() {
    let mut rig = Rig::new(&format!("{CONFIG}{RULES}"));
    let problem = |rig: &mut Rig, head: &RequestHead| {
        let response = Browser::default().send(rig, head).response();
        serde_json::from_slice::<serde_json::Value>(&response.body).unwrap()
    };
    let script = |path: &str| RequestHead::get(path, "app.example").with("sec-fetch-mode", "cors");
    // Refused unread, refused by a route, and not logged in: that has no line of its own.
    for (path, has_line) in [("//", true), ("/.vestibule/login", true), ("/admin", false)] {
        let named = problem(&mut rig, &script(path).with("x-request-id", "4bf92f35-77b3"));
        assert_eq!((named["request_id"].as_str(), named["reference"].is_string()), (Some("4bf92f35-77b3"), has_line), "{path}: {named}");
        for unfit in [&[][..], &["a", "a"], &[""], &["a b"], &["\u{e9}"]] {
            let head = unfit.iter().fold(script(path), |head, value| head.with("x-request-id", value));
            let unnamed = problem(&mut rig, &head);
            assert!(unnamed.get("request_id").is_none() && unnamed["code"].is_string(), "{path} {unfit:?}: {unnamed}");
        }
    }
    let head = Browser::default().head("/a/../b").with("x-request-id", "<b>&\"");
    let page = Browser::default().send(&mut rig, &head).response();
    let page = std::str::from_utf8(&page.body).unwrap();
    assert!(page.contains("Request ID: <code>&#60;b&#62;&#38;&#34;</code>"), "{page}");
}
