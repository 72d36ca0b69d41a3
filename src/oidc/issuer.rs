//! Which issuer is believed: the rule for metadata, for tokens, and for sessions that were made from them.

use std::fmt;

use super::error::shown;

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

/// In words for the log.
impl fmt::Display for ExpectedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(issuer) => write!(f, "`{}`", shown(issuer)),
            Self::EntraAnyTenant => write!(f, "`{ENTRA_TEMPLATE}`, or the same of a tenant"),
            Self::EntraDomain => write!(f, "`{ENTRA_TEMPLATE}` with the tenant's GUID"),
        }
    }
}

/// What every issuer of Microsoft Entra begins with.
const ENTRA: &str = "https://login.microsoftonline.com/";

/// The literal issuer of Entra's multi-tenant metadata, and of most of Entra's keys.
const ENTRA_TEMPLATE: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";

/// Google's issuer, and how its older tokens write it: Google's documentation of the ID token names both as valid. Only
/// the spelling differs; key, audience and nonce are Google's and this login's all the same. In metadata, and in the
/// `iss` of an authorization response, there is the first one only.
const GOOGLE: &str = "https://accounts.google.com";
const GOOGLE_WITHOUT_SCHEME: &str = "accounts.google.com";

impl ExpectedIssuer {
    /// Whether metadata that names this issuer is the provider's (OpenID Connect Discovery 1.0 section 4.3).
    pub fn admits_metadata(&self, issuer: &str) -> bool {
        match self {
            // Discovery section 4.1 removes a terminating slash before it appends `.well-known`, so both forms lead here.
            Self::Exact(expected) => issuer == expected || issuer.strip_suffix('/') == Some(expected.as_str()),
            Self::EntraAnyTenant => issuer == ENTRA_TEMPLATE || entra_tenant(issuer).is_some(),
            Self::EntraDomain => entra_tenant(issuer).is_some(),
        }
    }

    /// Whether a token of this issuer can be the provider's. A token is compared with its metadata besides.
    pub fn admits_token(&self, issuer: &str, tid: Option<&str>) -> bool {
        match self {
            Self::Exact(expected) if expected == GOOGLE && issuer == GOOGLE_WITHOUT_SCHEME => true,
            Self::EntraAnyTenant => issuer_for_tenant(ENTRA_TEMPLATE, tid).as_deref() == Some(issuer),
            _ => self.admits_metadata(issuer),
        }
    }
}

/// Whether a token that names the issuer `iss` and the tenant `tid` is of the issuer that the metadata names: exactly,
/// but for Google's older spelling and Entra's template.
pub(crate) fn is_issuer_of_token(metadata_issuer: &str, iss: &str, tid: Option<&str>) -> bool {
    (metadata_issuer == GOOGLE && iss == GOOGLE_WITHOUT_SCHEME) || issuer_for_tenant(metadata_issuer, tid).as_deref() == Some(iss)
}

/// Whether a key that names the issuer `key_issuer` may sign for a token of the issuer `iss` and the tenant `tid`.
///
/// Entra's key sets hold the keys of all its issuers, and each key says whose it is; Microsoft's documentation
/// ("Validate the signing key issuer") has it compared like the metadata's. Elsewhere `issuer` is not a member of a key,
/// and what is unknown is ignored (RFC 7517 section 4).
pub(crate) fn may_sign_for(key_issuer: &str, iss: &str, tid: Option<&str>) -> bool {
    !key_issuer.starts_with(ENTRA) || issuer_for_tenant(key_issuer, tid).as_deref() == Some(iss)
}

/// The issuer that a token must name: with Entra's template, that of the token's own tenant.
///
/// Microsoft's documentation of the v2.0 endpoint ("Validate the issuer"): replace `{tenantid}` by the `tid` claim, then
/// compare exactly. A `tid` that is no GUID could bring a path of its own.
fn issuer_for_tenant(metadata_issuer: &str, tid: Option<&str>) -> Option<String> {
    if metadata_issuer != ENTRA_TEMPLATE {
        return Some(metadata_issuer.to_owned());
    }
    let tid = tid.filter(|tid| is_guid(tid))?;
    Some(ENTRA_TEMPLATE.replace("{tenantid}", tid))
}

/// The tenant's GUID in an issuer of Microsoft Entra v2.
pub(super) fn entra_tenant(issuer: &str) -> Option<&str> {
    let (before, after) = ENTRA_TEMPLATE.split_once("{tenantid}")?;
    issuer.strip_prefix(before)?.strip_suffix(after).filter(|tenant| is_guid(tenant))
}

/// Of the form that Entra gives tenants: `9188040d-6c67-4c5b-b112-36a304b66dad`.
pub(crate) fn is_guid(text: &str) -> bool {
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
            assert!(!exact.admits_metadata(other) && !exact.admits_token(other, None), "{other}");
        }
        for expected in [ExpectedIssuer::EntraAnyTenant, ExpectedIssuer::EntraDomain] {
            assert!(expected.admits_metadata(TENANT) && expected.admits_token(TENANT, Some("9188040d-6c67-4c5b-b112-36a304b66dad")));
            for other in ["https://login.microsoftonline.com/evil/v2.0", "https://evil.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"] {
                for tid in [None, Some("evil"), Some("9188040d-6c67-4c5b-b112-36a304b66dad")] {
                    assert!(!expected.admits_metadata(other) && !expected.admits_token(other, tid), "{other}");
                }
            }
        }
        assert!(ExpectedIssuer::EntraAnyTenant.admits_metadata(ENTRA_TEMPLATE));
        for tid in [None, Some("{tenantid}"), Some("72f988bf-86f1-41af-91ab-2d7cd011db47")] {
            assert!(!ExpectedIssuer::EntraAnyTenant.admits_token(ENTRA_TEMPLATE, tid));
            assert!(!ExpectedIssuer::EntraAnyTenant.admits_token(TENANT, tid), "a token's tenant is that of its issuer");
        }
        assert!(!ExpectedIssuer::EntraDomain.admits_metadata(ENTRA_TEMPLATE));
    }

    #[test]
    fn google_has_an_older_spelling_in_tokens_and_nobody_else_has() {
        let google = ExpectedIssuer::Exact(GOOGLE.into());
        assert!(google.admits_token(GOOGLE, None) && google.admits_token(GOOGLE_WITHOUT_SCHEME, None));
        assert!(google.admits_metadata(GOOGLE) && !google.admits_metadata(GOOGLE_WITHOUT_SCHEME));
        assert!(is_issuer_of_token(GOOGLE, GOOGLE, None) && is_issuer_of_token(GOOGLE, GOOGLE_WITHOUT_SCHEME, None));
        for other in ["http://accounts.google.com", "https://accounts.google.com/", "Accounts.google.com", "accounts.google.com.", ""] {
            assert!(!is_issuer_of_token(GOOGLE, other, None), "{other}");
        }
        let other = ExpectedIssuer::Exact("https://op.example".into());
        assert!(!other.admits_token(GOOGLE_WITHOUT_SCHEME, None) && !other.admits_token("op.example", None));
        assert!(!is_issuer_of_token("https://op.example", "op.example", None));
    }

    #[test]
    fn entras_keys_sign_for_the_issuer_that_they_name() {
        let (consumers, other) = ("9188040d-6c67-4c5b-b112-36a304b66dad", "72f988bf-86f1-41af-91ab-2d7cd011db47");
        let of_other = ENTRA_TEMPLATE.replace("{tenantid}", other);
        assert!(may_sign_for(ENTRA_TEMPLATE, TENANT, Some(consumers)) && may_sign_for(ENTRA_TEMPLATE, &of_other, Some(other)));
        assert!(may_sign_for(TENANT, TENANT, Some(consumers)));
        assert!(!may_sign_for(TENANT, &of_other, Some(other)), "the key of personal accounts, in the name of a company");
        assert!(!may_sign_for(ENTRA_TEMPLATE, TENANT, None) && !may_sign_for("https://login.microsoftonline.com/x", TENANT, None));
        assert!(may_sign_for("https://op.example", "https://other.example", None), "not Entra's, not a member of a key");
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
