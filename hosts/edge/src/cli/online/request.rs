//! What Vestibule is going to ask of a provider, held against what the provider's metadata lists.
//!
//! A list that is absent says nothing (but where a standard has a default, that counts). A list that is there may be incomplete: what
//! it lacks is a warning. It is a fault where no login can succeed if the metadata is right.

use serde_json::Value;
use vestibule::oidc::authorization::Offline;
use vestibule::oidc::metadata::ProviderMetadata;
use vestibule::oidc::provider::{ClientAuthentication, Provider};

use super::Found;

/// The names that a member of the metadata lists; `None` where there is no such list, or an empty one.
fn listed<'a>(document: &'a Value, member: &str) -> Option<Vec<&'a str>> {
    let names: Vec<_> = document[member].as_array()?.iter().filter_map(Value::as_str).collect();
    (!names.is_empty()).then_some(names)
}

/// As many as a line takes.
fn told(names: &[&str]) -> String {
    const MOST: usize = 12;
    let shown: Vec<_> = names.iter().take(MOST).map(|name| name.chars().take(60).collect::<String>()).collect();
    let more = names.len().saturating_sub(MOST);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// Whether `name` is none of those that `member` lists; then what it lists.
fn is_unlisted(document: &Value, member: &str, name: &str) -> Option<String> {
    let names = listed(document, member)?;
    (!names.contains(&name)).then(|| format!("{member} lists {}", told(&names)))
}

pub(super) fn compare(document: &Value, metadata: &ProviderMetadata, provider: &Provider, refreshes: bool, found: &mut Found) {
    compare_prompt(document, metadata, provider, found);
    compare_scopes(document, metadata, provider, refreshes, found);
    compare_forms(document, provider, found);
    compare_credentials(document, provider, found);
    if refreshes {
        compare_refresh(document, metadata, provider, found);
    }
    for (member, what) in [
        ("require_pushed_authorization_requests", "it demands pushed authorization requests (RFC 9126)"),
        ("require_signed_request_object", "it demands signed authorization requests (RFC 9101)"),
    ] {
        if document[member] == true {
            found.faults.push(format!("{what}, which Vestibule does not send ({member}); switch that off for this client"));
        }
    }
}

fn compare_prompt(document: &Value, metadata: &ProviderMetadata, provider: &Provider, found: &mut Found) {
    const MEMBER: &str = "prompt_values_supported";
    const REMEDY: &str = "set client_kwargs = { prompt = \"\" }";
    let is_listed = listed(document, MEMBER).is_some();
    if provider.asks_for_account {
        if !metadata.takes_account_prompt {
            found.warnings.push(format!("it does not support prompt=select_account, which Vestibule leaves out; {REMEDY}"));
        } else if !is_listed {
            let line = "prompt: select_account, as Streamlit sends it; the metadata does not say whether the provider knows it, and \
                        Vestibule logs in without it if not";
            found.lines.push(line.into());
        }
    }
    for value in provider.prompt().unwrap_or_default().split(' ').filter(|value| !value.is_empty()) {
        match is_unlisted(document, MEMBER, value) {
            Some(lists) => found.warnings.push(format!("it may refuse logins with prompt={value}: {lists}; {REMEDY}")),
            None if !is_listed => {
                found.lines.push(format!("prompt: {value}; the metadata does not say whether the provider knows it"));
            }
            None => {}
        }
    }
}

fn compare_scopes(document: &Value, metadata: &ProviderMetadata, provider: &Provider, refreshes: bool, found: &mut Found) {
    let asked = provider.scope.split(' ').filter(|scope| !scope.is_empty());
    let added = (refreshes && Offline::at(metadata) == Offline::Scope).then_some("offline_access");
    for scope in asked.chain(added) {
        if let Some(lists) = is_unlisted(document, "scopes_supported", scope) {
            found.warnings.push(format!("it may refuse or ignore the scope `{scope}`: {lists}; see `scope` in client_kwargs"));
        }
    }
}

fn compare_forms(document: &Value, provider: &Provider, found: &mut Found) {
    if let Some(lists) = is_unlisted(document, "response_types_supported", "code") {
        found.faults.push(format!("it does not support the response type `code`, the only one that Vestibule uses: {lists}"));
    }
    let parameter = |wanted: &str| provider.authorize_params.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let mode = parameter("response_mode").unwrap_or("query");
    if let Some(lists) = is_unlisted(document, "response_modes_supported", mode) {
        found.warnings.push(format!("it may refuse response_mode={mode}: {lists}; see response_mode in client_kwargs"));
    }
    let methods = listed(document, "code_challenge_methods_supported");
    let lists_s256 = methods.as_ref().map(|methods| methods.contains(&"S256"));
    if lists_s256 == Some(false) {
        let lists = is_unlisted(document, "code_challenge_methods_supported", "S256").unwrap_or_default();
        found.warnings.push(format!("it may refuse PKCE with S256, which Vestibule always uses: {lists}"));
    }
    found.lines.push(format!(
        "PKCE with S256: {}",
        if lists_s256 == Some(true) { "listed" } else { "not listed; Vestibule uses it nevertheless" }
    ));
    for acr in &provider.requirements.acr_values {
        if let Some(lists) = is_unlisted(document, "acr_values_supported", acr) {
            found.warnings.push(format!("it may not reach acr_values = \"{acr}\", without which Vestibule rejects the login: {lists}"));
        }
    }
    if let Some(lists) = is_unlisted(document, "grant_types_supported", "authorization_code") {
        found.warnings.push(format!("it may refuse every login: {lists}, and Vestibule uses authorization_code"));
    }
}

/// Of a method that is configured; one of Vestibule's choice is listed, or the default.
fn compare_credentials(document: &Value, provider: &Provider, found: &mut Found) {
    let method = match provider.client_authentication {
        Some(ClientAuthentication::Basic) => "client_secret_basic",
        Some(ClientAuthentication::Post) => "client_secret_post",
        Some(ClientAuthentication::None) => "none",
        None => return,
    };
    if let Some(lists) = is_unlisted(document, "token_endpoint_auth_methods_supported", method) {
        found.warnings.push(format!("it may refuse token_endpoint_auth_method = \"{method}\": {lists}"));
    }
}

fn compare_refresh(document: &Value, metadata: &ProviderMetadata, provider: &Provider, found: &mut Found) {
    let asks = match Offline::at(metadata) {
        Offline::Scope => Some("the scope offline_access"),
        Offline::AccessType => Some("access_type=offline"),
        Offline::No => provider.scope.split(' ').any(|scope| scope == "offline_access").then_some("the scope offline_access"),
    };
    match asks {
        Some(way) => found.lines.push(format!("refresh token: requested by {way}")),
        None => found.warnings.push(
            "the configuration has [vestibule.session] refresh or revalidate, and the metadata does not list the scope offline_access: \
             Vestibule requests no refresh token, and the provider may issue none. If it needs the scope, add it to `scope` in client_kwargs"
                .into(),
        ),
    }
    if let Some(lists) = is_unlisted(document, "grant_types_supported", "refresh_token") {
        found.warnings.push(format!("it may issue no refresh token, which [vestibule.session] refresh needs: {lists}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vestibule::config::{Config, Source};
    use vestibule::web::http::OutboundResponse;

    use super::*;

    const CONFIG: &str = r#"
        [auth]
        redirect_uri = "https://app.example/oauth2callback"
        cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
        client_id = "client-1"
        client_secret = "a~secret/of the client"
        server_metadata_url = "https://op.example/.well-known/openid-configuration"
    "#;

    /// What is said of a provider with these members in its metadata: faults, warnings, lines.
    fn said(config: &str, members: Value) -> [Vec<String>; 3] {
        let config = Config::parse(&Source::new("f", &format!("{CONFIG}{config}"))).expect("a configuration");
        let provider = &config.providers[0];
        let mut document = json!({
            "issuer": "https://op.example", "authorization_endpoint": "https://op.example/authorize", "jwks_uri": "https://op.example/jwks",
            "token_endpoint": "https://op.example/token", "id_token_signing_alg_values_supported": ["RS256"],
        });
        for (name, value) in members.as_object().expect("members") {
            document[name] = value.clone();
        }
        let answer = OutboundResponse { status: 200, headers: vec![], body: document.to_string().into_bytes() };
        let metadata = ProviderMetadata::parse(Ok(answer), provider).expect("metadata");
        let mut found = Found { name: provider.name.clone(), faults: vec![], warnings: vec![], lines: vec![] };
        compare(&document, &metadata, provider, config.sessions.refresh.is_some(), &mut found);
        super::super::tell_of_logout(&metadata, &document, provider, &mut found);
        [found.faults, found.warnings, found.lines]
    }

    fn check(config: &str, members: Value, faults: &[&str], warnings: &[&str]) {
        let [found, warned, _] = said(config, members.clone());
        for (told, expected) in [(found, faults), (warned, warnings)] {
            assert_eq!(told.len(), expected.len(), "{config} {members}: {told:#?}");
            for words in expected {
                assert!(told.iter().any(|text| text.contains(words)), "{config} {members}: {words} is not in {told:#?}");
            }
        }
    }

    #[test]
    fn what_the_metadata_does_not_list_is_told_and_what_it_does_is_not() {
        let all = json!({
            "prompt_values_supported": ["none", "login"], "scopes_supported": ["openid", "email", "profile", "offline_access"],
            "response_types_supported": ["code", "code id_token"], "response_modes_supported": ["query", "form_post"],
            "code_challenge_methods_supported": ["plain", "S256"], "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "grant_types_supported": ["authorization_code", "refresh_token"], "acr_values_supported": ["mfa"],
        });
        let everything = "client_kwargs = { prompt = \"login\", response_mode = \"form_post\", acr_values = \"mfa\", \
                          token_endpoint_auth_method = \"client_secret_basic\" }\n[vestibule.session]\nrefresh = \"auto\"\nrevalidate = \"5m\"\n";
        check(everything, all, &[], &[]);
        check("", json!({}), &[], &[]);
        for (config, members, warning) in [
            (
                "client_kwargs = { prompt = \"consent\" }",
                json!({ "prompt_values_supported": ["none", "login"] }),
                "prompt=consent: prompt_values_supported lists none, login",
            ),
            ("client_kwargs = { prompt = \"login create\" }", json!({ "prompt_values_supported": ["login"] }), "prompt=create"),
            (
                "[vestibule]\napp = \"streamlit\"\n",
                json!({ "prompt_values_supported": ["login"] }),
                "prompt=select_account, which Vestibule leaves out",
            ),
            (
                "client_kwargs = { scope = \"openid groups\" }",
                json!({ "scopes_supported": ["openid", "email"] }),
                "scope `groups`: scopes_supported lists openid, email",
            ),
            ("", json!({ "scopes_supported": ["email", "profile"] }), "scope `openid`"),
            ("", json!({ "response_modes_supported": ["fragment"] }), "response_mode=query"),
            (
                "client_kwargs = { response_mode = \"form_post\" }",
                json!({ "response_modes_supported": ["query"] }),
                "response_mode=form_post",
            ),
            ("", json!({ "code_challenge_methods_supported": ["plain"] }), "PKCE with S256"),
            (
                "client_kwargs = { token_endpoint_auth_method = \"client_secret_post\" }",
                json!({ "token_endpoint_auth_methods_supported": ["client_secret_basic"] }),
                "\"client_secret_post\"",
            ),
            ("client_kwargs = { acr_values = \"mfa\" }", json!({ "acr_values_supported": ["pwd"] }), "acr_values_supported lists pwd"),
            ("", json!({ "grant_types_supported": ["implicit"] }), "grant_types_supported lists implicit"),
        ] {
            check(config, members, &[], &[warning]);
        }
        for (members, fault) in [
            (json!({ "response_types_supported": ["id_token", "code id_token"] }), "response type `code`"),
            (json!({ "require_pushed_authorization_requests": true }), "RFC 9126"),
            (json!({ "require_signed_request_object": true }), "RFC 9101"),
        ] {
            check("", members, &[fault], &[]);
        }
        // What is no list says nothing here, and is told by the metadata's own parser.
        check("", json!({ "response_types_supported": "token", "scopes_supported": [], "grant_types_supported": [7] }), &[], &[]);
    }

    #[test]
    fn refresh_tokens_are_told_where_the_configuration_wants_them() {
        const REFRESH: &str = "[vestibule.session]\nrefresh = \"auto\"\nrevalidate = \"5m\"\n";
        let lists = |scopes: &[&str]| json!({ "scopes_supported": scopes });
        let all = ["openid", "email", "profile"];
        check(REFRESH, lists(&all), &[], &["does not list the scope offline_access"]);
        check("", lists(&all), &[], &[]);
        let [faults, warnings, lines] = said(REFRESH, lists(&["openid", "email", "profile", "offline_access"]));
        assert!(
            faults.is_empty() && warnings.is_empty() && lines.iter().any(|line| line.contains("the scope offline_access")),
            "{lines:?}"
        );
        let asked = format!("client_kwargs = {{ scope = \"openid offline_access\" }}\n{REFRESH}");
        check(&asked, json!({}), &[], &[]);
        check(&asked, json!({ "grant_types_supported": ["authorization_code"] }), &[], &["may issue no refresh token"]);
    }

    #[test]
    fn a_logout_of_auth0_that_is_not_in_the_metadata_is_told_with_its_template() {
        for members in [
            json!({ "token_endpoint": "https://acme.eu.auth0.com/oauth/token" }),
            json!({ "mfa_challenge_endpoint": "https://op.example/mfa/challenge" }),
        ] {
            check("", members.clone(), &[], &["/v2/logout?client_id={client_id}&returnTo={return_to}"]);
            let logout_url = "[vestibule.provider.default]\nlogout_url = \"https://op.example/v2/logout?returnTo={return_to}\"\n";
            check(logout_url, members.clone(), &[], &[]);
            let mut named = members;
            named["end_session_endpoint"] = json!("https://op.example/oidc/logout");
            check("", named, &[], &[]);
        }
        let [_, warnings, lines] = said("", json!({}));
        assert!(warnings.is_empty() && lines.iter().any(|line| line.contains("set logout_url")), "{lines:?}");
    }
}
