//! Where our own routes lie, and that everything else is the application's.

use proptest::prelude::*;
use serde_json::Value;
use vestibule::decision::Outcome;
use vestibule::web::http::{RequestHead, Response};

use crate::rig::{Browser, CONFIG, HOST, Rig, query};

/// The plain site under a base path, with these lines in `[vestibule]`.
fn site(base: &str, lines: &str) -> Rig {
    Rig::new(&format!("{}[vestibule]\n{lines}\n", CONFIG.replace("https://app.example/", &format!("https://app.example{base}/"))))
}

/// `lines` of the configuration and the prefix that they come to.
const PREFIXES: [(&str, &str); 6] = [
    ("", "/.vestibule"),
    ("routes = \"/.vestibule\"", "/.vestibule"),
    ("routes = \"/auth\"", "/auth"),
    ("routes = \"/a/b-c_d~e.f\"", "/a/b-c_d~e.f"),
    ("app = \"streamlit\"\nlogin = \"required\"", "/auth"),
    ("app = \"streamlit\"\nlogin = \"required\"\nroutes = \"/auth\"", "/auth"),
];

/// A login, a look and a logout by the routes below `prefix`, and every address of ours that is told on the way.
fn goes_round(rig: &mut Rig, base: &str, prefix: &str) {
    let mut browser = Browser::default();
    let script = RequestHead::get(&format!("{base}/data"), HOST);
    let problem: Value = serde_json::from_slice(&browser.send(rig, &script).response().body).unwrap();
    assert_eq!(problem["login"], format!("{base}{prefix}/login"));
    let location = browser.start(rig, &format!("{base}{prefix}/login?return_to={base}/page%3Fx"));
    assert_eq!(query(&location)["redirect_uri"], format!("https://app.example{base}/oauth2callback"));
    let callback = rig.provider.authorize(&location, "alice");
    assert_eq!(browser.visit(rig, &callback).response().header("location"), Some(format!("{base}/page?x").as_str()));
    let user = browser.visit(rig, &format!("{base}{prefix}/user")).response();
    assert!(String::from_utf8_lossy(&user.body).contains("\"sub\":\"alice\""));
    let limits = rig.filter.config().limits();
    assert_eq!(limits[0].path, format!("{base}{prefix}/login"));
    let away = browser.visit(rig, &format!("{base}{prefix}/logout")).response();
    assert!(away.header("location").unwrap().starts_with("https://op.example/logout?"), "{away:?}");
    let end = browser.visit(rig, &format!("{base}{prefix}/logged-out?state=x")).response();
    assert_eq!(end.status, 200);
    let user = browser.visit(rig, &format!("{base}{prefix}/user")).response();
    assert_eq!(user.body, br#"{"is_logged_in":false}"#);
}

#[test]
fn a_login_goes_round_below_every_prefix() {
    for base in ["", "/base"] {
        for (lines, prefix) in PREFIXES {
            goes_round(&mut site(base, lines), base, prefix);
        }
    }
}

#[test]
fn what_is_no_route_is_the_applications() {
    for base in ["", "/base"] {
        for (lines, prefix) in PREFIXES {
            let mut rig = site(base, lines);
            let mut browser = Browser::default();
            browser.log_in(&mut rig, &format!("{base}{prefix}/login"), "alice");
            let mut paths = vec![
                format!("{base}/"),
                format!("{base}/login"),
                format!("{base}/oauth2callback/"),
                format!("{base}/x{prefix}/login"),
                format!("{base}{prefix}s/login"),
                format!("/elsewhere{prefix}/login"),
                format!("{base}/.well-known/security.txt"),
            ];
            if prefix != "/auth" {
                paths.extend(["/auth/login", "/auth/logout", "/auth/user", "/auth/check", "/auth"].map(|path| format!("{base}{path}")));
            }
            if prefix == "/.vestibule" {
                paths.push(format!("/elsewhere{base}/.vestibule/nothing"));
            } else {
                paths.extend(["/.vestibule/login", "/.vestibule/nothing", "/.vestibule"].map(|path| format!("{base}{path}")));
                for path in ["", "/", "/nothing", "/login/", "/login/x", "/Login", "/log%69n", "/check", "/check/x", "/refusal"] {
                    paths.push(format!("{base}{prefix}{path}"));
                }
            }
            for path in paths {
                let forward = browser.visit(&mut rig, &path).forward();
                let is_streamlit = lines.contains("streamlit");
                assert!(is_streamlit || forward.set_headers.iter().any(|(name, _)| name == "X-Forwarded-User"), "{path} with {lines}");
                // And the login stands before it as before any other page.
                assert_ne!(Browser::default().visit(&mut rig, &path).response().status, 200, "{path} with {lines}");
            }
        }
    }
}

#[test]
fn nothing_below_the_reserved_prefix_reaches_the_application() {
    for base in ["", "/base"] {
        for lines in ["", "login = \"optional\"", "routes = \"/.vestibule\"\nrule = [{ access = \"public\" }]"] {
            let mut rig = site(base, lines);
            let mut browser = Browser::default();
            browser.log_in(&mut rig, &format!("{base}/.vestibule/login"), "alice");
            for path in [
                "/.vestibule",
                "/.vestibule/",
                "/.vestibule?x=1",
                "/.vestibule/nothing",
                "/.vestibule/login/",
                "/.vestibule/login/x",
                "/.vestibule/Login",
                "/.vestibule/log%69n",
                "/.vestibule//login",
                "/.vestibule/check",
                "/.vestibule/check/x",
                "/.vestibule/refusal",
                "/.Vestibule/login",
                "/.VESTIBULE/x",
                "/%2Evestibule/login",
                "/%2e%76estibule/x",
                "/.vestibule%2flogin",
                "/.vestibule;x/login",
            ] {
                for method in ["GET", "HEAD", "POST", "OPTIONS"] {
                    let head = RequestHead { method: method.into(), ..browser.head(&format!("{base}{path}")) };
                    let response = browser.clone().send(&mut rig, &head).response();
                    assert_eq!((response.status, rig.last_event()), (404, "request.reserved_path"), "{method} {path} with {lines}");
                    assert!(response.header("set-cookie").is_none());
                }
            }
        }
    }
}

#[test]
fn a_login_returns_to_no_route_and_no_reserved_path() {
    for (lines, prefix) in PREFIXES {
        let mut rig = site("", lines);
        for route in ["/login", "/logout", "/logged-out", "/user"] {
            let response = Browser::default().log_in(&mut rig, &format!("{prefix}/login?return_to={prefix}{route}"), "alice");
            assert_eq!(response.header("location"), Some("/"), "{prefix}{route}");
        }
        let response = Browser::default().log_in(&mut rig, &format!("{prefix}/login?return_to={prefix}/page"), "alice");
        let page = format!("{prefix}/page");
        let expected = if prefix == "/.vestibule" { "/" } else { page.as_str() };
        assert_eq!(response.header("location"), Some(expected), "{prefix}");
    }
}

/// What the service answers to `head`, which a proxy sends it.
fn answered(rig: &mut Rig, head: &RequestHead) -> Response {
    match rig.decide(head, None).outcome {
        Outcome::Respond(response) => response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn proxies_ask_below_the_prefix() {
    for (lines, prefix) in &PREFIXES[..4] {
        for proxy in ["envoy", "traefik", "caddy", "nginx"] {
            let mut rig = site("/base", &format!("{lines}\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"{proxy}\""));
            let mut browser = Browser::default();
            browser.log_in(&mut rig, &format!("/base{prefix}/login"), "alice");
            let asked_at = |path: &str, original: &str| {
                let behind = if proxy == "envoy" { original } else { "" };
                let head = browser.head(&format!("{path}{behind}"));
                head.with("X-Forwarded-Method", "GET")
                    .with("X-Forwarded-Uri", original)
                    .with("X-Forwarded-Host", HOST)
                    .with("X-Original-Method", "GET")
                    .with("X-Original-URI", original)
            };
            let check = format!("/base{prefix}/check");
            let passed = answered(&mut rig, &asked_at(&check, "/base/page"));
            assert_eq!((passed.status, passed.header("x-forwarded-user")), (200, Some("alice")), "{proxy} {prefix}");
            for (original, code) in [
                (format!("{check}/x"), "authz.not_a_route"),
                (format!("/base{prefix}/refusal"), "authz.not_a_route"),
                (format!("/base{prefix}/user"), "authz.route_asked"),
                (format!("/base{prefix}/logged-out"), "authz.route_asked"),
            ] {
                let at = if proxy == "nginx" { format!("/base{prefix}/refusal") } else { check.clone() };
                let refused = answered(&mut rig, &asked_at(&at, &original));
                assert_eq!((refused.status >= 400, rig.last_event()), (true, code), "{proxy} {prefix} {original}");
            }
            // At another prefix there are no questions, and there is no application.
            for elsewhere in ["/base/elsewhere/check", "/elsewhere/check", "/check"] {
                let sent = answered(&mut rig, &asked_at(elsewhere, "/base/page"));
                assert_eq!((sent.status, sent.header("x-forwarded-user")), (404, None), "{proxy} {prefix} {elsewhere}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Of any prefix that is accepted, a login goes round below it, and its neighbours are the application's.
    #[test]
    fn any_prefix_of_plain_segments_will_do(prefix in "(/[A-Za-z0-9._~-]{1,9}){1,4}", base in "(/[a-z0-9]{1,5}){0,2}") {
        let has_dots = prefix.split('/').any(|segment| segment == "." || segment == "..");
        let is_callback = prefix == "/oauth2callback" || prefix.starts_with("/oauth2callback/");
        prop_assume!(!has_dots && !is_callback);
        let mut rig = site(&base, &format!("routes = \"{prefix}\""));
        goes_round(&mut rig, &base, &prefix);
        let mut browser = Browser::default();
        browser.log_in(&mut rig, &format!("{base}{prefix}/login"), "alice");
        if prefix != "/.vestibule" {
            for path in ["", "/", "/nothing", "/login/", "s/login"] {
                browser.visit(&mut rig, &format!("{base}{prefix}{path}")).forward();
            }
        }
    }
}
