//! ZITADEL: the project and all of its clients in `aud`, roles as the names of an object's members.

use serde_json::json;

use crate::simulated::{Published, SHARED, browser, claims, log_in, log_out, refused, rig, signing_key, told};

const CLIENT_ID: &str = "312909075212468632@shop";
const OTHER: &str = "312909075212468999@shop";
const PROJECT: &str = "312909075211944344";
const NAME: Option<&str> = Some("zitadel");
const KID: &str = "312909075212534168";

fn config(audiences: &str) -> String {
    format!(
        r#"{SHARED}[auth.zitadel]
client_id = "{CLIENT_ID}"
client_secret = "Zt9wQm2Xc7Vb4Nl1Kj6Hg3Fd8Sa5Po0I"
server_metadata_url = "https://acme-abc123.zitadel.cloud/.well-known/openid-configuration"
{audiences}
"#
    )
}

fn trusting() -> String {
    config(&format!("[vestibule.provider.zitadel]\naudiences = [\"{OTHER}\", \"{PROJECT}\"]"))
}

fn published() -> Published {
    let at = |rest: &str| format!("https://acme-abc123.zitadel.cloud{rest}");
    Published {
        metadata_url: at("/.well-known/openid-configuration"),
        metadata: json!({
            "issuer": at(""),
            "authorization_endpoint": at("/oauth/v2/authorize"),
            "token_endpoint": at("/oauth/v2/token"),
            "introspection_endpoint": at("/oauth/v2/introspect"),
            "userinfo_endpoint": at("/oidc/v1/userinfo"),
            "revocation_endpoint": at("/oauth/v2/revoke"),
            "end_session_endpoint": at("/oidc/v1/end_session"),
            "device_authorization_endpoint": at("/oauth/v2/device_authorization"),
            "jwks_uri": at("/oauth/v2/keys"),
            "scopes_supported": ["openid", "profile", "email", "phone", "address", "offline_access"],
            "response_types_supported": ["code", "id_token", "id_token token"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"],
            "request_object_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
            "code_challenge_methods_supported": ["S256"],
            "ui_locales_supported": ["de", "en"],
            "request_parameter_supported": true,
            "request_uri_parameter_supported": false,
        }),
        keys: json!({ "keys": [signing_key(json!({ "use": "sig", "kid": KID, "alg": "RS256" }))] }),
        header: json!({ "kid": KID }),
        claims: json!({
            "iss": at(""), "aud": [CLIENT_ID, OTHER, PROJECT], "azp": CLIENT_ID, "client_id": CLIENT_ID, "sub": "312909075213123456",
            "sid": "V1_312909075219876543", "amr": ["pwd"], "auth_time": 1_699_999_990, "email": "alice@example.com", "email_verified": true,
            "name": "Alice Example", "preferred_username": "alice", "updated_at": 1_699_000_000,
            "urn:zitadel:iam:org:project:roles": { "admin": { "312909075210000000": "acme.zitadel.cloud" } },
        }),
        has_at_hash: true,
        response_issuer: None,
        response_extras: vec![],
    }
}

#[test]
fn zitadel_logs_in_where_its_audiences_are_named() {
    let (mut rig, mut browser) = (rig(&trusting(), published()), browser());
    log_in(&mut rig, &mut browser, NAME);
    let forward = browser.visit(&mut rig, "/").forward();
    assert_eq!(told(&forward, "X-Forwarded-User").as_deref(), Some("312909075213123456"));
    assert_eq!(log_out(&mut rig, &mut browser).expect("a logout at the provider").path(), "/oidc/v1/end_session");
}

#[test]
fn zitadels_roles_are_groups() {
    let roles = "[vestibule.identity]\ngroups_claim = \"urn:zitadel:iam:org:project:roles\"\ngroups_shape = \"keys\"";
    let (mut rig, mut browser) = (rig(&format!("{}{roles}", trusting()), published()), browser());
    log_in(&mut rig, &mut browser, NAME);
    assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-Groups").as_deref(), Some("admin"));
}

#[test]
fn zitadels_other_audiences_are_told_until_they_are_named() {
    let mut unnamed = rig(&config(""), published());
    assert_eq!(refused(&mut unnamed, NAME), (502, "id_token.audience".into()));
    let message = unnamed.last_message();
    assert!(message.contains(OTHER) && message.contains("vestibule.provider.zitadel.audiences"), "{message}");
    // A client that is added to the project later.
    let mut later = rig(&trusting(), published());
    claims(&mut later, |claims| drop(claims.insert("aud".into(), json!([CLIENT_ID, PROJECT, "312909075219999999@shop"]))));
    assert_eq!(refused(&mut later, NAME), (502, "id_token.audience".into()));
    // A token of another client of the project.
    let mut others = rig(&trusting(), published());
    claims(&mut others, |claims| drop(claims.insert("azp".into(), OTHER.into())));
    assert_eq!(refused(&mut others, NAME), (502, "id_token.authorized_party".into()));
}
