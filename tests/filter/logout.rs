//! Where a logout at the provider ends: at the address that is configured for it, or at the callback.

use proptest::prelude::*;
use url::Url;
use vestibule::config::{Config, Fault, Source};
use vestibule::decision::Outcome;
use vestibule::web::http::RequestHead;

use crate::rig::{self, Browser, CONFIG, HOST, Rig, query};

const LOGGED_OUT: &str = "https://app.example/.vestibule/logged-out";

/// The plain site with `vestibule` in its section, whose provider is told to return to `address`.
fn toml(vestibule: &str, address: &str) -> String {
    format!("{CONFIG}[vestibule]\n{vestibule}\n[vestibule.provider.default]\npost_logout_redirect_uri = \"{address}\"\n")
}

fn faults(toml: &str) -> Vec<Fault> {
    match Config::parse(&Source::new("secrets.toml", toml)) {
        Ok(config) => config.warnings,
        Err(faults) => faults,
    }
}

/// Logs somebody in and out; where the provider is asked to send the browser, with the browser as it is then.
fn logged_out(rig: &mut Rig) -> (Browser, Url) {
    let mut browser = Browser::default();
    browser.log_in(rig, &rig.route("/login"), "alice");
    let location = browser.start(rig, &rig.route("/logout"));
    (browser, location)
}

fn path(address: &str) -> String {
    Url::parse(address).unwrap()[url::Position::BeforePath..].to_owned()
}

#[test]
fn a_logout_returns_to_the_callback_where_nothing_else_is_configured() {
    let mut rig = Rig::new(CONFIG);
    let (mut browser, location) = logged_out(&mut rig);
    assert_eq!(query(&location)["post_logout_redirect_uri"], "https://app.example/oauth2callback");
    assert_eq!(browser.cookies.len(), 1, "the callback has to know that it is the end of a logout: {:?}", browser.cookies);
    // The route is there all the same, and clears that up.
    assert_eq!(browser.visit(&mut rig, "/.vestibule/logged-out").response().status, 200);
    assert!(browser.cookies.is_empty());
}

#[test]
fn a_logout_returns_to_the_address_that_is_configured() {
    for (vestibule, address) in [
        ("", LOGGED_OUT),
        ("", "https://app.example/.vestibule/logged-out?from=provider"),
        ("routes = \"/auth\"", "https://app.example/auth/logged-out"),
        ("", "https://app.example/goodbye"),
        ("", "https://app.example/"),
        ("app = \"streamlit\"", "https://app.example/auth/logged-out"),
    ] {
        let mut rig = Rig::new(&toml(vestibule, address));
        let (browser, location) = logged_out(&mut rig);
        assert!(location.as_str().starts_with("https://op.example/logout?"));
        let asked = query(&location);
        assert_eq!(asked["post_logout_redirect_uri"], address, "{vestibule}");
        assert!(asked["state"].starts_with("logout.") && asked.contains_key("id_token_hint"));
        assert!(browser.cookies.is_empty(), "no callback is expected: {:?}", browser.cookies);
    }
    // Written out, the default is the default.
    let mut rig = Rig::new(&toml("", "https://app.example/oauth2callback"));
    let (browser, location) = logged_out(&mut rig);
    assert_eq!((query(&location)["post_logout_redirect_uri"].as_str(), browser.cookies.len()), ("https://app.example/oauth2callback", 1));
}

#[test]
fn a_logout_of_the_providers_own_form_returns_there_as_well() {
    let form = "logout_url = \"https://op.example/v2/logout?client_id={client_id}&returnTo={return_to}&state={state}\"\n";
    for (more, expected) in [("", "https://app.example/oauth2callback"), ("post_logout_redirect_uri = \"ADDRESS\"\n", LOGGED_OUT)] {
        let more = more.replace("ADDRESS", LOGGED_OUT);
        let mut rig = Rig::new(&format!("{CONFIG}[vestibule.provider.default]\n{form}{more}"));
        let (browser, location) = logged_out(&mut rig);
        assert_eq!((location.path(), query(&location)["returnTo"].as_str()), ("/v2/logout", expected));
        assert_eq!(browser.cookies.len(), usize::from(more.is_empty()), "{:?}", browser.cookies);
    }
    let fixed = format!(
        "{CONFIG}[vestibule.provider.default]\nlogout_url = \"https://op.example/logout\"\npost_logout_redirect_uri = \"{LOGGED_OUT}\"\n"
    );
    let [warning] = &faults(&fixed)[..] else { panic!("one warning") };
    assert!(!warning.fatal && warning.problem.contains("has no effect") && warning.key.ends_with(".post_logout_redirect_uri"), "{warning}");
}

#[test]
fn each_provider_returns_to_its_own_address() {
    let section = |name: &str| {
        format!(
            "[auth.{name}]\nclient_id = \"{name}\"\nclient_secret = \"s\"\nserver_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n"
        )
    };
    let shared: String = CONFIG.lines().take(4).map(|line| format!("{line}\n")).collect();
    let own = format!("[vestibule.provider.two]\npost_logout_redirect_uri = \"{LOGGED_OUT}\"\n");
    let mut rig = Rig::new(&format!("{shared}{}{}{own}", section("one"), section("two")));
    for (name, expected) in [("one", "https://app.example/oauth2callback"), ("two", LOGGED_OUT)] {
        let mut browser = Browser::default();
        browser.log_in(&mut rig, &format!("/.vestibule/login?provider={name}"), "alice");
        let location = browser.start(&mut rig, "/.vestibule/logout");
        assert_eq!(query(&location)["post_logout_redirect_uri"], expected, "{name}");
    }
}

/// What providers add to the address, and what anybody could.
const QUERIES: [&str; 8] = [
    "",
    "?",
    "?state=logout.x",
    "?state=another&lc=1033",
    "?code=c&state=s",
    "?error=access_denied&state=s",
    "?code=a&code=b",
    "?return_to=//evil.example",
];

#[test]
fn the_end_of_a_logout_says_so_and_starts_no_login() {
    let mut rig = Rig::new(&toml("", LOGGED_OUT));
    let (mut browser, _) = logged_out(&mut rig);
    rig.forget();
    let (sent, events) = (rig.sent.len(), rig.events.len());
    for query in QUERIES {
        let page = browser.visit(&mut rig, &format!("/.vestibule/logged-out{query}")).response();
        assert_eq!(page.status, 200, "{query}");
        let body = String::from_utf8_lossy(&page.body);
        assert!(body.contains("You are logged out") && body.contains("href=\"/.vestibule/login\""), "{query}: {body}");
        assert!(browser.cookies.is_empty() && page.header("location").is_none(), "{query}");
    }
    assert_eq!((rig.sent.len(), rig.events.len()), (sent, events), "no provider is asked, and nothing has happened");
    let script = RequestHead::get("/.vestibule/logged-out", HOST).with("sec-fetch-mode", "no-cors");
    assert_eq!((browser.send(&mut rig, &script).response().status, rig.last_event()), (403, "request.not_visited"));
    let post = RequestHead { method: "POST".into(), ..browser.head("/.vestibule/logged-out") };
    let response = browser.send(&mut rig, &post).response();
    assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn the_end_of_a_logout_leads_where_the_callback_would() {
    for (vestibule, expected) in [
        ("after_logout = \"/goodbye\"", Some("/goodbye")),
        ("login = \"optional\"", Some("/")),
        ("app = \"streamlit\"", Some("/")),
        ("login = \"optional\"\nafter_logout = \"https://app.example/x?y\"", Some("/x?y")),
        ("rule = [{ access = \"public\" }]", None),
    ] {
        let mut rig = Rig::new(&format!("{CONFIG}[vestibule]\n{vestibule}\n"));
        for query in QUERIES {
            let path = rig.route(&format!("/logged-out{query}"));
            let response = Browser::default().visit(&mut rig, &path).response();
            assert_eq!((response.status, response.header("location")), (if expected.is_some() { 302 } else { 200 }, expected), "{path}");
        }
        let (mut browser, _) = logged_out(&mut rig);
        let callback = browser.visit(&mut rig, "/oauth2callback").response();
        assert_eq!((callback.status, callback.header("location")), (if expected.is_some() { 302 } else { 200 }, expected), "{vestibule}");
    }
}

/// What carries neither a code nor an error, and could be from anybody.
const NOTHING: [&str; 9] = [
    "",
    "?",
    "?&&",
    "?state=logout.x",
    "?state=logout.AAAAAAAAAAAAAAAAAAAAAA&lc=1033",
    "?state=",
    "?state=x",
    "?foo=bar&session_state=y",
    "?logout=1",
];

fn is_logged_out_page(response: &vestibule::web::http::Response) -> bool {
    response.status == 200 && String::from_utf8_lossy(&response.body).contains("You are logged out")
}

#[test]
fn a_callback_that_carries_nothing_is_no_end_of_a_logout() {
    for vestibule in ["", "login = \"optional\"", "after_logout = \"/goodbye\"", "app = \"streamlit\""] {
        let mut rig = Rig::new(&format!("{CONFIG}[vestibule]\n{vestibule}\n"));
        let mut somebody = Browser::default();
        let login = rig.route("/login");
        somebody.log_in(&mut rig, &login, "alice");
        for query in NOTHING {
            for mut browser in [Browser::default(), somebody.clone()] {
                let before = browser.cookies.clone();
                let page = browser.visit(&mut rig, &format!("/oauth2callback{query}")).response();
                assert_eq!((page.status, rig.last_event()), (400, "callback.malformed"), "{vestibule} {query}");
                assert!(!String::from_utf8_lossy(&page.body).contains("You are logged out") && browser.cookies == before, "{query}");
                // The same as a form, with and without cookies, is refused where it is posted.
                let post = RequestHead { method: "POST".into(), ..browser.head("/oauth2callback") }
                    .with("content-type", "application/x-www-form-urlencoded");
                let decision = rig.decide(&post, Some(query.trim_start_matches('?').as_bytes()));
                let Outcome::Respond(page) = decision.outcome else { panic!("{query}") };
                assert_eq!((page.status, rig.last_event()), (400, "callback.malformed"), "{vestibule} {query}");
            }
        }
    }
}

/// Whatever the provider adds, or leaves out, and also where a page of it posts the browser back.
#[test]
fn a_browser_that_has_logged_out_here_lands_once() {
    for query in NOTHING {
        for is_posted in [false, true] {
            let mut rig = Rig::new(CONFIG);
            let (mut browser, _) = logged_out(&mut rig);
            let mut stranger = Browser::default();
            let callback = format!("/oauth2callback{query}");
            assert_eq!(stranger.visit(&mut rig, &callback).response().status, 400, "another browser: {query}");
            if is_posted {
                let post = RequestHead { method: "POST".into(), ..browser.head("/oauth2callback") }
                    .with("content-type", "application/x-www-form-urlencoded");
                let Outcome::Respond(onward) = rig.decide(&post, Some(query.trim_start_matches('?').as_bytes())).outcome else { panic!() };
                assert_eq!(onward.status, 303, "{query}");
                assert!(onward.header("location").is_some_and(|location| location.starts_with("/oauth2callback")), "{query}");
            }
            assert!(is_logged_out_page(&browser.visit(&mut rig, &callback).response()), "{query}");
            assert!(browser.cookies.is_empty(), "{query}: {:?}", browser.cookies);
            assert_eq!(browser.visit(&mut rig, &callback).response().status, 400, "it has landed: {query}");
        }
    }
}

#[test]
fn a_logout_that_was_left_at_the_provider_does_not_cover_what_comes_later() {
    let mut rig = Rig::new(CONFIG);
    let (mut browser, _) = logged_out(&mut rig);
    assert!(browser.cookies.keys().any(|name| name.contains("vestibule_logout_")));
    // A JWT is a response that nobody asked for, also now.
    let page = browser.clone().visit(&mut rig, "/oauth2callback?response=a.b.c").response();
    assert_eq!((page.status, rig.last_event()), (400, "callback.malformed"));
    browser.log_in(&mut rig, "/", "alice");
    assert!(browser.cookies.keys().all(|name| !name.contains("vestibule_logout_")), "{:?}", browser.cookies.keys());
    let page = browser.visit(&mut rig, "/oauth2callback").response();
    assert_eq!((page.status, rig.last_event()), (400, "callback.malformed"));
}

#[test]
fn nobody_who_is_logged_in_is_told_to_be_logged_out() {
    for vestibule in ["", "login = \"optional\"", "after_logout = \"/goodbye\"", "routes = \"/auth\"", "app = \"streamlit\""] {
        let mut rig = Rig::new(&format!("{CONFIG}[vestibule]\n{vestibule}\n"));
        let mut browser = Browser::default();
        let (login, end) = (rig.route("/login"), rig.route("/logged-out"));
        browser.log_in(&mut rig, &login, "alice");
        let before = browser.cookies.clone();
        for query in QUERIES {
            let response = browser.visit(&mut rig, &format!("{end}{query}")).response();
            assert_eq!((response.status, response.header("location")), (302, Some("/")), "{vestibule} {query}");
        }
        assert_eq!(browser.cookies, before, "the session stays");
    }
}

#[test]
fn an_address_that_is_no_page_of_the_public_origin_is_a_fault() {
    for (address, problem) in [
        ("https://evil.example/.vestibule/logged-out", "is not of the public origin, https://app.example"),
        ("http://app.example/.vestibule/logged-out", "is not of the public origin"),
        ("https://app.example:8443/x", "is not of the public origin"),
        ("https://app.example.evil.example/x", "is not of the public origin"),
        ("https://www.app.example/x", "is not of the public origin"),
        ("https://app.example@evil.example/x", "is not of the public origin"),
        ("/.vestibule/logged-out", "is not the whole address of a page"),
        ("//app.example/x", "is not the whole address of a page"),
        ("app.example/x", "is not the whole address of a page"),
        ("", "is not the whole address of a page"),
        ("javascript:alert(1)", "is not the whole address of a page"),
        ("https:app.example/x", "is not the whole address of a page"),
        ("https://user@app.example/x", "is not the whole address of a page"),
        ("https://app.example/a b", "is not the whole address of a page"),
        ("https://app.example//evil.example", "is not the whole address of a page"),
        ("https://app.example/x#top", "has a fragment"),
        ("https://app.example/.vestibule/nothing", "is reserved for routes of Vestibule"),
        ("https://app.example/%2Evestibule/logged-out", "is reserved for routes of Vestibule"),
        ("https://app.example/.vestibule/login", "starts the next login"),
        ("https://app.example/.vestibule/login?return_to=%2Fgoodbye", "starts the next login"),
        ("https://app.example/.vestibule/logout", "starts the next logout"),
        ("https://app.example/.vestibule/user", "is a route for scripts"),
    ] {
        let [fault] = &faults(&toml("", address))[..] else { panic!("{address}: {:?}", faults(&toml("", address))) };
        assert_eq!((fault.line, fault.key.as_str()), (11, "vestibule.provider.default.post_logout_redirect_uri"), "{address}");
        assert!(fault.fatal && fault.problem.contains(problem), "{address}: {fault}");
        assert!(fault.remedy.contains(LOGGED_OUT), "{fault}");
    }
    let misplaced = format!("{CONFIG}post_logout_redirect_uri = \"{LOGGED_OUT}\"\n");
    let [warning] = &faults(&misplaced)[..] else { panic!("one warning") };
    assert!(!warning.fatal && warning.remedy.contains("[vestibule.provider.default]"), "{warning}");
    let respelled = toml("", "https://APP.example:443/.vestibule/logged-out");
    let [warning] = &faults(&respelled)[..] else { panic!("one warning") };
    assert!(!warning.fatal && warning.problem.contains(LOGGED_OUT), "{warning}");
}

#[test]
fn a_logout_does_not_end_at_a_route_that_leads_round_in_circles() {
    for (page, problem) in [
        ("/oauth2callback", "leads to `after_logout` itself"),
        ("/.vestibule/logout", "leads to `after_logout` itself"),
        ("/.vestibule/logged-out?x", "leads to `after_logout` itself"),
        ("https://app.example/.vestibule/logged-out", "leads to `after_logout` itself"),
        ("/.vestibule/nothing", "is reserved"),
    ] {
        let [fault] = &faults(&format!("{CONFIG}[vestibule]\nafter_logout = \"{page}\"\n"))[..] else { panic!("{page}") };
        assert_eq!((fault.line, fault.key.as_str(), fault.fatal), (9, "vestibule.after_logout", true), "{page}");
        assert!(fault.problem.contains(problem), "{page}: {fault}");
    }
    for page in ["/goodbye", "/auth/logged-out", "/.vestibule/login", "/.well-known/x"] {
        assert_eq!(faults(&format!("{CONFIG}[vestibule]\nafter_logout = \"{page}\"\n")), [], "{page}");
    }
}

#[test]
fn the_address_may_name_the_port_that_is_listened_on() {
    let toml = "[auth]\nredirect_uri = \"http://localhost:{port}/base/oauth2callback\"\n\
                cookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\nclient_id = \"a\"\nclient_secret = \"b\"\n\
                server_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n\
                [vestibule.provider.default]\npost_logout_redirect_uri = \"http://localhost:{port}/base/.vestibule/logged-out\"\n";
    let config = Config::parse(&Source { port: Some(8501), ..Source::new("secrets.toml", toml) }).unwrap();
    let address = config.providers[0].post_logout_redirect_uri.as_ref().unwrap();
    assert_eq!(address.as_str(), "http://localhost:8501/base/.vestibule/logged-out");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Of any address that is accepted, the provider is asked for exactly that, and it is of the public origin.
    #[test]
    fn what_is_sent_is_what_is_written_and_of_the_public_origin(
        origin in proptest::sample::select(&["https://app.example", "https://app.example:443", "https://evil.example", "http://app.example", "https://app.example:8443", "https://app.example.", ""][..]),
        page in "(/[a-z0-9._~%-]{0,6}){0,3}(\\?[a-z0-9=&%]{0,10})?(#[a-z]{0,3})?",
    ) {
        let address = format!("{origin}{page}");
        let toml = toml("", &address);
        let faults = faults(&toml);
        if faults.iter().any(|fault| fault.fatal) {
            prop_assert!(faults.iter().all(|fault| fault.key == "vestibule.provider.default.post_logout_redirect_uri"), "{faults:?}");
            return Ok(());
        }
        let mut rig = Rig::new(&toml);
        let (_, location) = logged_out(&mut rig);
        let sent = query(&location)["post_logout_redirect_uri"].clone();
        prop_assert_eq!(&sent, &Url::parse(&address).unwrap().to_string());
        prop_assert!(sent.starts_with("https://app.example/") && !sent.contains('#'));
        prop_assert_eq!(faults.is_empty(), sent == address, "what is sent otherwise is told: {:?}", faults);
        // And coming back there is no failure of a login.
        let back = Browser::default().send(&mut rig, &Browser::default().head(&path(&sent)));
        if let rig::Seen::Answered(response) = back {
            prop_assert!(matches!(response.status, 200 | 302 | 400), "{} {}", sent, response.status);
        }
    }
}
