//! Signed userinfo responses (OIDC Core section 5.3.2): what is verified and matched before anything of them counts.

use serde_json::{Value, json};

use crate::rig::{self, Browser, CONFIG, ISSUER, Rig, SigningKey};

fn rig() -> Rig {
    Rig::new(&format!("{CONFIG}\n[vestibule.provider.default]\nuserinfo = true\n"))
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "kid": "key-1" })
}

fn payload() -> Value {
    json!({ "iss": ISSUER, "aud": "client-1", "sub": "alice", "locale": "de", "name": "Not The Signed Name" })
}

fn merged(mut object: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
            value => object[name] = value.clone(),
        }
    }
    object
}

/// By another key than the provider's.
fn signed_by(seed: u8, header: &Value, payload: &Value) -> String {
    let mut provider = rig::Provider::new(ISSUER);
    provider.key = SigningKey::ed25519(seed);
    provider.sign(header, payload)
}

/// What the endpoint answers from now on.
fn answer(rig: &mut Rig, content_type: &'static str, body: impl Into<Vec<u8>>) {
    rig.provider.content_type = Some(content_type);
    rig.provider.instead = vec![("/userinfo", 200, body.into())];
}

/// The claims after a login, or its last event and message.
fn log_in(rig: &mut Rig) -> Result<Value, (String, String)> {
    let mut browser = Browser::default();
    let status = browser.log_in(rig, "/", "alice").status;
    if status == 302 {
        return Ok(serde_json::from_slice(&browser.visit(rig, "/.vestibule/user").response().body).unwrap());
    }
    assert_eq!(status, 502);
    assert!(browser.cookies.keys().all(|name| !name.contains("session")));
    Err((rig.last_event().to_owned(), rig.last_message().to_owned()))
}

#[test]
fn a_signed_response_completes_the_claims() {
    for payload in [payload(), merged(payload(), &json!({ "aud": ["other", "client-1"], "exp": 1_700_000_300, "iat": 1_700_000_000 }))] {
        for content_type in ["application/jwt", "Application/JWT; charset=utf-8", "text/plain"] {
            let mut rig = rig();
            let jwt = rig.provider.sign(&header(), &payload);
            answer(&mut rig, content_type, format!("{jwt}\n"));
            let user = log_in(&mut rig).unwrap();
            assert_eq!((&user["locale"], &user["name"]), (&json!("de"), &json!("Alice Example")), "{content_type}");
            assert_eq!(user["aud"], "client-1", "of the ID token");
        }
    }
    let request = |rig: &Rig| rig.sent.iter().find(|request| request.url.path() == "/userinfo").unwrap().clone();
    let mut plain = rig();
    log_in(&mut plain).unwrap();
    let accept = request(&plain).headers.into_iter().find(|(name, _)| name == "accept").unwrap().1;
    assert_eq!(accept, b"application/json, application/jwt");
}

#[test]
fn a_signed_response_that_is_not_for_this_login_is_refused() {
    let now = 1_700_000_000;
    for (what, header_change, payload_change, words) in [
        ("no iss", json!({}), json!({ "iss": null }), "no `iss`"),
        ("another issuer", json!({}), json!({ "iss": "https://op.example/" }), "from the issuer"),
        ("iss of another type", json!({}), json!({ "iss": [ISSUER] }), "not a text"),
        ("no aud", json!({}), json!({ "aud": null }), "no `aud`"),
        ("another audience", json!({}), json!({ "aud": "client-11" }), "client_id is `client-1`"),
        ("other audiences", json!({}), json!({ "aud": ["a", "b"] }), "client_id is `client-1`"),
        ("an audience of another type", json!({}), json!({ "aud": { "client-1": 1 } }), "client_id is `client-1`"),
        ("no sub", json!({}), json!({ "sub": null }), "no `sub`"),
        ("another subject", json!({}), json!({ "sub": "bob" }), "not the ID token's"),
        ("expired", json!({}), json!({ "exp": now - 121 }), "`exp`"),
        ("exp that is no date", json!({}), json!({ "exp": "soon" }), "not a date"),
        ("not yet valid", json!({}), json!({ "nbf": now + 121 }), "`nbf`"),
        ("none", json!({ "alg": "none" }), json!({}), "`none`"),
        ("HS256", json!({ "alg": "HS256" }), json!({}), "HS256"),
        ("an unknown algorithm", json!({ "alg": "RS1" }), json!({}), "RS1"),
        ("a critical extension", json!({ "crit": ["x"] }), json!({}), "critical"),
        ("an access token", json!({ "typ": "at+jwt" }), json!({}), "at+jwt"),
        ("a logout token", json!({ "typ": "logout+jwt" }), json!({}), "logout+jwt"),
    ] {
        let mut rig = rig();
        let jwt = rig.provider.sign(&merged(header(), &header_change), &merged(payload(), &payload_change));
        answer(&mut rig, "application/jwt", jwt);
        let (code, message) = log_in(&mut rig).expect_err(what);
        assert!(code == "userinfo.invalid" && message.contains(words), "{what}: {code} {message}");
        assert!(!message.contains("bob"), "who it is stays out of the log");
    }
}

#[test]
fn what_is_said_to_be_signed_and_is_not_is_refused() {
    let plain = br#"{"sub": "alice", "locale": "de"}"#.to_vec();
    for (what, content_type, body, words) in [
        ("JSON as a JWT", "application/jwt", plain, "not a signed JWT"),
        ("encrypted", "application/jwt", b"eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d".to_vec(), "encrypted"),
        ("encrypted, under another type", "application/json", b"eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d".to_vec(), "encrypted"),
        ("unsigned", "application/jwt", b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.".to_vec(), "not signed"),
        ("two parts", "application/jwt", b"eyJhbGciOiJFZERTQSJ9.e30".to_vec(), "not a signed JWT"),
        ("empty", "application/jwt", vec![], "not a signed JWT"),
        ("bytes", "application/jwt", vec![0xff, b'.', 0xfe], "not a signed JWT"),
    ] {
        let mut rig = rig();
        answer(&mut rig, content_type, body);
        let (code, message) = log_in(&mut rig).expect_err(what);
        assert!(code == "userinfo.invalid" && message.contains(words), "{what}: {message}");
    }
    // A member twice is not read in two ways.
    let mut twice = rig();
    let good = twice.provider.sign(&header(), &payload());
    let broken = good.replace(good.split('.').nth(1).unwrap(), "eyJzdWIiOiJhbGljZSIsInN1YiI6ImJvYiJ9");
    answer(&mut twice, "application/jwt", broken);
    assert_eq!(log_in(&mut twice).unwrap_err().0, "userinfo.invalid");
}

#[test]
fn its_signature_is_of_the_providers_keys_by_a_listed_algorithm() {
    let mut foreign = rig();
    let jwt = signed_by(8, &header(), &payload());
    answer(&mut foreign, "application/jwt", jwt);
    let (code, message) = log_in(&mut foreign).unwrap_err();
    assert!(code == "userinfo.invalid" && message.contains("signature by EdDSA is not of"), "{message}");

    for (listed, is_accepted) in [(json!(["EdDSA", "none"]), true), (json!(["RS256", "none"]), false), (json!([]), true)] {
        let mut rig = rig();
        rig.provider.edit_metadata = Some(Box::new(move |metadata| {
            metadata["userinfo_signing_alg_values_supported"] = listed.clone();
            metadata["id_token_signing_alg_values_supported"] = json!(["EdDSA"]);
        }));
        let jwt = rig.provider.sign(&header(), &payload());
        answer(&mut rig, "application/jwt", jwt);
        let outcome = log_in(&mut rig);
        assert_eq!(outcome.is_ok(), is_accepted, "{outcome:?}");
        assert!(is_accepted || outcome.unwrap_err().1.contains("userinfo_signing_alg_values_supported"));
    }
}

#[test]
fn keys_that_are_not_known_are_asked_for_once_and_not_for_every_response() {
    // Signed with a key that came into use between the two answers.
    let (mut rig, new) = (rig(), SigningKey::ed25519(9));
    let jwt = signed_by(9, &merged(header(), &json!({ "kid": "key-2" })), &payload());
    log_in(&mut rig).unwrap();
    let mut public = new.public_jwk();
    public["kid"] = "key-2".into();
    rig.provider.edit_jwks = Some(Box::new(move |jwks| jwks["keys"].as_array_mut().unwrap().push(public.clone())));
    answer(&mut rig, "application/jwt", jwt);
    rig.now += 300;
    assert_eq!(rig.asked("/jwks"), 1);
    assert_eq!(log_in(&mut rig).unwrap()["locale"], "de");
    assert_eq!(rig.asked("/jwks"), 2);
    assert!(rig.events.iter().any(|code| code == "keys.refetch"));
    // A key that there is not: the floor between two requests for keys is that of ID tokens.
    let unknown = rig.provider.sign(&merged(header(), &json!({ "kid": "key-3" })), &payload());
    answer(&mut rig, "application/jwt", unknown);
    for _ in 0..5 {
        assert_eq!(log_in(&mut rig).unwrap_err().0, "userinfo.invalid");
    }
    assert!(rig.asked("/jwks") <= 3, "{}", rig.asked("/jwks"));
}

#[test]
fn the_keys_that_the_id_token_was_verified_with_are_known() {
    let mut rig = rig();
    let jwt = rig.provider.sign(&header(), &payload());
    answer(&mut rig, "application/jwt", jwt);
    rig.provider.seconds_to_answer = 9;
    assert_eq!(log_in(&mut rig).unwrap()["locale"], "de");
    assert_eq!(rig.asked("/jwks"), 1);
}

/// Microsoft Entra's template: the metadata names an issuer for each tenant.
#[test]
fn a_signed_response_is_of_the_issuer_of_the_id_token() {
    const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    const OTHER: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
    const TEMPLATE: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
    let metadata_url = "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration";
    let config = CONFIG.replace("https://op.example/.well-known/openid-configuration", metadata_url);
    for (iss, tid, is_accepted) in
        [(TENANT, Some(TENANT), true), (TENANT, None, true), (OTHER, Some(OTHER), false), (OTHER, None, false), ("{tenantid}", None, false)]
    {
        let mut rig = Rig::new(&format!("{config}\n[vestibule.provider.default]\nuserinfo = true\n"));
        rig.provider.metadata_url = metadata_url.to_owned();
        rig.provider.response_issuer = None;
        rig.provider.edit_metadata = Some(Box::new(|metadata| {
            metadata["issuer"] = TEMPLATE.into();
            metadata["authorization_response_iss_parameter_supported"] = false.into();
        }));
        rig.provider.edit_claims = Some(Box::new(|claims| {
            claims.insert("iss".into(), TEMPLATE.replace("{tenantid}", TENANT).into());
            claims.insert("tid".into(), TENANT.into());
        }));
        let jwt = rig.provider.sign(&header(), &merged(payload(), &json!({ "iss": TEMPLATE.replace("{tenantid}", iss), "tid": tid })));
        answer(&mut rig, "application/jwt", jwt);
        let outcome = log_in(&mut rig);
        assert_eq!(outcome.is_ok(), is_accepted, "{iss} {tid:?}: {outcome:?}");
        assert!(is_accepted || outcome.unwrap_err().1.contains("from the issuer"));
    }
}
