//! Other proxies ask about requests: what they are answered, and what they are not told.

use vestibule::decision::Outcome;
use vestibule::web::http::{RequestHead, Response};
use vestibule::web::proxy_headers::{IDENTITY, STEERING};

use crate::rig::{Browser, CONFIG, HOST, Rig};

const PROXIES: [&str; 4] = ["envoy", "traefik", "caddy", "nginx"];

fn config(proxy: &str) -> String {
    format!("{CONFIG}[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"{proxy}\"\n")
}

/// The question that `proxy` asks about a request.
fn question(proxy: &str, original: &RequestHead) -> RequestHead {
    let RequestHead { method, path_with_query, headers, .. } = original.clone();
    match proxy {
        "envoy" => RequestHead { path_with_query: format!("/.vestibule/check{path_with_query}"), ..original.clone() },
        "nginx" => {
            let head = RequestHead { headers, ..RequestHead::get("/.vestibule/check", HOST) };
            head.with("X-Original-Method", &method).with("X-Original-URI", &path_with_query)
        }
        _ => {
            let (host, others): (Vec<_>, Vec<_>) = headers.iter().partition(|(name, _)| *name == "host");
            let mut head = RequestHead::get("/.vestibule/check", "vestibule:8502");
            head.headers.extend(others);
            let host = String::from_utf8(host[0].1.to_vec()).unwrap();
            head.with("X-Forwarded-Method", &method).with("X-Forwarded-Uri", &path_with_query).with("X-Forwarded-Host", &host)
        }
    }
}

fn ask(rig: &mut Rig, proxy: &str, original: &RequestHead) -> Response {
    match rig.decide(&question(proxy, original), None).outcome {
        Outcome::Respond(response) => response,
        other => panic!("{proxy}: {other:?}"),
    }
}

fn values<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    let lines = response.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
    lines.map(|(_, value)| std::str::from_utf8(value).unwrap()).collect()
}

/// Somebody who has logged in where the proxy sends the routes here.
fn logged_in(rig: &mut Rig) -> Browser {
    let mut browser = Browser::default();
    let back = browser.log_in(rig, "/.vestibule/login", "alice");
    assert_eq!(back.status, 302);
    browser
}

#[test]
fn who_is_logged_in_passes_with_their_identity() {
    for proxy in PROXIES {
        let mut rig = Rig::new(&config(proxy));
        let mut browser = logged_in(&mut rig);
        browser.cookies.insert("theme".into(), "dark".into());
        let answer = ask(&mut rig, proxy, &browser.head("/reports?x=1"));
        assert_eq!(answer.status, 200, "{proxy}");
        assert_eq!(values(&answer, "X-Forwarded-User"), ["alice"], "{proxy}");
        assert_eq!(values(&answer, "X-Forwarded-Groups"), ["staff,admins"], "{proxy}");
        assert_eq!(values(&answer, "Cookie"), ["theme=dark"], "{proxy}: ours are not the application's");
        assert!(values(&answer, "Set-Cookie").is_empty() && answer.body.is_empty(), "{proxy}");
    }
}

#[test]
fn the_cookies_that_remain_are_told_whole() {
    for proxy in PROXIES {
        let mut rig = Rig::new(&config(proxy).replace("mode", "login = \"optional\"\nmode"));
        let stranger = Browser::default().head("/").with("cookie", "a=1; b=2").with("Cookie", "c=3");
        assert_eq!(values(&ask(&mut rig, proxy, &stranger), "cookie"), ["a=1; b=2; c=3"], "{proxy}: as they came");
        let without = Browser::default().head("/");
        assert!(values(&ask(&mut rig, proxy, &without), "cookie").is_empty(), "{proxy}: there are none");
    }
}

#[test]
fn envoy_removes_what_it_does_not_set() {
    let mut rig = Rig::new(&config("envoy").replace("mode", "login = \"optional\"\nmode"));
    let asked = Browser::default().head("/").with("X_Forwarded_User", "mallory");
    let removed = ask(&mut rig, "envoy", &asked);
    assert_eq!(
        values(&removed, "x-envoy-auth-headers-to-remove"),
        ["cookie,x-forwarded-access-token,x-forwarded-email,x-forwarded-groups,x-forwarded-preferred-username,\
             x-forwarded-provider,x-forwarded-user,x_forwarded_user"]
    );
    let browser = logged_in(&mut rig);
    let answer = ask(&mut rig, "envoy", &browser.head("/"));
    assert_eq!(values(&answer, "x-envoy-auth-headers-to-remove"), ["cookie,x-forwarded-access-token"]);
}

#[test]
fn names_that_a_proxy_cannot_remove_are_refused() {
    for (proxy, status) in [("traefik", 400), ("caddy", 400), ("nginx", 401)] {
        for login in ["optional", "required"] {
            let mut rig = Rig::new(&config(proxy).replace("mode", &format!("login = \"{login}\"\nmode")));
            let browser = logged_in(&mut rig);
            for name in ["X_Forwarded_User", "x-forwarded.email", "X!Forwarded-Groups"] {
                let answer = ask(&mut rig, proxy, &browser.head("/").with(name, "mallory"));
                assert_eq!(answer.status, status, "{name} by {proxy}");
                assert!(values(&answer, "x-forwarded-user").is_empty(), "{name} by {proxy}");
            }
            let exact = ask(&mut rig, proxy, &browser.head("/").with("x-FORWARDED-user", "mallory"));
            assert_eq!((exact.status, values(&exact, "x-forwarded-user")), (200, vec!["alice"]), "{proxy}");
        }
    }
    let mut rig = Rig::new(&config("caddy"));
    let browser = logged_in(&mut rig);
    ask(&mut rig, "caddy", &browser.head("/").with("x_forwarded_user", "mallory"));
    assert_eq!(rig.last_event(), "authz.lookalike_header");
}

#[test]
fn a_question_is_answered_without_asking_the_provider() {
    for proxy in PROXIES {
        let mut rig = Rig::new(&config(proxy));
        let answer = ask(&mut rig, proxy, &Browser::default().head("/reports?x=%2F&y"));
        if proxy == "nginx" {
            assert_eq!((answer.status, answer.header("location")), (401, None));
            // What nginx does then: it asks for the refusal.
            let asked = question(proxy, &Browser::default().head("/reports?x=%2F&y"));
            let full = rig.decide(&RequestHead { path_with_query: "/.vestibule/refusal".into(), ..asked }, None).outcome;
            let Outcome::Respond(full) = full else { panic!("{full:?}") };
            assert_eq!(full.header("location"), Some("https://app.example/.vestibule/login?return_to=%2Freports%3Fx%3D%252F%26y"));
        } else {
            let login = "https://app.example/.vestibule/login?return_to=%2Freports%3Fx%3D%252F%26y";
            assert_eq!((answer.status, answer.header("location")), (302, Some(login)), "{proxy}");
        }
        assert!(rig.sent.is_empty(), "{proxy}: a proxy waits for no provider");
    }
}

#[test]
fn no_refusal_looks_like_a_pass() {
    // With several providers the login begins with a page, status 200.
    let two = CONFIG.replace("client_id", "[auth.a]\nclient_id")
        + &CONFIG[CONFIG.find("client_id").unwrap()..].replace("client_id", "[auth.b]\nclient_id");
    for proxy in PROXIES {
        let toml = format!("{two}[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"{proxy}\"\n");
        let mut rig = Rig::new(&toml);
        let page = Browser::default().head("/");
        let script = RequestHead::get("/", HOST).with("accept", "application/json");
        let ambiguous = Browser::default().head("/a/../b");
        let form = RequestHead { method: "POST".into(), ..Browser::default().head("/") };
        for (asked, status) in [(page, 302), (script, 401), (ambiguous, 400), (form, 401)] {
            let answer = ask(&mut rig, proxy, &asked);
            assert_eq!(answer.status, if proxy == "nginx" { 401 } else { status }, "{asked:?} of {proxy}");
        }
    }
}

#[test]
fn our_own_routes_are_not_asked_about() {
    for proxy in PROXIES {
        let mut rig = Rig::new(&config(proxy));
        let browser = logged_in(&mut rig);
        for path in ["/.vestibule/user", "/.vestibule/login", "/.vestibule/logout", "/oauth2callback?code=x&state=y"] {
            let answer = ask(&mut rig, proxy, &browser.head(path));
            assert_eq!(answer.status, if proxy == "nginx" { 401 } else { 500 }, "{path} of {proxy}");
            assert!(values(&answer, "set-cookie").is_empty(), "{path} of {proxy}");
        }
        if proxy != "nginx" {
            assert_eq!(rig.last_event(), "authz.route_asked");
        }
        // The login is untouched.
        assert_eq!(ask(&mut rig, proxy, &browser.head("/")).status, 200, "{proxy}");
    }
}

#[test]
fn there_is_no_application_behind_the_service() {
    for proxy in PROXIES {
        let mut rig = Rig::new(&config(proxy));
        let mut browser = logged_in(&mut rig);
        let answer = browser.visit(&mut rig, "/reports").response();
        assert_eq!((answer.status, rig.last_event()), (404, "authz.not_a_route"), "{proxy}");
        assert!(values(&answer, "x-forwarded-user").is_empty(), "{proxy}");
    }
}

#[test]
fn what_is_no_question_in_the_proxys_form_is_refused() {
    for proxy in PROXIES {
        let mut rig = Rig::new(&config(proxy));
        let browser = logged_in(&mut rig);
        let other = if proxy == "nginx" { "traefik" } else { "nginx" };
        let answer = rig.decide(&question(other, &browser.head("/")), None).outcome;
        let Outcome::Respond(answer) = answer else { panic!("{proxy}: {answer:?}") };
        // nginx makes 500 of anything but 401 and 403.
        let status = if proxy == "nginx" { 401 } else { 400 };
        assert_eq!((answer.status, rig.last_event()), (status, "authz.malformed_question"), "{proxy}");
        assert!(values(&answer, "x-forwarded-user").is_empty(), "{proxy}");
    }
}

#[test]
fn a_renewed_session_goes_back_with_the_answer() {
    for proxy in PROXIES {
        let mut rig = Rig::new(&format!("{}[vestibule.session]\nidle_timeout = \"1h\"\n", config(proxy)));
        let browser = logged_in(&mut rig);
        assert!(values(&ask(&mut rig, proxy, &browser.head("/")), "cache-control").is_empty(), "{proxy}: not yet");
        rig.now += 30 * 60;
        let answer = ask(&mut rig, proxy, &browser.head("/"));
        let cookies = values(&answer, if proxy == "nginx" { "X-Vestibule-Set-Cookie-1" } else { "Set-Cookie" });
        assert!(cookies.len() == 1 && cookies[0].starts_with("__Host-vestibule_session_"), "{proxy}: {cookies:?}");
        assert_eq!(values(&answer, "cache-control"), ["private, no-store"], "{proxy}");
    }
}

#[test]
fn a_websocket_of_another_origin_is_refused_without_its_upgrade_header() {
    for proxy in PROXIES {
        let mut rig = Rig::new(&config(proxy));
        let browser = logged_in(&mut rig);
        let asked = |origin| browser.head("/ws").with("sec-websocket-key", "x").with("origin", origin);
        let (own, foreign) = (asked("https://app.example"), asked("https://evil.example"));
        assert_eq!(ask(&mut rig, proxy, &own).status, 200, "{proxy}");
        assert_eq!(ask(&mut rig, proxy, &foreign).status, if proxy == "nginx" { 401 } else { 403 }, "{proxy}");
        if proxy != "nginx" {
            assert_eq!(rig.last_event(), "request.foreign_origin", "{proxy}");
        }
    }
}

/// The path of questions is nobody's page, whatever rules say of it: not as a request that is asked about, and not as one
/// that is sent here.
#[test]
fn nobody_is_told_anything_at_the_path_of_questions() {
    const RULES: [&str; 3] = [
        "",
        "[[vestibule.rule]]\npath = [\"/.vestibule/**\", \"/public/**\"]\naccess = \"public\"\n[[vestibule.rule]]\npath = \"/**\"\n",
        "[[vestibule.rule]]\npath = \"/.vestibule/**\"\naccess = \"deny\"\n[[vestibule.rule]]\npath = \"/**\"\n",
    ];
    for proxy in PROXIES {
        for rules in RULES {
            let mut rig = Rig::new(&format!("{}{rules}", config(proxy)));
            let browser = logged_in(&mut rig);
            let said = |path: &str| {
                let head = browser.head(path).with("X-Original-URI", "/data").with("X-Original-Method", "GET");
                head.with("X-Forwarded-Uri", "/data").with("X-Forwarded-Method", "GET").with("X-Forwarded-Host", HOST)
            };
            for path in [
                "/.vestibule/check",
                "/.vestibule/check?x=1",
                "/.vestibule/check/",
                "/.vestibule/check/data",
                "/.vestibule/refusal",
                "/.vestibule/refusal/x",
            ] {
                let answer = ask(&mut rig, proxy, &browser.head(path));
                assert_eq!(answer.status, if proxy == "nginx" { 401 } else { 404 }, "{path} of {proxy} with {rules}");
                assert!(values(&answer, "x-forwarded-user").is_empty(), "{path} of {proxy}");
            }
            if proxy != "nginx" {
                assert_eq!(rig.last_event(), "authz.not_a_route", "{proxy}");
            }
            // What a proxy should not send here, with the client's own question in it.
            for path in ["/data", "/.vestibule/check%2f", "/.vestibule/checks", "/.VESTIBULE/CHECK", "/.vestibule/login/"] {
                let sent = match rig.decide(&said(path), None).outcome {
                    Outcome::Respond(response) => response,
                    other => panic!("{proxy}: {other:?}"),
                };
                let code = if path == "/data" { "authz.not_a_route" } else { "request.reserved_path" };
                assert_eq!((sent.status, rig.last_event()), (404, code), "{path} of {proxy}");
                assert!(values(&sent, "x-forwarded-user").is_empty(), "{path} of {proxy}");
            }
        }
    }
}

/// What nginx asks for after a 401: the response for the browser, and never what the application is told.
#[test]
fn nginx_gets_a_refusal_in_full_and_nothing_else() {
    let rules = "[[vestibule.rule]]\npath = \"/denied/**\"\naccess = \"deny\"\n[[vestibule.rule]]\npath = \"/**\"\n";
    let mut rig = Rig::new(&format!("{}{rules}", config("nginx")));
    let browser = logged_in(&mut rig);
    let mut refusal = |original: &RequestHead| {
        let head = RequestHead { path_with_query: "/.vestibule/refusal".into(), ..question("nginx", original) };
        match rig.decide(&head, None).outcome {
            Outcome::Respond(response) => (response, rig.last_event().to_owned()),
            other => panic!("{other:?}"),
        }
    };
    let (answer, _) = refusal(&Browser::default().head("/reports?x=1"));
    assert_eq!(answer.header("location"), Some("https://app.example/.vestibule/login?return_to=%2Freports%3Fx%3D1"));
    let (answer, event) = refusal(&browser.head("/denied/x"));
    assert_eq!((answer.status, event.as_str()), (403, "policy.denied"));
    for (original, status, event) in [
        (browser.head("/reports"), 404, "authz.not_a_route"),
        (browser.head("/.vestibule/check"), 404, "authz.not_a_route"),
        (browser.head("/.vestibule/user"), 500, "authz.route_asked"),
        (browser.head("/reports").with("X-Remote-Extra-Scopes", "x"), 400, "authz.lookalike_header"),
        (browser.head("/reports").with("Upgrade", "h2c"), 400, "authz.foreign_upgrade"),
    ] {
        let (answer, code) = refusal(&original);
        assert_eq!((answer.status, code.as_str()), (status, event), "{}", original.path_with_query);
        let told = ["x-forwarded-user", "x-forwarded-email", "cookie"].into_iter().filter(|name| answer.header(name).is_some());
        assert_eq!(told.count(), 0, "{}", original.path_with_query);
    }
    let without = RequestHead { path_with_query: "/.vestibule/refusal".into(), ..browser.head("/reports") };
    assert!(matches!(rig.decide(&without, None).outcome, Outcome::Respond(Response { status: 400, .. })));
    for proxy in ["caddy", "traefik", "envoy"] {
        let mut rig = Rig::new(&config(proxy));
        let head = RequestHead { path_with_query: "/.vestibule/refusal".into(), ..question(proxy, &logged_in(&mut rig).head("/")) };
        assert!(matches!(rig.decide(&head, None).outcome, Outcome::Respond(Response { status: 404, .. })), "{proxy}");
    }
}

#[test]
fn an_upgrade_that_is_not_websocket_is_refused() {
    for proxy in PROXIES {
        let mut rig = Rig::new(&config(proxy).replace("mode", "login = \"optional\"\nmode"));
        let browser = logged_in(&mut rig);
        for head in [browser.head("/ws"), Browser::default().head("/ws")] {
            assert_eq!(ask(&mut rig, proxy, &head.clone().with("Upgrade", "WebSocket")).status, 200, "{proxy}");
            for lines in [&["h2c"][..], &["websocket, h2c"], &["websocket", "h2c"], &["h2c", "websocket"], &["TLS/1.0"], &[""]] {
                let asked = lines.iter().fold(head.clone(), |head, line| head.with("Upgrade", line));
                let answer = ask(&mut rig, proxy, &asked);
                assert_eq!(answer.status, if proxy == "nginx" { 401 } else { 400 }, "{lines:?} of {proxy}");
                assert!(values(&answer, "x-forwarded-user").is_empty(), "{lines:?} of {proxy}");
            }
        }
    }
}

/// What a proxy's configuration removes by its name passes; what it cannot name is refused, or named to Envoy.
#[test]
fn headers_of_the_lists_are_removed_or_refused() {
    for proxy in PROXIES {
        let toml = format!("{}[vestibule.identity]\npass = [\"X-Remote-User\", \"X-Remote-Extra-Scopes\"]\n", config(proxy));
        let (mut rig, mut passing) = (Rig::new(&config(proxy)), Rig::new(&toml));
        let (browser, with_pass) = (logged_in(&mut rig), logged_in(&mut passing));
        for name in STEERING.into_iter().chain(IDENTITY) {
            // The words of the question itself cannot be said twice.
            if matches!(name, "x-forwarded-method" | "x-forwarded-uri" | "x-original-method" | "x-original-uri") {
                continue;
            }
            let answer = ask(&mut rig, proxy, &browser.head("/").with(name, "mallory"));
            assert_eq!((answer.status, values(&answer, "x-forwarded-user")), (200, vec!["alice"]), "{name} of {proxy}");
            let removed = values(&answer, "x-envoy-auth-headers-to-remove").iter().any(|names| names.split(',').any(|given| given == name));
            assert_eq!(removed, proxy == "envoy", "{name} of {proxy}");
        }
        for name in
            ["x_remote_user", "X-Remote.User", "X-Remote-Extra-Scopes", "x_forwarded_for", "X!Real!IP", "spin-path-info", "OIDC_CLAIM_sub"]
        {
            let answer = ask(&mut rig, proxy, &browser.head("/").with(name, "mallory"));
            let refused = if proxy == "nginx" { 401 } else { 400 };
            assert_eq!(answer.status, if proxy == "envoy" { 200 } else { refused }, "{name} of {proxy}");
            let removed = values(&answer, "x-envoy-auth-headers-to-remove").join(",").contains(&name.to_ascii_lowercase());
            assert_eq!(removed, proxy == "envoy", "{name} of {proxy}");
        }
        for name in ["X-Remote-User", "X-Remote-Extra-Scopes"] {
            let answer = ask(&mut passing, proxy, &with_pass.head("/").with(name, "mallory"));
            assert_eq!(answer.status, 200, "{name} of {proxy}");
            let removed = values(&answer, "x-envoy-auth-headers-to-remove").join(",").contains("x-remote");
            assert!(!removed, "{name} of {proxy}");
        }
    }
}

#[test]
fn a_question_about_who_only_looks_changes_nothing() {
    for proxy in PROXIES {
        let mut rig = Rig::new(&format!("{}[vestibule.session]\nidle_timeout = \"1h\"\n", config(proxy)));
        let browser = logged_in(&mut rig);
        rig.now += 25 * 60;
        let renews = |rig: &mut Rig, original: &RequestHead| {
            let answer = ask(rig, proxy, original);
            assert_eq!(answer.status, 200, "{proxy}");
            answer.headers.iter().any(|(name, _)| name.to_lowercase().contains("set-cookie"))
        };
        let page = browser.head("/reports");
        assert!(renews(&mut rig, &page), "{proxy}: a visit does");
        let head = RequestHead { method: "HEAD".into(), ..page.clone() };
        assert!(!renews(&mut rig, &head), "{proxy}");
        for (name, value) in [("purpose", "prefetch"), ("X-Moz", "prefetch"), ("sec-purpose", "prefetch;prerender")] {
            assert!(!renews(&mut rig, &page.clone().with(name, value)), "{proxy} {name}");
        }
        let sent = rig.sent.len();
        let stranger = RequestHead { method: "HEAD".into(), ..Browser::default().head("/reports") };
        let answer = ask(&mut rig, proxy, &stranger);
        assert_eq!(answer.status, if proxy == "nginx" { 401 } else { 302 }, "{proxy}");
        assert!(values(&answer, "set-cookie").is_empty() && rig.sent.len() == sent, "{proxy}");
    }
}
