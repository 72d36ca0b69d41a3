//! Which issuer is believed: the rule for metadata, for tokens, and for sessions that were made from them.

/// Which `issuer` the metadata, and then every ID token, must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedIssuer {
    /// Exactly this one, or with a slash at its end (Auth0 has one; the metadata URL cannot tell).
    Exact(String),
    /// Microsoft Entra's multi-tenant endpoints: the metadata names `…/{tenantid}/v2.0`, a token its own tenant (`tid`).
    EntraAnyTenant,
    /// Microsoft Entra asked by a domain name: it answers with the tenant's GUID.
    EntraDomain,
}

/// The literal issuer of Entra's multi-tenant metadata.
const ENTRA_TEMPLATE: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";

impl ExpectedIssuer {
    /// Whether metadata that names this issuer is the provider's (OpenID Connect Discovery 1.0 section 4.3).
    pub fn admits_metadata(&self, issuer: &str) -> bool {
        self.admits_token(issuer) || (*self == Self::EntraAnyTenant && issuer == ENTRA_TEMPLATE)
    }

    /// Whether a token of this issuer can be the provider's. A token is compared with its metadata besides.
    pub fn admits_token(&self, issuer: &str) -> bool {
        match self {
            // Discovery section 4.1 removes a terminating slash before it appends `.well-known`, so both forms lead here.
            Self::Exact(expected) => issuer == expected || issuer.strip_suffix('/') == Some(expected.as_str()),
            Self::EntraAnyTenant | Self::EntraDomain => entra_tenant(issuer).is_some(),
        }
    }
}

/// The issuer that a token must name: with Entra's template, that of the token's own tenant.
///
/// Microsoft's documentation of the v2.0 endpoint ("Validate the issuer"): replace `{tenantid}` by the `tid` claim, then
/// compare exactly. A `tid` that is no GUID could bring a path of its own.
pub(crate) fn issuer_for_tenant(metadata_issuer: &str, tid: Option<&str>) -> Option<String> {
    if metadata_issuer != ENTRA_TEMPLATE {
        return Some(metadata_issuer.to_owned());
    }
    let tid = tid.filter(|tid| is_guid(tid))?;
    Some(ENTRA_TEMPLATE.replace("{tenantid}", tid))
}

/// The tenant's GUID in an issuer of Microsoft Entra v2.
fn entra_tenant(issuer: &str) -> Option<&str> {
    let (before, after) = ENTRA_TEMPLATE.split_once("{tenantid}")?;
    issuer.strip_prefix(before)?.strip_suffix(after).filter(|tenant| is_guid(tenant))
}

/// Of the form that Entra gives tenants: `9188040d-6c67-4c5b-b112-36a304b66dad`.
pub(super) fn is_guid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";

    #[test]
    fn only_the_expected_issuer_is_believed() {
        let exact = ExpectedIssuer::Exact("https://op.example".into());
        assert!(exact.admits_metadata("https://op.example"));
        assert!(exact.admits_metadata("https://op.example/"), "Auth0");
        for other in ["https://op.example//", "https://op.example1", "http://op.example", "https://op.example/x", "", "HTTPS://op.example"]
        {
            assert!(!exact.admits_metadata(other) && !exact.admits_token(other), "{other}");
        }
        for expected in [ExpectedIssuer::EntraAnyTenant, ExpectedIssuer::EntraDomain] {
            assert!(expected.admits_metadata(TENANT) && expected.admits_token(TENANT));
            for other in ["https://login.microsoftonline.com/evil/v2.0", "https://evil.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"] {
                assert!(!expected.admits_metadata(other) && !expected.admits_token(other), "{other}");
            }
        }
        assert!(ExpectedIssuer::EntraAnyTenant.admits_metadata(ENTRA_TEMPLATE));
        assert!(!ExpectedIssuer::EntraAnyTenant.admits_token(ENTRA_TEMPLATE));
        assert!(!ExpectedIssuer::EntraDomain.admits_metadata(ENTRA_TEMPLATE));
    }

    #[test]
    fn the_template_takes_guids_only() {
        let guid = "9188040d-6c67-4c5b-b112-36a304b66dad";
        assert_eq!(issuer_for_tenant(ENTRA_TEMPLATE, Some(guid)).as_deref(), Some(TENANT));
        for bad in [None, Some(""), Some("common"), Some("../../evil"), Some("{tenantid}")] {
            assert_eq!(issuer_for_tenant(ENTRA_TEMPLATE, bad), None);
        }
        assert_eq!(issuer_for_tenant("https://op.example", Some("x")).as_deref(), Some("https://op.example"));
    }
}
