//! Amazon Cognito: a logout of its own, which its metadata does not name as OpenID Connect has it.

use serde_json::json;

use crate::simulated::{Published, SHARED, asked, browser, log_in, log_out, rig, signing_key};

const CLIENT_ID: &str = "4f3k2j1h5g6f7d8s9a0qwertyu";
const NAME: Option<&str> = Some("cognito");
const POOL: &str = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI";
const KID: &str = "abcdefghijklmnopqrsexample=";

fn config(more: &str) -> String {
    format!(
        r#"{SHARED}[auth.cognito]
client_id = "{CLIENT_ID}"
client_secret = "1a2b3c4d5e6f7g8h9i0jklmnopqrstuvwxyz1a2b3c4d5e6f7g8"
server_metadata_url = "{POOL}/.well-known/openid-configuration"
{more}
"#
    )
}

fn published() -> Published {
    let at = |rest: &str| format!("https://acme.auth.eu-central-1.amazoncognito.com{rest}");
    Published {
        metadata_url: format!("{POOL}/.well-known/openid-configuration"),
        metadata: json!({
            "issuer": POOL,
            "authorization_endpoint": at("/oauth2/authorize"),
            "token_endpoint": at("/oauth2/token"),
            "userinfo_endpoint": at("/oauth2/userInfo"),
            "jwks_uri": format!("{POOL}/.well-known/jwks.json"),
            "end_session_endpoint": at("/logout"),
            "revocation_endpoint": at("/oauth2/revoke"),
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "token"],
            "scopes_supported": ["openid", "email", "phone", "profile"],
            "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }),
        keys: json!({ "keys": [signing_key(json!({ "use": "sig", "kid": KID, "alg": "RS256" }))] }),
        header: json!({ "kid": KID }),
        claims: json!({
            "iss": POOL, "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "token_use": "id", "auth_time": 1_699_999_990,
            "cognito:username": "alice", "cognito:groups": ["admins"], "email": "alice@example.com", "email_verified": true,
            "event_id": "64f513be-32db-42b0-b78e-b02127b4f463", "origin_jti": "77702a2f-3c3e-4b5d-9f0e-1a2b3c4d5e6f",
        }),
        has_at_hash: true,
        response_issuer: None,
        response_extras: vec![],
    }
}

#[test]
fn cognito_logs_out_at_an_address_of_its_own_form() {
    let logout = "[vestibule.provider.cognito]\n\
                  logout_url = \"https://acme.auth.eu-central-1.amazoncognito.com/logout?client_id={client_id}&logout_uri={return_to}\"";
    let (mut rig, mut browser) = (rig(&config(logout), published()), browser());
    log_in(&mut rig, &mut browser, NAME);
    assert!(browser.cookies.keys().all(|name| !name.contains("tokens")), "no ID token is kept for it");
    let location = log_out(&mut rig, &mut browser).expect("a logout at the provider");
    assert_eq!((location.host_str(), location.path()), (Some("acme.auth.eu-central-1.amazoncognito.com"), "/logout"));
    assert_eq!(asked(&location, "client_id").as_deref(), Some(CLIENT_ID));
    assert_eq!(asked(&location, "logout_uri").as_deref(), Some("http://localhost:8501/oauth2callback"));
    let page = browser.visit(&mut rig, "/oauth2callback").response();
    assert!(page.status == 200 && String::from_utf8_lossy(&page.body).contains("You are logged out"));
}

#[test]
fn a_template_that_names_what_is_not_known_is_a_fault() {
    use vestibule::config::{Config, Source};
    let faulty = config("[vestibule.provider.cognito]\nlogout_url = \"https://x.example/logout?to={redirect}\"");
    let faults = Config::parse(&Source::new("f", &faulty)).unwrap_err();
    assert!(
        faults.iter().any(|fault| fault.key == "vestibule.provider.cognito.logout_url" && fault.problem.contains("{redirect}")),
        "{faults:?}"
    );
}

#[test]
fn without_a_template_the_configuration_is_warned_of() {
    use vestibule::config::{Config, Source};
    let warnings = |more: &str| {
        let config = Config::parse(&Source::new("f", &config(more))).expect("a configuration");
        let of_logout = config.warnings.iter().filter(|warning| warning.key == "vestibule.provider.cognito.logout_url");
        of_logout.map(|warning| warning.remedy.clone()).collect::<Vec<_>>()
    };
    let [remedy] = warnings("").try_into().expect("one warning");
    assert!(remedy.contains("logout?client_id={client_id}&logout_uri={return_to}"), "{remedy}");
    let with =
        "[vestibule.provider.cognito]\nlogout_url = \"https://acme.auth.eu-central-1.amazoncognito.com/logout?logout_uri={return_to}\"";
    assert_eq!(warnings(with), Vec::<String>::new());
}
