//! Providers whose logout has a form of its own, which `logout_url` has to name.

use url::Url;

use super::findings::Findings;
use crate::oidc::issuer::ExpectedIssuer;

/// Amazon Cognito's logout takes `logout_uri` in place of `post_logout_redirect_uri`, at a domain that the issuer does not tell
/// (Amazon Cognito's developer guide, "The managed login sign-out endpoint").
const COGNITO: &str = "https://<your-domain>/logout?client_id={client_id}&logout_uri={return_to}";

/// Warns of a provider whose logout Vestibule cannot find without a `logout_url`.
pub(super) fn warn(provider: &str, issuer: &ExpectedIssuer, at: Option<usize>, findings: &Findings<'_>) {
    let ExpectedIssuer::Exact(issuer) = issuer else { return };
    if is_cognito(issuer) {
        let key = format!("vestibule.provider.{provider}.logout_url");
        let problem = "is missing: Amazon Cognito's logout has a form of its own, so a logout does not end the session at Cognito";
        let remedy = format!("write logout_url = \"{COGNITO}\", with the domain of the user pool (docs/providers/cognito.md)");
        findings.warning(at, &key, problem, remedy);
    }
}

/// `https://cognito-idp.<region>.amazonaws.com/<pool>`; in China, the domain ends in `.cn`.
fn is_cognito(issuer: &str) -> bool {
    let Some(host) = Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned)) else { return false };
    let Some(rest) = host.strip_prefix("cognito-idp.").or_else(|| host.strip_prefix("cognito-idp-fips.")) else { return false };
    let region = rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn"));
    region.is_some_and(|region| !region.is_empty() && !region.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cognito_is_known_by_its_issuer_and_nobody_else_is() {
        for issuer in [
            "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI",
            "https://cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_x",
            "https://cognito-idp-fips.us-east-1.amazonaws.com/us-east-1_x",
            "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_x",
        ] {
            assert!(is_cognito(issuer), "{issuer}");
        }
        for issuer in [
            "https://cognito-idp.amazonaws.com/x",
            "https://cognito-idp.eu-central-1.amazonaws.com.evil.example/x",
            "https://x.cognito-idp.eu-central-1.amazonaws.com/x",
            "https://op.example/cognito-idp.eu-central-1.amazonaws.com",
            "https://acme.auth.eu-central-1.amazoncognito.com",
        ] {
            assert!(!is_cognito(issuer), "{issuer}");
        }
    }
}
