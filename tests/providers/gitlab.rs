//! GitLab, as "GitLab as OpenID Connect identity provider" and the gem `doorkeeper-openid_connect` describe it: most claims at
//! userinfo only, groups as paths, no logout at the provider, no `at_hash`.

use serde_json::json;

use crate::simulated::{Published, SHARED, asked, browser, claims, log_in, log_out, refused, rig, signing_key, told, user};

const CLIENT_ID: &str = "d7f1c1c6e2f0a4b8d9e3c5a7b1f2e4d6c8a0b2d4f6e8a1c3b5d7f9e0a2c4b6d8";
const NAME: Option<&str> = Some("gitlab");
const KID: &str = "kewiQq9jiC84CvSsJYOB-N6A8WFLSV20Mb-y7IlWDSQ";
const SUB: &str = "1234567";

fn config(more: &str) -> String {
    format!(
        r#"{SHARED}[auth.gitlab]
client_id = "{CLIENT_ID}"
client_secret = "gloas-4f1b9d8e6a1f2b3c4d5ef1f3a0c53c4e4f1b9d8e6a1f2b3c4d5e6f708192a3b4"
server_metadata_url = "https://gitlab.com/.well-known/openid-configuration"
{more}
"#
    )
}

fn published() -> Published {
    let at = |rest: &str| format!("https://gitlab.com{rest}");
    Published {
        metadata_url: at("/.well-known/openid-configuration"),
        metadata: json!({
            "issuer": at(""),
            "authorization_endpoint": at("/oauth/authorize"),
            "token_endpoint": at("/oauth/token"),
            "revocation_endpoint": at("/oauth/revoke"),
            "introspection_endpoint": at("/oauth/introspect"),
            "userinfo_endpoint": at("/oauth/userinfo"),
            "jwks_uri": at("/oauth/discovery/keys"),
            "scopes_supported": ["api", "read_api", "read_user", "read_repository", "openid", "profile", "email"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "grant_types_supported": ["authorization_code", "password", "client_credentials", "device_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "claim_types_supported": ["normal"],
            "claims_supported": ["iss", "sub", "aud", "exp", "iat", "sub_legacy", "name", "nickname", "preferred_username", "email", "email_verified", "website", "profile", "picture", "groups", "groups_direct", "https://gitlab.org/claims/groups/owner", "https://gitlab.org/claims/groups/maintainer", "https://gitlab.org/claims/groups/developer"],
            "code_challenge_methods_supported": ["plain", "S256"],
        }),
        keys: json!({ "keys": [
            signing_key(json!({ "kid": KID, "use": "sig", "alg": "RS256" })),
        ] }),
        header: json!({ "typ": "JWT", "kid": KID }),
        claims: json!({
            "iss": at(""), "sub": SUB, "auth_time": 1_699_999_990,
            "sub_legacy": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "email": "alice@example.com", "email_verified": true, "groups_direct": ["acme", "acme/tools"],
        }),
        has_at_hash: false,
        response_issuer: None,
        response_extras: vec![],
    }
}

/// With what the endpoint adds: the claims that the table of the documentation has for userinfo only.
fn with_userinfo(more: &str) -> crate::rig::Rig {
    let mut rig = rig(&config(&format!("{more}\n[vestibule.provider.gitlab]\nuserinfo = true")), published());
    rig.provider.edit_userinfo = Some(Box::new(|answer| {
        *answer = json!({
            "sub": SUB, "name": "Alice Example", "nickname": "alice", "preferred_username": "alice",
            "email": "alice@example.com", "email_verified": true, "profile": "https://gitlab.com/alice",
            "picture": "https://gitlab.com/uploads/-/system/user/avatar/1234567/avatar.png",
            "groups": ["acme", "acme/tools", "acme/tools/ci"], "https://gitlab.org/claims/groups/owner": ["acme/tools"],
        });
    }));
    rig
}

#[test]
fn gitlab_tells_names_and_all_groups_at_userinfo() {
    let (mut plain, mut person) = (rig(&config(""), published()), browser());
    log_in(&mut plain, &mut person, NAME);
    let forward = person.visit(&mut plain, "/").forward();
    assert_eq!((told(&forward, "X-Forwarded-Preferred-Username"), told(&forward, "X-Forwarded-Groups")), (None, None));

    let (mut rig, mut browser) = (with_userinfo(""), browser());
    log_in(&mut rig, &mut browser, NAME);
    let forward = browser.visit(&mut rig, "/").forward();
    assert_eq!(told(&forward, "X-Forwarded-User").as_deref(), Some(SUB));
    assert_eq!(told(&forward, "X-Forwarded-Preferred-Username").as_deref(), Some("alice"));
    assert_eq!(told(&forward, "X-Forwarded-Groups").as_deref(), Some("acme,acme/tools,acme/tools/ci"));
}

#[test]
fn gitlabs_direct_groups_are_in_the_id_token_and_its_roles_are_urls() {
    for (claim, groups) in [("groups_direct", "acme,acme/tools"), ("https://gitlab.org/claims/groups/owner", "acme/tools")] {
        let (mut rig, mut browser) = (with_userinfo(&format!("[vestibule.identity]\ngroups_claim = \"{claim}\"")), browser());
        log_in(&mut rig, &mut browser, NAME);
        assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-Groups").as_deref(), Some(groups));
    }
    let (mut rig, mut browser) = (rig(&config("[vestibule.identity]\ngroups_claim = \"groups_direct\""), published()), browser());
    log_in(&mut rig, &mut browser, NAME);
    assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-Groups").as_deref(), Some("acme,acme/tools"));
}

#[test]
fn gitlab_has_no_logout_for_applications() {
    let (mut rig, mut browser) = (with_userinfo(""), browser());
    log_in(&mut rig, &mut browser, NAME);
    assert_eq!(log_out(&mut rig, &mut browser), None);
}

#[test]
fn gitlabs_address_without_the_scope_email_is_the_public_one() {
    let (mut rig, mut browser) = (rig(&config("client_kwargs = { scope = \"openid\" }"), published()), browser());
    claims(&mut rig, |claims| {
        claims.insert("email".into(), "".into());
        claims.remove("email_verified");
    });
    assert_eq!(asked(&log_in(&mut rig, &mut browser, NAME), "scope").as_deref(), Some("openid"));
    assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-Email"), None);
    assert_eq!(user(&mut rig, &mut browser)["email"], "");
}

#[test]
fn gitlabs_error_answers_are_told_apart() {
    for (error, description, status, code) in [
        ("access_denied", "The resource owner or authorization server denied the request.", 403, "callback.access_denied"),
        ("login_required", "The authorization server requires end-user authentication", 403, "callback.provider_error"),
        ("invalid_scope", "The requested scope is invalid, unknown, or malformed.", 502, "callback.provider_error"),
    ] {
        let (mut rig, mut browser) = (rig(&config(""), published()), browser());
        let state = asked(&browser.start(&mut rig, "/.vestibule/login?provider=gitlab"), "state").unwrap();
        let mut callback = url::form_urlencoded::Serializer::new("/oauth2callback?".to_owned());
        callback.extend_pairs([("error", error), ("error_description", description), ("state", &state)]);
        let response = browser.visit(&mut rig, &callback.finish()).response();
        assert_eq!((response.status, rig.last_event()), (status, code), "{error}");
    }
}

#[test]
fn another_gitlab_is_another_issuer() {
    let mut rig = rig(&config(""), published());
    claims(&mut rig, |claims| drop(claims.insert("iss".into(), "https://gitlab.acme.example".into())));
    assert_eq!(refused(&mut rig, NAME), (502, "id_token.issuer".into()));
}
