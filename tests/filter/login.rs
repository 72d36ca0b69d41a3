//! Whole logins, with the filter, a browser and a provider in one process.

use serde_json::{Value, json};
use vestibule::decision::Forward;
use vestibule::web::http::{OutboundError, RequestHead, Response};
use vestibule::web::proxy_headers::{IDENTITY, STEERING};

use crate::rig::{Browser, CLIENT_ID, CONFIG, ISSUER, Rig, query};

fn set_header<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(given, _)| given == name).map(|(_, value)| std::str::from_utf8(value).unwrap())
}

fn told<'a>(forward: &'a Forward, name: &str) -> Option<&'a str> {
    let mut lines = forward.set_headers.iter().filter(|(given, _)| *given == name);
    lines.next().map(|(_, value)| std::str::from_utf8(value).unwrap())
}

fn is_removed(forward: &Forward, name: &str) -> bool {
    forward.remove_headers.iter().any(|removed| removed == name)
}

fn body(response: &Response) -> &str {
    std::str::from_utf8(&response.body).unwrap()
}

fn user(browser: &mut Browser, rig: &mut Rig) -> Value {
    serde_json::from_slice(&browser.visit(rig, "/.vestibule/user").response().body).unwrap()
}

fn is_logged_in(browser: &mut Browser, rig: &mut Rig) -> bool {
    user(browser, rig)["is_logged_in"] == true
}

#[test]
fn a_person_logs_in_and_the_application_knows_who_it_is() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let location = browser.start(&mut rig, "/reports?year=2026&x=%2Fa");
    let asked = query(&location);
    assert!(location.as_str().starts_with("https://op.example/authorize?response_type=code&client_id=client-1&redirect_uri="));
    assert_eq!(asked["redirect_uri"], "https://app.example/oauth2callback");
    assert_eq!(asked["scope"], "openid email profile");
    assert_eq!(asked.get("prompt"), None);

    let callback = rig.provider.authorize(&location, "alice");
    let back = browser.visit(&mut rig, &callback).response();
    assert_eq!((back.status, back.header("location")), (302, Some("/reports?year=2026&x=%2Fa")));

    let forward = browser.visit(&mut rig, "/reports?year=2026").forward();
    let header = |name| told(&forward, name);
    assert_eq!(header("X-Forwarded-User"), Some("alice"));
    assert_eq!(header("X-Forwarded-Email"), Some("alice@example.com"));
    assert_eq!(header("X-Forwarded-Preferred-Username"), Some("alice"));
    assert_eq!(header("X-Forwarded-Groups"), Some("staff,admins"));
    assert_eq!(header("cookie"), None, "ours are removed and there are no others");
    assert!(is_removed(&forward, "cookie"));
    assert_eq!(forward.expires_at.unwrap().as_secs(), rig.now + 30 * 24 * 60 * 60);
    assert_eq!(rig.events, ["login.started", "login.succeeded"]);

    let claims = user(&mut browser, &mut rig);
    assert_eq!((&claims["name"], &claims["is_logged_in"], &claims["provider"]), (&json!("Alice Example"), &json!(true), &json!("default")));
}

#[test]
fn the_token_request_is_what_the_specification_says() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let request = rig.sent.iter().find(|request| request.url.path() == "/token").unwrap();
    assert_eq!(request.method, "POST");
    let authorization = set_header(&request.headers, "authorization").unwrap();
    // base64("client-1:a%7Esecret%2Fof+the+client"): each part form-encoded first.
    assert_eq!(authorization, "Basic Y2xpZW50LTE6YSU3RXNlY3JldCUyRm9mK3RoZStjbGllbnQ=");
    let form: std::collections::BTreeMap<_, _> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    assert_eq!(form.keys().collect::<Vec<_>>(), ["code", "code_verifier", "grant_type", "redirect_uri"]);
    assert_eq!(form["code_verifier"].len(), 43);
}

#[test]
fn client_authentication_follows_metadata_and_configuration() {
    let post = "client_kwargs = { token_endpoint_auth_method = \"client_secret_post\" }";
    for (config, listed, sent) in [
        (CONFIG.to_owned(), None, "basic"),
        (CONFIG.to_owned(), Some(json!(["private_key_jwt", "client_secret_post"])), "post"),
        // Encoding changes the secret.
        (CONFIG.to_owned(), Some(json!(["client_secret_post", "client_secret_basic"])), "post"),
        (CONFIG.replace("a~secret/of the client", "0f9e8d7c6b5a"), Some(json!(["client_secret_post", "client_secret_basic"])), "basic"),
        (format!("{CONFIG}{post}"), Some(json!(["client_secret_basic"])), "post"),
        (
            CONFIG.replace("client_secret = \"a~secret/of the client\"", "client_kwargs = { token_endpoint_auth_method = \"none\" }"),
            None,
            "none",
        ),
    ] {
        let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
        rig.provider.edit_metadata = Some(Box::new(move |metadata| {
            if let Some(listed) = &listed {
                metadata["token_endpoint_auth_methods_supported"] = listed.clone();
            }
        }));
        browser.log_in(&mut rig, "/", "alice");
        let request = rig.sent.iter().find(|request| request.url.path() == "/token").unwrap();
        let form: std::collections::BTreeMap<_, _> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let used = match (set_header(&request.headers, "authorization"), form.get("client_secret"), form.get("client_id")) {
            (Some(_), None, None) => "basic",
            (None, Some(_), Some(_)) => "post",
            (None, None, Some(_)) => "none",
            other => panic!("{other:?}"),
        };
        assert_eq!(used, sent);
    }
}

#[test]
fn several_tabs_log_in_at_once() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let first = browser.start(&mut rig, "/one");
    let second = browser.start(&mut rig, "/two");
    let (first, second) = (rig.provider.authorize(&first, "alice"), rig.provider.authorize(&second, "alice"));
    assert_eq!(browser.visit(&mut rig, &second).response().header("location"), Some("/two"));
    assert_eq!(browser.visit(&mut rig, &first).response().header("location"), Some("/one"));
    assert!(is_logged_in(&mut browser, &mut rig));
    assert!(browser.cookies.keys().all(|name| !name.contains("login")), "no attempt is left: {:?}", browser.cookies.keys());
}

#[test]
fn a_login_can_be_finished_by_an_instance_that_knows_nothing() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let location = browser.start(&mut rig, "/");
    rig.forget();
    rig.sent.clear();
    let callback = rig.provider.authorize(&location, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 302);
    assert_eq!(rig.sent.iter().map(|request| request.url.path()).collect::<Vec<_>>(), ["/token", "/jwks"]);
}

#[test]
fn metadata_and_keys_are_asked_for_once() {
    let mut rig = Rig::new(CONFIG);
    for _ in 0..3 {
        Browser::default().log_in(&mut rig, "/", "alice");
    }
    let count = |path: &str| rig.sent.iter().filter(|request| request.url.path() == path).count();
    assert_eq!((count("/.well-known/openid-configuration"), count("/jwks"), count("/token")), (1, 1, 3));
}

#[test]
fn what_is_not_a_navigation_gets_401_and_the_login_url() {
    let mut rig = Rig::new(CONFIG);
    for head in [
        RequestHead::get("/api", "app.example").with("accept", "application/json"),
        RequestHead::get("/api", "app.example").with("accept", "text/html").with("sec-fetch-mode", "cors"),
        RequestHead::get("/ws", "app.example").with("upgrade", "websocket").with("connection", "upgrade"),
        RequestHead::get("/app", "app.example").with("accept", "text/event-stream").with("x-forwarded-user", "admin"),
        RequestHead::get("/app", "app.example").with("authorization", "Bearer x"),
        RequestHead::get("/app?token=x", "app.example"),
        RequestHead::get("/app?x=/public/a", "app.example").with("user-agent", "kube-probe/1.30").with("x-forwarded-uri", "/public/x"),
        RequestHead { method: "OPTIONS".into(), ..RequestHead::get("/api", "app.example") },
    ] {
        let response = Browser::default().send(&mut rig, &head).response();
        assert_eq!((response.status, response.header("content-type")), (401, Some("application/problem+json")), "{head:?}");
        let problem: Value = serde_json::from_str(body(&response)).unwrap();
        assert_eq!((&problem["login"], &problem["status"]), (&json!("/.vestibule/login"), &json!(401)));
    }
    assert!(rig.sent.is_empty(), "nobody was asked for a program's request");
}

#[test]
fn a_form_that_comes_too_late_is_not_lost_in_a_redirect() {
    let mut rig = Rig::new(CONFIG);
    let head = RequestHead { method: "POST".into(), ..Browser::default().head("/save") };
    let response = Browser::default().send(&mut rig, &head).response();
    assert_eq!(response.status, 401);
    assert!(body(&response).contains("Your request was not passed on"));
    assert!(body(&response).contains("href=\"/.vestibule/login\""), "{}", body(&response));
    for (referer, link) in [
        ("https://app.example/form?id=7", "/.vestibule/login?return_to=%2Fform%3Fid%3D7"),
        ("https://evil.example/form", "href=\"/.vestibule/login\""),
        ("https://app.example/", "/.vestibule/login?return_to=%2F"),
    ] {
        let head = RequestHead { method: "POST".into(), ..Browser::default().head("/save") }.with("referer", referer);
        let response = Browser::default().send(&mut rig, &head).response();
        assert!(body(&response).contains(link), "{referer}: {}", body(&response));
    }
}

#[test]
fn optional_login_lets_anonymous_requests_through_without_an_identity() {
    let mut rig = Rig::new(&format!("{CONFIG}\n[vestibule]\nlogin = \"optional\"\n"));
    let head = Browser::default().head("/").with("X-Forwarded-User", "admin").with("x_forwarded_email", "admin@x").with("X-Other", "1");
    let forward = Browser::default().send(&mut rig, &head).forward();
    assert_eq!(forward.remove_headers, ["X-Forwarded-User", "x_forwarded_email"]);
    assert!(forward.set_headers.is_empty() && forward.expires_at.is_none());
    assert_eq!(user(&mut Browser::default(), &mut rig), json!({ "is_logged_in": false }));
}

#[test]
fn identity_headers_of_the_client_never_arrive() {
    let config =
        format!("{CONFIG}\n[vestibule.identity]\nheaders = {{ department = \"X-Department\", \"/address/country\" = \"X-Country\" }}\n");
    let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
    rig.provider.edit_claims = Some(Box::new(|claims| {
        claims.remove("email");
        claims.insert("address".into(), json!({ "country": "Österreich" }));
    }));
    browser.log_in(&mut rig, "/", "alice");
    let mut head = browser.head("/");
    for name in ["X-Forwarded-Email", "x-forwarded-groups", "X_Forwarded_User", "X-Forwarded-Access-Token", "X-Department", "x_country"] {
        head = head.with(name, "forged");
    }
    let forward = browser.send(&mut rig, &head).forward();
    for name in ["X-Forwarded-Email", "x-forwarded-groups", "X_Forwarded_User", "X-Forwarded-Access-Token", "X-Department", "x_country"] {
        assert!(is_removed(&forward, name), "{name}");
    }
    assert_eq!(told(&forward, "X-Country"), Some("%C3%96sterreich"));
    assert_eq!(told(&forward, "X-Forwarded-Email"), None, "the user has none");
    assert_eq!(told(&forward, "X-Department"), None);
}

/// What else applications believe of a proxy, with a session and without one.
#[test]
fn headers_of_the_lists_never_arrive_but_for_those_that_pass() {
    let names = || STEERING.into_iter().chain(IDENTITY);
    for passed in [&[][..], &["X-Remote-User", "x-original-url", "X-Remote-Extra-Scopes"]] {
        let config = format!("{CONFIG}[vestibule]\nlogin = \"optional\"\n[vestibule.identity]\npass = {passed:?}\n");
        let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
        let stranger = browser.clone();
        browser.log_in(&mut rig, "/.vestibule/login", "alice");
        for mut browser in [stranger, browser] {
            for name in names().flat_map(|name| [name.to_uppercase(), name.replacen('-', "_", 1), name.replace('-', ".")]) {
                let passes = passed.iter().any(|passed| passed.eq_ignore_ascii_case(&name));
                let forward = browser.send(&mut rig, &browser.head("/").with(&name, "forged")).forward();
                assert_eq!(is_removed(&forward, &name), !passes, "{name} with {passed:?}");
            }
            let member = browser.head("/").with("X-Remote-Extra-Scopes", "forged").with("x_remote_extra_scopes", "forged");
            let forward = browser.send(&mut rig, &member).forward();
            assert_eq!(is_removed(&forward, "X-Remote-Extra-Scopes"), passed.is_empty());
            assert!(is_removed(&forward, "x_remote_extra_scopes"), "another spelling never passes");
            for name in ["authorization", "x-api-key", "x-forwarded-for", "x-real-ip", "forwarded"] {
                let forward = browser.send(&mut rig, &browser.head("/").with(name, "x")).forward();
                assert!(!forward.remove_headers.iter().any(|removed| removed == name), "{name} is not the filter's to remove");
            }
        }
    }
}

/// An upgrade to anything but `websocket` is a way past the decision.
#[test]
fn only_an_upgrade_to_websocket_goes_on() {
    for rules in ["", "[[vestibule.rule]]\naccess = \"public\"\n", "[[vestibule.rule]]\naccess = \"optional\"\n"] {
        let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}{rules}")), Browser::default());
        browser.log_in(&mut rig, "/.vestibule/login", "alice");
        for (lines, goes_on) in [
            (&["websocket"][..], true),
            (&["WebSocket"], true),
            (&["h2c"], false),
            (&["websocket, h2c"], false),
            (&["websocket", "h2c"], false),
            (&["TLS/1.0"], false),
        ] {
            let head = lines.iter().fold(browser.head("/ws").with("HTTP2-Settings", "AAMAAABk"), |head, line| head.with("upgrade", line));
            let forward = browser.send(&mut rig, &head).forward();
            assert_eq!(forward.remove_headers.iter().any(|name| name == "upgrade"), !goes_on, "{lines:?}");
            assert!(forward.remove_headers.iter().any(|name| name == "HTTP2-Settings"), "{lines:?}");
        }
    }
}

#[test]
fn the_session_ends_when_it_is_due() {
    let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}\n[vestibule.session]\nmax_age = \"8h\"\n")), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    rig.now += 8 * 60 * 60 - 1;
    browser.visit(&mut rig, "/").forward();
    rig.now += 1;
    assert_eq!(browser.visit(&mut rig, "/").response().status, 302);
}

/// caddy-security CVE-2024-21492: what is promised without a store, and what is not (SECURITY.md, "Revocation").
#[test]
fn a_copied_session_outlives_its_logout_and_ends_when_it_is_due() {
    let config = format!("{CONFIG}\n[vestibule.session]\nmax_age = \"8h\"\nidle_timeout = \"1h\"\n");
    let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let mut thief = browser.clone();
    browser.visit(&mut rig, "/.vestibule/logout");
    assert!(!is_logged_in(&mut browser, &mut rig));
    assert!(is_logged_in(&mut thief.clone(), &mut rig), "nobody remembers that it has ended");
    let mut unused = thief.clone();
    for _ in 0..15 {
        rig.now += 30 * 60;
        thief.visit(&mut rig, "/").forward();
    }
    assert!(!is_logged_in(&mut unused, &mut rig), "idle for hours");
    rig.now += 30 * 60;
    assert!(!is_logged_in(&mut thief, &mut rig), "eight hours after the login, however it was used");
}

#[test]
fn an_idle_session_ends_and_a_used_one_goes_on_to_its_absolute_end() {
    let config = format!("{CONFIG}\n[vestibule.session]\nmax_age = \"8h\"\nidle_timeout = \"1h\"\n");
    let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let started = rig.now;
    rig.now += 60;
    let forward = browser.visit(&mut rig, "/").forward();
    assert_eq!(forward.expires_at.unwrap().as_secs(), started + 60 * 60, "no sooner is it seen anew than its cookie says so");
    let mut idle = browser.clone();
    while rig.now + 30 * 60 < started + 8 * 60 * 60 {
        rig.now += 30 * 60;
        let forward = browser.visit(&mut rig, "/").forward();
        assert!(forward.expires_at.unwrap().as_secs() <= started + 8 * 60 * 60);
    }
    assert_eq!(idle.visit(&mut rig, "/").response().status, 302, "unused for hours");
    rig.now = started + 8 * 60 * 60;
    assert_eq!(browser.visit(&mut rig, "/").response().status, 302);
}

#[test]
fn a_changed_cookie_secret_logs_nobody_out_when_the_old_one_is_kept() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let new = CONFIG.replace("8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5", "e75f02c9a4d1863bb0f94e27d35c68a19f20e7b4c5d83a61");
    let kept = format!("{new}\n[vestibule.session]\nprevious_cookie_secrets = [\"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"]\n");
    assert!(is_logged_in(&mut browser.clone(), &mut Rig::new(&kept)));
    assert!(!is_logged_in(&mut browser, &mut Rig::new(&new)));
}

#[test]
fn a_session_ends_as_early_as_the_configuration_in_force_says() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let with = |max_age: &str, now: u64| {
        let mut rig = Rig::new(&format!("{CONFIG}\n[vestibule.session]\nmax_age = \"{max_age}\"\n"));
        rig.now = now;
        rig
    };
    let (started, hour) = (rig.now, 60 * 60);
    let expires_at = |rig: &mut Rig| browser.clone().visit(rig, "/").forward().expires_at.unwrap().as_secs();
    assert_eq!(expires_at(&mut rig), started + 30 * 24 * hour);
    assert_eq!(expires_at(&mut with("1h", started + 1)), started + hour, "shorter");
    assert_eq!(expires_at(&mut with("60d", started + 1)), started + 30 * 24 * hour, "what was promised is not lengthened");
    assert_eq!(browser.visit(&mut with("1h", started + hour), "/").response().status, 302);
}

#[test]
fn a_session_is_worth_nothing_to_another_application_or_client() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    assert!(!is_logged_in(&mut browser.clone(), &mut Rig::new(&CONFIG.replace("client-1", "client-2"))));
    let elsewhere = CONFIG.replace("https://app.example/", "https://app.example/other/");
    let mut other = Rig::new(&elsewhere);
    let renamed = browser.cookies.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let answer = Browser { cookies: renamed, ..Browser::default() }.visit(&mut other, "/other/.vestibule/user").response();
    assert_eq!(body(&answer), r#"{"is_logged_in":false}"#);
}

#[test]
fn every_changed_bit_of_a_session_is_nobody() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let (name, value) = browser.cookies.iter().find(|(name, _)| name.contains("session")).map(|(n, v)| (n.clone(), v.clone())).unwrap();
    let mut answers = std::collections::BTreeSet::new();
    for index in 0..value.len() {
        let mut bytes = value.clone().into_bytes();
        bytes[index] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        if changed.contains([';', ',', '"', '\\']) || changed.chars().any(|c| c.is_whitespace() || c.is_control()) {
            continue;
        }
        let mut browser = Browser { cookies: [(name.clone(), changed)].into(), ..Browser::default() };
        let answer = browser.visit(&mut rig, "/.vestibule/user").response();
        answers.insert(body(&answer).to_owned());
    }
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), [r#"{"is_logged_in":false}"#]);
}

#[test]
fn logout_ends_the_session_here_and_at_the_provider() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let response = browser.visit(&mut rig, "/.vestibule/logout").response();
    let location = url::Url::parse(response.header("location").unwrap()).unwrap();
    let asked = query(&location);
    assert!(location.as_str().starts_with("https://op.example/logout?"));
    assert_eq!(
        (asked["client_id"].as_str(), asked["post_logout_redirect_uri"].as_str()),
        (CLIENT_ID, "https://app.example/oauth2callback")
    );
    assert_eq!(asked["id_token_hint"].split('.').count(), 3);
    assert!(!asked["state"].is_empty());
    assert_eq!(browser.cookies.len(), 1, "one that says so: {:?}", browser.cookies);

    let page = browser.visit(&mut rig, &format!("/oauth2callback?state={}", asked["state"])).response();
    assert_eq!(page.status, 200);
    assert!(body(&page).contains("You are logged out"));
    assert_eq!(browser.visit(&mut rig, "/").response().status, 302);
}

#[test]
fn logout_is_local_when_the_provider_cannot_be_asked_or_has_no_such_thing() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    rig.provider.edit_metadata = Some(Box::new(|metadata| {
        metadata.as_object_mut().unwrap().remove("end_session_endpoint");
    }));
    browser.log_in(&mut rig, "/", "alice");
    assert_eq!(browser.visit(&mut rig, "/.vestibule/logout").response().status, 200);
    assert!(browser.cookies.is_empty());

    browser.log_in(&mut rig, "/", "alice");
    rig.forget();
    rig.provider.outage = Some(OutboundError::TimedOut);
    assert_eq!(browser.visit(&mut rig, "/.vestibule/logout?return_to=/bye").response().header("location"), Some("/bye"));
    assert!(browser.cookies.is_empty());
    assert_eq!(rig.last_event(), "logout.local_only");
    assert_eq!(browser.visit(&mut rig, "/.vestibule/logout?return_to=//evil").response().status, 200);
}

#[test]
fn with_several_providers_the_user_chooses() {
    let two = r#"
[auth]
redirect_uri = "https://app.example/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
[auth.microsoft]
client_id = "m"
client_secret = "ms"
server_metadata_url = "https://op.example/.well-known/openid-configuration"
[auth.my_okta]
client_id = "o"
client_secret = "os"
server_metadata_url = "https://other.example/.well-known/openid-configuration"
[vestibule.provider.my_okta]
title = "Okta <of us>"
"#;
    let (mut rig, mut browser) = (Rig::new(two), Browser::default());
    let page = browser.visit(&mut rig, "/deep?x=1").response();
    assert_eq!(page.status, 200);
    assert!(body(&page).contains(r#"href="/.vestibule/login?provider=microsoft&#38;return_to=%2Fdeep%3Fx%3D1""#), "{}", body(&page));
    assert!(body(&page).contains("Log in with Microsoft"));
    assert!(body(&page).contains("Log in with Okta &#60;of us&#62;"));
    let csp = page.header("content-security-policy").unwrap();
    assert!(csp.starts_with("default-src 'none'; script-src 'nonce-"), "{csp}");

    let location = browser.start(&mut rig, "/.vestibule/login?provider=microsoft&return_to=/deep?x=1");
    let callback = rig.provider.authorize(&location, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().header("location"), Some("/deep?x=1"));
    assert_eq!(user(&mut browser, &mut rig)["provider"], "microsoft");

    let unknown = browser.visit(&mut rig, "/.vestibule/login?provider=google").response();
    assert_eq!((unknown.status, rig.last_event()), (404, "login.unknown_provider"));
}

#[test]
fn streamlits_provider_token_starts_the_login_it_names() {
    use jwt_simple::prelude::*;
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Payload {
        provider: String,
    }
    let key = HS256Key::from_bytes(b"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5");
    let other = HS256Key::from_bytes(b"another-secret-of-the-same-length");
    let sign = |key: &HS256Key, provider: &str, expires_at: Option<u64>| {
        let mut claims = Claims::with_custom_claims(Payload { provider: provider.into() }, Duration::from_secs(1));
        claims.issued_at = None;
        claims.invalid_before = None;
        claims.expires_at = expires_at.map(UnixTimeStamp::from_secs);
        key.authenticate(claims).unwrap()
    };
    let mut rig = Rig::new(CONFIG);
    let now = rig.now;
    let mut visit = |token: &str| {
        let response = Browser::default().visit(&mut rig, &format!("/.vestibule/login?provider={token}")).response();
        response.header("location").unwrap_or_default().to_owned()
    };
    assert!(visit(&sign(&key, "default", Some(now + 120))).starts_with("https://op.example/authorize?"));
    for token in [
        sign(&key, "default", Some(now)),
        sign(&key, "default", None),
        sign(&other, "default", Some(now + 120)),
        "eyJhbGciOiJub25lIn0.eyJwcm92aWRlciI6ImRlZmF1bHQiLCJleHAiOjk5OTk5OTk5OTl9.".to_owned(),
        "a.b.c".to_owned(),
    ] {
        assert_eq!(visit(&token), "/", "{token}");
    }
}

#[test]
fn userinfo_completes_the_claims_and_never_replaces_signed_ones() {
    let config = format!("{CONFIG}\n[vestibule.provider.default]\nuserinfo = true\n");
    let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let claims = user(&mut browser, &mut rig);
    assert_eq!((&claims["locale"], &claims["name"]), (&json!("de"), &json!("Alice Example")));

    rig.provider.edit_userinfo = Some(Box::new(|answer| answer["sub"] = "aliceinvalid".into()));
    let mut other = Browser::default();
    assert_eq!(other.log_in(&mut rig, "/", "alice").status, 502);
    assert_eq!(rig.last_event(), "userinfo.invalid");
    assert!(!is_logged_in(&mut other, &mut rig));
}

#[test]
fn form_post_is_handed_on_as_a_query() {
    let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}client_kwargs = {{ response_mode = \"form_post\" }}\n")), Browser::default());
    let location = browser.start(&mut rig, "/x");
    assert_eq!(query(&location)["response_mode"], "form_post");
    let callback = rig.provider.authorize(&location, "alice");
    let form = callback.split_once('?').unwrap().1;
    let head = RequestHead { method: "POST".into(), ..RequestHead::get("/oauth2callback", "app.example") };
    let head = head.with("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    assert!(matches!(rig.decide(&head, None).outcome, vestibule::decision::Outcome::NeedBody(limit) if limit > 1000));
    let body = format!("{form}&evil=1");
    let vestibule::decision::Outcome::Respond(response) = rig.decide(&head, Some(body.as_bytes())).outcome else { panic!() };
    assert_eq!((response.status, response.header("location")), (303, Some(callback.as_str())));
    assert_eq!(browser.visit(&mut rig, &callback).response().header("location"), Some("/x"));
}

#[test]
fn our_routes_live_under_the_base_path_and_nowhere_else() {
    let config = CONFIG.replace("https://app.example/", "https://app.example/base/");
    let mut rig = Rig::new(&config);
    let mut browser = Browser::default();
    assert_eq!(body(&browser.visit(&mut rig, "/base/.vestibule/user").response()), r#"{"is_logged_in":false}"#);
    let location = browser.start(&mut rig, "/base/x");
    assert_eq!(query(&location)["redirect_uri"], "https://app.example/base/oauth2callback");
    let callback = rig.provider.authorize(&location, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().header("location"), Some("/base/x"));
    for page in [
        "/.vestibule/user",
        "/oauth2callback",
        "/base/oauth2callbackX",
        "/base/oauth2callback/",
        "/base/.vestibuled/user",
        "/base/auth/user",
        "/x?y=/oauth2callback",
    ] {
        browser.visit(&mut rig, page).forward();
    }
    let head = browser.head("/base/.vestibule/logout");
    assert_eq!(browser.send(&mut rig, &RequestHead { method: "POST".into(), ..head }).response().status, 405);
}

#[test]
fn a_login_on_another_host_moves_to_the_public_one() {
    let mut rig = Rig::new(CONFIG);
    let head = RequestHead::get("/x?y=1", "internal:8080").with("accept", "text/html");
    let response = Browser::default().send(&mut rig, &head).response();
    assert_eq!(response.header("location"), Some("https://app.example/.vestibule/login?return_to=%2Fx%3Fy%3D1"));
    // A login that begins there moves as well, with all that was asked for.
    for (asked, moved) in [
        ("", "moved=1"),
        ("?return_to=%2Fx%3Fy%3D1", "return_to=%2Fx%3Fy%3D1&moved=1"),
        ("?provider=default&prompt=select_account&return_to=/x", "provider=default&return_to=%2Fx&prompt=select_account&moved=1"),
        ("?return_to=https%3A%2F%2Fevil.example%2F", "moved=1"),
        ("?provider=a%26b", "provider=a%26b&moved=1"),
    ] {
        let login = |path: &str| RequestHead::get(path, "127.0.0.1:8080").with("accept", "text/html");
        let mut browser = Browser::default();
        let response = browser.send(&mut rig, &login(&format!("/.vestibule/login{asked}"))).response();
        assert_eq!(response.header("location"), Some(format!("https://app.example/.vestibule/login?{moved}").as_str()), "{asked}");
        assert!(browser.cookies.is_empty(), "nothing has begun");
        // And from there it does not move again, whatever `Host` a proxy in between writes.
        let response = browser.send(&mut rig, &login(&format!("/.vestibule/login?{moved}"))).response();
        let goes_on = response.status == 404 || response.header("location").unwrap().starts_with(ISSUER);
        assert!(goes_on, "{asked}: {response:?}");
    }
}

#[test]
fn head_gets_what_get_gets_without_the_body() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let head = RequestHead { method: "HEAD".into(), ..browser.head("/.vestibule/login?provider=nobody") };
    let response = browser.send(&mut rig, &head).response();
    assert_eq!((response.status, response.body.len()), (404, 0));
}
