//! Answers of the wrong shape: claims of every wrong type, keys of every odd form, documents cut off, late, huge, deep or
//! not what they should be. Each is refused with its exact code, or does no harm.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vestibule::code::Code;
use vestibule::decision::Outcome;
use vestibule::web::http::OutboundError;

use crate::rig::{Browser, CONFIG, Rig, SigningKey};

/// One of each type of JSON, and the awkward ones of each.
fn every_type() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(-0.0),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("\u{202e}x"),
        json!("1700000000"),
        json!([]),
        json!([null]),
        json!([[]]),
        json!(["x", 1]),
        json!({}),
        json!({ "sub": "alice" }),
    ]
}

/// One login; status of the last answer and the last event.
fn outcome(arrange: impl Fn(&mut Rig)) -> (u16, String) {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    arrange(&mut rig);
    let status = browser.log_in(&mut rig, "/", "alice").status;
    let has_session = browser.cookies.keys().any(|name| name.contains("session"));
    assert_eq!(has_session, status == 302, "a session if and only if the login succeeds");
    (status, rig.last_event().to_owned())
}

fn with_claim(name: &'static str, value: Value) -> impl Fn(&mut Rig) {
    move |rig: &mut Rig| {
        let value = value.clone();
        rig.provider.edit_claims = Some(Box::new(move |claims| drop(claims.insert(name.into(), value.clone()))));
    }
}

fn accepted() -> (u16, String) {
    (302, "login.succeeded".into())
}

#[test]
fn protocol_claims_of_every_wrong_type_are_rejected_by_their_own_code() {
    for (name, code) in [
        ("iss", "id_token.issuer"),
        ("sub", "id_token.subject"),
        ("aud", "id_token.audience"),
        ("azp", "id_token.authorized_party"),
        ("nonce", "id_token.nonce"),
        ("exp", "id_token.expired"),
        ("iat", "id_token.issued_at"),
        ("at_hash", "id_token.access_token_hash"),
    ] {
        for value in every_type() {
            // A subject may be any text that is more than blank: this one is strange, and the provider's own affair.
            let is_text = name == "sub" && value.as_str().is_some_and(|text| !text.is_empty());
            let expected = if is_text { accepted() } else { (502, code.into()) };
            assert_eq!(outcome(with_claim(name, value.clone())), expected, "{name} {value}");
        }
    }
}

#[test]
fn optional_claims_of_a_wrong_type_are_rejected_when_they_mean_something() {
    for value in every_type() {
        // `nbf` in the past is no objection.
        let expected = match value.as_f64() {
            Some(number) if (0.0..=1_700_000_120.0).contains(&number) => accepted(),
            _ => (502, "id_token.not_before".into()),
        };
        assert_eq!(outcome(with_claim("nbf", value.clone())), expected, "nbf {value}");
        let expected = if value.is_string() { accepted() } else { (502, "id_token.malformed".into()) };
        assert_eq!(outcome(with_claim("jti", value.clone())), expected, "jti {value}");
    }
}

#[test]
fn claims_about_the_person_of_every_type_do_no_harm() {
    for name in
        ["email", "email_verified", "name", "preferred_username", "groups", "tid", "hd", "acr", "auth_time", "_claim_names", "login_hint"]
    {
        for value in every_type() {
            let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
            with_claim(name, value.clone())(&mut rig);
            assert_eq!(browser.log_in(&mut rig, "/", "alice").status, 302, "{name} {value}");
            let forward = browser.visit(&mut rig, "/").forward();
            for (header, value) in &forward.set_headers {
                assert!(value.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' '), "{name}: {header} {value:?}");
                assert!(!value.is_empty(), "{name}: {header}");
            }
            assert_eq!(browser.visit(&mut rig, "/.vestibule/user").response().status, 200, "{name} {value}");
            assert_eq!(browser.visit(&mut rig, "/.vestibule/logout").response().status, 302, "{name} {value}");
        }
    }
}

#[test]
fn a_subject_that_comes_twice_is_refused() {
    // RFC 7519 section 4 leaves it to the parser whether the last one counts.
    let twice = |first: &str, second: &str| {
        let (first, second) = (first.to_owned(), second.to_owned());
        move |rig: &mut Rig| {
            let (signer, first, second) = (rig.provider.key.clone(), first.clone(), second.clone());
            rig.provider.edit_token = Some(Box::new(move |token| {
                let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
                let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(&parts[1]).unwrap()).unwrap();
                let doubled = format!("{{\"sub\":{first},{},\"sub\":{second}}}", &payload[1..payload.len() - 1]);
                let signed = format!("{}.{}", parts[0], URL_SAFE_NO_PAD.encode(doubled));
                *token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes())));
            }));
        }
    };
    for (first, second) in [("\"mallory\"", "\"bob\""), ("\"bob\"", "\"bob\""), ("null", "\"bob\"")] {
        assert_eq!(outcome(twice(first, second)), (502, "id_token.malformed".into()), "{first} {second}");
    }
}

#[test]
fn deep_json_is_refused_wherever_it_comes_from() {
    let deep = || [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
    let deep_object = || [b"{\"keys\":".repeat(10_000), b"1".to_vec(), b"}".repeat(10_000)].concat();
    for body in [deep(), deep_object()] {
        let instead = |end: &'static str| {
            let body = body.clone();
            move |rig: &mut Rig| rig.provider.instead.push((end, 200, body.clone()))
        };
        assert_eq!(outcome(instead("/token")), (502, "token.invalid".into()));
        assert_eq!(outcome(instead("/jwks")), (502, "keys.invalid".into()));
        assert_eq!(metadata_outcome(instead("openid-configuration")), (502, "metadata.invalid".into()));
        let nested = body.clone();
        let token = move |rig: &mut Rig| {
            let (signer, nested) = (rig.provider.key.clone(), nested.clone());
            rig.provider.edit_token = Some(Box::new(move |token| {
                let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
                let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(&parts[1]).unwrap()).unwrap();
                let text = String::from_utf8(nested.clone()).unwrap();
                let deep = format!("{{\"x\":{text},{}", &payload[1..]);
                let signed = format!("{}.{}", parts[0], URL_SAFE_NO_PAD.encode(deep));
                *token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes())));
            }));
        };
        assert_eq!(outcome(token), (502, "id_token.malformed".into()));
    }
}

/// The start of a login; status and event.
fn metadata_outcome(arrange: impl Fn(&mut Rig)) -> (u16, String) {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    arrange(&mut rig);
    let response = browser.visit(&mut rig, "/").response();
    assert_eq!(response.header("location").is_some(), response.status == 302);
    assert_eq!(browser.cookies.is_empty(), response.status != 302, "an attempt if and only if the login begins");
    (response.status, rig.last_event().to_owned())
}

#[test]
fn metadata_with_members_of_every_wrong_type_starts_no_login() {
    for name in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
        for value in every_type() {
            let edit = |rig: &mut Rig| {
                let value = value.clone();
                rig.provider.edit_metadata = Some(Box::new(move |metadata| metadata[name] = value.clone()));
            };
            assert_eq!(metadata_outcome(edit), (502, "metadata.invalid".into()), "{name} {value}");
        }
    }
}

#[test]
fn endpoints_that_are_no_https_urls_start_no_login() {
    for url in [
        "http://op.example/x",
        "HTTP://op.example/x",
        "ftp://op.example/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "//op.example/x",
        "/x",
        "op.example",
        "https://",
        "https:///",
        "https://user@op.example/x",
        "https://user:password@op.example/x",
        "https://op.example/x#fragment",
        "https://op.example:99999/x",
        "https://[::1/x",
        "https://op example/x",
        "http://127.0.0.1/x",
        "http://localhost/x",
        "http://169.254.169.254/latest/meta-data/",
        "",
    ] {
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            let edit = |rig: &mut Rig| rig.provider.edit_metadata = Some(Box::new(move |metadata| metadata[name] = url.into()));
            assert_eq!(metadata_outcome(edit), (502, "metadata.invalid".into()), "{name} {url}");
        }
    }
}

#[test]
fn answers_cut_off_late_huge_or_of_another_kind_are_refused_exactly() {
    let bodies: [(&str, Vec<u8>); 9] = [
        ("empty", vec![]),
        ("cut off", b"{\"issuer\":\"https://op.example\",\"authoriz".to_vec()),
        ("two documents", b"{}{}".to_vec()),
        ("trailing garbage", b"{}x".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a page", b"<!doctype html><title>Log in to the hotel's network</title>".to_vec()),
        ("no UTF-8", b"{\"issuer\":\"\xff\xfe\"}".to_vec()),
        ("UTF-16", b"{\0}\0".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
    ];
    for (name, body) in bodies {
        for (end, code) in [("/token", "token.invalid"), ("/jwks", "keys.invalid")] {
            let arrange = |rig: &mut Rig| rig.provider.instead.push((end, 200, body.clone()));
            assert_eq!(outcome(arrange), (502, code.into()), "{end} {name}");
        }
        let arrange = |rig: &mut Rig| rig.provider.instead.push(("openid-configuration", 200, body.clone()));
        assert_eq!(metadata_outcome(arrange), (502, "metadata.invalid".into()), "metadata {name}");
    }
    let huge = || vec![b' '; 1024 * 1024];
    for end in ["/token", "/jwks"] {
        assert_eq!(outcome(|rig| rig.provider.instead.push((end, 200, huge()))), (503, "provider.unreachable".into()), "{end}");
        assert_eq!(outcome(|rig| rig.provider.silent.push(end)), (503, "provider.unreachable".into()), "{end}");
    }
    let metadata = |arrange: fn(&mut Rig)| metadata_outcome(arrange);
    assert_eq!(metadata(|rig| rig.provider.silent.push("openid-configuration")), (503, "provider.unreachable".into()));
    assert_eq!(
        metadata_outcome(|rig| rig.provider.instead.push(("openid-configuration", 200, huge()))),
        (503, "provider.unreachable".into())
    );
    for error in [OutboundError::NotAllowed, OutboundError::TooLarge, OutboundError::Protocol("chunk".into()), OutboundError::TimedOut] {
        assert_eq!(metadata_outcome(|rig| rig.provider.outage = Some(error.clone())), (503, "provider.unreachable".into()), "{error}");
    }
}

/// What fuzzing has found: serde reads a struct from an array of its members' values as well.
#[test]
fn an_array_of_the_values_is_not_the_object() {
    let metadata = |rig: &mut Rig| {
        rig.provider.edit_metadata = Some(Box::new(|given| {
            let endpoints = ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"].map(|name| given[name].clone());
            *given = endpoints.into_iter().chain([json!(null), json!(null), json!(null), json!(null), json!(true)]).collect();
        }));
    };
    assert_eq!(metadata_outcome(metadata), (502, "metadata.invalid".into()));
    let answer = |rig: &mut Rig| {
        rig.provider.edit_answer = Some(Box::new(|answer| *answer = json!([answer["id_token"], answer["access_token"], "Bearer"])));
    };
    assert_eq!(outcome(answer), (502, "token.invalid".into()));
    let SigningKey::Ed25519(pair) = SigningKey::ed25519(7) else { unreachable!() };
    let key = json!(["OKP", "key-1", null, null, null, "Ed25519", null, null, URL_SAFE_NO_PAD.encode(*pair.pk), null, null]);
    assert_eq!(with_keys(json!({ "keys": [key] })), (502, "id_token.unknown_key".into()), "a key");
    assert_eq!(with_keys(json!([[SigningKey::ed25519(7).public_jwk()]])), (502, "keys.invalid".into()), "a key set");
    let header = |rig: &mut Rig| {
        rig.provider.edit_token = Some(Box::new(|token| {
            let payload = token.split('.').nth(1).unwrap();
            let signed = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(json!(["EdDSA", "JWT", "key-1"]).to_string()));
            *token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(SigningKey::ed25519(7).sign(signed.as_bytes())));
        }));
    };
    assert_eq!(outcome(header), (502, "id_token.malformed".into()));
}

#[test]
fn statuses_that_are_not_200_are_refused_whatever_comes_with_them() {
    for status in
        [100, 201, 202, 203, 204, 206, 299, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 410, 418, 429, 500, 502, 503, 504, 599, 999]
    {
        let expected = if status >= 500 || status == 429 { 503 } else { 502 };
        let whole = |rig: &Rig| json!({ "keys": [rig.provider.key.public_jwk()] }).to_string().into_bytes();
        assert_eq!(
            outcome(|rig| {
                let body = whole(rig);
                rig.provider.instead.push(("/jwks", status, body));
            }),
            (expected, "provider.status".into()),
            "{status}"
        );
        assert_eq!(outcome(|rig| rig.provider.instead.push(("/token", status, vec![]))), (expected, "token.refused".into()), "{status}");
        assert_eq!(
            metadata_outcome(|rig| rig.provider.instead.push(("openid-configuration", status, vec![]))),
            (expected, "provider.status".into()),
            "{status}"
        );
    }
}

#[test]
fn token_answers_with_members_of_every_wrong_type_are_refused() {
    for name in ["id_token", "access_token", "token_type"] {
        for value in every_type() {
            let edit = |rig: &mut Rig| {
                let value = value.clone();
                rig.provider.edit_answer = Some(Box::new(move |answer| answer[name] = value.clone()));
            };
            // Text for a token is looked at as one.
            let expected = match name {
                "id_token" if value.is_string() => "id_token.malformed",
                "access_token" if value.is_string() => "id_token.access_token_hash",
                _ => "token.invalid",
            };
            assert_eq!(outcome(edit), (502, expected.into()), "{name} {value}");
        }
    }
    for name in ["expires_in", "scope", "refresh_token"] {
        for value in every_type() {
            let edit = |rig: &mut Rig| {
                let value = value.clone();
                rig.provider.edit_answer = Some(Box::new(move |answer| answer[name] = value.clone()));
            };
            assert_eq!(outcome(edit), accepted(), "{name} {value}: nothing rests on it");
        }
    }
}

#[test]
fn headers_of_id_tokens_of_every_odd_form_are_refused() {
    let header = |header: Value| {
        move |rig: &mut Rig| {
            let header = header.clone();
            rig.provider.edit_header = Some(Box::new(move |given| *given = header.clone()));
        }
    };
    for value in every_type() {
        let whole = outcome(header(merge(json!({ "typ": "JWT", "kid": "key-1" }), "alg", value.clone())));
        let expected = if value.is_string() { "id_token.algorithm" } else { "id_token.malformed" };
        assert_eq!(whole, (502, expected.into()), "alg {value}");
        let kid = outcome(header(merge(json!({ "alg": "EdDSA" }), "kid", value.clone())));
        let expected = if value.is_null() {
            accepted()
        } else {
            (502, if value.is_string() { "id_token.unknown_key" } else { "id_token.malformed" }.into())
        };
        assert_eq!(kid, expected, "kid {value}");
    }
    for (name, value) in [("crit", json!(["b64"])), ("crit", json!([])), ("crit", json!(["exp", "nonce"]))] {
        assert_eq!(
            outcome(header(merge(json!({ "alg": "EdDSA", "kid": "key-1" }), name, value.clone()))),
            (502, "id_token.critical".into())
        );
    }
    for typ in ["at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "oauth-authz-req+jwt", "JOSE", "JWE", "", "jwt+x", "application/jwt "] {
        assert_eq!(outcome(header(json!({ "alg": "EdDSA", "kid": "key-1", "typ": typ }))), (502, "id_token.type".into()), "{typ}");
    }
    for algorithm in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "HS256",
        "HS384",
        "HS512",
        "dir",
        "RSA-OAEP",
        "ES256K",
        "eddsa",
        "EdDSA ",
        "rs256",
        "RS1",
        "RS256\u{0}",
    ] {
        assert_eq!(outcome(header(json!({ "alg": algorithm, "kid": "key-1" }))), (502, "id_token.algorithm".into()), "{algorithm}");
    }
}

fn merge(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

/// The key set is this one; the token is signed with the rig's Ed25519 key.
fn with_keys(keys: Value) -> (u16, String) {
    outcome(|rig| {
        let keys = keys.clone();
        rig.provider.edit_jwks = Some(Box::new(move |jwks| *jwks = keys.clone()));
    })
}

#[test]
fn keys_of_every_odd_form_are_left_out() {
    let good = merge(SigningKey::ed25519(7).public_jwk(), "kid", json!("key-1"));
    let unknown = (502, "id_token.unknown_key".to_owned());
    assert_eq!(with_keys(json!({ "keys": [good] })), accepted(), "neither use nor alg");
    for member in ["kty", "crv", "x", "kid"] {
        for value in every_type() {
            // A key without `kid` may be the one that the token names, where none has that name.
            let odd = merge(good.clone(), member, value.clone());
            let expected = if member == "kid" && value.is_null() { accepted() } else { unknown.clone() };
            assert_eq!(with_keys(json!({ "keys": [odd] })), expected, "{member} {value}");
            assert_eq!(with_keys(json!({ "keys": [odd, good] })), accepted(), "{member} {value} beside a good one");
        }
    }
    for member in ["use", "alg", "key_ops"] {
        for value in every_type().into_iter().filter(|value| !value.is_null()) {
            assert_eq!(with_keys(json!({ "keys": [merge(good.clone(), member, value.clone())] })), unknown, "{member} {value}");
        }
    }
    for member in ["n", "e", "y", "x5c", "x5t", "x5t#S256", "x5u", "issuer", "d", "oth", "ext", "nbf"] {
        for value in every_type() {
            let odd = merge(good.clone(), member, value.clone());
            // Members of other kinds of keys: text or nothing, or the key is none of ours.
            let is_ours = matches!(member, "n" | "e" | "y");
            let expected = if is_ours && !value.is_string() && !value.is_null() { unknown.clone() } else { accepted() };
            assert_eq!(with_keys(json!({ "keys": [odd] })), expected, "{member} {value}");
        }
    }
    for key in every_type() {
        assert_eq!(with_keys(json!({ "keys": [key, good] })), accepted(), "{key}");
    }
    for keys in every_type().into_iter().filter(|keys| !keys.is_array()) {
        assert_eq!(with_keys(json!({ "keys": keys })), (502, "keys.invalid".into()), "{keys}");
    }
}

#[test]
fn points_that_are_not_on_their_curve_and_moduli_that_are_too_small_are_no_keys() {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let rsa = SigningKey::rsa().public_jwk();
    let cases = [
        ("Ed25519, too short", json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&[1; 31]) }), "EdDSA"),
        ("Ed25519, too long", json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&[1; 33]) }), "EdDSA"),
        ("X25519", json!({ "kty": "OKP", "crv": "X25519", "x": encode(&[9; 32]) }), "EdDSA"),
        ("P-256, not on the curve", json!({ "kty": "EC", "crv": "P-256", "x": encode(&[1; 32]), "y": encode(&[1; 32]) }), "ES256"),
        ("P-256, at infinity", json!({ "kty": "EC", "crv": "P-256", "x": encode(&[0; 32]), "y": encode(&[0; 32]) }), "ES256"),
        ("P-256, without y", json!({ "kty": "EC", "crv": "P-256", "x": encode(&[1; 32]) }), "ES256"),
        ("P-256 with coordinates of P-384", json!({ "kty": "EC", "crv": "P-256", "x": encode(&[1; 48]), "y": encode(&[1; 48]) }), "ES256"),
        ("P-384 for ES256", json!({ "kty": "EC", "crv": "P-384", "x": encode(&[1; 48]), "y": encode(&[1; 48]) }), "ES256"),
        ("RSA of 512 bits", json!({ "kty": "RSA", "n": encode(&[0xff; 64]), "e": "AQAB" }), "RS256"),
        ("RSA of 1024 bits", json!({ "kty": "RSA", "n": encode(&[0xff; 128]), "e": "AQAB" }), "RS256"),
        ("RSA of 64 KiB", json!({ "kty": "RSA", "n": encode(&[0xff; 65_536]), "e": "AQAB" }), "RS256"),
        ("RSA with the exponent 1", merge(rsa.clone(), "e", json!("AQ")), "RS256"),
        ("RSA with an even exponent", merge(rsa.clone(), "e", json!("Ag")), "RS256"),
        ("RSA with the exponent 0", merge(rsa.clone(), "e", json!("AA")), "RS256"),
        ("RSA without exponent", json!({ "kty": "RSA", "n": rsa["n"] }), "RS256"),
        ("RSA in standard base64", json!({ "kty": "RSA", "n": "+/+/", "e": "AQAB" }), "RS256"),
        ("a secret", json!({ "kty": "oct", "k": encode(b"a~secret/of the client") }), "HS256"),
    ];
    for (name, key, algorithm) in cases {
        let keys = json!({ "keys": [merge(key, "kid", json!("key-1"))] });
        let answer = outcome(|rig| {
            let keys = keys.clone();
            rig.provider.edit_jwks = Some(Box::new(move |jwks| *jwks = keys.clone()));
            rig.provider.edit_header = Some(Box::new(move |header| header["alg"] = algorithm.into()));
        });
        let expected = if algorithm == "HS256" { "id_token.algorithm" } else { "id_token.unknown_key" };
        assert_eq!(answer, (502, expected.into()), "{name}");
    }
}

#[test]
fn userinfo_of_every_odd_form_is_refused() {
    let config = format!("{CONFIG}\n[vestibule.provider.default]\nuserinfo = true\n");
    let outcome = |arrange: &dyn Fn(&mut Rig)| {
        let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
        arrange(&mut rig);
        let status = browser.log_in(&mut rig, "/", "alice").status;
        assert!(status == 302 || browser.cookies.keys().all(|name| !name.contains("session")));
        (status, rig.last_event().to_owned())
    };
    for value in every_type() {
        let sub = |rig: &mut Rig| {
            let value = value.clone();
            rig.provider.edit_userinfo = Some(Box::new(move |answer| answer["sub"] = value.clone()));
        };
        assert_eq!(outcome(&sub), (502, "userinfo.invalid".into()), "sub {value}");
        let whole = |rig: &mut Rig| {
            let value = value.clone();
            rig.provider.edit_userinfo = Some(Box::new(move |answer| *answer = value.clone()));
        };
        let is_alice = value == json!({ "sub": "alice" });
        assert_eq!(outcome(&whole), if is_alice { accepted() } else { (502, "userinfo.invalid".into()) }, "{value}");
    }
    // A signed answer (section 5.3.2) was not asked for.
    let signed = |rig: &mut Rig| rig.provider.instead.push(("/userinfo", 200, b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.".to_vec()));
    assert_eq!(outcome(&signed), (502, "userinfo.invalid".into()));
    assert_eq!(outcome(&|rig| rig.provider.instead.push(("/userinfo", 401, vec![]))), (502, "provider.status".into()));
    assert_eq!(outcome(&|rig| rig.provider.silent.push("/userinfo")), (503, "provider.unreachable".into()));
}

#[test]
fn error_answers_of_the_token_endpoint_are_quoted_only_when_they_are_codes() {
    for (error, told) in [
        (json!("invalid_grant"), "and the error `invalid_grant`, \"<script>\""),
        (json!("x\ny"), "and the error `(unreadable)`"),
        (json!("é"), "and the error `(unreadable)`"),
        (json!("x".repeat(65)), "and the error `(unreadable)`"),
        (json!(7), "and \"{'error':7,'error_description':'<script>'}\""),
        (json!(null), "and \"{'error':null,"),
    ] {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        let body = json!({ "error": error, "error_description": "<script>" }).to_string().into_bytes();
        rig.provider.instead.push(("/token", 400, body));
        let location = browser.start(&mut rig, "/");
        let callback = rig.provider.authorize(&location, "alice");
        let decision = rig.decide(&browser.head(&callback), None);
        let event = decision.events.last().unwrap();
        assert_eq!(event.code, Code::TokenRefused);
        assert!(event.message.contains(told), "{}", event.message);
        let Outcome::Respond(page) = decision.outcome else { panic!("no page") };
        assert!(!String::from_utf8_lossy(&page.body).contains("<script>"), "a page repeats nothing");
    }
}
