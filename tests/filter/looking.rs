//! Who only looks changes nothing: `HEAD`, and what browsers fetch ahead.

use proptest::prelude::*;
use proptest::sample::select;
use vestibule::code::Code;
use vestibule::decision::{Decision, Outcome};
use vestibule::web::http::{Header, RequestHead, Response};

use crate::rig::{Browser, CONFIG, Rig};

/// How browsers say that nobody is there to see the page.
const AHEAD: [(&str, &str); 8] = [
    ("sec-purpose", "prefetch"),
    ("Sec-Purpose", "prefetch;prerender"),
    ("purpose", "prefetch"),
    ("Purpose", "PREFETCH"),
    ("purpose", "preview"),
    ("X-Purpose", "preview"),
    ("x-moz", "prefetch"),
    ("X-Moz", "a, Prefetch;b"),
];

fn configs() -> Vec<String> {
    let idle = "[vestibule.session]\nidle_timeout = \"1h\"\n";
    let second = "[auth.second]\nclient_id = \"c\"\nclient_secret = \"s\"\nserver_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n";
    let rules = "[[vestibule.rule]]\npath = \"/open/**\"\naccess = \"public\"\n[[vestibule.rule]]\npath = \"/**\"\n";
    vec![
        format!("{CONFIG}{idle}"),
        format!("{CONFIG}{second}{idle}"),
        format!("{CONFIG}{idle}{rules}"),
        format!("{CONFIG}[vestibule]\nlogin = \"optional\"\n{idle}"),
        format!("{CONFIG}[vestibule]\napp = \"streamlit\"\n{idle}"),
        format!("{CONFIG}[vestibule]\nroutes = \"/a/b\"\n{idle}"),
        format!("{CONFIG}expose_tokens = [\"id\", \"access\"]\nclient_kwargs = {{ response_mode = \"form_post\" }}\n{idle}"),
    ]
}

fn set_cookies(decision: &Decision) -> Vec<&Header> {
    let headers = match &decision.outcome {
        Outcome::Respond(response) => &response.headers,
        Outcome::Forward(forward) => &forward.response_headers,
        Outcome::NeedBody(_) => return vec![],
    };
    headers.iter().filter(|(name, _)| name.to_ascii_lowercase().contains("set-cookie")).collect()
}

/// Somebody with a session that is due to be renewed and a second login on its way, whose callback this is.
fn visitor(rig: &mut Rig) -> (Browser, String) {
    let mut browser = Browser::default();
    let login = rig.route("/login?provider=default");
    browser.log_in(rig, &login, "alice");
    rig.now += 25 * 60;
    let location = browser.start(rig, &format!("{login}&return_to=%2Fback"));
    let callback = rig.provider.authorize(&location, "bob");
    (browser, callback)
}

fn is_logged_in(rig: &mut Rig, browser: &Browser) -> bool {
    let user = browser.clone().visit(rig, &rig.route("/user")).response();
    String::from_utf8(user.body).unwrap().contains("\"is_logged_in\":true")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn who_only_looks_changes_nothing(
        config in select(configs()),
        path in select(vec!["/.vestibule/login", "/.vestibule/login?provider=default", "/.vestibule/login?provider=second&return_to=%2Fx", "/.vestibule/logout", "/.vestibule/logout?return_to=%2Fx", "/.vestibule/logged-out", "/.vestibule/logged-out?state=logout.x",
            "/oauth2callback", "/oauth2callback?code=c&state=s", "CALLBACK", "/.vestibule/user", "/", "/page?x=1", "/open/page", "/_stcore/stream", "/missing%2f"]),
        ahead in proptest::option::of(select(AHEAD.to_vec())),
        method in select(vec!["GET", "POST", "PUT", "OPTIONS"]),
        extra in select(vec![("accept", "*/*"), ("sec-fetch-mode", "navigate"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "document"), ("upgrade", "websocket")]),
        has_cookies in any::<bool>(),
    ) {
        let mut rig = Rig::new(&config);
        let (mut browser, callback) = visitor(&mut rig);
        let mut looking = if has_cookies { browser.clone() } else { Browser::default() };
        // Nothing is known of the provider: whoever would start a login had to ask.
        rig.forget();
        let path = if path == "CALLBACK" { callback.clone() } else { path.replace("/.vestibule", &rig.route("")) };
        let mut head = looking.head(&path).with(extra.0, extra.1);
        head.method = if ahead.is_some() { method } else { "HEAD" }.to_owned();
        if let Some((name, value)) = ahead {
            head = head.with(name, value);
        }
        let (before, sent) = (looking.cookies.clone(), rig.sent.len());
        let decision = rig.decide(&head, None);
        prop_assert!(set_cookies(&decision).is_empty() && decision.ended_sessions.is_empty(), "{decision:?}");
        prop_assert_eq!(rig.sent.len(), sent, "nobody is asked");
        prop_assert!(!decision.events.iter().any(|event| [Code::LoginStarted, Code::LoginSucceeded, Code::Logout].contains(&event.code)), "{:?}", decision.events);
        if let Outcome::Respond(Response { counts_as, body, .. }) = &decision.outcome {
            prop_assert!(counts_as.is_none() && (head.method != "HEAD" || body.is_empty()));
        }
        prop_assert!(!matches!(decision.outcome, Outcome::NeedBody(_)));
        looking.send(&mut rig, &head);
        prop_assert_eq!(looking.cookies, before);
        // And the login that was on its way can still be finished, once.
        prop_assert!(is_logged_in(&mut rig, &browser));
        let response = browser.visit(&mut rig, &callback).response();
        prop_assert_eq!((response.status, response.header("location")), (302, Some("/back")));
    }
}

#[test]
fn head_is_answered_as_a_page_that_is_there() {
    let (mut rig, browser) = (Rig::new(CONFIG), Browser::default());
    let mut ask = |method: &str, path: &str| {
        let head = RequestHead { method: method.into(), ..browser.head(path) };
        browser.clone().send(&mut rig, &head).response()
    };
    for path in [
        "/.vestibule/login",
        "/.vestibule/logout",
        "/.vestibule/logged-out",
        "/oauth2callback",
        "/oauth2callback?code=c&state=s",
        "/.vestibule/user",
    ] {
        let response = ask("HEAD", path);
        assert_eq!((response.status, response.body.len()), (200, 0), "{path}");
        assert_eq!(response.header("cache-control"), Some("no-store"), "{path}");
    }
    for (path, methods) in [
        ("/.vestibule/login", "GET, HEAD, POST"),
        ("/.vestibule/logout", "GET, HEAD"),
        ("/.vestibule/logged-out", "GET, HEAD"),
        ("/.vestibule/user", "GET, HEAD"),
        ("/oauth2callback", "GET, HEAD, POST"),
    ] {
        for method in ["PUT", "DELETE", "OPTIONS", "head"] {
            let response = ask(method, path);
            assert_eq!((response.status, response.header("allow")), (405, Some(methods)), "{method} {path}");
        }
    }
    let page = ask("HEAD", "/reports?x=1");
    assert_eq!((page.status, page.header("location")), (302, Some("https://app.example/.vestibule/login?return_to=%2Freports%3Fx%3D1")));
    assert!(page.body.is_empty() && rig.sent.is_empty());
}

#[test]
fn a_session_that_is_looked_at_is_not_renewed_and_a_visit_renews_it() {
    let mut rig = Rig::new(&format!("{CONFIG}[vestibule.session]\nidle_timeout = \"1h\"\n"));
    let (mut browser, _) = visitor(&mut rig);
    let head = RequestHead { method: "HEAD".into(), ..browser.head("/") };
    assert!(browser.send(&mut rig, &head).forward().response_headers.is_empty());
    for (name, value) in AHEAD {
        let ahead = browser.head("/").with(name, value);
        assert!(browser.send(&mut rig, &ahead).forward().response_headers.is_empty(), "{name}: {value}");
    }
    assert!(!browser.visit(&mut rig, "/").forward().response_headers.is_empty());
}

#[test]
fn what_is_fetched_ahead_of_a_login_is_401() {
    let mut rig = Rig::new(CONFIG);
    for (name, value) in AHEAD {
        let page = Browser::default().head("/").with("sec-fetch-mode", "navigate").with(name, value);
        assert_eq!(Browser::default().send(&mut rig, &page).response().status, 401, "{name}: {value}");
        for path in ["/.vestibule/login", "/.vestibule/logout", "/.vestibule/logged-out", "/oauth2callback?code=c&state=s"] {
            let response = Browser::default().send(&mut rig, &Browser::default().head(path).with(name, value)).response();
            assert_eq!((response.status, rig.last_event()), (403, "request.not_visited"), "{path} {name}: {value}");
        }
    }
}
