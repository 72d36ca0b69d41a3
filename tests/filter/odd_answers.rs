//! What providers send that is not quite as it should be: what of it counts, what it costs, and what the log says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vestibule::web::http::{RequestHead, Response};

use crate::rig::{Browser, CONFIG, Rig, SigningKey, query};

const NOW: u64 = 1_700_000_000;

fn rig(more: &str) -> Rig {
    Rig::new(&format!("{CONFIG}{more}"))
}

fn claim(rig: &mut Rig, name: &'static str, value: Value) {
    rig.provider.edit_claims = Some(Box::new(move |claims| drop(claims.insert(name.to_owned(), value.clone()))));
}

fn log_in(rig: &mut Rig) -> (u16, String) {
    let status = Browser::default().log_in(rig, "/", "alice").status;
    (status, rig.last_event().to_owned())
}

fn succeeded() -> (u16, String) {
    (302, "login.succeeded".to_owned())
}

#[test]
fn an_authentication_that_is_still_to_come_is_none() {
    let skewed = "client_kwargs = { max_age = 60 }\n[vestibule.provider.default]\nclock_skew = \"30s\"\n";
    for (config, skew) in [("client_kwargs = { max_age = 60 }\n", 120), (skewed, 30)] {
        for (ahead, is_accepted) in [(0, true), (skew, true), (skew + 1, false), (3600, false), (10_000_000_000, false)] {
            let mut rig = rig(config);
            claim(&mut rig, "auth_time", json!(NOW + ahead));
            let expected = if is_accepted { succeeded() } else { (502, "id_token.authentication_time".to_owned()) };
            assert_eq!(log_in(&mut rig), expected, "{config} {ahead}");
            if !is_accepted {
                let message = rig.last_message();
                assert!(message.contains("still to come") && message.contains("ahead") && !message.contains("longer ago"), "{message}");
            }
        }
    }
    // Where nothing is demanded of it, nothing depends on it.
    let mut rig = rig("");
    claim(&mut rig, "auth_time", json!(NOW + 3600));
    assert_eq!(log_in(&mut rig), succeeded());
}

/// The time that counts is that of the login, also for a session that was begun when nothing was demanded.
#[test]
fn a_session_of_such_a_login_is_none_where_max_age_is_demanded_later() {
    let (mut before, mut browser) = (rig(""), Browser::default());
    claim(&mut before, "auth_time", json!(NOW + 3600));
    browser.log_in(&mut before, "/", "alice");
    let mut after = rig("client_kwargs = { max_age = 60 }\n");
    after.now = NOW + 7200;
    assert_eq!(browser.visit(&mut after, "/").response().status, 302);
}

#[test]
fn an_account_of_any_organisation_is_one_of_a_domain() {
    for (hd, is_accepted) in [
        (json!("example.com"), true),
        (json!("xn--bcher-kva.example"), true),
        (json!("a.b.c"), true),
        (json!(" "), false),
        (json!(""), false),
        (json!("\t"), false),
        (json!("."), false),
        (json!(".com"), false),
        (json!("example."), false),
        (json!("example..com"), false),
        (json!("none"), false),
        (json!("false"), false),
        (json!("a b.example"), false),
        (json!("192.0.2.1"), false),
        (json!("https://example.com/"), false),
        (json!(null), false),
        (json!(true), false),
        (json!(["example.com"]), false),
    ] {
        let mut rig = rig("client_kwargs = { hd = \"*\" }\n");
        claim(&mut rig, "hd", hd.clone());
        let expected = if is_accepted { succeeded() } else { (502, "id_token.hosted_domain".to_owned()) };
        assert_eq!(log_in(&mut rig), expected, "{hd}");
    }
}

fn jwk(key: &SigningKey, kid: Option<&str>) -> Value {
    let mut jwk = key.public_jwk();
    if let Some(kid) = kid {
        jwk["kid"] = kid.into();
    }
    jwk
}

/// The sets that the provider publishes, one after the other, the last one from then on.
fn publish(rig: &mut Rig, sets: Vec<Vec<Value>>) {
    let asked = std::cell::Cell::new(0);
    rig.provider.edit_jwks = Some(Box::new(move |jwks| {
        *jwks = json!({ "keys": sets[asked.get().min(sets.len() - 1)] });
        asked.set(asked.get() + 1);
    }));
}

#[test]
fn a_key_that_the_set_has_not_yet_is_asked_for_beside_keys_without_a_name() {
    let (old, unnamed, new) = (SigningKey::ed25519(1), SigningKey::ed25519(2), SigningKey::ed25519(3));
    let lagging = vec![jwk(&unnamed, None), jwk(&old, Some("a"))];
    let mut current = lagging.clone();
    current.push(jwk(&new, Some("new")));
    for (sets, expected) in
        [(vec![lagging.clone(), current.clone()], succeeded()), (vec![lagging.clone()], (502, "id_token.unknown_key".to_owned()))]
    {
        let mut rig = rig("");
        publish(&mut rig, sets);
        (rig.provider.key, rig.provider.kid) = (new.clone(), Some("new".into()));
        assert_eq!(log_in(&mut rig), expected, "{:?}", rig.messages);
        assert_eq!(rig.asked("/jwks"), 2);
        let message = rig.last_message().to_owned();
        if expected != succeeded() {
            assert!(message.contains("has no key `new` for EdDSA") && message.contains("without a name"), "{message}");
            for _ in 0..5 {
                assert_eq!(log_in(&mut rig), expected);
            }
            assert_eq!(rig.asked("/jwks"), 3, "no more than the floor allows");
        }
    }
    // One without a name may be of that name.
    let mut rig = rig("");
    publish(&mut rig, vec![lagging]);
    (rig.provider.key, rig.provider.kid) = (unnamed, Some("new".into()));
    assert_eq!((log_in(&mut rig), rig.asked("/jwks")), (succeeded(), 1));
}

#[test]
fn a_token_without_kid_may_be_of_a_key_that_is_published_later() {
    let (old, new) = (SigningKey::ed25519(1), SigningKey::ed25519(2));
    for (kid, sets, expected) in [
        (None, vec![vec![jwk(&old, None)], vec![jwk(&old, None), jwk(&new, None)]], succeeded()),
        (None, vec![vec![jwk(&old, Some("a"))], vec![jwk(&new, Some("b"))]], succeeded()),
        (None, vec![vec![jwk(&old, None)]], (502, "id_token.signature".to_owned())),
        (Some("new"), vec![vec![jwk(&old, None)], vec![jwk(&new, None)]], succeeded()),
        (Some("new"), vec![vec![jwk(&old, None)]], (502, "id_token.signature".to_owned())),
        (Some("a"), vec![vec![jwk(&old, Some("a"))]], (502, "id_token.signature".to_owned())),
    ] {
        let mut rig = rig("");
        publish(&mut rig, sets);
        (rig.provider.key, rig.provider.kid) = (new.clone(), kid.map(str::to_owned));
        assert_eq!(log_in(&mut rig), expected, "{:?}", rig.messages);
        assert_eq!(rig.asked("/jwks"), if kid == Some("a") { 1 } else { 2 });
        for _ in 0..5 {
            log_in(&mut rig);
        }
        assert!(rig.asked("/jwks") <= 3, "no more than the floor allows: {}", rig.asked("/jwks"));
    }
}

/// At the callback of a login for `/reports`, with this in place of `STATE`.
fn callback(parameters: &str) -> (Rig, Browser, Response) {
    let (mut rig, mut browser) = (rig(""), Browser::default());
    let location = browser.start(&mut rig, "/.vestibule/login?return_to=%2Freports");
    let state = query(&location)["state"].clone();
    let answer = browser.visit(&mut rig, &format!("/oauth2callback?{}", parameters.replace("STATE", &state))).response();
    (rig, browser, answer)
}

fn leads_back(answer: &Response) -> bool {
    String::from_utf8_lossy(&answer.body).contains("return_to=%2Freports")
}

#[test]
fn words_about_an_error_are_cut_and_not_refused() {
    for (name, length) in [("error_description", 8193), ("error_description", 20_000), ("error_uri", 8193), ("error_uri", 30_000)] {
        for character in ["x", "%C3%A4", "%F0%9F%98%80"] {
            let words = character.repeat(length / character.len());
            let (rig, _, answer) = callback(&format!("error=access_denied&{name}={words}&state=STATE&iss=https%3A%2F%2Fop.example"));
            assert_eq!((answer.status, rig.last_event()), (403, "callback.access_denied"), "{name} {length}");
            assert!(leads_back(&answer) && rig.last_message().contains("`access_denied`") && rig.last_message().contains('…'));
            assert!(rig.last_message().chars().count() < 500, "{}", rig.last_message());
        }
    }
    // A code is what goes on with the login.
    let (rig, ..) = callback(&format!("code={}&state=STATE", "x".repeat(8193)));
    assert_eq!(rig.last_event(), "callback.malformed");
}

#[test]
fn words_of_a_form_are_cut_before_they_become_an_address() {
    for words in ["x".repeat(9000), "ä".repeat(9000), "<&>".repeat(3000)] {
        let (mut rig, mut browser) = (rig(""), Browser::default());
        let state = query(&browser.start(&mut rig, "/.vestibule/login?return_to=%2Freports"))["state"].clone();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("error", "access_denied").append_pair("state", &state).append_pair("iss", "https://op.example");
        form.append_pair("error_description", &words).append_pair("error_uri", &words);
        let head = RequestHead { method: "POST".into(), ..browser.head("/oauth2callback") };
        let head = head.with("content-type", "application/x-www-form-urlencoded");
        let decision = rig.decide(&head, Some(form.finish().as_bytes()));
        let vestibule::decision::Outcome::Respond(handed_on) = decision.outcome else { panic!("{decision:?}") };
        let location = handed_on.header("location").unwrap().to_owned();
        assert!((302..=303).contains(&handed_on.status) && location.len() < 7000, "{}", location.len());
        let answer = browser.visit(&mut rig, &location).response();
        assert_eq!((answer.status, rig.last_event()), (403, "callback.access_denied"));
        assert!(leads_back(&answer));
    }
}

#[test]
fn an_error_without_state_is_of_the_provider_that_it_names() {
    let evil = "iss=https%3A%2F%2Fevil.example";
    for error in ["access_denied", "invalid_request&error_description=prompt", "interaction_required"] {
        for config in ["", "[vestibule]\napp = \"streamlit\"\nlogin = \"required\"\n"] {
            let (mut rig, mut browser) = (rig(config), Browser::default());
            let location = browser.start(&mut rig, "/reports");
            let answer = browser.visit(&mut rig, &format!("/oauth2callback?error={error}&{evil}")).response();
            assert_eq!((answer.status, rig.last_event()), (400, "callback.issuer_mismatch"), "{error}");
            for told in ["https://evil.example", "https://op.example", "`default`"] {
                assert!(rig.last_message().contains(told), "{}", rig.last_message());
            }
            assert!(leads_back(&answer));
            assert!(
                answer.headers.iter().all(|(name, _)| name != "set-cookie" && name != "location"),
                "nothing is started, nothing is spent"
            );
            let callback = rig.provider.authorize(&location, "alice");
            let answer = browser.visit(&mut rig, &callback).response();
            assert_eq!((answer.header("location"), rig.last_event()), (Some("/reports"), "login.succeeded"), "{config} {:?}", rig.messages);
        }
    }
    let (mut rig, mut browser) = (rig(""), Browser::default());
    browser.start(&mut rig, "/.vestibule/login?return_to=%2Freports");
    let answer = browser.visit(&mut rig, "/oauth2callback?error=access_denied&iss=https%3A%2F%2Fop.example").response();
    assert_eq!((answer.status, rig.last_event()), (403, "callback.access_denied"));
    assert!(leads_back(&answer));
}

#[test]
fn an_error_is_any_of_the_characters_that_the_standard_allows() {
    for (written, told) in [
        ("Access+denied", "`Access denied`"),
        ("urn:acme:error:locked", "`urn:acme:error:locked`"),
        ("E(123)", "`E(123)`"),
        ("%21%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3C%3D%3E%3F%40%5B%5D%5E%60%7B%7C%7D~", "`!#$%&'()*+,/:;<=>?@[]^`{|}~`"),
        ("%22quoted%22", "`(unreadable)`"),
        ("back%5Cslash", "`(unreadable)`"),
        ("two%0Alines", "`(unreadable)`"),
        ("two%0D%0Alines", "`(unreadable)`"),
        ("tab%09", "`(unreadable)`"),
        ("nul%00", "`(unreadable)`"),
        ("del%7F", "`(unreadable)`"),
        ("%C3%A9", "`(unreadable)`"),
        ("%FF", "`(unreadable)`"),
        ("+++", "`(unreadable)`"),
        ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "`(unreadable)`"),
    ] {
        let (rig, _, answer) = callback(&format!("error={written}&state=STATE&iss=https%3A%2F%2Fop.example"));
        assert_eq!((answer.status, rig.last_event()), (502, "callback.provider_error"), "{written}");
        assert!(rig.last_message().contains(told) && leads_back(&answer), "{written}: {}", rig.last_message());
        assert!(!String::from_utf8_lossy(&answer.body).contains("E(123)"), "it is for the log");
    }
}

#[test]
fn a_callback_of_no_use_keeps_the_page_that_its_state_leads_to() {
    let jarm = |state: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(json!({ "iss": "x", "state": state }).to_string()));
    let (mut rig, mut browser) = (rig(""), Browser::default());
    let location = browser.start(&mut rig, "/.vestibule/login?return_to=%2Freports");
    let state = query(&location)["state"].clone();
    let cookies = browser.cookies.clone();
    let parameters = [
        "state=STATE",
        "state=STATE&code=",
        "code=a&code=b&state=STATE",
        "code=a&error=access_denied&state=STATE",
        "code%5B%5D=a&state=STATE",
        "state=STATE&state=STATE&code=a",
        "state=STATE&response=a.b.c",
        "state=STATE&error=e&error_description=a&error_description=b",
        "response=JARM",
    ];
    for parameters in parameters {
        let parameters = parameters.replace("STATE", &state).replace("JARM", &jarm(&state));
        let answer = browser.visit(&mut rig, &format!("/oauth2callback?{parameters}")).response();
        assert_eq!((answer.status, rig.last_event()), (400, "callback.malformed"), "{parameters}");
        assert!(leads_back(&answer), "{parameters}");
        // Also where the cookies are elsewhere.
        let answer = Browser::default().visit(&mut rig, &format!("/oauth2callback?{parameters}")).response();
        assert!(answer.status == 400 && leads_back(&answer), "{parameters}");
        // As a form, and as something else, which come without cookies from another site.
        let post = |kind: &str, query: &str| {
            let head = RequestHead { method: "POST".into(), ..Browser::default().head(&format!("/oauth2callback{query}")) };
            head.with("content-type", kind)
        };
        for (head, body) in [
            (post("application/x-www-form-urlencoded", ""), Some(parameters.as_bytes())),
            (post("application/json", &format!("?{parameters}")), None),
        ] {
            let decision = rig.decide(&head, body);
            let vestibule::decision::Outcome::Respond(answer) = decision.outcome else { panic!("{decision:?}") };
            assert_eq!((answer.status, rig.last_event()), (400, "callback.malformed"), "{parameters}");
            assert!(leads_back(&answer), "{parameters}");
        }
    }
    for parameters in ["state=STATEx", "state=STATE&state=another&code=a", "state=another", "response=JARM"] {
        let parameters = parameters.replace("STATE", &state).replace("JARM", &jarm("another"));
        let answer = browser.visit(&mut rig, &format!("/oauth2callback?{parameters}")).response();
        assert!(answer.status == 400 && !leads_back(&answer), "{parameters}");
    }
    assert_eq!(browser.cookies, cookies, "nothing is spent by it");
    let callback = rig.provider.authorize(&location, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().header("location"), Some("/reports"));
}

#[test]
fn a_userinfo_endpoint_that_is_to_be_asked_and_cannot_be_ends_a_login_before_it_begins() {
    let long = format!("https://op.example/{}", "x".repeat(2000));
    for (endpoint, words) in [
        (Some(json!("")), "its userinfo_endpoint is empty"),
        (Some(json!(null)), "there is no userinfo_endpoint"),
        (None, "there is no userinfo_endpoint"),
        (Some(json!(7)), "its userinfo_endpoint is not a text"),
        (Some(json!(["https://op.example/userinfo"])), "its userinfo_endpoint is not a text"),
        (Some(json!("http://op.example/userinfo")), "`http://op.example/userinfo`"),
        (Some(json!(long)), "its userinfo_endpoint is longer than"),
    ] {
        for is_asked in [true, false] {
            let mut rig = rig(if is_asked { "[vestibule.provider.default]\nuserinfo = true\n" } else { "" });
            let endpoint = endpoint.clone();
            rig.provider.edit_metadata = Some(Box::new(move |metadata| {
                let members = metadata.as_object_mut().unwrap();
                members.remove("userinfo_endpoint");
                members.extend(endpoint.clone().map(|value| ("userinfo_endpoint".to_owned(), value)));
            }));
            let answer = Browser::default().visit(&mut rig, "/.vestibule/login").response();
            assert!(!is_asked || !rig.messages.iter().any(|message| message.contains("goes on without")), "{:?}", rig.messages);
            if is_asked {
                assert_eq!((answer.status, rig.last_event()), (502, "metadata.invalid"), "{words}");
                let message = rig.last_message();
                assert!(message.contains(words) && message.contains("userinfo = true in [vestibule.provider.default]"), "{message}");
            } else {
                assert_eq!(answer.status, 302, "{words}");
            }
        }
    }
}

#[test]
fn a_userinfo_endpoint_that_comes_twice_is_told_as_well() {
    let mut rig = rig("[vestibule.provider.default]\nuserinfo = true\n");
    let document = r#"{"issuer":"https://op.example","authorization_endpoint":"https://op.example/a","token_endpoint":"https://op.example/t",
        "jwks_uri":"https://op.example/j","userinfo_endpoint":"https://op.example/u","userinfo_endpoint":"https://op.example/u"}"#;
    rig.provider.instead = vec![("/openid-configuration", 200, document.as_bytes().to_vec())];
    assert_eq!(Browser::default().visit(&mut rig, "/.vestibule/login").response().status, 502);
    assert!(rig.last_message().contains("its userinfo_endpoint comes twice, and userinfo = true"), "{}", rig.last_message());
}

#[test]
fn a_key_that_is_too_short_is_told_as_that() {
    for (bits, zeros) in [(1024_usize, 0), (512, 0), (2040, 3)] {
        for kid in [Some("k"), None] {
            let mut rig = rig("");
            let mut modulus = vec![0; zeros];
            modulus.extend(vec![0xff; bits / 8]);
            let mut key = json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB", "use": "sig", "alg": "RS256" });
            if let Some(kid) = kid {
                key["kid"] = kid.into();
            }
            publish(&mut rig, vec![vec![key]]);
            rig.provider.edit_header = Some(Box::new(move |header| *header = json!({ "alg": "RS256", "kid": kid })));
            assert_eq!(log_in(&mut rig), (502, "id_token.unknown_key".to_owned()));
            let message = rig.last_message();
            assert!(message.contains(&format!("{bits} bits of RSA are too short")) && message.contains("2048"), "{message}");
            assert_eq!(kid.is_some(), message.contains("key `k` may not be used"), "{message}");
        }
    }
}

#[test]
fn a_provider_of_public_clients_is_told_with_a_remedy() {
    let mut rig = rig("");
    rig.provider.edit_metadata = Some(Box::new(|metadata| metadata["token_endpoint_auth_methods_supported"] = json!(["none"])));
    assert_eq!(Browser::default().visit(&mut rig, "/").response().status, 502);
    assert_eq!(rig.last_event(), "metadata.invalid");
    for told in ["lists `none`", "client_secret: remove", "token_endpoint_auth_method = \"client_secret_basic\""] {
        assert!(rig.last_message().contains(told), "{}", rig.last_message());
    }
}

#[test]
fn a_compressed_answer_is_told_as_that_wherever_it_comes_from() {
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0xae, 5, 0];
    for (end, code) in [
        ("/openid-configuration", "metadata.invalid"),
        ("/token", "token.invalid"),
        ("/jwks", "keys.invalid"),
        ("/userinfo", "userinfo.invalid"),
    ] {
        let (mut rig, mut browser) = (rig("[vestibule.provider.default]\nuserinfo = true\n"), Browser::default());
        rig.provider.instead = vec![(end, 200, gzip.to_vec())];
        let mut answer = browser.visit(&mut rig, "/.vestibule/login").response();
        if let Some(location) = answer.header("location") {
            let callback = rig.provider.authorize(&url::Url::parse(location).unwrap(), "alice");
            answer = browser.visit(&mut rig, &callback).response();
        }
        assert_eq!((answer.status, rig.last_event()), (502, code), "{end}");
        let message = rig.last_message();
        assert!(message.contains("is compressed (gzip)") && message.contains("accept-encoding: identity"), "{message}");
    }
}

#[test]
fn a_compressed_refusal_is_told_as_that() {
    let mut rig = rig("");
    rig.provider.instead = vec![("/token", 400, vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0xae, 5, 0])];
    assert_eq!(log_in(&mut rig), (502, "token.refused".to_owned()));
    assert!(rig.last_message().contains("status 400 and a compressed body (gzip)"), "{}", rig.last_message());
}

#[test]
fn audiences_that_are_not_trusted_are_all_named_within_bounds() {
    let told = |audiences: Vec<String>| {
        let mut rig = rig("");
        claim(&mut rig, "aud", json!(audiences));
        assert_eq!(log_in(&mut rig), (502, "id_token.audience".to_owned()));
        rig.last_message().to_owned()
    };
    let some = told(["client-1", "api", "other", "third"].map(str::to_owned).to_vec());
    for name in ["`api`, `other`, `third`", "vestibule.provider.default.audiences"] {
        assert!(some.contains(name) && !some.contains("others"), "{some}");
    }
    let many = told(std::iter::once("client-1".to_owned()).chain((0..500).map(|n| format!("{n}{}", "x".repeat(200)))).collect());
    assert!(many.contains("(and 492 others)") && many.chars().count() < 2000, "{many}");
}
