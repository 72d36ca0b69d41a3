//! Logto, as its documentation and `packages/core/src/oidc/init.ts` describe it (oidc-provider below `/oidc`): ES384 by default,
//! no `select_account`, roles and organisations by scopes of their own, `iss` in responses, opaque access tokens.

use serde_json::json;

use crate::rig::{Rig, SigningKey};
use crate::simulated::{Published, SHARED, asked, browser, claims, log_in, log_out, merged, metadata, refused, rig, told, user};

const CLIENT_ID: &str = "foo1bar2baz3qux4quux5";
const NAME: Option<&str> = Some("logto");
const ISSUER: &str = "https://acme1x.logto.app/oidc";
const KID: &str = "Xq3fV0ZkN9mS1hY7oQpLwT2uR8eD4cB6aKjGiHgFeDc";
const ORGANIZATIONS: &str = "urn:logto:scope:organizations";

fn config(more: &str) -> String {
    format!(
        r#"{SHARED}[auth.logto]
client_id = "{CLIENT_ID}"
client_secret = "Lg9wQm2Xc7Vb4Nl1Kj6Hg3Fd8Sa5Po0I"
server_metadata_url = "{ISSUER}/.well-known/openid-configuration"
{more}
"#
    )
}

fn key() -> SigningKey {
    SigningKey::p384(7)
}

fn published() -> Published {
    let at = |rest: &str| format!("{ISSUER}/{rest}");
    let signatures = ["RS256", "PS256", "ES256", "ES384", "ES512"];
    Published {
        metadata_url: at(".well-known/openid-configuration"),
        metadata: json!({
            "authorization_endpoint": at("auth"),
            "device_authorization_endpoint": at("device/auth"),
            "claims_parameter_supported": false,
            "claims_supported": ["sub", "name", "family_name", "given_name", "username", "picture", "email", "email_verified", "roles", "organizations", "organization_roles", "custom_data", "identities", "sid", "auth_time", "iss"],
            "code_challenge_methods_supported": ["S256"],
            "end_session_endpoint": at("session/end"),
            "grant_types_supported": ["implicit", "authorization_code", "refresh_token", "client_credentials"],
            "issuer": ISSUER,
            "jwks_uri": at("jwks"),
            "authorization_response_iss_parameter_supported": true,
            "response_modes_supported": ["form_post", "fragment", "query"],
            "response_types_supported": ["code id_token", "code", "id_token", "none"],
            "scopes_supported": ["openid", "offline_access", "profile", "email", "phone", "address", "roles", ORGANIZATIONS, "urn:logto:scope:organization_roles"],
            "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_jwt", "client_secret_post", "private_key_jwt", "none"],
            "token_endpoint": at("token"),
            "id_token_signing_alg_values_supported": signatures,
            "userinfo_signing_alg_values_supported": signatures,
            "userinfo_endpoint": at("me"),
            "introspection_endpoint": at("token/introspection"),
            "revocation_endpoint": at("token/revocation"),
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
            "claim_types_supported": ["normal"],
        }),
        keys: json!({ "keys": [merged(key().public_jwk(), json!({ "use": "sig", "kid": KID, "alg": "ES384" }))] }),
        header: json!({ "typ": "JWT", "kid": KID }),
        claims: json!({
            "iss": ISSUER, "sub": "k3f9x0aq7v1z", "name": "Alice Example", "username": "alice", "picture": null, "email": "alice@example.com",
            "email_verified": true, "created_at": 1_690_000_000_000_u64, "updated_at": 1_699_000_000_000_u64,
            "roles": ["editor"], "organizations": ["acme", "tools"], "organization_roles": ["acme:admin", "tools:member"],
        }),
        has_at_hash: true,
        response_issuer: Some(ISSUER),
        response_extras: vec![],
    }
}

/// Signed as it signs: with ES384.
fn logto(config: &str) -> Rig {
    let mut rig = rig(config, published());
    rig.provider.key = key();
    rig.provider.edit_header = Some(Box::new(|header| *header = json!({ "alg": "ES384", "typ": "JWT", "kid": KID })));
    rig
}

#[test]
fn logto_signs_with_es384_and_logs_out_at_the_provider() {
    let (mut rig, mut browser) = (logto(&config("")), browser());
    log_in(&mut rig, &mut browser, NAME);
    let forward = browser.visit(&mut rig, "/").forward();
    assert_eq!(told(&forward, "X-Forwarded-User").as_deref(), Some("k3f9x0aq7v1z"));
    assert_eq!(told(&forward, "X-Forwarded-Preferred-Username"), None, "its name for that is `username`");
    assert_eq!(user(&mut rig, &mut browser)["username"], "alice");
    let location = log_out(&mut rig, &mut browser).expect("a logout at the provider");
    assert_eq!(location.path(), "/oidc/session/end");
    assert!(asked(&location, "id_token_hint").is_some());
}

#[test]
fn logtos_roles_and_organizations_are_groups() {
    for (claim, groups) in [("roles", "editor"), ("organizations", "acme,tools"), ("organization_roles", "acme:admin,tools:member")] {
        let scopes = format!("client_kwargs = {{ scope = \"openid profile email roles {ORGANIZATIONS}\" }}");
        let config =
            config(&format!("{scopes}\n[vestibule.identity]\ngroups_claim = \"{claim}\"\nheaders = {{ username = \"X-Username\" }}"));
        let (mut rig, mut browser) = (logto(&config), browser());
        let location = log_in(&mut rig, &mut browser, NAME);
        assert!(asked(&location, "scope").unwrap().contains(ORGANIZATIONS));
        let forward = browser.visit(&mut rig, "/").forward();
        assert_eq!(
            (told(&forward, "X-Forwarded-Groups").as_deref(), told(&forward, "X-Username").as_deref()),
            (Some(groups), Some("alice"))
        );
    }
}

/// oidc-provider's policy for prompts knows `login` and `consent`; anything else is `invalid_request`.
#[test]
fn logto_refuses_select_account_and_is_asked_once_more_without() {
    let (mut rig, mut browser) = (logto(&config("[vestibule]\napp = \"streamlit\"")), browser());
    let location = browser.start(&mut rig, "/auth/login?provider=logto");
    assert_eq!(asked(&location, "prompt").as_deref(), Some("select_account"));
    let mut callback = url::form_urlencoded::Serializer::new("/oauth2callback?".to_owned());
    let state = asked(&location, "state").unwrap();
    callback.extend_pairs([
        ("error", "invalid_request"),
        ("error_description", "unsupported prompt value requested"),
        ("state", &state),
        ("iss", ISSUER),
    ]);
    let again = browser.start(&mut rig, &callback.finish());
    assert_eq!(asked(&again, "prompt"), None);
    assert!(rig.events.iter().any(|code| code == "login.without_prompt"));
    let callback = rig.provider.authorize(&again, "set by the claims");
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 302);
}

#[test]
fn logtos_responses_name_their_issuer() {
    for issuer in [None, Some("https://acme1x.logto.app"), Some("https://other.logto.app/oidc")] {
        let mut rig = logto(&config(""));
        rig.provider.response_issuer = issuer.map(str::to_owned);
        assert_eq!(refused(&mut rig, NAME), (400, "callback.issuer_mismatch".into()), "{issuer:?}");
    }
}

#[test]
fn logtos_tokens_under_an_algorithm_that_is_not_listed_are_refused() {
    let mut unlisted = logto(&config(""));
    metadata(&mut unlisted, |metadata| metadata["id_token_signing_alg_values_supported"] = json!(["RS256"]));
    assert_eq!(refused(&mut unlisted, NAME), (502, "id_token.algorithm".into()));
    let mut other = logto(&config(""));
    claims(&mut other, |claims| drop(claims.insert("aud".into(), "other".into())));
    assert_eq!(refused(&mut other, NAME), (502, "id_token.audience".into()));
}
