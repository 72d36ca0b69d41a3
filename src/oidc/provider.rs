//! A provider that users log in with: its settings, and what they demand of a login.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

use super::issuer::ExpectedIssuer;
use super::logout_url::LogoutUrl;
use crate::claims::{Claim, Claims};
use crate::secret::Secret;
use crate::time::UnixTime;

/// Microsoft Entra's tenant of personal accounts, which everybody can have.
pub(crate) const ENTRA_CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// No chance: the operator chooses the URLs.
const METADATA_TAG_BYTES: usize = 9;

/// How the token endpoint learns that it is us (OIDC Core section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ClientAuthentication {
    Basic,
    Post,
    None,
}

/// What a login must show beyond being one, because the authorization request asked for it.
///
/// The request passes through the user's hands, who can take a parameter out; only the ID token tells what was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// `max_age`: the longest time between the person's authentication and the authorization request.
    pub max_age: Option<Duration>,
    /// `acr_values`: the ID token's `acr` is one of these; empty for any or none.
    pub acr_values: Vec<String>,
    /// `hd`, Google's: the account belongs to this domain, or with `*` to any organisation.
    pub hosted_domain: Option<String>,
}

/// A provider that people can log in with.
#[derive(Debug)]
pub struct Provider {
    /// The user's word for it; `default` for the one in `[auth]` itself.
    pub name: String,
    /// What people read on the button.
    pub title: String,
    pub client_id: String,
    pub client_secret: Option<Secret>,
    pub metadata_url: Url,
    pub expected_issuer: ExpectedIssuer,
    /// Entra tenants (GUIDs) that may log in; empty for all that the endpoint lets through.
    pub tenants: Vec<String>,
    /// Audiences that an ID token may have beside ours (OIDC Core section 3.1.3.7, step 3).
    pub audiences: Vec<String>,
    /// How far its clock may be from ours.
    pub clock_skew: Duration,
    pub requirements: Requirements,
    pub scope: String,
    /// Authorization request parameters beyond those of the protocol, in order.
    pub authorize_params: Vec<(String, String)>,
    /// Whether `prompt=select_account` is sent though nobody wrote it, as Streamlit does.
    pub asks_for_account: bool,
    /// Where it logs people out, in place of the `end_session_endpoint` of its metadata.
    pub logout_url: Option<LogoutUrl>,
    /// Where it sends the browser after a logout; `None` for the redirect URI.
    pub post_logout_redirect_uri: Option<Url>,
    /// `None`: chosen from the provider's metadata.
    pub client_authentication: Option<ClientAuthentication>,
    /// Whether claims are completed from the userinfo endpoint.
    pub userinfo: bool,
    /// Whether an address counts as verified when the provider does not say whether it is.
    pub trust_email: bool,
}

/// What of a login does not meet its provider's section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    Issuer,
    Tenant,
    /// `acr_values`
    AuthenticationContext,
    /// `max_age`
    AuthenticationTime,
    /// `max_age`, of an authentication that is still to come.
    AuthenticationInFuture,
    /// `hd`
    HostedDomain,
}

/// A login, as its ID token tells of it: what is held against the provider's section when the login comes back, and again
/// against the section in force whenever its session is opened.
#[derive(Clone, Copy, Debug)]
pub struct ProvenLogin<'a> {
    /// Of the ID token. Those that are looked at here are never another source's (`oidc::userinfo`).
    pub claims: &'a Claims<'a>,
    /// When the authorization request was made.
    pub requested_at: UnixTime,
    /// When the login came back.
    pub proven_at: UnixTime,
    /// [`Provider::metadata_tag`] of the section that the login was made under.
    pub metadata_tag: &'a str,
}

impl Provider {
    /// The one of that name.
    pub fn find<'a>(providers: &'a [Self], name: &str) -> Option<&'a Self> {
        providers.iter().find(|provider| provider.name == name)
    }

    /// Whether a login meets what this section demands: its issuer and tenants, `acr_values`, `max_age` and `hd`. The
    /// client id is the audience's (`oidc::id_token`) and the session's.
    ///
    /// The authorization request passes through the user's hands, who can take a parameter out: only the ID token tells
    /// what was done (steps 12 and 13 of OIDC Core section 3.1.3.7, and what Google's documentation asks for of `hd`).
    ///
    /// # Errors
    /// [`Unmet`], with the first demand that is not met; one that nothing is known about is not.
    pub fn admits(&self, login: &ProvenLogin<'_>) -> Result<(), Unmet> {
        let text = |name: &str| login.claims.text(name);
        let is_issuer = text("iss").is_some_and(|iss| self.expected_issuer.admits_token(iss, text("tid")));
        // A domain's metadata names the issuer, and nothing else does.
        let is_same_metadata = self.expected_issuer != ExpectedIssuer::EntraDomain || login.metadata_tag == self.metadata_tag();
        if !is_issuer || !is_same_metadata {
            return Err(Unmet::Issuer);
        }
        if !self.admits_tenant(text("tid")) {
            return Err(Unmet::Tenant);
        }
        let Requirements { max_age, acr_values, hosted_domain } = &self.requirements;
        if !acr_values.is_empty() && !text("acr").is_some_and(|acr| acr_values.iter().any(|value| value == acr)) {
            return Err(Unmet::AuthenticationContext);
        }
        if let Some(max_age) = max_age {
            let at = login.claims.get("auth_time").and_then(Claim::as_numeric_date).ok_or(Unmet::AuthenticationTime)?;
            if login.requested_at.since(at) > max_age.saturating_add(self.clock_skew) {
                return Err(Unmet::AuthenticationTime);
            }
            if at > login.proven_at.after(self.clock_skew) {
                return Err(Unmet::AuthenticationInFuture);
            }
        }
        match hosted_domain.as_deref() {
            Some("*") if !text("hd").is_some_and(is_domain) => Err(Unmet::HostedDomain),
            Some("*") | None => Ok(()),
            Some(domain) if text("hd").is_some_and(|hd| hd.eq_ignore_ascii_case(domain)) => Ok(()),
            Some(_) => Err(Unmet::HostedDomain),
        }
    }

    /// `prompt` of its authorization requests, as it is configured.
    pub fn prompt(&self) -> Option<&str> {
        self.authorize_params.iter().find(|(name, _)| name == "prompt").map(|(_, value)| value.as_str())
    }

    /// A short name of the metadata URL, for what is sealed under this section.
    pub fn metadata_tag(&self) -> String {
        URL_SAFE_NO_PAD.encode(&Sha256::digest(self.metadata_url.as_str())[..METADATA_TAG_BYTES])
    }

    /// Whether a tenant may log in.
    fn admits_tenant(&self, tid: Option<&str>) -> bool {
        self.tenants.is_empty() || tid.is_some_and(|tid| self.tenants.iter().any(|tenant| tenant.eq_ignore_ascii_case(tid)))
    }

    /// The e-mail address of the claims, when nothing says that it may be somebody else's.
    ///
    /// An address that the provider calls unverified proves nothing, and neither does any address of a personal account at
    /// Microsoft, or of a tenant that nobody here chose: its administrator may have written what he liked (`xms_edov` says that Entra checked it).
    pub fn proven_email<'a>(&self, claims: &'a Claims<'_>) -> Option<&'a str> {
        let verified = claims.get("email_verified").is_none_or(Claim::is_true);
        let any_tenant = self.expected_issuer == ExpectedIssuer::EntraAnyTenant && self.tenants.is_empty();
        // Of a personal account there is no administrator who knows its user.
        let is_personal = claims.text("tid").is_some_and(|tid| tid.eq_ignore_ascii_case(ENTRA_CONSUMERS));
        let trusted = !(any_tenant || is_personal) || claims.get("xms_edov").is_some_and(Claim::is_true);
        // A verdict is about one address: of several, or of what is no text, it says nothing.
        claims.text("email").filter(|_| verified && trusted)
    }

    /// The e-mail address of the claims, when it is good enough to let somebody in by it: proven, and verified in so
    /// many words, unless the provider is trusted to have no others.
    pub fn verified_email<'a>(&self, claims: &'a Claims<'_>) -> Option<&'a str> {
        let verified =
            self.trust_email || ["email_verified", "xms_edov"].into_iter().any(|name| claims.get(name).is_some_and(Claim::is_true));
        self.proven_email(claims).filter(|_| verified)
    }
}

/// Whether a text is the name of a domain that an organisation can have: one with a dot within.
fn is_domain(text: &str) -> bool {
    let is_name = matches!(Host::parse(text), Ok(Host::Domain(_)));
    is_name && text.split('.').count() > 1 && text.split('.').all(|label| !label.is_empty())
}
