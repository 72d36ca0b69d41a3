//! Whom and what is believed: neighbours on the same domain, providers among each other, claims, what was said earlier.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use vestibule::code::Code;
use vestibule::config::{Config, Source};
use vestibule::decision::{Forward, Outcome};
use vestibule::web::http::RequestHead;

use crate::rig::{Browser, CONFIG, HOST, ISSUER, Rig};

/// What the application is told in this header; more than one line is one too many.
fn told<'a>(forward: &'a Forward, name: &str) -> Option<&'a str> {
    let mut lines = forward.set_headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
    let line = lines.next().map(|(_, value)| std::str::from_utf8(value).unwrap());
    assert!(lines.next().is_none(), "{name} twice");
    line
}

fn claims(rig: &mut Rig, change: impl Fn(&mut Map<String, Value>) + 'static) {
    rig.provider.edit_claims = Some(Box::new(change));
}

/// What the application is told of a person whose ID token has these claims besides.
fn forwarded_with(config: &str, more: Value) -> Forward {
    let (mut rig, mut browser) = (Rig::new(config), Browser::default());
    claims(&mut rig, move |claims| claims.extend(more.as_object().unwrap().clone()));
    browser.log_in(&mut rig, "/", "alice");
    browser.visit(&mut rig, "/").forward()
}

fn with_options(options: &str) -> String {
    format!("{CONFIG}\nclient_kwargs = {{ {options} }}\n")
}

/// One login with the configuration, its token's claims changed; status and event.
fn login_with(config: &str, more: Value) -> (u16, String) {
    let (mut rig, mut browser) = (Rig::new(config), Browser::default());
    claims(&mut rig, move |claims| claims.extend(more.as_object().unwrap().clone()));
    let status = browser.log_in(&mut rig, "/", "alice").status;
    (status, rig.last_event().to_owned())
}

#[test]
fn a_neighbour_cannot_plant_a_session_or_a_login() {
    let mut rig = Rig::new(CONFIG);
    let (mut mallory, mut started) = (Browser::default(), Browser::default());
    mallory.log_in(&mut rig, "/", "mallory");
    let location = started.start(&mut rig, "/");
    let callback = rig.provider.authorize(&location, "mallory");
    // U+2003 and its like: a browser does not see the prefix behind it, and lets a sibling host set it for the domain.
    for space in ["\u{85}", "\u{a0}", "\u{2003}", "\u{3000}"] {
        for (planted, path) in [(&mallory, "/"), (&started, callback.as_str())] {
            let cookies: Vec<_> = planted.cookies.iter().map(|(name, value)| format!("{space}{name}={value}")).collect();
            let head = RequestHead::get(path, HOST).with("accept", "text/html").with("cookie", &cookies.join("; "));
            let Outcome::Respond(response) = rig.decide(&head, None).outcome else { panic!("forwarded as somebody else") };
            let set: Vec<_> = response.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
            assert!(set.iter().all(|(_, value)| !String::from_utf8_lossy(value).contains("session")), "{set:?}");
        }
    }
}

#[test]
fn what_the_request_asked_for_must_have_been_done() {
    let now = 1_700_000_000_u64;
    let max_age = with_options("max_age = 60");
    for auth_time in [json!({}), json!({ "auth_time": now - 60 - 121 }), json!({ "auth_time": "today" })] {
        assert_eq!(login_with(&max_age, auth_time.clone()), (502, "id_token.authentication_time".into()), "{auth_time}");
    }
    assert_eq!(login_with(&max_age, json!({ "auth_time": now - 60 })).0, 302);
    let endless = with_options("max_age = \"18446744073709551615\"");
    assert_eq!(login_with(&endless, json!({ "auth_time": 0 })).0, 302);
    assert_eq!(login_with(&endless, json!({})), (502, "id_token.authentication_time".into()));
    let acr = with_options("acr_values = \"mfa phr\"");
    for value in [json!({}), json!({ "acr": "0" }), json!({ "acr": ["mfa"] }), json!({ "acr": "mfa phr" })] {
        assert_eq!(login_with(&acr, value.clone()), (502, "id_token.authentication_context".into()), "{value}");
    }
    assert_eq!(login_with(&acr, json!({ "acr": "phr" })).0, 302);
    for (config, accepted) in [(with_options("hd = \"example.com\""), "Example.com"), (with_options("hd = \"*\""), "any.example")] {
        assert_eq!(login_with(&config, json!({ "hd": accepted })).0, 302);
        assert_eq!(login_with(&config, json!({})), (502, "id_token.hosted_domain".into()));
    }
    let other = login_with(&with_options("hd = \"example.com\""), json!({ "hd": "evil.example" }));
    assert_eq!(other, (502, "id_token.hosted_domain".into()));
}

#[test]
fn only_algorithms_that_the_provider_lists_are_accepted() {
    for (listed, status) in [(json!(["EdDSA", "RS256"]), 302), (json!(["RS256"]), 502), (json!([]), 302)] {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        rig.provider.edit_metadata = Some(Box::new(move |metadata| metadata["id_token_signing_alg_values_supported"] = listed.clone()));
        assert_eq!(browser.log_in(&mut rig, "/", "alice").status, status);
        assert_eq!(rig.last_event() == "id_token.algorithm", status == 502);
    }
}

#[test]
fn the_same_subject_of_two_providers_is_two_people() {
    let section = |name: &str| {
        format!(
            "[auth.{name}]\nclient_id = \"client-1\"\nclient_secret = \"s\"\nserver_metadata_url = \"{ISSUER}/.well-known/openid-configuration\"\n"
        )
    };
    let shared: String =
        CONFIG.lines().filter(|line| !line.starts_with("client") && !line.starts_with("server")).map(|line| format!("{line}\n")).collect();
    let mut rig = Rig::new(&format!("{shared}{}{}", section("okta"), section("self")));
    for provider in ["okta", "self"] {
        let mut browser = Browser::default();
        browser.log_in(&mut rig, &format!("/.vestibule/login?provider={provider}"), "alice");
        let forward = browser.visit(&mut rig, "/").forward();
        assert_eq!((told(&forward, "x-forwarded-user"), told(&forward, "x-forwarded-provider")), (Some("alice"), Some(provider)));
    }
    let head = RequestHead::get("/", HOST).with("x_forwarded_provider", "okta").with("accept", "text/html");
    let mut optional = Rig::new(&format!("{CONFIG}\n[vestibule]\nlogin = \"optional\"\n"));
    let Outcome::Forward(forward) = optional.decide(&head, None).outcome else { panic!("login is optional") };
    assert_eq!(forward.remove_headers, ["x_forwarded_provider"]);
}

#[test]
fn an_address_that_may_be_somebody_elses_is_not_passed_on() {
    let mapped = format!("{CONFIG}\n[vestibule.identity]\nheaders = {{ email = \"X-Forwarded-User\" }}\n");
    for (verified, passed) in [
        (json!({}), true),
        (json!({ "email_verified": true }), true),
        (json!({ "email_verified": "true" }), true),
        (json!({ "email_verified": false }), false),
        (json!({ "email_verified": "false" }), false),
        (json!({ "email_verified": null }), false),
    ] {
        let address = passed.then_some("alice@example.com");
        assert_eq!(told(&forwarded_with(CONFIG, verified.clone()), "x-forwarded-email"), address, "{verified}");
        // Wherever it is to be written, and in no second line beside `sub`.
        assert_eq!(told(&forwarded_with(&mapped, verified.clone()), "x-forwarded-user"), address, "{verified}");
    }
}

#[test]
fn a_verdict_on_one_address_is_not_joined_with_another() {
    let config = format!("{CONFIG}\n[vestibule.provider.default]\nuserinfo = true\n");
    let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
    rig.provider.edit_userinfo = Some(Box::new(|answer| {
        answer["email"] = "other@example.com".into();
        answer["email_verified"] = false.into();
    }));
    browser.log_in(&mut rig, "/", "alice");
    let user = browser.visit(&mut rig, "/.vestibule/user").response();
    let user: Value = serde_json::from_slice(&user.body).unwrap();
    assert_eq!((&user["email"], user.get("email_verified")), (&json!("alice@example.com"), None), "{user}");
}

/// What headers, `/.vestibule/user` and rules make of what both sources say of an address.
#[test]
fn an_address_is_verified_only_by_the_source_that_it_came_from() {
    let (mine, other) = ("alice@example.com", "mallory@example.com");
    let rules = "[[vestibule.rule]]\npath = \"/by-domain\"\nrequire = { email_domain = \"example.com\" }\n\
                 [[vestibule.rule]]\npath = \"/by-address\"\nrequire = { email = \"mallory@example.com\" }\n\
                 [[vestibule.rule]]\npath = \"/**\"\n";
    let config = format!("{CONFIG}\n[vestibule.provider.default]\nuserinfo = true\n{rules}");
    let absent = || json!({});
    for (token, userinfo, told_address, verified) in [
        (json!({ "email_verified": true }), json!({ "email": other, "email_verified": false }), None, None),
        (json!({ "email_verified": true }), json!({ "email": other }), Some(other), None),
        (json!({ "email_verified": "true" }), json!({ "email": [other], "email_verified": true }), None, None),
        (json!({ "xms_edov": true }), json!({ "email": other }), Some(other), None),
        (absent(), json!({ "email": other, "email_verified": true }), Some(other), Some(other)),
        (absent(), json!({ "email": other, "email_verified": false }), None, None),
        (absent(), json!({ "email": null, "email_verified": true }), None, None),
        (absent(), json!({ "email": 7, "email_verified": true }), None, None),
        (json!({ "email": mine }), json!({ "email": other, "email_verified": true }), Some(mine), None),
        (json!({ "email": mine }), json!({ "email": "Alice@example.com", "email_verified": true }), Some(mine), None),
        (json!({ "email": mine }), json!({ "email": "alice@example.com ", "email_verified": true }), Some(mine), None),
        (json!({ "email": mine }), json!({ "email_verified": true }), Some(mine), None),
        (json!({ "email": mine }), json!({ "email": mine, "email_verified": true }), Some(mine), Some(mine)),
        (json!({ "email": mine }), json!({ "email": mine, "email_verified": false }), None, None),
        (json!({ "email": mine, "email_verified": true }), json!({ "email": other, "email_verified": false }), Some(mine), Some(mine)),
        (json!({ "email": mine, "email_verified": false }), json!({ "email": mine, "email_verified": true }), None, None),
        (json!({ "email": null }), json!({ "email": other, "email_verified": true }), None, None),
        (json!({ "email": [mine], "email_verified": true }), json!({}), None, None),
    ] {
        let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
        let (signed, answered) = (token.clone(), userinfo.clone());
        claims(&mut rig, move |claims| {
            claims.remove("email");
            claims.extend(signed.as_object().unwrap().clone());
        });
        rig.provider.edit_userinfo = Some(Box::new(move |answer| {
            answer.as_object_mut().unwrap().extend(answered.as_object().unwrap().clone());
        }));
        browser.log_in(&mut rig, "/", "alice");
        let case = format!("{token} {userinfo}");
        assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "x-forwarded-email"), told_address, "{case}");
        let passes =
            |path: &str, rig: &mut Rig, browser: &Browser| matches!(rig.decide(&browser.head(path), None).outcome, Outcome::Forward(_));
        assert_eq!(passes("/by-domain", &mut rig, &browser), verified.is_some(), "{case}");
        assert_eq!(passes("/by-address", &mut rig, &browser), verified == Some(other), "{case}");
        let user: Value = serde_json::from_slice(&browser.visit(&mut rig, "/.vestibule/user").response().body).unwrap();
        let says_so = user["email_verified"] == true || user["email_verified"] == "true" || user["xms_edov"] == true;
        // Nobody who reads the claims by themselves finds a verdict beside an address that it was not for.
        assert!(!(user["email"].is_string() && says_so) || verified == user["email"].as_str(), "{case}: {user}");
    }
}

#[test]
fn a_header_of_a_part_of_an_address_is_no_way_around() {
    let headers = "[vestibule.identity]\nheaders = { \"/email\" = \"X-One\", \"/email/0\" = \"X-Two\", \"//email\" = \"X-Three\" }\n";
    for (claims, one) in [
        (json!({ "email_verified": false }), None),
        (json!({ "email": ["alice@example.com"], "email_verified": true }), None),
        (json!({ "email": ["alice@example.com"], "email_verified": false }), None),
        (json!({ "email_verified": true }), Some("alice@example.com")),
    ] {
        let forward = forwarded_with(&format!("{CONFIG}\n{headers}"), claims.clone());
        assert_eq!((told(&forward, "x-one"), told(&forward, "x-two"), told(&forward, "x-three")), (one, None, None), "{claims}");
    }
}

#[test]
fn a_text_with_a_comma_is_not_the_header_of_a_list() {
    let config = format!("{CONFIG}\n[vestibule.identity]\nheaders = {{ role = \"X-Role\" }}\n");
    let header = |role: Value| told(&forwarded_with(&config, json!({ "role": role })), "x-role").map(str::to_owned);
    assert_eq!(header(json!("viewer,admin")).as_deref(), Some("viewer%2Cadmin"));
    assert_eq!(header(json!(["viewer", "admin"])).as_deref(), Some("viewer,admin"));
    assert_eq!(header(json!("viewer%2Cadmin")).as_deref(), Some("viewer%252Cadmin"));
}

#[test]
fn userinfo_that_is_wanted_and_not_there_fails_the_login() {
    let config = format!("{CONFIG}\n[vestibule.provider.default]\nuserinfo = true\n");
    let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
    rig.provider.edit_metadata = Some(Box::new(|metadata| drop(metadata.as_object_mut().unwrap().remove("userinfo_endpoint"))));
    assert_eq!(browser.visit(&mut rig, "/").response().status, 502, "before the user has to go to the provider");
    assert_eq!(rig.last_event(), "metadata.invalid");
}

#[test]
fn groups_neither_split_nor_vanish_unsaid() {
    assert_eq!(told(&forwarded_with(CONFIG, json!({ "groups": "a,admins" })), "x-forwarded-groups"), Some("a%2Cadmins"));
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let groups: Vec<_> = (0..250).map(|number| format!("00000000-0000-4000-8000-{number:012}")).collect();
    claims(&mut rig, move |claims| drop(claims.insert("groups".into(), json!(groups))));
    browser.log_in(&mut rig, "/", "alice");
    assert!(rig.events.iter().any(|code| code == "identity.header_too_long"), "{:?}", rig.events);
    assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "x-forwarded-groups"), None);
}

#[test]
fn keys_are_asked_for_once_for_a_login_however_slow_they_are() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    rig.provider.kid = Some("key-2".into());
    rig.provider.silent = vec!["/jwks"];
    rig.provider.seconds_to_answer = 10;
    let before = rig.sent.len();
    let mut second = Browser::default();
    assert_eq!(second.log_in(&mut rig, "/", "bob").status, 502);
    assert_eq!(rig.last_event(), "id_token.unknown_key");
    let asked = rig.sent[before..].iter().filter(|request| request.url.path() == "/jwks").count();
    assert_eq!(asked, 1);
}

#[test]
fn keys_that_cannot_be_fetched_again_go_on_for_a_day() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    rig.provider.silent = vec!["/jwks"];
    rig.now += 2 * 60 * 60;
    for _ in 0..2 {
        assert_eq!(Browser::default().log_in(&mut rig, "/", "bob").status, 302);
        assert!(rig.events.iter().rev().take(3).any(|code| code == "keys.stale"), "{:?}", rig.events);
    }
    rig.now += 23 * 60 * 60;
    assert_eq!(Browser::default().log_in(&mut rig, "/", "bob").status, 503);
}

#[test]
fn what_a_provider_takes_back_is_not_believed_again() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    rig.now += 2 * 60 * 60;
    rig.provider.instead = vec![("/jwks", 404, vec![])];
    for status in [502, 503] {
        assert_eq!(Browser::default().log_in(&mut rig, "/", "bob").status, status, "the keys are gone");
    }
    rig.provider.instead = vec![];
    rig.now += 2 * 60 * 60;
    rig.provider.edit_metadata = Some(Box::new(|metadata| metadata["issuer"] = "https://evil.example".into()));
    for status in [502, 503] {
        assert_eq!(Browser::default().visit(&mut rig, "/").response().status, status, "it is another issuer now");
    }
}

#[test]
fn a_session_ends_with_the_trust_that_it_rests_on() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "admin");
    let mut pending = Browser::default();
    let location = pending.start(&mut rig, "/");
    let callback = rig.provider.authorize(&location, "admin");
    // The same names and secrets, with another provider behind them.
    let moved = Rig::new(&CONFIG.replace("https://op.example", "https://other.example"));
    let sent = |mut rig: Rig, browser: &Browser| browser.clone().visit(&mut rig, "/.vestibule/user").response();
    assert_eq!(sent(moved, &browser).body, br#"{"is_logged_in":false}"#);
    let mut moved = Rig::new(&CONFIG.replace("https://op.example", "https://other.example"));
    assert_eq!(pending.visit(&mut moved, &callback).response().status, 400);
    assert_eq!(moved.last_event(), "callback.unknown_state");
    let tenants = "\n[vestibule.provider.default]\ntenants = [\"9188040d-6c67-4c5b-b112-36a304b66dad\"]\n";
    assert_eq!(sent(Rig::new(&format!("{CONFIG}{tenants}")), &browser).body, br#"{"is_logged_in":false}"#);
}

#[test]
fn two_clients_of_one_provider_keep_their_own_ways() {
    let section = |name: &str, more: &str| {
        format!(
            "[auth.{name}]\nclient_id = \"{name}\"\nclient_secret = \"s\"\nserver_metadata_url = \"{ISSUER}/.well-known/openid-configuration\"\n{more}\n"
        )
    };
    let shared: String =
        CONFIG.lines().filter(|line| !line.starts_with("client") && !line.starts_with("server")).map(|line| format!("{line}\n")).collect();
    let post = section("post", "client_kwargs = { token_endpoint_auth_method = \"client_secret_post\" }");
    let mut rig = Rig::new(&format!("{shared}{}{post}", section("basic", "")));
    for (provider, by_header) in [("basic", true), ("post", false), ("basic", true)] {
        Browser::default().log_in(&mut rig, &format!("/.vestibule/login?provider={provider}"), "alice");
        let token = rig.sent.iter().rev().find(|request| request.url.path() == "/token").unwrap();
        assert_eq!(token.headers.iter().any(|(name, _)| name == "authorization"), by_header, "{provider}");
    }
}

#[test]
fn images_and_prefetches_neither_log_in_nor_out() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let location = Browser::default().start(&mut rig, "/");
    let callback = rig.provider.authorize(&location, "alice");
    for path in ["/.vestibule/logout", "/.vestibule/login", callback.as_str()] {
        for (name, value) in [
            ("sec-fetch-mode", "no-cors"),
            ("sec-fetch-mode", "cors"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-moz", "Prefetch"),
        ] {
            let response = browser.send(&mut rig, &browser.head(path).with(name, value)).response();
            assert_eq!((response.status, rig.last_event()), (403, "request.not_visited"), "{path} {value}");
            assert!(response.header("set-cookie").is_none());
        }
    }
    browser.visit(&mut rig, "/").forward();
}

#[test]
fn looking_at_a_callback_does_not_spend_it() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let location = browser.start(&mut rig, "/");
    let callback = rig.provider.authorize(&location, "alice");
    let head = RequestHead { method: "HEAD".into(), ..browser.head(&callback) };
    assert_eq!(browser.send(&mut rig, &head).response().status, 200);
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 302);
    browser.visit(&mut rig, "/").forward();
}

#[test]
fn a_session_is_not_renewed_on_what_caches_keep() {
    let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}\n[vestibule.session]\nidle_timeout = \"1h\"\n")), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    assert!(browser.visit(&mut rig, "/").forward().response_headers.is_empty(), "it is not due");
    rig.now += 30 * 60;
    let image = browser.head("/logo.png").with("sec-fetch-mode", "no-cors").with("sec-fetch-dest", "image");
    assert!(browser.send(&mut rig, &image).forward().response_headers.is_empty());
    assert!(!browser.visit(&mut rig, "/").forward().response_headers.is_empty());
}

#[test]
fn a_page_of_another_origin_opens_no_websocket() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    for (origin, forwarded) in
        [("https://app.example", true), ("https://evil.app.example", false), ("null", false), ("http://app.example", false)]
    {
        let head = browser.head("/ws").with("upgrade", "websocket").with("origin", origin);
        let outcome = rig.decide(&head, None).outcome;
        assert_eq!(matches!(outcome, Outcome::Forward(_)), forwarded, "{origin}");
        assert!(forwarded || rig.last_event() == "request.foreign_origin");
    }
}

#[test]
fn a_page_that_is_too_long_to_be_remembered_does_not_stop_the_login() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let long = |path: &str| format!("https://op.example/{}/{path}", "a".repeat(400));
    rig.provider.edit_metadata = Some(Box::new(move |metadata| {
        for endpoint in ["userinfo_endpoint", "end_session_endpoint", "authorization_endpoint"] {
            metadata[endpoint] = long(endpoint).into();
        }
    }));
    // It does not compress: digests.
    let digest = |number: u8| URL_SAFE_NO_PAD.encode(Sha256::digest([number]));
    let page = format!("/?q={}", (0..90).map(digest).collect::<String>());
    let location = browser.start(&mut rig, &page);
    let callback = rig.provider.authorize(&location, "alice");
    let response = browser.visit(&mut rig, &callback).response();
    assert_eq!((response.status, response.header("location")), (200, None));
    let body = String::from_utf8_lossy(&response.body);
    assert!(body.contains("too long to be kept"), "{body}");
    browser.visit(&mut rig, &page).forward();
}

#[test]
fn the_reference_number_of_a_page_is_that_of_the_log() {
    let (mut rig, browser) = (Rig::new(CONFIG), Browser::default());
    let decision = rig.decide(&browser.head("/oauth2callback?code=c&state=s"), None);
    let reference = decision.events[0].reference.clone().unwrap();
    let Outcome::Respond(response) = decision.outcome else { panic!("forwarded") };
    assert!(String::from_utf8(response.body).unwrap().contains(&reference));
}

#[test]
fn a_refusal_says_how_to_get_in() {
    let (mut rig, browser) = (Rig::new(CONFIG), Browser::default());
    let Outcome::Respond(response) = rig.decide(&browser.head("/").with("sec-fetch-mode", "cors"), None).outcome else {
        panic!("forwarded")
    };
    let challenge = "Cookie realm=\"https://app.example\", form-action=\"/.vestibule/login\"";
    assert_eq!((response.status, response.header("www-authenticate")), (401, Some(challenge)));
}

#[test]
fn the_access_token_goes_to_the_application_that_may_see_it() {
    let config = CONFIG.replace("client_id", "expose_tokens = \"access\"\nclient_id");
    for (config, token) in [(config.as_str(), Some("access-token-1")), (CONFIG, None)] {
        assert_eq!(told(&forwarded_with(config, json!({})), "x-forwarded-access-token"), token);
    }
}

#[test]
fn tokens_of_another_session_are_not_passed_on() {
    let config = CONFIG.replace("client_id", "expose_tokens = \"access\"\nclient_id");
    let (mut rig, mut browser, mut other) = (Rig::new(&config), Browser::default(), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    other.log_in(&mut rig, "/", "mallory");
    let token = |rig: &mut Rig, browser: &Browser| match rig.decide(&browser.head("/"), None).outcome {
        Outcome::Forward(forward) => told(&forward, "x-forwarded-access-token").map(str::to_owned),
        other => panic!("{other:?}"),
    };
    assert!(token(&mut rig, &browser).is_some());
    let is_of_tokens = |name: &String| name.contains("_tokens_");
    browser.cookies.retain(|name, _| !is_of_tokens(name));
    browser.cookies.extend(other.cookies.into_iter().filter(|(name, _)| is_of_tokens(name)));
    assert!(browser.cookies.keys().any(is_of_tokens));
    assert_eq!(token(&mut rig, &browser), None);
}

/// A text that no compression makes much shorter.
fn noise(length: usize) -> String {
    (0..length.div_ceil(43)).map(|number| URL_SAFE_NO_PAD.encode(Sha256::digest(number.to_string()))).collect()
}

#[test]
fn what_is_logged_is_one_line_of_bounded_length() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let name = format!("evil\nlogin.succeeded {}", "x".repeat(1000));
    claims(&mut rig, move |claims| drop(claims.insert(name.clone(), json!(noise(30_000)))));
    let location = browser.start(&mut rig, "/");
    let callback = rig.provider.authorize(&location, "alice");
    let decision = rig.decide(&browser.head(&callback), None);
    let event = decision.events.last().unwrap();
    assert_eq!(event.code, Code::SessionTooLarge);
    assert!(event.message.chars().count() <= 500 && !event.message.contains('\n'), "{}", event.message);
}

#[test]
fn nothing_that_is_debugged_shows_a_secret() {
    let source = Source::new("secrets.toml", CONFIG);
    let config = Config::parse(&source).unwrap();
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let session = browser.cookies.values().next().unwrap();
    let shown = format!("{source:?} {config:?} {:?} {:?}", browser.head("/"), rig.sent);
    for secret in ["8f0a1d5c7b3e", "a~secret", "access-token-1", "code-0", &session[..20]] {
        assert!(!shown.contains(secret), "{secret}");
    }
}
