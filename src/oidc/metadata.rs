//! Provider metadata (OpenID Connect Discovery 1.0, RFC 8414).

use serde::{Deserialize, Serialize};
use url::Url;

use super::outbound;
use crate::config::{ClientAuthentication, ExpectedIssuer, Provider};
use crate::error::{Endpoint, Error};
use crate::http::{OutboundError, OutboundRequest, OutboundResponse};

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
        let document: Document = serde_json::from_slice(&body).map_err(|error| fault(format!("not provider metadata: {error}")))?;
        if !issuer_is_expected(&document.issuer, &provider.expected_issuer) {
            return Err(fault("its issuer is not the one that server_metadata_url stands for".into()));
        }
        // Only a provider that is itself on this machine may have endpoints that are reached by plain http.
        let local = provider.metadata_url.scheme() == "http";
        let endpoint = |name: &str, text: &str| {
            let parsed = Url::parse(text).ok();
            let usable = parsed.filter(|url| {
                let scheme = url.scheme() == "https" || (local && crate::config::is_confidential(url));
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
            sends_iss: document.authorization_response_iss_parameter_supported,
            issuer: document.issuer,
        })
    }
}

fn issuer_is_expected(issuer: &str, expected: &ExpectedIssuer) -> bool {
    match expected {
        // Discovery section 4.1 removes a terminating slash before it appends `.well-known`, so both forms lead here.
        ExpectedIssuer::Exact(expected) => issuer == expected || issuer.strip_suffix('/') == Some(expected.as_str()),
        ExpectedIssuer::EntraAnyTenant => issuer == ENTRA_TEMPLATE || entra_tenant(issuer).is_some(),
        ExpectedIssuer::EntraDomain => entra_tenant(issuer).is_some(),
    }
}

/// The literal issuer of Entra's multi-tenant metadata.
const ENTRA_TEMPLATE: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";

/// The tenant's GUID in an issuer of Microsoft Entra v2.
fn entra_tenant(issuer: &str) -> Option<&str> {
    let (before, after) = ENTRA_TEMPLATE.split_once("{tenantid}")?;
    issuer.strip_prefix(before)?.strip_suffix(after).filter(|tenant| is_guid(tenant))
}

fn is_guid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// The issuer that a token must name: with Entra's template, that of the token's own tenant.
///
/// Microsoft's documentation of the v2.0 endpoint ("Validate the issuer"): replace `{tenantid}` by the `tid` claim, then
/// compare exactly. A `tid` that is no GUID could bring a path of its own.
pub(super) fn issuer_for_tenant(metadata_issuer: &str, tid: Option<&str>) -> Option<String> {
    if metadata_issuer != ENTRA_TEMPLATE {
        return Some(metadata_issuer.to_owned());
    }
    let tid = tid.filter(|tid| is_guid(tid))?;
    Some(ENTRA_TEMPLATE.replace("{tenantid}", tid))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expected_issuer_is_believed() {
        let exact = ExpectedIssuer::Exact("https://op.example".into());
        assert!(issuer_is_expected("https://op.example", &exact));
        assert!(issuer_is_expected("https://op.example/", &exact), "Auth0");
        for other in ["https://op.example//", "https://op.example1", "http://op.example", "https://op.example/x", "", "HTTPS://op.example"]
        {
            assert!(!issuer_is_expected(other, &exact), "{other}");
        }
        let tenant = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
        for expected in [ExpectedIssuer::EntraAnyTenant, ExpectedIssuer::EntraDomain] {
            assert!(issuer_is_expected(tenant, &expected));
            for other in ["https://login.microsoftonline.com/evil/v2.0", "https://evil.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"] {
                assert!(!issuer_is_expected(other, &expected), "{other}");
            }
        }
        assert!(issuer_is_expected(ENTRA_TEMPLATE, &ExpectedIssuer::EntraAnyTenant));
        assert!(!issuer_is_expected(ENTRA_TEMPLATE, &ExpectedIssuer::EntraDomain));
    }

    #[test]
    fn the_template_takes_guids_only() {
        let guid = "9188040d-6c67-4c5b-b112-36a304b66dad";
        let filled = issuer_for_tenant(ENTRA_TEMPLATE, Some(guid)).unwrap();
        assert_eq!(filled, format!("https://login.microsoftonline.com/{guid}/v2.0"));
        for bad in [None, Some(""), Some("common"), Some("../../evil"), Some("{tenantid}")] {
            assert_eq!(issuer_for_tenant(ENTRA_TEMPLATE, bad), None);
        }
        assert_eq!(issuer_for_tenant("https://op.example", Some("x")).as_deref(), Some("https://op.example"));
    }
}
