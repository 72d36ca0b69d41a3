//! Auth0: a slash at the end of the issuer, `|` in `sub`, claims that are URLs, HS256 among the algorithms, a logout
//! endpoint that is there only when it was switched on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::*;
use serde_json::{Map, Value, json};

use crate::simulated::{
    Published, SHARED, asked, basic_credentials, browser, claims, log_in, log_out, metadata, other_key, refused, rig, signing_key, told,
    user,
};

const CLIENT_ID: &str = "LMMEZSlPYKvM14cFxnWNWkC4DgvRk0dZ";
const CLIENT_SECRET: &str = "J9k_Zr-3Qw8eXc5Vb2Nm7Lp0Ok4Ij6Uh1Yg-Tf_DsAqWeRtYuIoPaSdFgHjKlZxC";
const KID: &str = "NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg";
const NAME: Option<&str> = Some("auth0");

/// Example 4 of the documentation, with values filled in.
fn config(more: &str) -> String {
    format!(
        r#"{SHARED}[auth.auth0]
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
server_metadata_url = "https://acme.eu.auth0.com/.well-known/openid-configuration" # fmt: skip
{more}
"#
    )
}

const EXAMPLE: &str = r#"client_kwargs = { "prompt" = "login" }"#;

fn published() -> Published {
    let at = |rest: &str| format!("https://acme.eu.auth0.com/{rest}");
    let certificate = "MIIDBzCCAe+gAwIBAgIJakoPho0MJr56MA0GCSqGSIb3DQEBCwUAMCExHzAdBgNVBAMT";
    Published {
        metadata_url: at(".well-known/openid-configuration"),
        metadata: json!({
            "issuer": at(""),
            "authorization_endpoint": at("authorize"),
            "token_endpoint": at("oauth/token"),
            "device_authorization_endpoint": at("oauth/device/code"),
            "userinfo_endpoint": at("userinfo"),
            "mfa_challenge_endpoint": at("mfa/challenge"),
            "jwks_uri": at(".well-known/jwks.json"),
            "registration_endpoint": at("oidc/register"),
            "revocation_endpoint": at("oauth/revoke"),
            "scopes_supported": ["openid", "profile", "offline_access", "name", "given_name", "family_name", "nickname", "email", "email_verified", "picture", "created_at", "identities", "phone", "address"],
            "response_types_supported": ["code", "token", "id_token", "code token", "code id_token", "token id_token", "code token id_token"],
            "code_challenge_methods_supported": ["S256", "plain"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "PS256"],
            "claims_supported": ["aud", "auth_time", "created_at", "email", "email_verified", "exp", "family_name", "given_name", "iat", "identities", "iss", "name", "nickname", "phone_number", "picture", "sub"],
            "request_uri_parameter_supported": false,
            "request_parameter_supported": false,
            "backchannel_authentication_endpoint": at("bc-authorize"),
            "backchannel_token_delivery_modes_supported": ["poll"],
            "id_token_signing_alg_values_supported": ["HS256", "RS256", "PS256"],
            "global_token_revocation_endpoint": at("oauth/global-token-revocation/connection/{connectionName}"),
            "global_token_revocation_endpoint_auth_methods_supported": ["global-token-revocation+jwt"],
            "dpop_signing_alg_values_supported": ["ES256"],
            "end_session_endpoint": at("oidc/logout"),
        }),
        keys: json!({ "keys": [
            signing_key(json!({ "use": "sig", "kid": KID, "x5t": KID, "x5c": [certificate], "alg": "RS256" })),
            other_key(json!({ "use": "sig", "kid": "6Yy0tDEhSqVzKZRQ3F2gD", "x5t": "mdBAjK0bLqoT4gTBoZpmzqbEJWA", "x5c": [certificate], "alg": "RS256" })),
        ] }),
        header: json!({ "typ": "JWT", "kid": KID }),
        claims: json!({
            "iss": at(""), "sub": "auth0|65a1b2c3d4e5f60718293a4b", "sid": "s0Zz8lZPQm4kqN7sJx0a1vQ2cX5bY6dT",
            "nickname": "alice", "name": "Alice Example", "picture": "https://s.gravatar.com/avatar/0?s=480&r=pg&d=https%3A%2F%2Fcdn.auth0.com%2Favatars%2Fal.png",
            "updated_at": "2026-01-05T10:11:12.131Z", "email": "alice@example.com", "email_verified": true,
            "https://acme.example/roles": ["admin", "editor"], "https://acme.example/plan": "gold",
        }),
        has_at_hash: false,
        response_issuer: None,
        response_extras: vec![],
    }
}

#[test]
fn auth0_logs_in_with_the_documentations_configuration_and_asks_again_every_time() {
    let (mut rig, mut browser) = (rig(&config(EXAMPLE), published()), browser());
    let location = log_in(&mut rig, &mut browser, NAME);
    assert_eq!(asked(&location, "prompt").as_deref(), Some("login"));
    assert_eq!(basic_credentials(&rig), format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    assert_eq!(user(&mut rig, &mut browser)["name"], "Alice Example");
}

#[test]
fn auth0_issuers_end_in_a_slash_in_metadata_and_token_alike() {
    log_in(&mut rig(&config(""), published()), &mut browser(), NAME);
    for iss in ["https://acme.eu.auth0.com", "https://acme.eu.auth0.com//", "https://acme.us.auth0.com/"] {
        let mut rig = rig(&config(""), published());
        claims(&mut rig, move |claims| drop(claims.insert("iss".into(), iss.into())));
        assert_eq!(refused(&mut rig, NAME), (502, "id_token.issuer".into()), "{iss}");
    }
    let exact = "[vestibule.provider.auth0]\nissuer = \"https://acme.eu.auth0.com/\"";
    log_in(&mut rig(&config(exact), published()), &mut browser(), NAME);
}

#[test]
fn auth0_subjects_hold_a_bar() {
    let (mut rig, mut browser) = (rig(&config(""), published()), browser());
    log_in(&mut rig, &mut browser, NAME);
    assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-User").as_deref(), Some("auth0|65a1b2c3d4e5f60718293a4b"));
}

#[test]
fn auth0_claims_of_ones_own_are_urls() {
    let identity = "[vestibule.identity]\ngroups_claim = \"https://acme.example/roles\"\n\
                    headers = { \"https://acme.example/plan\" = \"X-Plan\" }";
    let (mut rig, mut browser) = (rig(&config(identity), published()), browser());
    log_in(&mut rig, &mut browser, NAME);
    let forward = browser.visit(&mut rig, "/").forward();
    assert_eq!(told(&forward, "X-Forwarded-Groups").as_deref(), Some("admin,editor"));
    assert_eq!(told(&forward, "X-Plan").as_deref(), Some("gold"));
}

#[test]
fn auth0_tokens_under_the_client_secret_are_refused_although_hs256_is_listed() {
    for secret in [CLIENT_SECRET.as_bytes().to_vec(), SigningKeyPem::bytes()] {
        let mut rig = rig(&config(""), published());
        rig.provider.edit_token = Some(Box::new(move |token| {
            let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
            let claims: Map<String, Value> = serde_json::from_slice(&payload).unwrap();
            let mut all = Claims::with_custom_claims(claims, Duration::from_secs(1));
            (all.issued_at, all.expires_at, all.invalid_before) = (None, None, None);
            *token = HS256Key::from_bytes(&secret).with_key_id(KID).authenticate(all).unwrap();
        }));
        assert_eq!(refused(&mut rig, NAME), (502, "id_token.algorithm".into()));
    }
}

/// The public key in the form that a confused library takes for a secret.
struct SigningKeyPem;

impl SigningKeyPem {
    fn bytes() -> Vec<u8> {
        let jwk = signing_key(json!({}));
        let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        RS256PublicKey::from_components(&member("n"), &member("e")).unwrap().to_pem().unwrap().into_bytes()
    }
}

#[test]
fn auth0_logs_out_at_the_provider_only_if_the_tenant_says_so() {
    let (mut discovered, mut person) = (rig(&config(""), published()), browser());
    log_in(&mut discovered, &mut person, NAME);
    let location = log_out(&mut discovered, &mut person).expect("a logout at the provider");
    assert_eq!(location.path(), "/oidc/logout");
    assert!(asked(&location, "id_token_hint").is_some() && asked(&location, "client_id").as_deref() == Some(CLIENT_ID));
    assert_eq!(asked(&location, "post_logout_redirect_uri").as_deref(), Some("http://localhost:8501/oauth2callback"));

    let (mut hidden, mut person) = (rig(&config(""), published()), browser());
    metadata(&mut hidden, |metadata| drop(metadata.as_object_mut().unwrap().remove("end_session_endpoint")));
    log_in(&mut hidden, &mut person, NAME);
    assert_eq!(log_out(&mut hidden, &mut person), None);

    // Its older one needs no switch.
    let older =
        "[vestibule.provider.auth0]\nlogout_url = \"https://acme.eu.auth0.com/v2/logout?client_id={client_id}&returnTo={return_to}\"";
    let (mut older, mut person) = (rig(&config(older), published()), browser());
    metadata(&mut older, |metadata| drop(metadata.as_object_mut().unwrap().remove("end_session_endpoint")));
    log_in(&mut older, &mut person, NAME);
    let location = log_out(&mut older, &mut person).expect("a logout at the provider");
    assert_eq!((location.path(), asked(&location, "returnTo").as_deref()), ("/v2/logout", Some("http://localhost:8501/oauth2callback")));
}

#[test]
fn auth0_audience_and_connection_pass_through() {
    let config =
        config("client_kwargs = { audience = \"https://api.acme.example\", connection = \"google-oauth2\", organization = \"org_1\" }");
    let location = log_in(&mut rig(&config, published()), &mut browser(), NAME);
    for (name, value) in [("audience", "https://api.acme.example"), ("connection", "google-oauth2"), ("organization", "org_1")] {
        assert_eq!(asked(&location, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn auth0_addresses_that_are_not_verified_are_not_passed_on() {
    let (mut rig, mut browser) = (rig(&config(""), published()), browser());
    claims(&mut rig, |claims| drop(claims.insert("email_verified".into(), false.into())));
    log_in(&mut rig, &mut browser, NAME);
    assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-Email"), None);
}
