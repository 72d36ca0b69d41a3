//! Provider metadata (OpenID Connect Discovery 1.0, RFC 8414).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::error::{Endpoint, Error, shown};
use super::outbound;
use super::signature::Algorithm;
use super::token::encoding_changes;
use crate::oidc::provider::{ClientAuthentication, Provider};
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};
use crate::web::origin::{is_confidential, is_loopback};

/// Google's, Entra's, Okta's and Auth0's are under 8 KiB.
const MAX_BYTES: u32 = 256 * 1024;

/// The scope by which a client asks for a refresh token (OIDC Core section 11).
pub(super) const OFFLINE_ACCESS: &str = "offline_access";

/// What of a provider's metadata a login needs; checked, so that every URL in it may be used.
///
/// Serialised into the login attempt (postcard): the order of the fields is that of the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderMetadata {
    pub issuer: String,
    #[serde(skip)]
    pub authorization_endpoint: Option<Url>,
    pub token_endpoint: Url,
    pub jwks_uri: Url,
    pub userinfo_endpoint: Option<Url>,
    pub end_session_endpoint: Option<Url>,
    /// RFC 7009, by RFC 8414 section 2. Only a logout asks there.
    #[serde(skip)]
    pub revocation_endpoint: Option<Url>,
    pub client_authentication: ClientAuthentication,
    /// Whether `iss` is promised in every authorization response (RFC 9207 section 3).
    pub sends_iss: bool,
    /// Those of our algorithms that it signs ID tokens with; all when it does not say.
    pub signing_algorithms: Option<Vec<Algorithm>>,
    /// Those that it signs userinfo responses with; all when it does not say, and `None` where none is asked for.
    pub userinfo_algorithms: Option<Vec<Algorithm>>,
    /// Whether it knows `prompt=select_account`, as far as it says (`prompt_values_supported`).
    #[serde(skip)]
    pub takes_account_prompt: bool,
    /// Whether it lists the scope `offline_access` (`scopes_supported`; OIDC Core section 11).
    #[serde(skip)]
    pub lists_offline_access: bool,
    /// What is optional and cannot be used, in words; it counts as absent.
    #[serde(skip)]
    pub ignored: Vec<String>,
}

/// The document as it comes. Unknown members are ignored (Discovery section 3), and so are optional ones that are of no use:
/// their feature is lost, and not the login.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: Value,
    #[serde(default)]
    end_session_endpoint: Value,
    #[serde(default)]
    revocation_endpoint: Value,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Value,
    #[serde(default)]
    id_token_signing_alg_values_supported: Value,
    #[serde(default)]
    userinfo_signing_alg_values_supported: Value,
    #[serde(default)]
    prompt_values_supported: Value,
    #[serde(default)]
    scopes_supported: Value,
    #[serde(default)]
    authorization_response_iss_parameter_supported: Value,
}

impl ProviderMetadata {
    pub fn request(provider: &Provider) -> OutboundRequest {
        outbound::get_json(provider.metadata_url.clone(), MAX_BYTES)
    }

    /// Parses the answer to [`request`](Self::request).
    ///
    /// # Errors
    /// When there is no answer, when it is not metadata, and when its issuer is not the configured one (Discovery
    /// section 4.3): then nothing of it may be used, for its keys could sign for anybody.
    pub fn parse(answer: Result<OutboundResponse, OutboundError>, provider: &Provider) -> Result<Self, Error> {
        let fault = |text: String| outbound::unacceptable(&provider.name, Endpoint::Metadata, text);
        let body = outbound::success(answer, MAX_BYTES, &provider.name, Endpoint::Metadata)?;
        let document: Document = outbound::object(&body).map_err(|error| fault(format!("not provider metadata: {error}")))?;
        if !provider.expected_issuer.admits_metadata(&document.issuer) {
            let words = format!("its issuer is `{}`, which is not the one that server_metadata_url stands for", shown(&document.issuer));
            return Err(fault(words));
        }
        let endpoint = |name: &str, text: &str| {
            let is_usable = |url: &Url| {
                let may_be_used = if FOR_BROWSERS.contains(&name) { may_be_visited(url, provider) } else { may_be_asked(url, provider) };
                may_be_used && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
            };
            Url::parse(text).ok().filter(is_usable).ok_or_else(|| format!("its {name} is not an https URL"))
        };
        let mut ignored = vec![];
        let mut endpoint_if_any = |name: &str, value: &Value| {
            if value.is_null() {
                return None;
            }
            let usable = endpoint(name, value.as_str().unwrap_or_default());
            usable.map_err(|words| ignored.push(words)).ok()
        };
        let userinfo_endpoint = endpoint_if_any("userinfo_endpoint", &document.userinfo_endpoint);
        let end_session_endpoint = endpoint_if_any("end_session_endpoint", &document.end_session_endpoint);
        let revocation_endpoint = endpoint_if_any("revocation_endpoint", &document.revocation_endpoint);
        let mut names_if_any = |name: &str, value: Value| {
            let is_given = !value.is_null();
            let names: Option<Vec<String>> = serde_json::from_value(value).ok().filter(|_| is_given);
            if names.is_none() && is_given {
                ignored.push(format!("its {name} is not a list of names"));
            }
            names
        };
        let authentication_methods = names_if_any("token_endpoint_auth_methods_supported", document.token_endpoint_auth_methods_supported);
        let signing_algorithms = names_if_any("id_token_signing_alg_values_supported", document.id_token_signing_alg_values_supported);
        let userinfo_algorithms = names_if_any("userinfo_signing_alg_values_supported", document.userinfo_signing_alg_values_supported);
        let prompts = names_if_any("prompt_values_supported", document.prompt_values_supported);
        // Only where a refresh token is wanted is it of use, and nothing is lost where it is not.
        let scopes: Vec<String> = serde_json::from_value(document.scopes_supported).unwrap_or_default();
        // A list of none says nothing of what there is.
        let authentication_methods = authentication_methods.filter(|names| {
            if names.is_empty() {
                ignored.push("its token_endpoint_auth_methods_supported is empty".to_owned());
            }
            !names.is_empty()
        });
        let sends_iss = document.authorization_response_iss_parameter_supported;
        if !sends_iss.is_boolean() && !sends_iss.is_null() {
            ignored.push("its authorization_response_iss_parameter_supported is not true or false".to_owned());
        }
        Ok(Self {
            authorization_endpoint: Some(endpoint("authorization_endpoint", &document.authorization_endpoint).map_err(fault)?),
            token_endpoint: endpoint("token_endpoint", &document.token_endpoint).map_err(fault)?,
            jwks_uri: endpoint("jwks_uri", &document.jwks_uri).map_err(fault)?,
            userinfo_endpoint,
            end_session_endpoint,
            revocation_endpoint,
            client_authentication: client_authentication(provider, authentication_methods.as_deref())
                .ok_or_else(|| fault("it supports none of client_secret_basic, client_secret_post and none".into()))?,
            signing_algorithms: signing_algorithms.map(|names| algorithms(&names)),
            userinfo_algorithms: userinfo_algorithms.filter(|_| provider.userinfo).map(|names| algorithms(&names)),
            sends_iss: sends_iss == true,
            takes_account_prompt: prompts.is_none_or(|prompts| prompts.iter().any(|prompt| prompt == "select_account")),
            lists_offline_access: scopes.iter().any(|scope| scope == OFFLINE_ACCESS),
            ignored,
            issuer: document.issuer,
        })
    }
}

/// The endpoints to which it is the browser that goes.
const FOR_BROWSERS: [&str; 2] = ["authorization_endpoint", "end_session_endpoint"];

/// Where the browser may be sent: by https, or by plain http to its own machine, when the provider is reached so as well.
fn may_be_visited(url: &Url, provider: &Provider) -> bool {
    let is_here = provider.metadata_url.scheme() == "http" && is_loopback(&provider.metadata_url);
    url.scheme() == "https" || (is_here && is_confidential(url))
}

/// Where Vestibule may ask: by https; or by plain http as the configuration has it for the metadata: on this machine, or on
/// the very host that it names. Any other provider could name the application, which trusts this machine.
fn may_be_asked(url: &Url, provider: &Provider) -> bool {
    let metadata_url = &provider.metadata_url;
    let is_alike = (is_loopback(metadata_url) && is_loopback(url)) || metadata_url.host() == url.host();
    url.scheme() == "https" || (url.scheme() == "http" && metadata_url.scheme() == "http" && is_alike)
}

/// Those of ours among them.
fn algorithms(names: &[String]) -> Vec<Algorithm> {
    names.iter().filter_map(|name| Algorithm::from_name(name)).collect()
}

/// The configured method, or the best that the provider lists; `client_secret_basic` when it lists none (Discovery
/// section 3).
fn client_authentication(provider: &Provider, listed: Option<&[String]>) -> Option<ClientAuthentication> {
    if let Some(configured) = provider.client_authentication {
        return Some(configured);
    }
    if provider.client_secret.is_none() {
        return Some(ClientAuthentication::None);
    }
    let Some(listed) = listed else { return Some(ClientAuthentication::Basic) };
    let lists = |name: &str| listed.iter().any(|method| method == name);
    let mut in_order = [("client_secret_basic", ClientAuthentication::Basic), ("client_secret_post", ClientAuthentication::Post)];
    // Not every provider decodes what RFC 6749 section 2.3.1 has encoded, and in a form there is no doubt.
    if encoding_changes(provider) {
        in_order.reverse();
    }
    in_order.into_iter().find(|(name, _)| lists(name)).map(|(_, method)| method)
}
