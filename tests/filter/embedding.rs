//! The application in a frame of another site.

use proptest::prelude::*;
use vestibule::config::{Config, Source};
use vestibule::web::http::{RequestHead, Response};

use crate::rig::{Browser, CONFIG, HOST, Rig, Seen};

const PORTAL: &str = "https://portal.example";
const EMBEDDED: &str = "[vestibule.embedding]\norigins = [\"https://portal.example\", \"http://localhost:3000\"]\n";

fn rig(vestibule: &str) -> Rig {
    Rig::new(&format!("{CONFIG}{vestibule}"))
}

fn lines<'a>(response: &'a Response, name: &'a str) -> Vec<&'a str> {
    response.headers.iter().filter(|(given, _)| given == name).map(|(_, value)| std::str::from_utf8(value).unwrap()).collect()
}

#[test]
fn cookies_go_to_frames_of_other_sites_only_where_the_configuration_says_so() {
    for (vestibule, attributes) in [("", "SameSite=Lax"), (EMBEDDED, "SameSite=None")] {
        let (mut rig, mut browser) = (rig(vestibule), Browser::default());
        let mut set = vec![];
        let at_provider = browser.visit(&mut rig, "/page").response();
        set.extend(lines(&at_provider, "set-cookie").iter().map(|line| (*line).to_owned()));
        let at_provider = url::Url::parse(at_provider.header("location").unwrap()).unwrap();
        let callback = rig.provider.authorize(&at_provider, "alice");
        let logged_in = browser.visit(&mut rig, &callback).response();
        set.extend(lines(&logged_in, "set-cookie").iter().map(|line| (*line).to_owned()));
        let logged_out = browser.visit(&mut rig, "/.vestibule/logout").response();
        set.extend(lines(&logged_out, "set-cookie").iter().map(|line| (*line).to_owned()));
        assert!(set.len() >= 6, "{set:?}");
        for line in &set {
            assert!(line.starts_with("__Host-vestibule_") && line.contains("; Secure") && line.contains("; HttpOnly"), "{line}");
            assert!(line.contains(attributes), "{line}");
            assert_eq!(line.contains("; Partitioned"), !vestibule.is_empty(), "deletions too: {line}");
        }
    }
}

#[test]
fn pages_of_ours_are_in_frames_of_the_named_sites_and_of_no_other() {
    let (mut plain, mut embedded) = (rig(""), rig(EMBEDDED));
    let page = |rig: &mut Rig| Browser::default().visit(rig, "/oauth2callback?code=x&state=y").response();
    let (plain, embedded) = (page(&mut plain), page(&mut embedded));
    assert!(plain.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    assert_eq!(plain.header("x-frame-options"), Some("DENY"));
    let policy = embedded.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'self' https://portal.example http://localhost:3000"), "{policy}");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(embedded.header("x-frame-options"), None, "it would forbid what the policy allows");
}

fn logged_in(vestibule: &str) -> (Rig, Browser) {
    let (mut rig, mut browser) = (rig(vestibule), Browser::default());
    browser.log_in(&mut rig, "/page", "alice");
    (rig, browser)
}

fn request(browser: &Browser, method: &str, origins: &[&str]) -> RequestHead {
    let head = RequestHead { method: method.into(), ..browser.head("/page") };
    origins.iter().fold(head, |head, origin| head.with("origin", origin))
}

#[test]
fn pages_of_other_origins_change_nothing_with_a_session() {
    let (mut rig, mut browser) = logged_in(EMBEDDED);
    for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "post", "get"] {
        for foreign in [&["https://evil.example"][..], &[PORTAL], &["null"], &[""], &["https://app.example:8443"], &["http://app.example"]]
        {
            let head = request(&browser, method, foreign);
            let refused = browser.send(&mut rig, &head).response();
            assert_eq!((refused.status, rig.last_event()), (403, "request.foreign_origin"), "{method} {foreign:?}");
        }
        for own in [&["https://app.example"][..], &[]] {
            let head = request(&browser, method, own);
            browser.send(&mut rig, &head).forward();
        }
        let head = request(&browser, method, &["https://app.example", "https://evil.example"]);
        assert_eq!(browser.send(&mut rig, &head).response().status, 403, "one of two");
    }
    for method in ["GET", "HEAD", "OPTIONS"] {
        let head = request(&browser, method, &[PORTAL]);
        browser.send(&mut rig, &head).forward();
    }
    // Nothing is anybody's without a session.
    let anonymous = Browser::default();
    let head = RequestHead { method: "POST".into(), ..RequestHead::get("/page", HOST) }.with("origin", PORTAL);
    let Seen::Answered(response) = anonymous.clone().send(&mut rig, &head) else { panic!("forwarded") };
    assert_eq!(response.status, 401);
    // `Lax` does it otherwise.
    let (mut rig, mut browser) = logged_in("");
    let head = request(&browser, "POST", &["https://sibling.example"]);
    browser.send(&mut rig, &head).forward();
}

/// A site that is not named can have logged its user in, in a frame that stays empty.
#[test]
fn a_page_of_another_site_loads_nothing_with_a_session() {
    let (mut rig, mut browser) = logged_in(&format!("{EMBEDDED}[vestibule.cors]\norigins = [\"https://reader.example\"]\n"));
    let mut status = |method: &str, site: &str, mode: &str, origin: Option<&str>| {
        let head = RequestHead { method: method.into(), ..browser.head("/picture") };
        let head = head.with("sec-fetch-site", site).with("sec-fetch-mode", mode);
        let head = origin.into_iter().fold(head, |head, origin| head.with("origin", origin));
        match browser.send(&mut rig, &head) {
            Seen::Answered(response) => (response.status, rig.last_event().to_owned()),
            Seen::Forwarded(_) => (200, String::new()),
        }
    };
    let refused = (403, "request.foreign_origin".to_owned());
    for (mode, origin) in [("no-cors", None), ("cors", Some("https://evil.example")), ("cors", Some(PORTAL)), ("cors", None)] {
        for method in ["GET", "HEAD"] {
            assert_eq!(status(method, "cross-site", mode, origin), refused, "{method} {mode} {origin:?}");
        }
    }
    for (site, mode, origin) in [
        ("cross-site", "navigate", None),
        ("same-origin", "no-cors", None),
        ("same-site", "no-cors", None),
        ("none", "navigate", None),
        ("cross-site", "cors", Some("https://reader.example")),
    ] {
        assert_eq!(status("GET", site, mode, origin).0, 200, "{site} {mode} {origin:?}");
    }
}

#[test]
fn origins_whose_scripts_may_read_may_write_as_well() {
    let (mut rig, mut browser) = logged_in(&format!("{EMBEDDED}[vestibule.cors]\norigins = [\"https://portal.example\"]\n"));
    let head = request(&browser, "POST", &[PORTAL]);
    browser.send(&mut rig, &head).forward();
    let head = request(&browser, "POST", &["http://localhost:3000"]);
    assert_eq!(browser.send(&mut rig, &head).response().status, 403);
}

#[test]
fn what_cannot_embed_is_a_fault() {
    let faults = |toml: &str| {
        let faults = Config::parse(&Source::new("secrets.toml", toml)).expect_err("a fault");
        faults.iter().filter(|fault| fault.fatal).map(|fault| format!("{fault}")).collect::<Vec<_>>().join("\n")
    };
    for (origins, words) in [
        ("[]", "names no site"),
        ("[\"https://portal.example/\"]", "is not an origin"),
        ("[\"*\"]", "is not an origin"),
        ("[\"https://*.example\"]", "is not an origin"),
        ("[\"'self'\"]", "is not an origin"),
        ("[\"https://a.example; script-src 'unsafe-inline'\"]", "is not an origin"),
        ("[\"http://portal.example\"]", "is plain http, so that anyone on the network path"),
        ("\"portal.example\"", "is not an origin"),
        ("[\"https://'\"]", "cannot be written in a content security policy"),
        ("true", "is of type"),
    ] {
        let told = faults(&format!("{CONFIG}[vestibule.embedding]\norigins = {origins}\n"));
        assert!(told.contains(words) && told.contains("vestibule.embedding"), "{origins}: {told}");
    }
    let told = faults(&format!("{CONFIG}[vestibule.embedding]\n"));
    assert!(told.contains("names no site"), "{told}");
    let told = faults(&format!("{CONFIG}[vestibule.embedding]\norigin = \"https://portal.example\"\n"));
    assert!(told.contains("did you mean `origins`?"), "{told}");
    let http = CONFIG.replace("https://app.example/oauth2callback", "http://localhost:8501/oauth2callback");
    assert!(faults(&format!("{http}{EMBEDDED}")).contains("https"), "cookies of frames need https");
    let many = (0..33).map(|number| format!("\"https://{number}.example\"")).collect::<Vec<_>>().join(", ");
    assert!(faults(&format!("{CONFIG}[vestibule.embedding]\norigins = [{many}]\n")).contains("more than 32"));
}

proptest! {
    /// Whatever is written as an origin: it is a fault, or exactly that source of a policy and no more.
    #[test]
    fn an_origin_is_one_source_of_a_policy(origin in "(https?://)?[a-zA-Z0-9.:*;,' /-]{0,24}") {
        let toml = format!("{CONFIG}[vestibule.embedding]\norigins = [{}]\n", toml_string(&origin));
        if let Ok(config) = Config::parse(&Source::new("secrets.toml", &toml)) {
            prop_assert_eq!(&config.embedding.origins, std::slice::from_ref(&origin));
            prop_assert!(origin.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:/-".contains(&byte)), "{}", origin);
        }
    }
}

fn toml_string(text: &str) -> String {
    format!("\"{text}\"")
}
