//! What must not work: forged, stolen, stale and broken answers, each with the exact error in the log.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use vestibule::code::Code;
use vestibule::web::http::{OutboundError, RequestHead};

use crate::rig::{self, Browser, CONFIG, Rig};

/// A login at a provider that was changed by `arrange` ends with this event, this status, and without a session.
fn refused(name: &str, arrange: impl Fn(&mut Rig), status: u16, event: &str) {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    arrange(&mut rig);
    let response = browser.log_in(&mut rig, "/", "alice");
    assert_eq!((response.status, rig.last_event()), (status, event), "{name}");
    assert!(String::from_utf8_lossy(&response.body).contains("Reference number"), "{name}");
    assert!(browser.cookies.keys().all(|cookie| !cookie.contains("session") && !cookie.contains("tokens")), "{name}");
    assert_eq!(browser.visit(&mut rig, "/").response().status, 302, "{name}: still nobody");
}

fn claims(change: impl Fn(&mut Map<String, Value>) + Clone + 'static) -> impl Fn(&mut Rig) {
    move |rig| rig.provider.edit_claims = Some(Box::new(change.clone()))
}

fn set(name: &'static str, value: Value) -> impl Fn(&mut Rig) {
    claims(move |claims| {
        claims.insert(name.into(), value.clone());
    })
}

fn remove(name: &'static str) -> impl Fn(&mut Rig) {
    claims(move |claims| {
        claims.remove(name);
    })
}

#[test]
fn id_tokens_with_a_wrong_claim_are_rejected() {
    let now = 1_700_000_000_u64;
    refused("oidcc-client-test-invalid-iss", set("iss", json!("https://op.example1")), 502, "id_token.issuer");
    refused("iss with a slash", set("iss", json!("https://op.example/")), 502, "id_token.issuer");
    refused("iss missing", remove("iss"), 502, "id_token.issuer");
    refused("iss of a wrong type", set("iss", json!(["https://op.example"])), 502, "id_token.issuer");
    refused("oidcc-client-test-invalid-aud", set("aud", json!("client-11")), 502, "id_token.audience");
    refused("oidcc-client-test-missing-aud", remove("aud"), 502, "id_token.audience");
    refused("aud of several", set("aud", json!(["client-1", "other"])), 502, "id_token.audience");
    refused("aud of none", set("aud", json!([])), 502, "id_token.audience");
    refused(
        "azp of another, aud too",
        claims(|c| {
            c.insert("aud".into(), json!("other"));
            c.insert("azp".into(), json!("client-1"));
        }),
        502,
        "id_token.audience",
    );
    refused("azp of another", set("azp", json!("other")), 502, "id_token.authorized_party");
    refused("azp of a wrong type", set("azp", json!(null)), 502, "id_token.authorized_party");
    refused("oidcc-client-test-missing-sub", remove("sub"), 502, "id_token.subject");
    refused("sub empty", set("sub", json!("")), 502, "id_token.subject");
    refused("sub a number", set("sub", json!(1)), 502, "id_token.subject");
    refused("sub too long", set("sub", json!("a".repeat(256))), 502, "id_token.subject");
    refused("oidcc-client-test-nonce-invalid", set("nonce", json!("other")), 502, "id_token.nonce");
    refused("nonce missing", remove("nonce"), 502, "id_token.nonce");
    refused("nonce of a wrong type", set("nonce", json!(7)), 502, "id_token.nonce");
    refused("oidcc-client-test-missing-iat", remove("iat"), 502, "id_token.issued_at");
    refused("iat in the future", set("iat", json!(now + 121)), 502, "id_token.issued_at");
    refused("iat long ago", set("iat", json!(now - 721)), 502, "id_token.issued_at");
    refused("iat a string", set("iat", json!("now")), 502, "id_token.issued_at");
    refused("exp missing", remove("exp"), 502, "id_token.expired");
    refused("exp past", set("exp", json!(now - 120)), 502, "id_token.expired");
    for exp in [json!(1e300), json!(-1), json!("9999999999"), json!(null), json!([]), json!(18_446_744_073_709_551_615_u64)] {
        refused(&format!("exp {exp}"), set("exp", exp.clone()), 502, "id_token.expired");
    }
    refused("nbf in the future", set("nbf", json!(now + 121)), 502, "id_token.not_before");
    refused("nbf a string", set("nbf", json!("x")), 502, "id_token.not_before");
    refused("at_hash of another token", set("at_hash", json!("AAAA")), 502, "id_token.access_token_hash");
    refused("at_hash of a wrong type", set("at_hash", json!(1)), 502, "id_token.access_token_hash");
}

#[test]
fn id_tokens_at_the_edge_of_the_rules_are_accepted() {
    let now = 1_700_000_000_u64;
    type Change = Box<dyn Fn(&mut Rig)>;
    let accepted: Vec<(&str, Change)> = vec![
        ("aud as an array of one", Box::new(set("aud", json!(["client-1"])))),
        ("azp is us", Box::new(set("azp", json!("client-1")))),
        ("no at_hash", Box::new(remove("at_hash"))),
        (
            "dates with fractions",
            Box::new(claims(move |c| {
                c.insert("exp".into(), json!(now as f64 + 0.5));
                c.insert("iat".into(), json!(now as f64 - 0.5));
            })),
        ),
        ("a clock two minutes ahead", Box::new(set("iat", json!(now + 120)))),
        ("expired less than two minutes ago", Box::new(set("exp", json!(now - 119)))),
        ("oidcc-client-test-kid-absent-single-jwks", Box::new(|rig: &mut Rig| rig.provider.kid = None)),
        (
            "a broken key beside the good one",
            Box::new(|rig: &mut Rig| {
                rig.provider.edit_jwks = Some(Box::new(|jwks| jwks["keys"].as_array_mut().unwrap().insert(0, json!({ "kty": 7 }))));
            }),
        ),
        (
            "token_type in capitals",
            Box::new(|rig: &mut Rig| rig.provider.edit_answer = Some(Box::new(|answer| answer["token_type"] = "BEARER".into()))),
        ),
        (
            "no expires_in",
            Box::new(|rig: &mut Rig| {
                rig.provider.edit_answer = Some(Box::new(|answer| {
                    answer.as_object_mut().unwrap().remove("expires_in");
                }))
            }),
        ),
    ];
    for (name, arrange) in accepted {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        arrange(&mut rig);
        assert_eq!(browser.log_in(&mut rig, "/", "alice").status, 302, "{name}: {:?}", rig.events);
    }
}

#[test]
fn id_tokens_that_are_not_signed_by_the_provider_are_rejected() {
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let with_header = move |header: Value, signature: &'static str| {
        move |rig: &mut Rig| {
            let header = encode(header.clone());
            rig.provider.edit_token = Some(Box::new(move |token: &mut String| {
                let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
                let signature = if signature == "keep" { &parts[2] } else { signature };
                *token = format!("{header}.{}.{signature}", parts[1]);
            }));
        }
    };
    let token = |change: fn(&mut String)| move |rig: &mut Rig| rig.provider.edit_token = Some(Box::new(change));
    refused("oidcc-client-test-idtoken-sig-none", with_header(json!({ "alg": "none" }), ""), 502, "id_token.signature");
    refused("alg none with a signature", with_header(json!({ "alg": "none" }), "keep"), 502, "id_token.algorithm");
    refused("alg NONE", with_header(json!({ "alg": "NonE" }), "AAAA"), 502, "id_token.algorithm");
    refused("alg missing", with_header(json!({ "typ": "JWT" }), "keep"), 502, "id_token.malformed");
    refused("HS256 with the public key", with_header(json!({ "alg": "HS256", "kid": "key-1" }), "keep"), 502, "id_token.algorithm");
    refused("dir", with_header(json!({ "alg": "dir", "enc": "A256GCM" }), "keep"), 502, "id_token.algorithm");
    refused("another header", with_header(json!({ "alg": "EdDSA", "kid": "key-1", "x": 1 }), "keep"), 502, "id_token.signature");
    refused("crit", with_header(json!({ "alg": "EdDSA", "kid": "key-1", "crit": ["exp"] }), "keep"), 502, "id_token.critical");
    refused("crit empty", with_header(json!({ "alg": "EdDSA", "kid": "key-1", "crit": [] }), "keep"), 502, "id_token.critical");
    refused("logout token", with_header(json!({ "alg": "EdDSA", "kid": "key-1", "typ": "logout+jwt" }), "keep"), 502, "id_token.type");
    refused("access token", with_header(json!({ "alg": "EdDSA", "kid": "key-1", "typ": "at+jwt" }), "keep"), 502, "id_token.type");
    refused("unknown kid", with_header(json!({ "alg": "EdDSA", "kid": "other" }), "keep"), 502, "id_token.unknown_key");
    refused("RS256 with an Ed25519 key", with_header(json!({ "alg": "RS256", "kid": "key-1" }), "keep"), 502, "id_token.unknown_key");
    refused(
        "oidcc-client-test-invalid-sig",
        token(|token| {
            token.pop();
            token.pop();
            token.push_str("AA");
        }),
        502,
        "id_token.signature",
    );
    refused("no signature", token(|token| token.truncate(token.rfind('.').unwrap() + 1)), 502, "id_token.signature");
    refused("two parts", token(|token| token.truncate(token.rfind('.').unwrap())), 502, "id_token.malformed");
    refused("five parts", token(|token| token.push_str(".a.b")), 502, "id_token.malformed");
    refused("empty", token(String::clear), 502, "id_token.malformed");
    refused("too long", token(|token| *token = format!("{token}{}", "A".repeat(300_000))), 502, "id_token.malformed");
    refused(
        "a payload of another token",
        token(|token| {
            let parts: Vec<_> = token.split('.').collect();
            *token = format!(
                "{}.{}.{}",
                parts[0],
                URL_SAFE_NO_PAD.encode("{\"sub\":\"admin\",\"exp\":9999999999,\"iat\":1700000000}"),
                parts[2]
            );
        }),
        502,
        "id_token.signature",
    );
}

#[test]
fn keys_in_the_header_are_neither_used_nor_fetched() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let attacker = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([9; 32]));
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(*attacker.pk) });
    rig.provider.edit_token = Some(Box::new(move |token| {
        let payload = token.split('.').nth(1).unwrap().to_owned();
        let header = json!({ "alg": "EdDSA", "kid": "key-1", "jwk": jwk.to_string(), "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x" });
        let signed = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header.to_string()));
        *token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(*attacker.sk.sign(&signed, None)));
    }));
    assert_eq!(browser.log_in(&mut rig, "/", "alice").status, 502);
    assert_eq!(rig.last_event(), "id_token.signature");
    assert!(rig.sent.iter().all(|request| request.url.host_str() == Some("op.example")));
}

#[test]
fn key_sets_are_not_trusted_to_be_sane() {
    let jwks = |change: fn(&mut Value)| move |rig: &mut Rig| rig.provider.edit_jwks = Some(Box::new(change));
    refused("for encryption", jwks(|jwks| jwks["keys"][0]["use"] = "enc".into()), 502, "id_token.unknown_key");
    refused("for another algorithm", jwks(|jwks| jwks["keys"][0]["alg"] = "ES256".into()), 502, "id_token.unknown_key");
    refused("for signing only", jwks(|jwks| jwks["keys"][0]["key_ops"] = json!(["sign"])), 502, "id_token.unknown_key");
    refused("broken", jwks(|jwks| jwks["keys"][0]["x"] = "AAAA".into()), 502, "id_token.unknown_key");
    refused("empty", jwks(|jwks| jwks["keys"] = json!([])), 502, "id_token.unknown_key");
    refused("no keys", jwks(|jwks| *jwks = json!({})), 502, "keys.invalid");
    refused("not JSON", |rig| rig.provider.instead.push(("/jwks", 200, b"<html>".to_vec())), 502, "keys.invalid");
    refused("server error", |rig| rig.provider.instead.push(("/jwks", 500, vec![])), 503, "provider.status");
    refused("redirect", |rig| rig.provider.instead.push(("/jwks", 302, vec![])), 502, "provider.status");
}

#[test]
fn token_answers_are_not_trusted_to_be_sane() {
    let answer = |change: fn(&mut Value)| move |rig: &mut Rig| rig.provider.edit_answer = Some(Box::new(change));
    refused("token_type mac", answer(|answer| answer["token_type"] = "mac".into()), 502, "token.invalid");
    refused(
        "no token_type",
        answer(|answer| {
            answer.as_object_mut().unwrap().remove("token_type");
        }),
        502,
        "token.invalid",
    );
    refused(
        "no id_token",
        answer(|answer| {
            answer.as_object_mut().unwrap().remove("id_token");
        }),
        502,
        "token.invalid",
    );
    refused(
        "no access_token",
        answer(|answer| {
            answer.as_object_mut().unwrap().remove("access_token");
        }),
        502,
        "token.invalid",
    );
    refused("id_token of a wrong type", answer(|answer| answer["id_token"] = json!({})), 502, "token.invalid");
    for body in [
        b"".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"{".to_vec(),
        [b"[".repeat(100_000), b"]".repeat(100_000)].concat(),
        vec![0xff; 10],
    ] {
        refused("not a token response", |rig| rig.provider.instead.push(("/token", 200, body.clone())), 502, "token.invalid");
    }
    refused("50 MB", |rig| rig.provider.instead.push(("/token", 200, vec![b' '; 50_000_000])), 503, "provider.unreachable");
    refused("error", |rig| rig.provider.instead.push(("/token", 400, b"{\"error\":\"invalid_grant\"}".to_vec())), 502, "token.refused");
    refused("server error", |rig| rig.provider.instead.push(("/token", 503, vec![])), 503, "token.refused");
    refused("redirect", |rig| rig.provider.instead.push(("/token", 307, vec![])), 502, "token.refused");
}

#[test]
fn metadata_of_another_issuer_stops_before_the_authorization_request() {
    for (change, event) in [
        ((|metadata: &mut Value| metadata["issuer"] = "https://evil.example".into()) as fn(&mut Value), "metadata.invalid"),
        (
            |metadata| {
                metadata.as_object_mut().unwrap().remove("issuer");
            },
            "metadata.invalid",
        ),
        (|metadata| metadata["token_endpoint"] = "http://op.example/token".into(), "metadata.invalid"),
        (|metadata| metadata["authorization_endpoint"] = "javascript:alert(1)".into(), "metadata.invalid"),
        (|metadata| metadata["jwks_uri"] = "https://user@op.example/jwks".into(), "metadata.invalid"),
        (|metadata| metadata["jwks_uri"] = json!(7), "metadata.invalid"),
        (|metadata| metadata["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt"]), "metadata.invalid"),
        (|metadata| *metadata = json!([]), "metadata.invalid"),
    ] {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        rig.provider.edit_metadata = Some(Box::new(change));
        let response = browser.visit(&mut rig, "/").response();
        assert_eq!((response.status, rig.last_event()), (502, event));
        assert!(response.header("location").is_none() && browser.cookies.is_empty());
    }
}

#[test]
fn callbacks_that_do_not_belong_to_this_browser_give_no_session() {
    let mut rig = Rig::new(CONFIG);
    let mut attacker = Browser::default();
    let location = attacker.start(&mut rig, "/");
    let callback = rig.provider.authorize(&location, "mallory");
    let mut victim = Browser::default();
    // Login CSRF: the attacker's own callback in the victim's browser.
    assert_eq!(victim.visit(&mut rig, &callback).response().status, 400);
    assert_eq!(rig.last_event(), "callback.unknown_state");
    victim.start(&mut rig, "/");
    assert_eq!(victim.visit(&mut rig, &callback).response().status, 400, "not even with an attempt of their own");
    assert!(victim.cookies.keys().all(|name| !name.contains("session")));
    assert!(rig.sent.iter().all(|request| request.url.path() != "/token"), "the code was not redeemed");
}

#[test]
fn malformed_callbacks_are_a_page() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let location = browser.start(&mut rig, "/");
    let good = rig.provider.authorize(&location, "alice");
    let state = rig::query(&location)["state"].clone();
    for (path, event) in [
        ("/oauth2callback?code=x".to_owned(), "callback.malformed"),
        ("/oauth2callback?code=x&state=".to_owned(), "callback.malformed"),
        (format!("{good}&state={state}"), "callback.malformed"),
        (format!("{good}&code=y"), "callback.malformed"),
        (format!("{good}&error=x"), "callback.malformed"),
        (format!("/oauth2callback?code=x&state={state}1"), "callback.unknown_state"),
        (format!("/oauth2callback?code=x&state={}", state.replace('.', "..")), "callback.unknown_state"),
        ("/oauth2callback?code=x&state=.".to_owned(), "callback.unknown_state"),
        ("/oauth2callback?code=x&state=%00".to_owned(), "callback.unknown_state"),
    ] {
        let response = browser.visit(&mut rig, &path).response();
        assert_eq!((response.status, rig.last_event()), (400, event), "{path}");
    }
    assert_eq!(browser.visit(&mut rig, &good).response().status, 302, "and the login itself is not lost");
}

#[test]
fn the_issuer_parameter_must_be_right_before_anything_is_believed() {
    for (replacement, status) in [("iss=https%3A%2F%2Fevil.example", 400), ("iss=", 400), ("x=1", 400)] {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        let location = browser.start(&mut rig, "/");
        let callback = rig.provider.authorize(&location, "alice").replace("iss=https%3A%2F%2Fop.example", replacement);
        assert_eq!(browser.visit(&mut rig, &callback).response().status, status);
        assert_eq!(rig.last_event(), "callback.issuer_mismatch");
        assert!(rig.sent.iter().all(|request| request.url.path() != "/token"));
    }
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    rig.provider.edit_metadata = Some(Box::new(|metadata| {
        metadata.as_object_mut().unwrap().remove("authorization_response_iss_parameter_supported");
    }));
    let location = browser.start(&mut rig, "/");
    let callback = rig.provider.authorize(&location, "alice").replace("&iss=https%3A%2F%2Fop.example", "");
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 302, "not promised, not needed");
}

#[test]
fn an_attempt_is_spent_by_whatever_answer_comes_first() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let location = browser.start(&mut rig, "/x");
    let state = rig::query(&location)["state"].clone();
    let denied = format!("/oauth2callback?error=access_denied&error_description=%3Cscript%3E&state={state}&iss=https://op.example");
    let page = browser.visit(&mut rig, &denied).response();
    assert_eq!((page.status, rig.last_event()), (403, "callback.access_denied"));
    let text = String::from_utf8(page.body).unwrap();
    assert!(text.contains("You were not logged in") && text.contains("return_to=%2Fx") && !text.contains("<script>"));
    let late = rig.provider.authorize(&location, "alice");
    assert_eq!(browser.visit(&mut rig, &late).response().status, 400);
}

#[test]
fn a_used_callback_takes_a_logged_in_user_to_their_page_and_redeems_nothing() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let location = browser.start(&mut rig, "/x");
    let callback = rig.provider.authorize(&location, "alice");
    browser.visit(&mut rig, &callback);
    let tokens = rig.sent.len();
    let again = browser.visit(&mut rig, &callback).response();
    assert_eq!((again.status, again.header("location"), rig.sent.len()), (302, Some("/x"), tokens));
    browser.visit(&mut rig, "/").forward();
}

#[test]
fn attempts_expire() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let location = browser.start(&mut rig, "/");
    rig.now += 30 * 60;
    let callback = rig.provider.authorize(&location, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 400);
    assert_eq!(rig.last_event(), "callback.unknown_state");
}

#[test]
fn one_providers_answer_is_worthless_at_anothers_login() {
    let two = r#"
[auth]
redirect_uri = "https://app.example/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
[auth.good]
client_id = "client-1"
client_secret = "one"
server_metadata_url = "https://op.example/.well-known/openid-configuration"
[auth.evil]
client_id = "client-1"
client_secret = "two"
server_metadata_url = "https://evil.example/.well-known/openid-configuration"
"#;
    let (mut rig, mut browser) = (Rig::new(two), Browser::default());
    let location = browser.start(&mut rig, "/.vestibule/login?provider=good");
    // The same key and client id at both, so that only the issuer tells them apart.
    let mut evil = rig::Provider::new("https://evil.example");
    let callback = evil.authorize(&location, "admin");
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 400);
    assert_eq!(rig.last_event(), "callback.issuer_mismatch");
}

#[test]
fn a_rotated_key_is_fetched_once_and_made_up_ones_are_not_fetched_again_and_again() {
    let mut rig = Rig::new(CONFIG);
    let keys_fetched = |rig: &Rig| rig.sent.iter().filter(|request| request.url.path() == "/jwks").count();
    Browser::default().log_in(&mut rig, "/", "alice");
    rig.provider.kid = Some("key-2".into());
    rig.provider.key = rig::SigningKey::ed25519(8);
    // A moment after the keys were fetched: that was for another login.
    rig.now += 1;
    assert_eq!(Browser::default().log_in(&mut rig, "/", "alice").status, 302, "oidcc-client-test-signing-key-rotation");
    assert_eq!(keys_fetched(&rig), 2);
    rig.provider.edit_jwks = Some(Box::new(|jwks| jwks["keys"][0]["kid"] = "key-3".into()));
    rig.now += 60;
    for _ in 0..5 {
        rig.provider.kid = Some("made-up".into());
        assert_eq!(Browser::default().log_in(&mut rig, "/", "alice").status, 502);
    }
    // The second one in case that the first answer lags behind.
    assert_eq!((keys_fetched(&rig), rig.last_event()), (4, "id_token.unknown_key"));
}

#[test]
fn a_provider_that_is_down_stops_new_logins_only() {
    let mut rig = Rig::new(CONFIG);
    rig.provider.outage = Some(OutboundError::Unreachable("refused".into()));
    let response = Browser::default().visit(&mut rig, "/").response();
    assert_eq!((response.status, response.header("retry-after"), rig.last_event()), (503, Some("5"), "provider.unreachable"));
    let asked = rig.sent.len();
    for _ in 0..10 {
        assert_eq!(Browser::default().visit(&mut rig, "/").response().status, 503);
    }
    assert_eq!(rig.sent.len(), asked, "it is left alone for a moment");

    rig.provider.outage = None;
    rig.now += 5;
    let mut alice = Browser::default();
    assert_eq!(alice.log_in(&mut rig, "/", "alice").status, 302);
    rig.provider.outage = Some(OutboundError::TimedOut);
    rig.now += 2 * 60 * 60;
    alice.visit(&mut rig, "/").forward();
    // Two hours later the login still begins, from memory, and fails only where the provider is really needed.
    let mut bob = Browser::default();
    let location = bob.start(&mut rig, "/");
    assert!(rig.events.contains(&"metadata.stale".to_owned()));
    rig.provider.outage = None;
    rig.now += 5;
    let callback = rig.provider.authorize(&location, "bob");
    assert_eq!(bob.visit(&mut rig, &callback).response().status, 302);
    rig.now += 25 * 60 * 60;
    rig.provider.outage = Some(OutboundError::TimedOut);
    assert_eq!(Browser::default().visit(&mut rig, "/").response().status, 503, "a day old is too old");
}

#[test]
fn a_session_that_is_too_large_names_the_claim() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    rig.provider.edit_claims = Some(Box::new(|claims| {
        claims.insert("groups".into(), (0..2000).map(|n| format!("group-number-{n}")).collect());
    }));
    let location = browser.start(&mut rig, "/");
    let callback = rig.provider.authorize(&location, "alice");
    let decision = rig.decide(&browser.head(&callback), None);
    let event = decision.events.iter().find(|event| event.code == Code::SessionTooLarge).unwrap();
    assert!(event.message.starts_with("groups makes the session"), "{}", event.message);
    let vestibule::decision::Outcome::Respond(response) = decision.outcome else { panic!() };
    assert_eq!(response.status, 500);

    rig.provider.edit_claims = Some(Box::new(|claims| {
        claims.insert("groups".into(), (0..200).map(|n| format!("{n:08}-aaaa-bbbb-cccc-123456789012")).collect());
    }));
    assert_eq!(browser.log_in(&mut rig, "/", "alice").status, 302, "two hundred group ids fit");
    let forward = browser.visit(&mut rig, "/").forward();
    assert!(forward.set_headers.iter().any(|(name, value)| name == "X-Forwarded-Groups" && value.len() > 7000));
}

#[test]
fn tokens_that_are_too_large_are_lost_and_the_session_is_not() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let has = |browser: &Browser, kind: &str| browser.cookies.keys().any(|name| name.contains(kind));
    browser.log_in(&mut rig, "/", "alice");
    assert!(has(&browser, "_session_") && has(&browser, "_tokens_"));
    // In the ID token it is encoded once more than in the session.
    set("about", json!("x".repeat(13_500)))(&mut rig);
    assert_eq!(browser.log_in(&mut rig, "/.vestibule/login", "alice").status, 302);
    assert!(rig.events.iter().any(|event| event == "session.no_logout_hint"));
    assert!(has(&browser, "_session_") && !has(&browser, "_tokens_"), "not even those of the session before");
}

#[test]
fn a_login_that_began_with_another_issuer_is_not_finished() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let location = browser.start(&mut rig, "/");
    let callback = rig.provider.authorize(&location, "alice");
    let mut rig = Rig::new(&format!("{CONFIG}[vestibule.provider.default]\nissuer = \"https://other.example\"\n"));
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 400);
    assert_eq!((rig.last_event(), rig.sent.len()), ("callback.unknown_state", 0));
}

#[test]
fn what_began_in_the_future_is_not_in_force() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let location = browser.start(&mut rig, "/");
    let callback = rig.provider.authorize(&location, "alice");
    rig.now -= 121;
    assert_eq!(browser.clone().visit(&mut rig, &callback).response().status, 400);
    assert_eq!(rig.last_event(), "callback.unknown_state");
    rig.now += 1;
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 302);
    rig.now -= 121;
    assert_eq!(browser.clone().visit(&mut rig, "/").response().status, 302, "to the login");
    rig.now += 1;
    browser.visit(&mut rig, "/").forward();
}

#[test]
fn ambiguous_requests_are_refused_before_anything_else() {
    let mut rig = Rig::new(&format!("{CONFIG}\n[vestibule]\nlogin = \"optional\"\n"));
    for head in [
        RequestHead::get("/public/%2e%2e/app", "app.example"),
        RequestHead::get("/public/..%2fapp", "app.example"),
        RequestHead::get("/public/..;/app", "app.example"),
        RequestHead::get("/a\\b", "app.example"),
        RequestHead::get("http://evil.example/", "app.example"),
        RequestHead::get("/", "app.example").with("host", "evil.example"),
        RequestHead::get("/", "app.example").with("x", "a\r\nb"),
    ] {
        let response = Browser::default().send(&mut rig, &head).response();
        assert_eq!((response.status, rig.last_event()), (400, "request.malformed"), "{head:?}");
    }
}
