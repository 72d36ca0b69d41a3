//! Provider metadata (OpenID Connect Discovery 1.0, RFC 8414).

use serde::{Deserialize, Serialize};
use url::Url;

use super::error::{Endpoint, Error};
use super::jwks::Algorithm;
use super::outbound;
use crate::oidc::provider::{ClientAuthentication, Provider};
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};

/// Google's, Entra's, Okta's and Auth0's are under 8 KiB.
const MAX_BYTES: u32 = 256 * 1024;

/// What of a provider's metadata a login needs; checked, so that every URL in it may be used.
///
/// Serialised into the login attempt, therefore the short names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderMetadata {
    #[serde(rename = "i")]
    pub issuer: String,
    #[serde(skip, default)]
    pub authorization_endpoint: Option<Url>,
    #[serde(rename = "t")]
    pub token_endpoint: Url,
    #[serde(rename = "k")]
    pub jwks_uri: Url,
    #[serde(rename = "u", skip_serializing_if = "Option::is_none", default)]
    pub userinfo_endpoint: Option<Url>,
    #[serde(rename = "e", skip_serializing_if = "Option::is_none", default)]
    pub end_session_endpoint: Option<Url>,
    #[serde(rename = "a")]
    pub client_authentication: ClientAuthentication,
    /// Whether `iss` is promised in every authorization response (RFC 9207 section 3).
    #[serde(rename = "s", default)]
    pub sends_iss: bool,
    /// Those of our algorithms that it signs ID tokens with; all when it does not say.
    #[serde(rename = "g", skip_serializing_if = "Option::is_none", default)]
    pub signing_algorithms: Option<Vec<Algorithm>>,
}

/// The document as it comes. Unknown members are ignored (Discovery section 3).
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
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
            return Err(fault("its issuer is not the one that server_metadata_url stands for".into()));
        }
        // Only a provider that is itself on this machine may have endpoints that are reached by plain http.
        let local = provider.metadata_url.scheme() == "http";
        let endpoint = |name: &str, text: &str| {
            let parsed = Url::parse(text).ok();
            let usable = parsed.filter(|url| {
                let scheme = url.scheme() == "https" || (local && crate::web::origin::is_confidential(url));
                scheme && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
            });
            usable.ok_or_else(|| fault(format!("its {name} is not an https URL")))
        };
        let optional = |name: &str, text: &Option<String>| text.as_deref().map(|text| endpoint(name, text)).transpose();
        Ok(Self {
            authorization_endpoint: Some(endpoint("authorization_endpoint", &document.authorization_endpoint)?),
            token_endpoint: endpoint("token_endpoint", &document.token_endpoint)?,
            jwks_uri: endpoint("jwks_uri", &document.jwks_uri)?,
            userinfo_endpoint: optional("userinfo_endpoint", &document.userinfo_endpoint)?,
            end_session_endpoint: optional("end_session_endpoint", &document.end_session_endpoint)?,
            client_authentication: client_authentication(provider, document.token_endpoint_auth_methods_supported.as_deref())
                .ok_or_else(|| fault("it supports none of client_secret_basic, client_secret_post and none".into()))?,
            signing_algorithms: document
                .id_token_signing_alg_values_supported
                .map(|names| names.iter().filter_map(|name| Algorithm::from_name(name)).collect()),
            sends_iss: document.authorization_response_iss_parameter_supported,
            issuer: document.issuer,
        })
    }
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
    let in_order = [("client_secret_basic", ClientAuthentication::Basic), ("client_secret_post", ClientAuthentication::Post)];
    in_order.into_iter().find(|(name, _)| lists(name)).map(|(_, method)| method)
}
