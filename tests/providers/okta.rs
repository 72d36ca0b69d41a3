//! Okta: an organisation's server and custom ones, `id_token_hint`, no `typ` in headers, groups by scope, rotating keys.

use serde_json::json;

use crate::simulated::{
    Published, SHARED, asked, asked_for, browser, claims, log_in, log_out, other_key, refused, rig, signing_key, told, user,
};

const CLIENT_ID: &str = "0oa5n9t3tsYb4x2GK697";
const KID: &str = "Z8pzHmkn_bvqcuJ39iJkWh5SCc_ztC0-xfxCvUMRjeo";
const ORG: &str = "https://dev-66191.okta.com";
const CUSTOM: &str = "https://dev-66191.okta.com/oauth2/default";
const NAME: Option<&str> = Some("okta");

/// The section of example 3 of the documentation, with values filled in.
fn section(issuer: &str, more: &str) -> String {
    format!(
        r#"[auth.okta]
client_id = "{CLIENT_ID}"
client_secret = "Ub1tcf0Hd3qkLJ4xGZbZIN-dd8UfFCH_Vbf6EP5j"
server_metadata_url = "{issuer}/.well-known/openid-configuration" # fmt: skip
{more}
"#
    )
}

fn config(issuer: &str, more: &str) -> String {
    format!("{SHARED}{}", section(issuer, more))
}

/// The organisation's own server has its endpoints under `/oauth2/v1`, a custom one under its own name.
fn published(issuer: &str) -> Published {
    let base = if issuer == ORG { format!("{ORG}/oauth2") } else { issuer.to_owned() };
    let at = |rest: &str| format!("{base}/v1/{rest}");
    let methods = ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"];
    Published {
        metadata_url: format!("{issuer}/.well-known/openid-configuration"),
        metadata: json!({
            "issuer": issuer,
            "authorization_endpoint": at("authorize"),
            "token_endpoint": at("token"),
            "userinfo_endpoint": at("userinfo"),
            "registration_endpoint": format!("{ORG}/oauth2/v1/clients"),
            "jwks_uri": at("keys"),
            "response_types_supported": ["code", "id_token", "code id_token", "code token", "id_token token", "code id_token token"],
            "response_modes_supported": ["query", "fragment", "form_post", "okta_post_message"],
            "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "password", "urn:ietf:params:oauth:grant-type:device_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile", "address", "phone", "offline_access", "groups"],
            "token_endpoint_auth_methods_supported": methods,
            "claims_supported": ["iss", "ver", "sub", "aud", "iat", "exp", "jti", "auth_time", "amr", "idp", "nonce", "name", "nickname", "preferred_username", "given_name", "middle_name", "family_name", "email", "email_verified", "profile", "zoneinfo", "locale", "address", "phone_number", "picture", "website", "gender", "birthdate", "updated_at", "at_hash", "c_hash"],
            "code_challenge_methods_supported": ["S256"],
            "introspection_endpoint": at("introspect"),
            "introspection_endpoint_auth_methods_supported": methods,
            "revocation_endpoint": at("revoke"),
            "revocation_endpoint_auth_methods_supported": methods,
            "end_session_endpoint": at("logout"),
            "request_parameter_supported": true,
            "request_object_signing_alg_values_supported": ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"],
            "device_authorization_endpoint": at("device/authorize"),
            "dpop_signing_alg_values_supported": ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"],
        }),
        keys: json!({ "keys": [
            signing_key(json!({ "alg": "RS256", "kid": KID, "use": "sig" })),
            other_key(json!({ "alg": "RS256", "kid": "TheNextOneIsPublishedBeforeItSigns-0123456789", "use": "sig" })),
        ] }),
        header: json!({ "kid": KID }),
        claims: json!({
            "iss": issuer, "sub": "00u5n9tlv21Jh6JtY697", "ver": 1, "jti": "ID.FW8XPYU8VC5ZFq9SoT6gGUXqv4mEuZ3oNWdPr2ZhQKk",
            "amr": ["pwd"], "idp": "00o5n9tkxtPcEjQHM697", "auth_time": 1_699_999_990,
            "name": "Alice Example", "email": "alice@example.com", "email_verified": true, "preferred_username": "alice@example.com",
        }),
        has_at_hash: true,
        response_issuer: None,
        response_extras: vec![],
    }
}

#[test]
fn okta_logs_in_at_the_organisations_server_and_at_a_custom_one() {
    for (issuer, authorize) in [(ORG, "/oauth2/v1/authorize"), (CUSTOM, "/oauth2/default/v1/authorize")] {
        let (mut rig, mut browser) = (rig(&config(issuer, ""), published(issuer)), browser());
        let location = log_in(&mut rig, &mut browser, NAME);
        assert_eq!(location.path(), authorize);
        // Okta takes the account that is signed on.
        assert_eq!(asked(&location, "prompt"), None);
        let forward = browser.visit(&mut rig, "/").forward();
        assert_eq!(told(&forward, "X-Forwarded-User").as_deref(), Some("00u5n9tlv21Jh6JtY697"));
        assert_eq!(told(&forward, "X-Forwarded-Email").as_deref(), Some("alice@example.com"));
    }
}

#[test]
fn okta_servers_of_one_organisation_are_not_each_other() {
    for (asked, answered) in [(ORG, CUSTOM), (CUSTOM, ORG)] {
        let mut token = rig(&config(asked, ""), published(asked));
        claims(&mut token, move |claims| drop(claims.insert("iss".into(), answered.into())));
        assert_eq!(refused(&mut token, NAME), (502, "id_token.issuer".into()), "{answered} for {asked}");
        let metadata = Published { metadata_url: published(asked).metadata_url, ..published(answered) };
        let mut metadata = rig(&config(asked, ""), metadata);
        assert_eq!(browser().visit(&mut metadata, "/").response().status, 502);
        assert_eq!(metadata.last_event(), "metadata.invalid", "{answered} for {asked}");
    }
}

#[test]
fn okta_logs_out_with_the_id_token_as_a_hint() {
    let (mut rig, mut browser) = (rig(&config(ORG, ""), published(ORG)), browser());
    log_in(&mut rig, &mut browser, NAME);
    let location = log_out(&mut rig, &mut browser).expect("a logout at the provider");
    assert_eq!(location.path(), "/oauth2/v1/logout");
    assert_eq!(asked(&location, "id_token_hint").expect("Okta refuses without").split('.').count(), 3);
    assert_eq!(asked(&location, "post_logout_redirect_uri").as_deref(), Some("http://localhost:8501/oauth2callback"));
}

#[test]
fn okta_groups_come_by_scope() {
    let with_groups = config(ORG, "client_kwargs = { scope = \"openid email profile groups\" }");
    let (mut rig, mut browser) = (rig(&with_groups, published(ORG)), browser());
    claims(&mut rig, |claims| drop(claims.insert("groups".into(), json!(["Everyone", "Data, Science"]))));
    let location = log_in(&mut rig, &mut browser, NAME);
    assert_eq!(asked(&location, "scope").as_deref(), Some("openid email profile groups"));
    assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-Groups").as_deref(), Some("Everyone,Data%2C Science"));
}

#[test]
fn okta_headers_have_no_typ_and_every_other_type_is_refused() {
    log_in(&mut rig(&config(ORG, ""), published(ORG)), &mut browser(), NAME);
    let access_token = Published { header: json!({ "kid": KID, "typ": "application/okta-internal-at+jwt" }), ..published(ORG) };
    assert_eq!(refused(&mut rig(&config(ORG, ""), access_token), NAME), (502, "id_token.type".into()));
}

#[test]
fn okta_prompt_and_max_age_force_a_login() {
    let forced = config(ORG, "client_kwargs = { prompt = \"login\", max_age = 0 }");
    let (mut done, mut person) = (rig(&forced, published(ORG)), browser());
    let location = log_in(&mut done, &mut person, NAME);
    assert_eq!((asked(&location, "prompt").as_deref(), asked(&location, "max_age").as_deref()), (Some("login"), Some("0")));
    let mut ignored = rig(&forced, published(ORG));
    claims(&mut ignored, |claims| drop(claims.insert("auth_time".into(), 1_699_990_000.into())));
    assert_eq!(refused(&mut ignored, NAME), (502, "id_token.authentication_time".into()));
}

#[test]
fn okta_rotates_its_keys() {
    let mut rig = rig(&config(ORG, ""), published(ORG));
    log_in(&mut rig, &mut browser(), NAME);
    let keys = json!({ "keys": [signing_key(json!({ "alg": "RS256", "kid": "rotated", "use": "sig" }))] });
    rig.provider.edit_jwks = Some(Box::new(move |given| *given = keys.clone()));
    rig.provider.edit_header = Some(Box::new(|header| *header = json!({ "alg": "RS256", "kid": "rotated" })));
    rig.now += 60;
    log_in(&mut rig, &mut browser(), NAME);
    assert_eq!(asked_for(&rig).iter().filter(|place| place.ends_with("/keys")).count(), 2);
}

/// Example 3 of the documentation: Microsoft and Okta to choose from.
#[test]
fn okta_beside_microsoft_as_in_the_documentation() {
    let both = format!(
        r#"{SHARED}[auth.microsoft]
client_id = "6731de76-14a6-49ae-97bc-6eba6914391e"
client_secret = "Abc8Q~dEf.GhI_jKl-MnOpQrStUvWxYz012345~6"
server_metadata_url = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0/.well-known/openid-configuration"
{}"#,
        section(ORG, "")
    );
    let (mut rig, mut browser) = (rig(&both, published(ORG)), browser());
    let page = String::from_utf8(browser.visit(&mut rig, "/").response().body).unwrap();
    assert!(page.contains("Log in with Microsoft") && page.contains("Log in with Okta"), "{page}");
    log_in(&mut rig, &mut browser, NAME);
    assert_eq!(user(&mut rig, &mut browser)["provider"], "okta");
}
