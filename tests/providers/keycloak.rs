//! Keycloak 26, as its guide "Securing applications and services with OpenID Connect" describes it, and as
//! `OIDCWellKnownProvider` publishes it: roles that are nested, keys for encryption among those for signatures, an internal
//! address for those who ask inside, `iss` in responses, an error that asks for another login.

use serde_json::{Value, json};

use crate::simulated::{
    Published, SHARED, asked, asked_for, browser, claims, log_in, log_out, merged, metadata, other_key, refused, rig, signing_key, told,
};

const CLIENT_ID: &str = "shop/web";
const NAME: Option<&str> = Some("keycloak");
const REALM: &str = "https://login.acme.example/realms/acme";
const KID: &str = "FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE";

fn config(more: &str) -> String {
    format!(
        r#"{SHARED}[auth.keycloak]
client_id = "{CLIENT_ID}"
client_secret = "Kc7vQm2Xz9Wb4Nl1Tj6Hg3Fd8Sa5Po0I"
server_metadata_url = "{REALM}/.well-known/openid-configuration"
{more}
"#
    )
}

fn published() -> Published {
    let at = |rest: &str| format!("{REALM}/protocol/openid-connect/{rest}");
    let signatures = ["PS384", "RS384", "EdDSA", "ES384", "HS256", "HS512", "ES256", "RS256", "HS384", "ES512", "PS256", "PS512", "RS512"];
    let of_userinfo = [&signatures[..], &["none"]].concat();
    Published {
        metadata_url: format!("{REALM}/.well-known/openid-configuration"),
        metadata: json!({
            "issuer": REALM,
            "authorization_endpoint": at("auth"),
            "token_endpoint": at("token"),
            "introspection_endpoint": at("token/introspect"),
            "userinfo_endpoint": at("userinfo"),
            "end_session_endpoint": at("logout"),
            "frontchannel_logout_session_supported": true,
            "frontchannel_logout_supported": true,
            "jwks_uri": at("certs"),
            "check_session_iframe": at("login-status-iframe.html"),
            "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "password", "client_credentials"],
            "acr_values_supported": ["0", "1"],
            "response_types_supported": ["code", "none", "id_token", "token", "id_token token", "code id_token", "code token", "code id_token token"],
            "subject_types_supported": ["public", "pairwise"],
            "prompt_values_supported": ["none", "login", "consent"],
            "id_token_signing_alg_values_supported": signatures,
            "id_token_encryption_alg_values_supported": ["RSA-OAEP", "RSA-OAEP-256", "RSA1_5"],
            "userinfo_signing_alg_values_supported": of_userinfo,
            "response_modes_supported": ["query", "fragment", "form_post", "query.jwt", "fragment.jwt", "form_post.jwt", "jwt"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth", "client_secret_jwt"],
            "claims_supported": ["aud", "sub", "iss", "auth_time", "name", "given_name", "family_name", "preferred_username", "email", "acr"],
            "scopes_supported": ["openid", "roles", "profile", "email", "web-origins", "acr", "microprofile-jwt", "offline_access"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "tls_client_certificate_bound_access_tokens": true,
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
            "authorization_response_iss_parameter_supported": true,
        }),
        keys: json!({ "keys": [
            other_key(json!({ "kid": "sXZ8C5PnUbWAXGjF8oAJy0V4TdSxQmqkRwxZ0eVbX1M", "alg": "RSA-OAEP", "use": "enc", "x5t": "a", "x5t#S256": "b" })),
            signing_key(json!({ "kid": KID, "alg": "RS256", "use": "sig", "x5t": "c", "x5t#S256": "d" })),
        ] }),
        header: json!({ "typ": "JWT", "kid": KID }),
        claims: json!({
            "iss": REALM, "sub": "f1f3a0c5-3c4e-4f1b-9d8e-6a1f2b3c4d5e", "typ": "ID", "azp": CLIENT_ID, "auth_time": 1_699_999_990,
            "jti": "0f0d1a2b-3c4d-4e5f-8a9b-0c1d2e3f4a5b", "sid": "5c7f2a1e-9b8d-4c6a-8e7f-1d2c3b4a5968", "acr": "1",
            "email_verified": true, "email": "alice@acme.example", "name": "Alice Example", "preferred_username": "alice",
            "realm_access": { "roles": ["default-roles-acme", "offline_access", "admins"] },
            "resource_access": { CLIENT_ID: { "roles": ["editor"] }, "account": { "roles": ["manage-account"] } },
            "groups": ["/staff/it", "/staff"],
        }),
        has_at_hash: true,
        response_issuer: Some(REALM),
        response_extras: vec![("session_state", "5c7f2a1e-9b8d-4c6a-8e7f-1d2c3b4a5968".to_owned())],
    }
}

#[test]
fn keycloak_logs_in_and_out_at_the_provider() {
    let (mut rig, mut browser) = (rig(&config(""), published()), browser());
    log_in(&mut rig, &mut browser, NAME);
    assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-Preferred-Username").as_deref(), Some("alice"));
    let location = log_out(&mut rig, &mut browser).expect("a logout at the provider");
    assert!(location.path().ends_with("/logout") && asked(&location, "id_token_hint").is_some());
    assert_eq!(asked(&location, "post_logout_redirect_uri").as_deref(), Some("http://localhost:8501/oauth2callback"));
}

#[test]
fn keycloaks_roles_of_the_realm_or_of_the_client_are_groups() {
    for (claim, groups) in [
        ("/realm_access/roles", "default-roles-acme,offline_access,admins"),
        ("/resource_access/shop~1web/roles", "editor"),
        ("groups", "/staff/it,/staff"),
    ] {
        let identity = format!("[vestibule.identity]\ngroups_claim = \"{claim}\"");
        let (mut rig, mut browser) = (rig(&config(&identity), published()), browser());
        log_in(&mut rig, &mut browser, NAME);
        assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-Groups").as_deref(), Some(groups));
    }
    let objects = "[vestibule.identity]\ngroups_claim = \"/resource_access\"\ngroups_shape = \"keys\"";
    let (mut rig, mut browser) = (rig(&config(objects), published()), browser());
    log_in(&mut rig, &mut browser, NAME);
    assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-Groups").as_deref(), Some("account,shop/web"));
}

#[test]
fn keycloak_is_not_asked_for_a_prompt_that_it_does_not_list() {
    let streamlit = config("[vestibule]\napp = \"streamlit\"");
    assert_eq!(asked(&log_in(&mut rig(&streamlit, published()), &mut browser(), NAME), "prompt"), None);
}

#[test]
fn keycloaks_other_kinds_of_tokens_and_realms_are_refused() {
    for (claim, value, code) in [
        ("iss", json!("https://login.acme.example/realms/other"), "id_token.issuer"),
        ("azp", json!("other-client"), "id_token.authorized_party"),
        ("aud", json!("account"), "id_token.audience"),
        ("aud", json!([CLIENT_ID, "account"]), "id_token.audience"),
    ] {
        let mut rig = rig(&config(""), published());
        claims(&mut rig, move |claims| drop(claims.insert(claim.into(), value.clone())));
        assert_eq!(refused(&mut rig, NAME), (502, code.into()));
    }
    // An answer of another realm of the same server (RFC 9207).
    let mut mixed = rig(&config(""), published());
    mixed.provider.response_issuer = Some("https://login.acme.example/realms/other".into());
    assert_eq!(refused(&mut mixed, NAME), (400, "callback.issuer_mismatch".into()));
}

/// "authentication_expired": the person is logged in there, and the login in this tab took too long.
#[test]
fn keycloaks_expired_login_leads_to_another() {
    let (mut rig, mut browser) = (rig(&config(""), published()), browser());
    let location = browser.start(&mut rig, "/.vestibule/login?provider=keycloak&return_to=/page");
    let state = asked(&location, "state").unwrap();
    let callback = url::form_urlencoded::Serializer::new("/oauth2callback?".to_owned())
        .extend_pairs([
            ("error", "temporarily_unavailable"),
            ("error_description", "authentication_expired"),
            ("state", &state),
            ("iss", REALM),
        ])
        .finish();
    let response = browser.visit(&mut rig, &callback).response();
    assert_eq!((response.status, rig.last_event()), (503, "callback.provider_error"));
    assert!(String::from_utf8_lossy(&response.body).contains("return_to=%2Fpage"), "the page leads to a login for the same page");
    log_in(&mut rig, &mut browser, NAME);
}

/// `hostname` with `hostname-backchannel-dynamic`: who asks inside is told of endpoints inside.
#[test]
fn keycloak_inside_a_cluster_has_a_public_issuer() {
    let inside = "http://keycloak.auth.svc:8080/realms/acme";
    let config = config(&format!(
        "[vestibule]\ninsecure_http_hosts = [\"keycloak.auth.svc\"]\n[vestibule.provider.keycloak]\nissuer = \"{REALM}\"\nuserinfo = true"
    ))
    .replace(&format!("server_metadata_url = \"{REALM}"), &format!("server_metadata_url = \"{inside}"));
    let published = published();
    let endpoint = |rest: &str| Value::from(format!("{inside}/protocol/openid-connect/{rest}"));
    let endpoints =
        json!({ "token_endpoint": endpoint("token"), "jwks_uri": endpoint("certs"), "userinfo_endpoint": endpoint("userinfo") });
    let (mut rig, mut browser) =
        (rig(&config, Published { metadata_url: format!("{inside}/.well-known/openid-configuration"), ..published }), browser());
    metadata(&mut rig, move |metadata| *metadata = merged(metadata.clone(), endpoints.clone()));
    rig.provider.edit_userinfo = Some(Box::new(|answer| answer["sub"] = "f1f3a0c5-3c4e-4f1b-9d8e-6a1f2b3c4d5e".into()));
    assert_eq!(log_in(&mut rig, &mut browser, NAME).host_str(), Some("login.acme.example"));
    assert!(asked_for(&rig).iter().all(|asked| asked.starts_with("keycloak.auth.svc/")), "{:?}", asked_for(&rig));
    assert_eq!(log_out(&mut rig, &mut browser).expect("a logout at the provider").host_str(), Some("login.acme.example"));
}
