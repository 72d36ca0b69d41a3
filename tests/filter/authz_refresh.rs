//! Other proxies ask about requests whose sessions are to be refreshed: the cookies go back with the answer.

use vestibule::decision::Outcome;
use vestibule::web::http::{OutboundError, RequestHead, Response};

use crate::rig::{self, Browser, CONFIG, HOST, RefreshTokens, Rig};

const PROXIES: [&str; 4] = ["envoy", "traefik", "caddy", "nginx"];

/// Of the access tokens here, in seconds.
const LIFETIME: u64 = 300;

fn config(proxy: &str, session: &str) -> String {
    let auth = CONFIG.replace("client_secret", "expose_tokens = \"access\"\nclient_secret");
    format!(
        "{auth}[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"{proxy}\"\n[vestibule.session]\nrefresh = \"auto\"\n{session}"
    )
}

fn logged_in(proxy: &str, session: &str) -> (Rig, Browser) {
    let mut rig = Rig::new(&config(proxy, session));
    rig.memory = rig::Memory::of_everything();
    rig.provider.refresh_tokens = Some(RefreshTokens::default());
    let mut browser = Browser::default();
    assert_eq!(browser.log_in(&mut rig, "/.vestibule/login", "alice").status, 302);
    (rig, browser)
}

/// The question that `proxy` asks about a request, at the path for questions or at nginx's second one.
fn question(proxy: &str, original: &RequestHead, path: &str) -> RequestHead {
    let RequestHead { method, path_with_query, headers, .. } = original.clone();
    match proxy {
        "envoy" => RequestHead { path_with_query: format!("{path}{path_with_query}"), ..original.clone() },
        "nginx" => {
            let head = RequestHead { headers, ..RequestHead::get(path, HOST) };
            head.with("X-Original-Method", &method).with("X-Original-URI", &path_with_query)
        }
        _ => {
            let (host, others): (Vec<_>, Vec<_>) = headers.iter().partition(|(name, _)| *name == "host");
            let mut head = RequestHead::get(path, "vestibule:8502");
            head.headers.extend(others);
            let host = String::from_utf8(host[0].1.to_vec()).unwrap();
            head.with("X-Forwarded-Method", &method).with("X-Forwarded-Uri", &path_with_query).with("X-Forwarded-Host", &host)
        }
    }
}

fn ask_at(rig: &mut Rig, proxy: &str, original: &RequestHead, path: &str) -> Response {
    match rig.decide(&question(proxy, original, path), None).outcome {
        Outcome::Respond(response) => response,
        other => panic!("{proxy}: {other:?}"),
    }
}

fn ask(rig: &mut Rig, proxy: &str, original: &RequestHead) -> Response {
    ask_at(rig, proxy, original, "/.vestibule/check")
}

/// What the browser gets of the cookies of an answer, by way of the proxy.
fn take(browser: &mut Browser, proxy: &str, answer: &Response) -> usize {
    let is_carried = |name: &str| match proxy {
        "nginx" => name.starts_with("X-Vestibule-Set-Cookie-"),
        _ => name.eq_ignore_ascii_case("set-cookie"),
    };
    let cookies: Vec<_> =
        answer.headers.iter().filter(|(name, _)| is_carried(name)).map(|(_, value)| ("set-cookie".to_owned(), value.clone())).collect();
    browser.take(&cookies);
    cookies.len()
}

fn access_token(answer: &Response) -> Option<&str> {
    answer.header("x-forwarded-access-token")
}

#[test]
fn a_question_about_a_session_that_is_due_refreshes_it_and_carries_every_cookie() {
    for proxy in PROXIES {
        let (mut rig, mut browser) = logged_in(proxy, "");
        for round in 2..6 {
            rig.now += LIFETIME;
            let answer = ask(&mut rig, proxy, &browser.head("/reports"));
            assert_eq!((answer.status, access_token(&answer)), (200, Some(format!("access-token-{round}").as_str())), "{proxy}");
            assert_eq!(answer.header("cache-control"), Some("private, no-store"), "{proxy}");
            assert_eq!(take(&mut browser, proxy, &answer), 3, "{proxy}: session, tokens and refresh token");
            let answer = ask(&mut rig, proxy, &browser.head("/reports"));
            assert_eq!((take(&mut browser, proxy, &answer), rig.asked("/token")), (0, round), "{proxy}: and then no more");
        }
        assert!(!rig.provider.refresh_tokens.as_ref().unwrap().is_any_revoked(), "{proxy}");
    }
}

#[test]
fn nobody_is_told_of_a_session_whose_account_is_gone() {
    for proxy in PROXIES {
        let (mut rig, browser) = logged_in(proxy, "revalidate = \"5m\"\n");
        rig.provider.refresh_tokens.as_mut().unwrap().revoke_all();
        assert_eq!(ask(&mut rig, proxy, &browser.head("/")).status, 200, "{proxy}: not yet");
        rig.now += 5 * 60;
        let decision = rig.decide(&question(proxy, &browser.head("/"), "/.vestibule/check"), None);
        let Outcome::Respond(answer) = &decision.outcome else { panic!("{decision:?}") };
        assert_eq!(answer.status, if proxy == "nginx" { 401 } else { 302 }, "{proxy}");
        assert_eq!(decision.ended_sessions.len(), 1, "{proxy}: the host learns of it");
        assert!(decision.events.iter().any(|event| event.code.to_string() == "session.disowned"), "{proxy}: and the log");
        if proxy == "nginx" {
            let asked = rig.asked("/token");
            let page = ask_at(&mut rig, proxy, &browser.head("/"), "/.vestibule/refusal");
            assert!(page.header("location").unwrap().starts_with("https://app.example/.vestibule/login?return_to="));
            assert_eq!(rig.asked("/token"), asked, "for the page the provider is not asked again");
        }
    }
}

/// The request is refused for what the proxy cannot do; the refresh token has been spent all the same.
#[test]
fn a_refusal_after_a_refresh_carries_its_cookies() {
    for (proxy, header, value, code) in
        [("caddy", "X_Forwarded_User", "m", "authz.lookalike_header"), ("envoy", "Upgrade", "h2c", "authz.foreign_upgrade")]
    {
        let (mut rig, mut browser) = logged_in(proxy, "");
        rig.now += LIFETIME;
        let answer = ask(&mut rig, proxy, &browser.head("/").with(header, value));
        assert_eq!((answer.status, rig.last_event()), (400, code), "{proxy}");
        assert_eq!(access_token(&answer), None, "{proxy}");
        assert_eq!(take(&mut browser, proxy, &answer), 3, "{proxy}");
        let answer = ask(&mut rig, proxy, &browser.head("/"));
        assert_eq!((answer.status, access_token(&answer), rig.asked("/token")), (200, Some("access-token-2"), 2), "{proxy}");
    }
}

#[test]
fn a_provider_that_does_not_answer_is_no_pass_where_outages_refuse() {
    for proxy in PROXIES {
        for (setting, passes) in [("", true), ("on_outage = \"refuse\"\n", false)] {
            let (mut rig, mut browser) = logged_in(proxy, setting);
            rig.provider.outage = Some(OutboundError::TimedOut);
            rig.now += LIFETIME;
            let answer = ask(&mut rig, proxy, &browser.head("/"));
            let refused = if proxy == "nginx" { 401 } else { 503 };
            assert_eq!((answer.status, access_token(&answer)), (if passes { 200 } else { refused }, None), "{proxy} {setting}");
            if proxy == "nginx" && !passes {
                let page = ask_at(&mut rig, proxy, &browser.head("/"), "/.vestibule/refusal");
                assert_eq!((page.status, page.header("retry-after")), (503, Some("5")));
            }
            take(&mut browser, proxy, &answer);
        }
    }
}

#[test]
fn who_only_looks_refreshes_nothing_at_a_proxy_either() {
    for proxy in PROXIES {
        let (mut rig, browser) = logged_in(proxy, "");
        rig.now += LIFETIME;
        for head in [RequestHead { method: "HEAD".into(), ..browser.head("/") }, browser.head("/").with("sec-purpose", "prefetch")] {
            let answer = ask(&mut rig, proxy, &head);
            assert_eq!((answer.status, access_token(&answer), rig.asked("/token")), (200, None, 1), "{proxy}");
        }
    }
}

/// The list for the configuration of Traefik.
#[test]
fn the_cookies_that_a_refresh_sets_are_named() {
    for (session, tokens) in [("", false), ("[vestibule.session]\nrefresh = \"auto\"\n", true)] {
        let toml = format!("{CONFIG}[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"traefik\"\n{session}");
        let names = Rig::new(&toml).filter.config().summary().authorization.unwrap().session_cookies;
        for (family, expected) in [("session", 8), ("tokens", if tokens { 8 } else { 0 }), ("refresh", if tokens { 8 } else { 0 })] {
            let prefix = format!("__Host-vestibule_{family}_");
            assert_eq!(names.iter().filter(|name| name.starts_with(&prefix)).count(), expected, "{family}: {names:?}");
        }
    }
}
