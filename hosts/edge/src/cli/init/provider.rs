//! The providers that `vestibule init` knows: what their issuer is made of, and what their tokens need.

use clap::ValueEnum;
use url::{Host, Url};
use vestibule::config::is_open_tenant;

/// The end of every metadata URL (OpenID Connect Discovery 1.0, section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// A provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Google,
    Entra,
    Okta,
    Auth0,
    Keycloak,
    Cognito,
    Gitlab,
    Zitadel,
    Authentik,
    Other,
}

/// What tells one customer of a provider from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Every customer has the same issuer, this one.
    Nothing(&'static str),
    /// The tenant of Microsoft Entra.
    Tenant,
    /// The issuer; one for example.
    Issuer(&'static str),
}

/// Where the groups of a user are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups {
    pub claim: &'static str,
    pub shape: Option<&'static str>,
    /// A scope that has to be asked for.
    pub scope: Option<&'static str>,
}

impl Kind {
    pub fn title(self) -> &'static str {
        match self {
            Self::Google => "Google",
            Self::Entra => "Microsoft Entra",
            Self::Okta => "Okta",
            Self::Auth0 => "Auth0",
            Self::Keycloak => "Keycloak",
            Self::Cognito => "Amazon Cognito",
            Self::Gitlab => "GitLab",
            Self::Zitadel => "ZITADEL",
            Self::Authentik => "authentik",
            Self::Other => "another provider",
        }
    }

    pub fn asks(self) -> Asks {
        match self {
            Self::Google => Asks::Nothing("https://accounts.google.com"),
            Self::Entra => Asks::Tenant,
            Self::Okta => Asks::Issuer("https://acme.okta.com"),
            Self::Auth0 => Asks::Issuer("https://acme.eu.auth0.com"),
            Self::Keycloak => Asks::Issuer("https://login.example.com/realms/acme"),
            Self::Cognito => Asks::Issuer("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"),
            Self::Gitlab => Asks::Issuer("https://gitlab.com"),
            Self::Zitadel => Asks::Issuer("https://acme-abc123.zitadel.cloud"),
            Self::Authentik => Asks::Issuer("https://auth.example.com/application/o/shop/"),
            Self::Other => Asks::Issuer("https://login.example.com"),
        }
    }

    /// The issuer if none is named: that of the service which the provider runs for everybody.
    pub fn usual_issuer(self) -> Option<&'static str> {
        (self == Self::Gitlab).then_some("https://gitlab.com")
    }

    /// Whether its logout page is at a domain that its issuer does not tell.
    pub fn has_logout_domain(self) -> bool {
        self == Self::Cognito
    }

    /// `None`: its tokens have no groups unless a claim is made for them.
    pub fn groups(self, issuer: &Url) -> Option<Groups> {
        let groups = |claim| Groups { claim, shape: None, scope: None };
        match self {
            Self::Google | Self::Auth0 => None,
            // The authorization server of the organisation has no path, and gives groups for this scope.
            Self::Okta if issuer.path() == "/" => Some(Groups { scope: Some("groups"), ..groups("groups") }),
            Self::Cognito => Some(groups("cognito:groups")),
            Self::Zitadel => Some(Groups { shape: Some("keys"), ..groups("urn:zitadel:iam:org:project:roles") }),
            _ => Some(groups("groups")),
        }
    }

    /// Whether its ID tokens lack what its userinfo endpoint has.
    pub fn needs_userinfo(self) -> bool {
        matches!(self, Self::Gitlab | Self::Zitadel)
    }

    /// Whether it says of no address that it is verified, although the organisation's administrator sets it.
    pub fn has_unstated_addresses(self) -> bool {
        self == Self::Entra
    }
}

/// The metadata of an issuer. The URL of the metadata itself is understood as well.
pub fn metadata_url(issuer: &Url) -> String {
    let issuer = issuer.as_str().trim_end_matches('/');
    format!("{}{WELL_KNOWN}", issuer.strip_suffix(WELL_KNOWN).unwrap_or(issuer))
}

/// An issuer as it is written.
///
/// # Errors
/// What is wrong with it.
pub fn issuer(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|_| format!("`{text}` is not a URL; write https://login.example.com for example"))?;
    if url.query().is_some() || url.fragment().is_some() || !url.has_host() || !url.username().is_empty() || url.password().is_some() {
        return Err(format!("`{text}` is not an issuer; write scheme, host and path only: https://login.example.com/realms/acme"));
    }
    if !vestibule::web::origin::is_confidential(&url) {
        return Err(format!("`{text}` is not https, so that others could read the client secret; write https://"));
    }
    Ok(url)
}

/// The logout page of an Amazon Cognito user pool at its domain, as a setting `logout_url`.
///
/// # Errors
/// It is no domain.
pub fn cognito_logout(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('/');
    let url = Url::parse(if text.contains("://") { text.to_owned() } else { format!("https://{text}") }.as_str()).ok();
    let origin = url.filter(|url| {
        let is_domain = matches!(url.host(), Some(Host::Domain(name)) if name.contains('.'));
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        url.scheme() == "https" && is_domain && is_bare && url.password().is_none()
    });
    let origin = origin.ok_or_else(|| {
        format!("`{text}` is not the domain of a user pool; write acme.auth.eu-central-1.amazoncognito.com, or your own domain of it")
    })?;
    Ok(format!("{}/logout?client_id={{client_id}}&logout_uri={{return_to}}", origin.origin().ascii_serialization()))
}

/// The issuer of a tenant of Microsoft Entra.
///
/// # Errors
/// It is none, or one that every account at Microsoft belongs to.
pub fn tenant(text: &str) -> Result<Url, String> {
    let text = text.trim();
    if is_open_tenant(text) {
        return Err(format!(
            "`{text}` stands for accounts that are not of your organisation; write the directory (tenant) ID of your organisation"
        ));
    }
    let is_guid = text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_domain = text.contains('.') && text.split('.').all(is_label);
    if !(is_domain || is_guid && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')) {
        return Err(format!("`{text}` is neither the ID of a tenant nor a domain; the ID is on the application's page \"Overview\""));
    }
    Url::parse(&format!("https://login.microsoftonline.com/{text}/v2.0")).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_one_address_of_its_metadata() {
        for (text, url) in [
            ("https://accounts.google.com", "https://accounts.google.com/.well-known/openid-configuration"),
            ("https://a.example/o/shop/", "https://a.example/o/shop/.well-known/openid-configuration"),
            ("https://a.example/.well-known/openid-configuration", "https://a.example/.well-known/openid-configuration"),
            ("http://localhost:8080/realms/acme", "http://localhost:8080/realms/acme/.well-known/openid-configuration"),
        ] {
            assert_eq!(metadata_url(&issuer(text).expect(text)), url);
        }
        for wrong in ["", "acme.okta.com", "http://acme.okta.com", "https://a.example/?a", "https://u:p@a.example", "ftp://a.example"] {
            assert!(issuer(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_domain_of_cognito_has_a_logout_page() {
        let page = "https://acme.auth.eu-central-1.amazoncognito.com/logout?client_id={client_id}&logout_uri={return_to}";
        for good in [
            "acme.auth.eu-central-1.amazoncognito.com",
            "https://acme.auth.eu-central-1.amazoncognito.com",
            " https://Acme.auth.eu-central-1.amazoncognito.com/ ",
        ] {
            assert_eq!(cognito_logout(good).as_deref(), Ok(page), "{good}");
        }
        for wrong in ["", "acme", "http://login.acme.example", "https://login.acme.example/logout", "https://u:p@a.example", "192.0.2.1"] {
            assert!(cognito_logout(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_tenant_is_one_organisation() {
        for good in ["8eaef023-2b34-4da1-9baa-8bc8c9d6a490", "acme.onmicrosoft.com", "acme.example"] {
            let url = tenant(good).expect(good);
            assert_eq!(metadata_url(&url), format!("https://login.microsoftonline.com/{good}/v2.0{WELL_KNOWN}"));
        }
        let shared = ["common", "organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad", "live.com", "outlook.com", "msn.com"];
        for wrong in shared.into_iter().chain(["Common", "9188040D-6C67-4C5B-B112-36A304B66DAD", "Live.com", "hotmail.de", "gmail.com"]) {
            assert!(tenant(wrong).is_err_and(|told| told.contains("are not of your organisation")), "{wrong}");
        }
        for wrong in ["", "acme", "a/b.c", "a.b?c", "8eaef023-2b34-4da1-9baa-8bc8c9d6a49g"] {
            assert!(tenant(wrong).is_err(), "{wrong}");
        }
    }
}
