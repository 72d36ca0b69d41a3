//! `client_kwargs` and `authorize_params`: parameters of the authorization request, and how the client authenticates.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::section::Section;
use super::setting::{Form, Key, Setting, keys, words};
use crate::oidc::provider::{ClientAuthentication, Requirements};

/// Streamlit's default.
const DEFAULT_SCOPE: &str = "openid email profile";

/// Authorization request parameters that protect the login, and are therefore not the user's to set.
pub(super) const OURS: [&str; 12] = [
    "state",
    "nonce",
    "redirect_uri",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_verifier",
    "grant_type",
    "iss",
    "request",
    "request_uri",
];

const AUTHENTICATION: [(&str, ClientAuthentication); 3] = [
    ("client_secret_basic", ClientAuthentication::Basic),
    ("client_secret_post", ClientAuthentication::Post),
    ("none", ClientAuthentication::None),
];

/// What has a meaning here in `client_kwargs` and `authorize_params`; other parameters are the provider's.
pub(super) const CLIENT_SETTINGS: [Setting; 7] = [
    Setting::new("scope", Form::Text, "The scopes. They must include `openid`.", "\"openid email groups\"")
        .or("\"openid email profile\"")
        .pattern("(^| )openid( |$)"),
    Setting::new("prompt", Form::Text, "With `\"\"`, Vestibule sends no `prompt`.", "\"login\"")
        .or_said("none; `\"select_account\"` with `app = \"streamlit\"`"),
    Setting::new(
        "max_age",
        Form::Number(u32::MAX),
        "Longest time since the user authenticated at the provider, in seconds. Verified.",
        "3600",
    ),
    Setting::new("acr_values", Form::Text, "Accepted authentication contexts, separated by spaces. Verified.", "\"urn:example:mfa\""),
    Setting::new("hd", Form::Text, "A Google Workspace domain, or `\"*\"` for any of them. Verified.", "\"example.com\""),
    Setting::new("response_mode", Form::Choice(&["query", "form_post"]), "How the provider returns its response.", "\"form_post\"")
        .or("\"query\""),
    Setting::new(
        "token_endpoint_auth_method",
        Form::Choice(&words(&AUTHENTICATION)),
        "How Vestibule authenticates at the token endpoint. With `\"none\"`, `client_secret` can be absent.",
        "\"client_secret_post\"",
    )
    .or_said("from the metadata"),
];

pub(super) static CLIENT_KEYS: [Key; 7] = keys(&CLIENT_SETTINGS);

/// `client_kwargs`, and `authorize_params` beside it.
pub(super) struct ClientOptions {
    pub(super) requirements: Requirements,
    pub(super) scope: String,
    /// `None` when nobody has written it. An empty one is none at all.
    pub(super) prompt: Option<String>,
    pub(super) authorize_params: Vec<(String, String)>,
    pub(super) client_authentication: Option<ClientAuthentication>,
}

impl ClientOptions {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let mut options = Self {
            requirements: Requirements::default(),
            scope: DEFAULT_SCOPE.into(),
            prompt: None,
            authorize_params: vec![],
            client_authentication: None,
        };
        let mut seen = BTreeSet::new();
        let kwargs = section.entries("client_kwargs").unwrap_or_default();
        let params = section.entries("authorize_params").unwrap_or_default();
        for entry in kwargs.iter().chain(&params) {
            let (name, value) = &entry.value;
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let refuse = |problem: &str, remedy: &str| section.findings.fatal(entry.at, &entry.key, problem, remedy);
            if !seen.insert(name.clone()) {
                refuse("is given twice", "keep it in client_kwargs or in authorize_params");
                continue;
            }
            match name.as_str() {
                "max_age" => match text.parse().map(Duration::from_secs) {
                    Ok(max_age) => {
                        options.requirements.max_age = Some(max_age);
                        options.authorize_params.push((name.clone(), text));
                    }
                    Err(_) => refuse("is not a number of seconds", "write max_age = 3600 for example"),
                },
                "acr_values" if text.trim().is_empty() => refuse("is empty", "name the authentication that must be shown, or remove it"),
                "acr_values" => {
                    options.requirements.acr_values = text.split(' ').filter(|value| !value.is_empty()).map(str::to_owned).collect();
                    options.authorize_params.push((name.clone(), text));
                }
                "hd" if text != "*" && !is_hosted_domain(&text) => {
                    refuse("is not the domain of an organisation", "write hd = \"example.com\", or \"*\" for any organisation");
                }
                "hd" => {
                    options.requirements.hosted_domain = Some(text.clone());
                    options.authorize_params.push((name.clone(), text));
                }
                "scope" if text.split(' ').any(|scope| scope == "openid") => options.scope = text,
                "scope" => refuse("does not hold `openid`: the provider would not say who the user is", "add openid"),
                "prompt" => options.prompt = Some(text),
                "token_endpoint_auth_method" => match AUTHENTICATION.iter().find(|(word, _)| *word == text) {
                    Some((_, authentication)) => options.client_authentication = Some(*authentication),
                    None => refuse("is not supported", "write client_secret_basic, client_secret_post or none"),
                },
                "code_challenge_method" if text == "S256" => {}
                "code_challenge_method" => refuse("weakens PKCE", "remove it: S256 is always used"),
                "response_type" if text == "code" => {}
                "response_type" => refuse("is not supported", "remove it: `code` is always used"),
                "response_mode" if text == "query" => {}
                "response_mode" if text == "form_post" => options.authorize_params.push((name.clone(), text)),
                "response_mode" => refuse("is not supported", "write query or form_post"),
                "verify" | "trust_env" | "timeout" | "proxies" | "proxy" => {
                    refuse("is an option of a Python HTTP client, not of a login", "remove it");
                }
                ours if OURS.contains(&ours) => refuse("protects the login and is set anew each time", "remove it"),
                _ => options.authorize_params.push((name.clone(), text)),
            }
        }
        let prompt = options.prompt.clone().filter(|prompt| !prompt.is_empty());
        options.authorize_params.extend(prompt.map(|prompt| ("prompt".to_owned(), prompt)));
        options
    }
}

/// Whether an organisation can have accounts of this domain at Google: personal accounts have no `hd`.
pub fn is_hosted_domain(text: &str) -> bool {
    const PERSONAL: [&str; 2] = ["gmail.com", "googlemail.com"];
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.contains('.') && text.split('.').all(label) && !PERSONAL.iter().any(|domain| domain.eq_ignore_ascii_case(text))
}
