//! Provider metadata (OpenID Connect Discovery 1.0, RFC 8414).

use serde::{Deserialize, Serialize};
use url::Url;

use super::error::{Endpoint, Error, shown};
use super::metadata_document::Document;
use super::outbound;
use super::signature::Algorithm;
use super::token::encoding_changes;
use crate::oidc::provider::{ClientAuthentication, Provider};
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};
use crate::web::origin::{is_confidential, is_loopback};

/// Google's, Entra's, Okta's and Auth0's are under 8 KiB.
const MAX_BYTES: u32 = 256 * 1024;

const NAME_THE_METHOD: &str = "name it with client_kwargs = { token_endpoint_auth_method = \"client_secret_basic\" } or the like";

/// The scope by which a client asks for a refresh token (OIDC Core section 11).
pub(super) const OFFLINE_ACCESS: &str = "offline_access";

const SIGNING_ALGORITHMS: &str = "id_token_signing_alg_values_supported";

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
    /// Those of our algorithms that it signs ID tokens with; `None` when it does not say, and then all of ours are accepted.
    ///
    /// Discovery section 3 requires the list. Without it, or with one that says nothing (empty, `null`, no list), a token proves as
    /// much: its signature has to be of a key of the provider's own key set, by an algorithm that this key is for, and none of ours
    /// can be forged by somebody who knows the public key or the client secret. The list can only narrow that down.
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
    /// Why there is no userinfo endpoint, where one is to be asked: in words.
    #[serde(skip)]
    pub lacks_userinfo: Option<String>,
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
        let mut document = Document::parse(&body).map_err(|words| fault(format!("not provider metadata: {words}")))?;
        let required = |name: &str| document.required(name).map_err(|words| fault(format!("not provider metadata: {words}")));
        let issuer = required("issuer")?;
        if !provider.expected_issuer.admits_metadata(&issuer) {
            let words = format!(
                "its issuer is `{}`, and the configuration expects {}, by server_metadata_url or vestibule.provider.{}.issuer",
                shown(&issuer),
                provider.expected_issuer,
                provider.name
            );
            return Err(fault(words));
        }
        let authorization_endpoint = endpoint("authorization_endpoint", &required("authorization_endpoint")?, provider).map_err(fault)?;
        let token_endpoint = endpoint("token_endpoint", &required("token_endpoint")?, provider).map_err(fault)?;
        let jwks_uri = endpoint("jwks_uri", &required("jwks_uri")?, provider).map_err(fault)?;
        let mut lacks_userinfo = "there is no userinfo_endpoint".to_owned();
        let userinfo_endpoint = match document.endpoint("userinfo_endpoint", provider) {
            Ok(endpoint) => endpoint,
            // Then it is no loss that a login goes on with.
            Err(words) if provider.userinfo => {
                lacks_userinfo = words;
                None
            }
            Err(words) => {
                document.ignore(words);
                None
            }
        };
        let lacks_userinfo = (provider.userinfo && userinfo_endpoint.is_none()).then_some(lacks_userinfo);
        let end_session_endpoint = document.endpoint_if_any("end_session_endpoint", provider);
        let revocation_endpoint = document.endpoint_if_any("revocation_endpoint", provider);
        let authentication_methods = document.names_if_any("token_endpoint_auth_methods_supported");
        let signing_algorithms = document.names_if_any(SIGNING_ALGORITHMS);
        // The only one of these that Discovery section 3 requires.
        if document.is_null(SIGNING_ALGORITHMS) {
            document.ignore(format!("its {SIGNING_ALGORITHMS} is null"));
        }
        let userinfo_algorithms = document.names_if_any("userinfo_signing_alg_values_supported");
        let prompts = document.names_if_any("prompt_values_supported");
        let scopes = document.names_if_any("scopes_supported").unwrap_or_default();
        let sends_iss = document.truth_if_any("authorization_response_iss_parameter_supported");
        let client_authentication = client_authentication(provider, authentication_methods.as_deref()).ok_or_else(|| {
            let listed = authentication_methods.unwrap_or_default();
            let is_public = listed.iter().any(|name| name == "none");
            let listed: Vec<_> = listed.iter().take(8).map(|name| format!("`{}`", shown(name))).collect();
            let listed = listed.join(", ");
            fault(if is_public {
                format!(
                    "its token_endpoint_auth_methods_supported lists {listed}, and the configuration has a client_secret: remove that if \
                     the client is registered as a public one, else {NAME_THE_METHOD}"
                )
            } else {
                format!(
                    "its token_endpoint_auth_methods_supported lists {listed}, and Vestibule supports client_secret_basic, \
                     client_secret_post and none: if the provider takes one of these all the same, {NAME_THE_METHOD}"
                )
            })
        })?;
        Ok(Self {
            authorization_endpoint: Some(authorization_endpoint),
            token_endpoint,
            jwks_uri,
            userinfo_endpoint,
            end_session_endpoint,
            revocation_endpoint,
            client_authentication,
            signing_algorithms: signing_algorithms.map(|names| algorithms(&names)),
            userinfo_algorithms: userinfo_algorithms.filter(|_| provider.userinfo).map(|names| algorithms(&names)),
            sends_iss,
            takes_account_prompt: prompts.is_none_or(|prompts| prompts.iter().any(|prompt| prompt == "select_account")),
            lists_offline_access: scopes.iter().any(|scope| scope == OFFLINE_ACCESS),
            ignored: document.into_ignored(),
            lacks_userinfo,
            issuer,
        })
    }
}

/// An endpoint that may be used.
pub(super) fn endpoint(name: &str, text: &str, provider: &Provider) -> Result<Url, String> {
    let is_usable = |url: &Url| {
        let may_be_used = if FOR_BROWSERS.contains(&name) { may_be_visited(url, provider) } else { may_be_asked(url, provider) };
        may_be_used && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
    };
    let usable = Url::parse(text).ok().filter(is_usable);
    usable.ok_or_else(|| match text.trim() {
        "" => format!("its {name} is empty"),
        _ => format!("its {name} is `{}`, which is not an https URL without a user and a fragment", shown(text)),
    })
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

/// Those of ours among them, each once: a login attempt carries them.
fn algorithms(names: &[String]) -> Vec<Algorithm> {
    let is_named = |algorithm: &Algorithm| names.iter().any(|name| Algorithm::from_name(name) == Some(*algorithm));
    Algorithm::ALL.iter().copied().filter(is_named).collect()
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
