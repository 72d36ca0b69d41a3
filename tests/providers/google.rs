//! Google: no logout endpoint, two spellings of its issuer in tokens, `hd`, `access_type`.

use serde_json::json;

use crate::simulated::{
    Published, SHARED, asked, asked_for, basic_credentials, browser, claims, log_in, log_out, metadata, other_key, refused, rig,
    signing_key, told, user,
};

const CLIENT_ID: &str = "1234987819200-abcdefghijklmnop.apps.googleusercontent.com";

/// Example 1 of the documentation, with values filled in.
fn config(more: &str) -> String {
    format!(
        r#"{SHARED}client_id = "{CLIENT_ID}"
client_secret = "GOCSPX-a1B2c3D4-e5F6_g7H8"
server_metadata_url = "https://accounts.google.com/.well-known/openid-configuration" # fmt: skip
{more}
"#
    )
}

fn published() -> Published {
    Published {
        metadata_url: "https://accounts.google.com/.well-known/openid-configuration".into(),
        metadata: json!({
            "issuer": "https://accounts.google.com",
            "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
            "device_authorization_endpoint": "https://oauth2.googleapis.com/device/code",
            "token_endpoint": "https://oauth2.googleapis.com/token",
            "userinfo_endpoint": "https://openidconnect.googleapis.com/v1/userinfo",
            "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
            "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
            "response_types_supported": ["code", "token", "id_token", "code token", "code id_token", "token id_token", "code token id_token", "none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "claims_supported": ["aud", "email", "email_verified", "exp", "family_name", "given_name", "iat", "iss", "name", "picture", "sub"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "grant_types_supported": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
        }),
        keys: json!({ "keys": [
            other_key(json!({ "use": "sig", "alg": "RS256", "kid": "6719678351a5faedc2e70274bbea62da2a8c4a12" })),
            signing_key(json!({ "use": "sig", "alg": "RS256", "kid": "674dbba8faee69acae1bc1be190453678f472803" })),
        ] }),
        header: json!({ "kid": "674dbba8faee69acae1bc1be190453678f472803", "typ": "JWT" }),
        claims: json!({
            "iss": "https://accounts.google.com", "azp": CLIENT_ID, "sub": "10769150350006150715113082367", "hd": "example.com",
            "email": "alice@example.com", "email_verified": true, "name": "Alice Example", "picture": "https://lh3.googleusercontent.com/a/x=s96-c",
            "given_name": "Alice", "family_name": "Example",
        }),
        has_at_hash: true,
        response_issuer: Some("https://accounts.google.com"),
        response_extras: vec![
            ("scope", "email profile openid https://www.googleapis.com/auth/userinfo.email".into()),
            ("authuser", "0".into()),
            ("hd", "example.com".into()),
            ("prompt", "none".into()),
        ],
    }
}

#[test]
fn google_logs_in_with_the_documentations_configuration() {
    let (mut rig, mut browser) = (rig(&config(""), published()), browser());
    let location = log_in(&mut rig, &mut browser, None);
    assert!(location.as_str().starts_with("https://accounts.google.com/o/oauth2/v2/auth?response_type=code&"), "{location}");
    assert_eq!(asked(&location, "redirect_uri").as_deref(), Some("http://localhost:8501/oauth2callback"));
    assert_eq!(asked(&location, "scope").as_deref(), Some("openid email profile"));
    assert_eq!(asked(&location, "prompt"), None);
    assert_eq!(asked(&location, "code_challenge_method").as_deref(), Some("S256"), "and not `plain`, which is listed first");
    let places =
        ["accounts.google.com/.well-known/openid-configuration", "oauth2.googleapis.com/token", "www.googleapis.com/oauth2/v3/certs"];
    assert_eq!(asked_for(&rig), places);

    let forward = browser.visit(&mut rig, "/").forward();
    assert_eq!(told(&forward, "X-Forwarded-User").as_deref(), Some("10769150350006150715113082367"));
    assert_eq!(told(&forward, "X-Forwarded-Email").as_deref(), Some("alice@example.com"));
    assert_eq!(told(&forward, "X-Forwarded-Groups"), None, "Google has none");
    let user = user(&mut rig, &mut browser);
    assert_eq!((&user["name"], &user["email_verified"]), (&json!("Alice Example"), &json!(true)));
}

#[test]
fn google_gets_its_secret_by_basic_which_its_letters_pass_unchanged() {
    let (mut rig, mut browser) = (rig(&config(""), published()), browser());
    log_in(&mut rig, &mut browser, None);
    assert_eq!(basic_credentials(&rig), format!("{CLIENT_ID}:GOCSPX-a1B2c3D4-e5F6_g7H8"));
}

#[test]
fn google_has_no_logout_endpoint_so_the_logout_is_local() {
    let (mut rig, mut browser) = (rig(&config(""), published()), browser());
    log_in(&mut rig, &mut browser, None);
    assert!(browser.cookies.keys().all(|name| !name.contains("tokens")), "no hint is kept for a logout that there is not");
    assert_eq!(log_out(&mut rig, &mut browser), None);
}

#[test]
fn google_hd_is_asked_for_and_must_be_in_the_token() {
    let of_example = config("client_kwargs = { hd = \"example.com\" }");
    let (mut good, mut browser) = (rig(&of_example, published()), browser());
    let location = log_in(&mut good, &mut browser, None);
    assert_eq!(asked(&location, "hd").as_deref(), Some("example.com"));
    // A private account has no `hd`; in the authorization response, which is the user's to change, it proves nothing.
    for hd in [None, Some("evil.example"), Some("example.com.evil.example")] {
        let mut other = rig(&of_example, published());
        claims(&mut other, move |claims| {
            claims.remove("hd");
            claims.extend(hd.map(|hd| ("hd".to_owned(), hd.into())));
        });
        assert_eq!(refused(&mut other, None), (502, "id_token.hosted_domain".into()), "{hd:?}");
    }
}

#[test]
fn google_access_type_and_prompt_pass_through() {
    let config = config("client_kwargs = { access_type = \"offline\", prompt = \"consent\", include_granted_scopes = \"true\" }");
    let (mut rig, mut browser) = (rig(&config, published()), browser());
    let location = log_in(&mut rig, &mut browser, None);
    for (name, value) in [("access_type", "offline"), ("prompt", "consent"), ("include_granted_scopes", "true")] {
        assert_eq!(asked(&location, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn google_names_itself_in_the_response_and_is_held_to_it() {
    // Its documentation has the parameter, its metadata does not promise it: absent it is not missed.
    let (mut silent, mut person) = (rig(&config(""), published()), browser());
    silent.provider.response_issuer = None;
    log_in(&mut silent, &mut person, None);
    for wrong in ["https://evil.example", "accounts.google.com", "https://accounts.google.com/"] {
        let mut rig = rig(&config(""), published());
        rig.provider.response_issuer = Some(wrong.into());
        assert_eq!(refused(&mut rig, None), (400, "callback.issuer_mismatch".into()), "{wrong}");
    }
    let mut promised = rig(&config(""), published());
    metadata(&mut promised, |metadata| metadata["authorization_response_iss_parameter_supported"] = true.into());
    promised.provider.response_issuer = None;
    assert_eq!(refused(&mut promised, None), (400, "callback.issuer_mismatch".into()), "once it is promised");
}

#[test]
fn google_tokens_may_lack_the_scheme_in_iss_as_google_documents() {
    let (mut older, mut person) = (rig(&config(""), published()), browser());
    claims(&mut older, |claims| drop(claims.insert("iss".into(), "accounts.google.com".into())));
    log_in(&mut older, &mut person, None);
    person.visit(&mut older, "/").forward();
    for iss in ["http://accounts.google.com", "https://accounts.google.com/", "accounts.google.com.evil.example", "ACCOUNTS.GOOGLE.COM"] {
        let mut rig = rig(&config(""), published());
        claims(&mut rig, move |claims| drop(claims.insert("iss".into(), iss.into())));
        assert_eq!(refused(&mut rig, None), (502, "id_token.issuer".into()), "{iss}");
    }
    let mut rig = rig(&config(""), published());
    metadata(&mut rig, |metadata| metadata["issuer"] = "accounts.google.com".into());
    assert_eq!(browser().visit(&mut rig, "/").response().status, 502, "in metadata there is one spelling");
    assert_eq!(rig.last_event(), "metadata.invalid");
}

#[test]
fn google_addresses_that_are_not_verified_are_not_passed_on() {
    let (mut rig, mut browser) = (rig(&config(""), published()), browser());
    claims(&mut rig, |claims| drop(claims.insert("email_verified".into(), false.into())));
    log_in(&mut rig, &mut browser, None);
    assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-Email"), None);
}

#[test]
fn google_rotates_its_keys_within_hours() {
    let mut rig = rig(&config(""), published());
    log_in(&mut rig, &mut browser(), None);
    let kid = "0e345fd7e4a97271dffa991f5a893cd16b8e0827";
    let keys = json!({ "keys": [signing_key(json!({ "use": "sig", "alg": "RS256", "kid": kid }))] });
    rig.provider.edit_jwks = Some(Box::new(move |given| *given = keys.clone()));
    rig.provider.edit_header = Some(Box::new(move |header| *header = json!({ "alg": "RS256", "kid": kid, "typ": "JWT" })));
    rig.now += 60;
    log_in(&mut rig, &mut browser(), None);
    assert_eq!(asked_for(&rig).iter().filter(|place| place.ends_with("/certs")).count(), 2);
}
