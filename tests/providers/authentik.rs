//! Authentik, as its documentation ("OAuth 2.0 provider") and `ProviderInfoView` describe it: an issuer for each application that
//! ends in a slash, endpoints outside of it, HS256 and an empty key set until a signing key is chosen, unverified addresses.

use serde_json::json;

use crate::simulated::{
    Published, SHARED, asked, basic_credentials, browser, claims, log_in, log_out, metadata, refused, rig, signing_key, told,
};

const CLIENT_ID: &str = "Hn3ZkQ8vT5rW1xY7bC9dF2gJ4kL6mN0pQsVuXzAe";
const CLIENT_SECRET: &str = "q8Zt3Wm6Xc9Vb2Nl5Kj8Hg1Fd4Sa7Po0Iu3Yt6Re9Wq2Lk5Jh8Gf1Ds4Az7Xc0Vb";
const NAME: Option<&str> = Some("authentik");
const ISSUER: &str = "https://auth.acme.example/application/o/shop/";
const KID: &str = "a9a0c5b1d3e4f5061728394a5b6c7d8e";

fn config(more: &str) -> String {
    format!(
        r#"{SHARED}[auth.authentik]
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
server_metadata_url = "{ISSUER}.well-known/openid-configuration"
{more}
"#
    )
}

fn published() -> Published {
    let at = |rest: &str| format!("https://auth.acme.example/application/o/{rest}");
    Published {
        metadata_url: format!("{ISSUER}.well-known/openid-configuration"),
        metadata: json!({
            "issuer": ISSUER,
            "authorization_endpoint": at("authorize/"),
            "token_endpoint": at("token/"),
            "userinfo_endpoint": at("userinfo/"),
            "end_session_endpoint": at("shop/end-session/"),
            "introspection_endpoint": at("introspect/"),
            "revocation_endpoint": at("revoke/"),
            "device_authorization_endpoint": at("device/"),
            "response_types_supported": ["code", "id_token", "id_token token", "code token", "code id_token", "code id_token token"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "jwks_uri": at("shop/jwks/"),
            "grant_types_supported": ["authorization_code", "refresh_token", "implicit", "client_credentials", "password", "urn:ietf:params:oauth:grant-type:device_code"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "acr_values_supported": ["goauthentik.io/providers/oauth2/default"],
            "scopes_supported": ["email", "openid", "profile"],
            "request_parameter_supported": false,
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "amr", "nonce", "email", "email_verified", "name", "given_name", "preferred_username", "nickname", "groups"],
            "claims_parameter_supported": false,
            "code_challenge_methods_supported": ["plain", "S256"],
        }),
        keys: json!({ "keys": [signing_key(json!({ "alg": "RS256", "kid": KID, "use": "sig", "x5t": "a", "x5t#S256": "b" }))] }),
        header: json!({ "typ": "JWT", "kid": KID }),
        claims: json!({
            "iss": ISSUER, "sub": "5c8f2a1e9b8d4c6a8e7f1d2c3b4a5968f1f3a0c53c4e4f1b9d8e6a1f2b3c4d5e", "auth_time": 1_699_999_990,
            "acr": "goauthentik.io/providers/oauth2/default", "amr": ["pwd", "mfa"], "sid": "0a1b2c3d", "uid": "Zk8Q",
            "email": "alice@acme.example", "email_verified": false, "name": "Alice Example", "given_name": "Alice Example",
            "preferred_username": "alice", "nickname": "alice", "groups": ["authentik Admins", "Staff, Berlin"],
        }),
        has_at_hash: true,
        response_issuer: None,
        response_extras: vec![],
    }
}

#[test]
fn authentiks_issuer_is_the_applications_and_ends_in_a_slash() {
    let (mut rig, mut browser) = (rig(&config(""), published()), browser());
    log_in(&mut rig, &mut browser, NAME);
    assert_eq!(basic_credentials(&rig), format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    let location = log_out(&mut rig, &mut browser).expect("a logout at the provider");
    assert_eq!(location.path(), "/application/o/shop/end-session/");
    for iss in
        ["https://auth.acme.example/application/o/shop", "https://auth.acme.example/application/o/other/", "https://auth.acme.example/"]
    {
        let mut rig = crate::simulated::rig(&config(""), published());
        claims(&mut rig, move |claims| drop(claims.insert("iss".into(), iss.into())));
        assert_eq!(refused(&mut rig, NAME), (502, "id_token.issuer".into()), "{iss}");
    }
}

/// "Issuer mode": the same for all providers.
#[test]
fn authentiks_global_issuer_is_named_in_the_configuration() {
    let global = "https://auth.acme.example/";
    let issue = |rig: &mut crate::rig::Rig| {
        metadata(rig, move |metadata| metadata["issuer"] = global.into());
        claims(rig, move |claims| drop(claims.insert("iss".into(), global.into())));
    };
    let mut unnamed = rig(&config(""), published());
    issue(&mut unnamed);
    let response = browser().visit(&mut unnamed, "/.vestibule/login?provider=authentik").response();
    assert_eq!((response.status, unnamed.last_event()), (502, "metadata.invalid"));

    let named = config(&format!("[vestibule.provider.authentik]\nissuer = \"{global}\""));
    let (mut rig, mut browser) = (rig(&named, published()), browser());
    issue(&mut rig);
    log_in(&mut rig, &mut browser, NAME);
}

#[test]
fn authentiks_groups_are_names_with_any_character() {
    let (mut rig, mut browser) = (rig(&config(""), published()), browser());
    log_in(&mut rig, &mut browser, NAME);
    let forward = browser.visit(&mut rig, "/").forward();
    assert_eq!(told(&forward, "X-Forwarded-Groups").as_deref(), Some("authentik Admins,Staff%2C Berlin"));
}

#[test]
fn authentiks_addresses_are_unverified_unless_a_scope_mapping_says_otherwise() {
    let rule =
        config("[[vestibule.rule]]\nrequire = { email = \"alice@acme.example\" }\n[vestibule.provider.authentik]\ntrust_email = true");
    for (verified, status) in [(false, 403), (true, 200)] {
        let (mut rig, mut browser) = (rig(&rule, published()), browser());
        claims(&mut rig, move |claims| drop(claims.insert("email_verified".into(), verified.into())));
        log_in(&mut rig, &mut browser, NAME);
        match browser.visit(&mut rig, "/") {
            crate::rig::Seen::Forwarded(forward) => assert!(status == 200 && told(&forward, "X-Forwarded-Email").is_some()),
            crate::rig::Seen::Answered(response) => assert_eq!(response.status, status),
        }
    }
}

/// A provider without a signing key signs with the client secret, and publishes an empty object for its keys.
#[test]
fn authentik_without_a_signing_key_is_told_to_have_one() {
    let mut rig = rig(&config(""), Published { keys: json!({}), ..published() });
    metadata(&mut rig, |metadata| metadata["id_token_signing_alg_values_supported"] = json!(["HS256"]));
    rig.provider.edit_header = Some(Box::new(|header| *header = json!({ "alg": "HS256", "typ": "JWT" })));
    assert_eq!(refused(&mut rig, NAME), (502, "keys.invalid".into()));
}

#[test]
fn authentik_takes_the_prompts_that_streamlit_sends() {
    let streamlit = config("[vestibule]\napp = \"streamlit\"");
    let location = log_in(&mut rig(&streamlit, published()), &mut browser(), NAME);
    assert_eq!(asked(&location, "prompt").as_deref(), Some("select_account"), "it lists none");
}
