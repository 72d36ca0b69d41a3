//! What the log says of an answer that is refused: both values that differ, and what to do. A claim that is absent is never
//! called a wrong one.

use serde_json::{Value, json};

use crate::rig::{self, Browser, CONFIG, ISSUER, Rig, SigningKey};

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

type Change = Box<dyn Fn(&mut Rig)>;

fn claim(name: &'static str, value: Value) -> Change {
    Box::new(move |rig| {
        let value = value.clone();
        rig.provider.edit_claims = Some(Box::new(move |claims| drop(claims.insert(name.to_owned(), value.clone()))));
    })
}

fn no_claim(name: &'static str) -> Change {
    Box::new(move |rig| rig.provider.edit_claims = Some(Box::new(move |claims| drop(claims.remove(name)))))
}

fn header(name: &'static str, value: Value) -> Change {
    Box::new(move |rig| {
        let value = value.clone();
        rig.provider.edit_header = Some(Box::new(move |header| header[name] = value.clone()));
    })
}

fn no_header(name: &'static str) -> Change {
    Box::new(move |rig| {
        rig.provider.edit_header = Some(Box::new(move |header| drop(header.as_object_mut().unwrap().remove(name))));
    })
}

fn instead(end: &'static str, status: u16, body: &'static str) -> Change {
    Box::new(move |rig| rig.provider.instead = vec![(end, status, body.as_bytes().to_vec())])
}

/// A login at this provider, which fails with this code: what the log says.
fn message(config: &str, change: &dyn Fn(&mut Rig), code: &str) -> String {
    let mut rig = Rig::new(config);
    change(&mut rig);
    let mut browser = Browser::default();
    let response = browser.visit(&mut rig, "/.vestibule/login").response();
    if let Some(location) = response.header("location").filter(|_| response.status == 302) {
        let callback = rig.provider.authorize(&location.parse().unwrap(), "alice");
        browser.visit(&mut rig, &callback);
    }
    assert_eq!(rig.last_event(), code, "{}", rig.last_message());
    rig.last_message().to_owned()
}

fn check(config: &str, cases: Vec<(Change, &str, &[&str])>) {
    for (change, code, told) in cases {
        let message = message(config, &change, code);
        for text in told {
            assert!(message.contains(text), "{text} is not in: {message}");
        }
        // Of an absent claim nothing else is said than that it is.
        if message.contains("it has no ") {
            for wrong in ["another", "may not log in", "does not prove", "expired", "is wrong"] {
                assert!(!message.contains(wrong), "{message}");
            }
        }
    }
}

#[test]
fn an_id_token_that_differs_is_told_with_what_it_differs_from() {
    check(
        CONFIG,
        vec![
            (claim("iss", json!("https://other.example")), "id_token.issuer", &["`https://other.example`", "`https://op.example`"]),
            (claim("iss", json!(7)), "id_token.issuer", &["its `iss` is not a text but a number"]),
            (no_claim("iss"), "id_token.issuer", &["it has no `iss`"]),
            (claim("aud", json!("other")), "id_token.audience", &["`other`", "client_id is `client-1`"]),
            (claim("aud", json!([])), "id_token.audience", &["an empty list", "client_id is `client-1`"]),
            (claim("aud", json!(["client-1", 7])), "id_token.audience", &["holds 7", "client_id is `client-1`"]),
            (claim("aud", json!(["client-1", "api"])), "id_token.audience", &["`api`", "`client-1`", "audiences"]),
            (no_claim("aud"), "id_token.audience", &["it has no `aud`", "client_id is `client-1`"]),
            (claim("azp", json!("other")), "id_token.authorized_party", &["`other`", "`client-1`"]),
            (claim("sub", json!(7)), "id_token.subject", &["its `sub` is not a text but a number"]),
            (claim("sub", json!("x".repeat(300))), "id_token.subject", &["300 characters", "limit of 255"]),
            (claim("sub", json!("")), "id_token.subject", &["its `sub` is empty"]),
            (no_claim("sub"), "id_token.subject", &["it has no `sub`"]),
            (
                claim("exp", json!(1_699_992_800)),
                "id_token.expired",
                &["2023-11-14T20:13:20Z", "2023-11-14T22:13:20Z", "2h ago", "2m are allowed", "clocks"],
            ),
            (claim("exp", json!("soon")), "id_token.expired", &["`soon`", "not a date"]),
            (no_claim("exp"), "id_token.expired", &["it has no `exp`"]),
            (claim("iat", json!(1_700_007_200)), "id_token.issued_at", &["2h ahead", "2023-11-14T22:13:20Z", "2m are allowed"]),
            (claim("iat", json!(1_699_992_800)), "id_token.issued_at", &["2h ago", "2023-11-14T22:13:20Z", "12m are allowed"]),
            (no_claim("iat"), "id_token.issued_at", &["it has no `iat`"]),
            (claim("nbf", json!(1_700_007_200)), "id_token.not_before", &["2h ahead", "2023-11-14T22:13:20Z", "2m are allowed"]),
            (claim("nonce", json!("other")), "id_token.nonce", &["its `nonce` is not that of this login"]),
            (no_claim("nonce"), "id_token.nonce", &["it has no `nonce`"]),
            (claim("at_hash", json!("other")), "id_token.access_token_hash", &["its `at_hash`", "by EdDSA"]),
            (header("alg", json!("HS256")), "id_token.algorithm", &["HS256", "RS256, ES256, EdDSA", "RS256 instead"]),
            (header("alg", json!("none")), "id_token.algorithm", &["`none`", "RS256, ES256, EdDSA", "RS256"]),
            (header("alg", json!("XS1")), "id_token.algorithm", &["`XS1`", "RS256, ES256, EdDSA"]),
            (no_header("alg"), "id_token.malformed", &["its header has no `alg`"]),
            (header("typ", json!("at+jwt")), "id_token.type", &["`at+jwt`", "JWT"]),
            (header("crit", json!(["b64"])), "id_token.critical", &["[\'b64\']", "supports none"]),
            (header("kid", json!("other")), "id_token.unknown_key", &["`other`", "for EdDSA", "it has `key-1`"]),
            (header("alg", json!("RS256")), "id_token.unknown_key", &["`key-1` is not for RS256", "its kty is `OKP`", "its alg `EdDSA`"]),
            (
                Box::new(|rig| rig.provider.edit_token = Some(Box::new(|token| *token = "a.b".into()))),
                "id_token.malformed",
                &["it has 2 parts, and one has 3"],
            ),
            (
                Box::new(|rig| rig.provider.edit_token = Some(Box::new(|token| *token = "a.b.c.d.e".into()))),
                "id_token.malformed",
                &["it is encrypted"],
            ),
        ],
    );
    let narrow = |rig: &mut Rig| {
        rig.provider.edit_metadata =
            Some(Box::new(|metadata| metadata["id_token_signing_alg_values_supported"] = json!(["PS256", "ES256"])));
    };
    check(
        CONFIG,
        vec![
            (Box::new(narrow), "id_token.algorithm", &["signed with EdDSA", "lists ES256, PS256"]),
            (
                Box::new(move |rig| {
                    narrow(rig);
                    header("alg", json!("HS512"))(rig);
                }),
                "id_token.algorithm",
                &["HS512", "accepts ES256, PS256 here", "ES256 instead"],
            ),
        ],
    );
}

#[test]
fn what_the_configuration_demands_is_told_with_what_the_token_says() {
    let demanding = |demand: &str| format!("{CONFIG}{demand}");
    let max_age = demanding("client_kwargs = { max_age = 60 }\n");
    check(
        &max_age,
        vec![
            (no_claim("auth_time"), "id_token.authentication_time", &["it has no `auth_time`", "max_age = 60"]),
            (
                claim("auth_time", json!(1_699_992_800)),
                "id_token.authentication_time",
                &["2023-11-14T20:13:20Z", "2h before", "max_age = 60", "2023-11-14T22:13:20Z"],
            ),
            (claim("auth_time", json!("x")), "id_token.authentication_time", &["`x`, which is not a date", "max_age = 60"]),
        ],
    );
    let acr = demanding("client_kwargs = { acr_values = \"mfa\" }\n");
    check(
        &acr,
        vec![
            (no_claim("acr"), "id_token.authentication_context", &["it has no `acr`", "acr_values = \"mfa\""]),
            (claim("acr", json!("pwd")), "id_token.authentication_context", &["`pwd`", "acr_values = \"mfa\""]),
        ],
    );
    let tenants = demanding(&format!("[vestibule.provider.default]\ntenants = [\"{TENANT}\"]\n"));
    check(
        &tenants,
        vec![
            (no_claim("tid"), "id_token.tenant", &["it has no `tid`", TENANT]),
            (
                claim("tid", json!("9188040d-6c67-4c5b-b112-36a304b66dad")),
                "id_token.tenant",
                &["`9188040d-6c67-4c5b-b112-36a304b66dad`", TENANT],
            ),
        ],
    );
    let hd = demanding("client_kwargs = { hd = \"acme.example\" }\n");
    check(
        &hd,
        vec![
            (no_claim("hd"), "id_token.hosted_domain", &["it has no `hd`", "hd = \"acme.example\""]),
            (claim("hd", json!("other.example")), "id_token.hosted_domain", &["`other.example`", "hd = \"acme.example\""]),
        ],
    );
}

/// An issuer for each tenant: the tenant is a part of what differs.
#[test]
fn entras_template_is_told_with_the_tenant() {
    let config = CONFIG.replace("https://op.example/.well-known", "https://login.microsoftonline.com/organizations/v2.0/.well-known");
    const TEMPLATE: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
    let entra = |rig: &mut Rig| {
        rig.provider = rig::Provider::new("https://login.microsoftonline.com/organizations/v2.0");
        rig.provider.edit_metadata = Some(Box::new(move |metadata| metadata["issuer"] = TEMPLATE.into()));
        rig.provider.response_issuer = Some(TEMPLATE.into());
    };
    let of_tenant = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let case = |iss: &str, tid: Option<&str>| -> Change {
        let (iss, tid) = (iss.to_owned(), tid.map(str::to_owned));
        Box::new(move |rig| {
            entra(rig);
            let (iss, tid) = (iss.clone(), tid.clone());
            rig.provider.edit_claims = Some(Box::new(move |claims| {
                claims.insert("iss".into(), iss.clone().into());
                claims.extend(tid.clone().map(|tid| ("tid".to_owned(), tid.into())));
            }));
        })
    };
    check(
        &config,
        vec![
            (case(&of_tenant, None), "id_token.issuer", &[of_tenant.as_str(), "it has no `tid`", TEMPLATE]),
            (
                case(&of_tenant, Some("9188040d-6c67-4c5b-b112-36a304b66dad")),
                "id_token.issuer",
                &[of_tenant.as_str(), "tenant `9188040d-6c67-4c5b-b112-36a304b66dad`", TEMPLATE],
            ),
        ],
    );
}

#[test]
fn metadata_and_keys_are_told_with_what_is_expected_of_them() {
    let metadata = |name: &'static str, value: Value| -> Change {
        Box::new(move |rig| {
            let value = value.clone();
            rig.provider.edit_metadata = Some(Box::new(move |metadata| metadata[name] = value.clone()));
        })
    };
    check(
        CONFIG,
        vec![
            (
                metadata("issuer", json!("https://other.example")),
                "metadata.invalid",
                &["`https://other.example`", "expects `https://op.example`", "vestibule.provider.default.issuer"],
            ),
            (metadata("token_endpoint", json!("http://op.example/token")), "metadata.invalid", &["`http://op.example/token`", "https URL"]),
            (metadata("jwks_uri", json!("")), "metadata.invalid", &["its jwks_uri is empty"]),
            (
                metadata("token_endpoint_auth_methods_supported", json!(["private_key_jwt"])),
                "metadata.invalid",
                &["`private_key_jwt`", "client_secret_basic"],
            ),
            (instead("/openid-configuration", 404, ""), "provider.status", &["status 404", "check server_metadata_url"]),
            (instead("/openid-configuration", 302, ""), "provider.status", &["status 302", "no redirect"]),
            (instead("/openid-configuration", 200, "<html>"), "metadata.invalid", &["HTML or XML"]),
            (instead("/openid-configuration", 200, ""), "metadata.invalid", &["the answer is empty"]),
            (instead("/openid-configuration", 200, "[1]"), "metadata.invalid", &["not an object"]),
            (instead("/openid-configuration", 200, "{\"issuer\": \"htt"), "metadata.invalid", &["not complete JSON"]),
            (instead("/openid-configuration", 200, "{}"), "metadata.invalid", &["it has no `issuer`"]),
            (instead("/jwks", 200, "{}"), "keys.invalid", &["`keys` is missing"]),
            (instead("/jwks", 200, "<html>"), "keys.invalid", &["HTML or XML"]),
            (instead("/jwks", 403, ""), "provider.status", &["status 403", "`jwks_uri`"]),
        ],
    );
}

/// A wrong secret is refused in many forms, and not only in that of RFC 6749.
#[test]
fn a_token_endpoint_that_refuses_makes_the_log_say_what_to_check() {
    let secret = "check client_id and client_secret";
    for body in [
        "",
        "  \r\n",
        "Unauthorized",
        "<html><h1>401</h1></html>",
        "{\"message\": \"Unauthorized\"}",
        "{\"error\": {\"code\": 401}}",
        "[]",
        "{\"error\": \"\"}",
        "null",
    ] {
        for status in [400, 401, 403] {
            check(CONFIG, vec![(instead("/token", status, body), "token.refused", &[&format!("status {status}"), secret])]);
        }
        let message = message(CONFIG, &instead("/token", 500, body), "token.refused");
        assert!(!message.contains(secret), "{message}");
    }
    check(
        CONFIG,
        vec![
            (instead("/token", 401, "{\"error\":\"invalid_client\"}"), "token.refused", &["`invalid_client`", secret]),
            (instead("/token", 401, "{\"error\":\"unauthorized_client\"}"), "token.refused", &["`unauthorized_client`", secret]),
            (instead("/token", 401, "{\"error\":\"unauthorized\"}"), "token.refused", &["`unauthorized`", secret]),
            (instead("/token", 400, "{\"error\":\"invalid_grant\"}"), "token.refused", &["`invalid_grant`", "redirect_uri"]),
            (instead("/token", 404, ""), "token.refused", &["status 404", "`token_endpoint`"]),
            (instead("/token", 307, ""), "token.refused", &["status 307", "no redirect"]),
            (instead("/token", 200, "<html>"), "token.invalid", &["HTML or XML"]),
            (instead("/token", 200, "access_token=x&token_type=bearer"), "token.invalid", &["not JSON"]),
            (instead("/token", 200, "{\"access_token\": \"x\", \"token_type\": \"mac\"}"), "token.invalid", &["`mac`", "`Bearer`"]),
            (instead("/token", 200, "{\"access_token\": \"x\"}"), "token.invalid", &["no token_type", "`Bearer`"]),
            (instead("/token", 200, "{\"token_type\": \"Bearer\"}"), "token.invalid", &["no access_token"]),
            (
                instead("/token", 200, "{\"token_type\": \"Bearer\", \"access_token\": \"x\"}"),
                "token.invalid",
                &["no ID token", "`openid`"],
            ),
        ],
    );
    let message = message(CONFIG, &instead("/token", 400, "{\"error\":\"invalid_grant\"}"), "token.refused");
    assert!(!message.contains("client_secret"), "{message}");
}

#[test]
fn a_userinfo_response_that_differs_is_told_as_an_id_token_is() {
    let config = format!("{CONFIG}[vestibule.provider.default]\nuserinfo = true\n");
    let signed = |claims: Value| -> Change {
        Box::new(move |rig| {
            let header = json!({ "alg": "EdDSA", "kid": "key-1" });
            let jwt = rig.provider.sign(&header, &claims);
            rig.provider.instead = vec![("/userinfo", 200, jwt.into_bytes())];
            rig.provider.content_type = Some("application/jwt");
        })
    };
    check(
        &config,
        vec![
            (
                instead("/userinfo", 401, "token access-token-1 is no good"),
                "provider.status",
                &["status 401", "token (secret) is no good", "`scope`"],
            ),
            (instead("/userinfo", 404, ""), "provider.status", &["status 404", "`userinfo_endpoint`"]),
            (instead("/userinfo", 200, "<html>"), "userinfo.invalid", &["HTML or XML"]),
            (instead("/userinfo", 200, "{}"), "userinfo.invalid", &["it has no `sub`"]),
            (instead("/userinfo", 200, "{\"sub\": 7}"), "userinfo.invalid", &["its `sub` is not a text"]),
            (instead("/userinfo", 200, "{\"sub\": \"bob\"}"), "userinfo.invalid", &["its `sub` is not the ID token's"]),
            (
                signed(json!({ "sub": "alice", "iss": "https://other.example", "aud": "client-1" })),
                "userinfo.invalid",
                &["`https://other.example`", "`https://op.example`"],
            ),
            (signed(json!({ "sub": "alice", "aud": "client-1" })), "userinfo.invalid", &["it has no `iss`"]),
            (signed(json!({ "sub": "alice", "iss": 7 })), "userinfo.invalid", &["its `iss` is 7, which is not a text"]),
            (signed(json!({ "sub": "alice", "iss": ISSUER, "aud": "other" })), "userinfo.invalid", &["`other`", "`client-1`"]),
            (signed(json!({ "sub": "alice", "iss": ISSUER })), "userinfo.invalid", &["it has no `aud`", "`client-1`"]),
            (
                signed(json!({ "sub": "alice", "iss": ISSUER, "aud": "client-1", "exp": 1_699_992_800 })),
                "userinfo.invalid",
                &["2h ago", "2023-11-14T22:13:20Z", "2m are allowed"],
            ),
        ],
    );
    let other_key = SigningKey::ed25519(9);
    let change: Change = Box::new(move |rig| {
        let right = std::mem::replace(&mut rig.provider.key, other_key.clone());
        let jwt = rig.provider.sign(&json!({ "alg": "EdDSA", "kid": "key-1" }), &json!({ "sub": "alice" }));
        rig.provider.key = right;
        rig.provider.instead = vec![("/userinfo", 200, jwt.into_bytes())];
    });
    check(&config, vec![(change, "userinfo.invalid", &["signature by EdDSA", "`key-1`"])]);
}
