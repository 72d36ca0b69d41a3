//! Microsoft Entra, v2.0 endpoints: tenants, issuers that are templates, keys without `alg` that say whose they are, no
//! PKCE in the metadata, secrets with `~`, addresses that prove nothing, groups that are elsewhere.

use serde_json::{Value, json};

use crate::simulated::{
    Published, SHARED, asked, asked_for, basic_credentials, browser, claims, log_in, log_out, merged, other_key, refused, rig, signing_key,
    told, user,
};

const CLIENT_ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const OTHER_TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
/// Personal accounts.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const TEMPLATE: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
/// Of the keys: one that signs for every tenant, one that signs for personal accounts.
const KEY: &str = "3PaK4EfyBNQu3CtjYsa3YmhQ5E0";
const KEY_OF_CONSUMERS: &str = "8IIDH6M8c3cXoeojKme8Jvqsr2Y";

/// Example 2 of the documentation, with values filled in.
fn config(tenant: &str, more: &str) -> String {
    format!(
        r#"{SHARED}[auth.microsoft]
client_id = "{CLIENT_ID}"
client_secret = "Abc8Q~dEf.GhI_jKl-MnOpQrStUvWxYz012345~6"
server_metadata_url = "https://login.microsoftonline.com/{tenant}/v2.0/.well-known/openid-configuration"
{more}
"#
    )
}

fn issuer_of(tenant: &str) -> String {
    TEMPLATE.replace("{tenantid}", tenant)
}

/// Asked at `path`, which names itself `issuer`, for somebody of `tenant`.
fn published(path: &str, issuer: &str, tenant: &str) -> Published {
    let at = |rest: &str| format!("https://login.microsoftonline.com/{path}/{rest}");
    let certificate = "MIIC/TCCAeWgAwIBAgIIImlMG8V10AswDQYJKoZIhvcNAQELBQAwLTErMCkGA1UEAxMi";
    let of = |kid: &str, issuer: &str| json!({ "use": "sig", "kid": kid, "x5t": kid, "x5c": [certificate], "issuer": issuer });
    Published {
        metadata_url: at("v2.0/.well-known/openid-configuration"),
        metadata: json!({
            "token_endpoint": at("oauth2/v2.0/token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": at("discovery/v2.0/keys"),
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": issuer,
            "request_uri_parameter_supported": false,
            "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
            "authorization_endpoint": at("oauth2/v2.0/authorize"),
            "device_authorization_endpoint": at("oauth2/v2.0/devicecode"),
            "http_logout_supported": true,
            "frontchannel_logout_supported": true,
            "end_session_endpoint": at("oauth2/v2.0/logout"),
            "claims_supported": ["sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host", "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email"],
            "kerberos_endpoint": at("kerberos"),
            "tenant_region_scope": null,
            "cloud_instance_name": "microsoftonline.com",
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": "graph.microsoft.com",
            "rbac_url": "https://pas.windows.net",
        }),
        keys: json!({ "keys": [
            other_key(of("Mc7l3Iz93g7uwgNeEmmw_WYGPko", TEMPLATE)),
            other_key(of("iw1BXXcybk07kmtIeeJeIYqas18", TEMPLATE)),
            signing_key(of(KEY, TEMPLATE)),
            other_key(of("8PXQDb4mOmolu_BtG3jDX4qR2xU", TEMPLATE)),
            other_key(of("d-Zi0Gbus4sEaOqXgU8pMvYc3KI", TEMPLATE)),
            signing_key(of(KEY_OF_CONSUMERS, &issuer_of(CONSUMERS))),
            other_key(of("iE89_EVhreMiV2-8rKE2zWBUm3M", &issuer_of(CONSUMERS))),
            other_key(of("JtFIBUJIB08c2tNR1DqBd0a_RjY", &issuer_of(CONSUMERS))),
        ] }),
        header: json!({ "typ": "JWT", "kid": KEY }),
        claims: json!({
            "iss": issuer_of(tenant), "tid": tenant, "ver": "2.0",
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "oid": "00000000-0000-0000-66f3-3332eca7ea81",
            "name": "Alice Example", "preferred_username": "alice@example.com", "email": "alice@example.com",
            "rh": "0.AXEAv4j5cvGGr0GRqy180BHbR3beMWemFK5Jl7xuumkUOR5xAAA.", "uti": "fqiBqXLPj0eQa82S-IYFAA",
            "login_hint": "O.CiRhYmNkZWYSJDcyZjk4OGJmLTg2ZjEtNDFhZi05MWFiLTJkN2NkMDExZGI0Nw",
        }),
        has_at_hash: false,
        response_issuer: None,
        response_extras: vec![("session_state", "0d3b0d5c-7a3f-4a55-8f6e-1c6d3f0e9a77".into())],
    }
}

/// Of one tenant, asked by its GUID.
fn of_tenant() -> Published {
    published(TENANT, &issuer_of(TENANT), TENANT)
}

fn with_kid(published: Published, kid: &str) -> Published {
    Published { header: json!({ "typ": "JWT", "kid": kid }), ..published }
}

fn with_claims(published: Published, more: Value) -> Published {
    Published { claims: merged(published.claims, more), ..published }
}

const NAME: Option<&str> = Some("microsoft");

#[test]
fn entra_logs_in_a_tenant_by_its_guid_with_the_documentations_configuration() {
    let (mut rig, mut browser) = (rig(&config(TENANT, ""), of_tenant()), browser());
    let location = log_in(&mut rig, &mut browser, NAME);
    assert_eq!((location.host_str(), location.path()), (Some("login.microsoftonline.com"), &*format!("/{TENANT}/oauth2/v2.0/authorize")));
    let forward = browser.visit(&mut rig, "/").forward();
    assert_eq!(told(&forward, "X-Forwarded-User").as_deref(), Some("AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ"));
    assert_eq!(told(&forward, "X-Forwarded-Provider").as_deref(), NAME);
    assert_eq!(user(&mut rig, &mut browser)["name"], "Alice Example");
}

#[test]
fn entra_does_not_advertise_pkce_and_gets_it_all_the_same() {
    let (mut rig, mut browser) = (rig(&config(TENANT, ""), of_tenant()), browser());
    let location = log_in(&mut rig, &mut browser, NAME);
    assert_eq!(asked(&location, "code_challenge_method").as_deref(), Some("S256"));
    let form: Vec<_> = url::form_urlencoded::parse(&crate::simulated::token_request(&rig).body).into_owned().collect();
    assert!(form.iter().any(|(name, value)| name == "code_verifier" && value.len() == 43), "the provider of the rig checks it");
}

#[test]
fn entra_takes_a_guid_in_capitals_and_answers_in_small_letters() {
    let capitals = TENANT.to_uppercase();
    let published = Published { metadata_url: published(&capitals, "", TENANT).metadata_url, ..of_tenant() };
    log_in(&mut rig(&config(&capitals, ""), published), &mut browser(), NAME);
}

#[test]
fn entra_asked_by_a_domain_name_answers_with_the_guid() {
    let asked_by_name = |tenant| published("contoso.onmicrosoft.com", &issuer_of(TENANT), tenant);
    let config = config("contoso.onmicrosoft.com", "");
    let (mut right, mut person) = (rig(&config, asked_by_name(TENANT)), browser());
    log_in(&mut right, &mut person, NAME);
    person.visit(&mut right, "/").forward();
    let other = refused(&mut rig(&config, asked_by_name(OTHER_TENANT)), NAME);
    assert_eq!(other, (502, "id_token.issuer".into()), "somebody of another tenant than the metadata is of");
    let mut literal = rig(&config, published("contoso.onmicrosoft.com", TEMPLATE, TENANT));
    assert_eq!(browser().visit(&mut literal, "/").response().status, 502);
    assert_eq!(literal.last_event(), "metadata.invalid", "a domain stands for one tenant");
}

#[test]
fn entra_common_and_organizations_take_the_tenant_from_the_token() {
    for path in ["common", "organizations"] {
        for tenant in [TENANT, OTHER_TENANT] {
            let (mut rig, mut person) = (rig(&config(path, ""), published(path, TEMPLATE, tenant)), browser());
            log_in(&mut rig, &mut person, NAME);
            person.visit(&mut rig, "/").forward();
        }
        for (name, change) in [
            ("another tenant's issuer", json!({ "iss": issuer_of(OTHER_TENANT) })),
            ("the template itself", json!({ "iss": TEMPLATE })),
            ("no GUID", json!({ "tid": "common", "iss": issuer_of("common") })),
            ("a path for a tenant", json!({ "tid": "../../evil", "iss": issuer_of("../../evil") })),
            ("tid of a wrong type", json!({ "tid": 7 })),
            ("the older endpoint's issuer", json!({ "iss": format!("https://sts.windows.net/{TENANT}/") })),
        ] {
            let mut rig = rig(&config(path, ""), with_claims(published(path, TEMPLATE, TENANT), change));
            assert_eq!(refused(&mut rig, NAME), (502, "id_token.issuer".into()), "{path}: {name}");
        }
        let mut without = rig(&config(path, ""), published(path, TEMPLATE, TENANT));
        claims(&mut without, |claims| drop(claims.remove("tid")));
        assert_eq!(refused(&mut without, NAME), (502, "id_token.issuer".into()), "{path}: no tid");
    }
}

#[test]
fn entra_tenants_that_are_not_listed_are_shut_out() {
    let listed = config("common", &format!("[vestibule.provider.microsoft]\ntenants = [\"{TENANT}\"]"));
    log_in(&mut rig(&listed, published("common", TEMPLATE, TENANT)), &mut browser(), NAME);
    let other = refused(&mut rig(&listed, published("common", TEMPLATE, OTHER_TENANT)), NAME);
    assert_eq!(other, (502, "id_token.tenant".into()));
}

#[test]
fn entra_consumers_is_a_tenant_of_its_own() {
    let consumers = |tenant| with_kid(published("consumers", &issuer_of(CONSUMERS), tenant), KEY_OF_CONSUMERS);
    let (mut right, mut person) = (rig(&config("consumers", ""), consumers(CONSUMERS)), browser());
    log_in(&mut right, &mut person, NAME);
    person.visit(&mut right, "/").forward();
    assert_eq!(refused(&mut rig(&config("consumers", ""), consumers(TENANT)), NAME), (502, "id_token.issuer".into()));
}

#[test]
fn entra_keys_lack_alg_and_say_whose_they_are() {
    // With `common`, the key set holds the keys for personal accounts too: they must not sign for a company.
    let personal = with_kid(published("common", TEMPLATE, CONSUMERS), KEY_OF_CONSUMERS);
    log_in(&mut rig(&config("common", ""), personal), &mut browser(), NAME);
    let company = with_kid(published("common", TEMPLATE, TENANT), KEY_OF_CONSUMERS);
    assert_eq!(refused(&mut rig(&config("common", ""), company), NAME), (502, "id_token.issuer".into()));
    // Without `kid` there are eight that fit, and one that it is.
    let nameless = Published { header: json!({ "typ": "JWT" }), ..of_tenant() };
    log_in(&mut rig(&config(TENANT, ""), nameless), &mut browser(), NAME);
    let another = with_kid(of_tenant(), "Mc7l3Iz93g7uwgNeEmmw_WYGPko");
    assert_eq!(refused(&mut rig(&config(TENANT, ""), another), NAME), (502, "id_token.signature".into()));
}

#[test]
fn entra_secrets_hold_a_tilde_which_is_form_encoded_in_basic() {
    // Entra lists `client_secret_post` too, and gets it that way.
    let mut by_form = rig(&config(TENANT, ""), of_tenant());
    log_in(&mut by_form, &mut browser(), NAME);
    let request = by_form.sent.iter().find(|request| request.url.path().ends_with("/token")).unwrap();
    assert!(request.headers.iter().all(|(name, _)| name != "authorization"));
    let mut rig = rig(&config(TENANT, "client_kwargs = { token_endpoint_auth_method = \"client_secret_basic\" }"), of_tenant());
    log_in(&mut rig, &mut browser(), NAME);
    // RFC 6749 section 2.3.1 and appendix B.
    assert_eq!(basic_credentials(&rig), format!("{CLIENT_ID}:Abc8Q%7EdEf.GhI_jKl-MnOpQrStUvWxYz012345%7E6"));
}

#[test]
fn entra_addresses_prove_nothing_unless_somebody_chose_the_tenant() {
    let (one, any) = (config(TENANT, ""), config("common", ""));
    let listed = config("common", &format!("[vestibule.provider.microsoft]\ntenants = \"{TENANT}\""));
    let personal = config(CONSUMERS, "[vestibule.provider.microsoft]\ntrust_email = true");
    let listed_personal = config("common", &format!("[vestibule.provider.microsoft]\ntrust_email = true\ntenants = \"{CONSUMERS}\""));
    let common = || published("common", TEMPLATE, TENANT);
    let of_personal = || published(CONSUMERS, &issuer_of(CONSUMERS), CONSUMERS);
    for (name, config, published, passed) in [
        ("one tenant", &one, of_tenant(), true),
        ("any tenant", &any, common(), false),
        ("a listed tenant", &listed, common(), true),
        ("any tenant, the domain owner verified", &any, with_claims(common(), json!({ "xms_edov": true })), true),
        ("the same as a number", &any, with_claims(common(), json!({ "xms_edov": 1 })), true),
        ("the same, not verified", &any, with_claims(common(), json!({ "xms_edov": false })), false),
        ("personal accounts, by name", &listed_personal, published("common", TEMPLATE, CONSUMERS), false),
        ("personal accounts, by path", &personal, of_personal(), false),
        ("personal accounts, verified", &personal, with_claims(of_personal(), json!({ "xms_edov": true })), true),
    ] {
        let (mut rig, mut browser) = (rig(config, published), browser());
        log_in(&mut rig, &mut browser, NAME);
        let forward = browser.visit(&mut rig, "/").forward();
        assert_eq!(told(&forward, "X-Forwarded-Email").is_some(), passed, "{name}");
        assert!(user(&mut rig, &mut browser).get("email_verified").is_none(), "{name}: Entra has no such claim, and none is made up");
    }
}

#[test]
fn entra_people_can_be_known_by_oid_and_tid() {
    let headers = "[vestibule.identity]\nheaders = { oid = \"X-Object-Id\", tid = \"X-Tenant-Id\" }";
    let (mut rig, mut browser) = (rig(&config(TENANT, headers), of_tenant()), browser());
    log_in(&mut rig, &mut browser, NAME);
    let forward = browser.visit(&mut rig, "/").forward();
    assert_eq!(told(&forward, "X-Object-Id").as_deref(), Some("00000000-0000-0000-66f3-3332eca7ea81"));
    assert_eq!(told(&forward, "X-Tenant-Id").as_deref(), Some(TENANT));
}

#[test]
fn entra_logs_out_without_a_picker_by_the_login_hint() {
    let (mut hinted, mut person) = (rig(&config(TENANT, ""), of_tenant()), browser());
    log_in(&mut hinted, &mut person, NAME);
    let location = log_out(&mut hinted, &mut person).expect("a logout at the provider");
    assert_eq!(location.path(), format!("/{TENANT}/oauth2/v2.0/logout"));
    assert_eq!(asked(&location, "logout_hint").as_deref(), Some("O.CiRhYmNkZWYSJDcyZjk4OGJmLTg2ZjEtNDFhZi05MWFiLTJkN2NkMDExZGI0Nw"));
    assert_eq!(asked(&location, "post_logout_redirect_uri").as_deref(), Some("http://localhost:8501/oauth2callback"));
    // The claim is optional, and whoever did not switch it on gets the picker.
    let (mut plain, mut person) = (rig(&config(TENANT, ""), of_tenant()), browser());
    claims(&mut plain, |claims| drop(claims.remove("login_hint")));
    log_in(&mut plain, &mut person, NAME);
    assert_eq!(asked(&log_out(&mut plain, &mut person).expect("a logout at the provider"), "logout_hint"), None);
}

#[test]
fn entra_groups_that_are_too_many_are_said_to_be_missing_and_are_not_fetched() {
    let graph =
        "https://graph.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/users/00000000-0000-0000-66f3-3332eca7ea81/getMemberObjects";
    let overage = json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": { "src1": { "endpoint": graph } } });
    for (name, more, withheld) in [
        ("overage", overage, true),
        ("no room for the sources", json!({ "hasgroups": true }), true),
        ("no groups at all", json!({}), false),
        ("another claim elsewhere", json!({ "_claim_names": { "roles": "src1" } }), false),
        ("of a wrong type", json!({ "_claim_names": ["groups"], "hasgroups": {} }), false),
    ] {
        let (mut rig, mut browser) = (rig(&config(TENANT, ""), with_claims(of_tenant(), more)), browser());
        log_in(&mut rig, &mut browser, NAME);
        assert_eq!(rig.events.iter().any(|code| code == "identity.groups_withheld"), withheld, "{name}: {:?}", rig.events);
        assert_eq!(told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-Groups"), None, "{name}");
        assert!(asked_for(&rig).iter().all(|place| !place.starts_with("graph.")), "{name}");
    }
    let groups: Vec<_> = (0..200).map(|number| format!("00000000-0000-4000-8000-{number:012}")).collect();
    let (mut rig, mut browser) = (rig(&config(TENANT, ""), with_claims(of_tenant(), json!({ "groups": groups }))), browser());
    log_in(&mut rig, &mut browser, NAME);
    assert_eq!(rig.events, ["login.started", "session.no_logout_hint", "login.succeeded"]);
    let told = told(&browser.visit(&mut rig, "/").forward(), "X-Forwarded-Groups").expect("200 groups are told");
    assert_eq!(told.split(',').count(), 200);
}

#[test]
fn entra_dates_its_tokens_five_minutes_back() {
    let mut rig = rig(&config(TENANT, ""), of_tenant());
    let now = rig.now;
    claims(&mut rig, move |claims| {
        claims.extend([
            ("iat".to_owned(), (now - 300).into()),
            ("nbf".to_owned(), (now - 300).into()),
            ("exp".to_owned(), (now + 3600).into()),
        ]);
    });
    log_in(&mut rig, &mut browser(), NAME);
}

#[test]
fn entra_prompts_and_domain_hints_pass_through() {
    for (written, sent) in [("login", Some("login")), ("consent", Some("consent")), ("select_account", Some("select_account")), ("", None)]
    {
        let config = config(TENANT, &format!("client_kwargs = {{ prompt = \"{written}\", domain_hint = \"organizations\" }}"));
        let location = log_in(&mut rig(&config, of_tenant()), &mut browser(), NAME);
        assert_eq!(asked(&location, "prompt").as_deref(), sent);
        assert_eq!(asked(&location, "domain_hint").as_deref(), Some("organizations"));
    }
}
