//! The account that a request is made with: a provider's word on somebody.

use crate::claims::{self, Claim, Claims, GroupsClaim};
use crate::oidc::provider::Provider;

/// What of an account's name fits on a page.
const MAX_LABEL: usize = 100;

/// Who is logged in, as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    pub provider: &'a Provider,
    pub claims: &'a Claims<'a>,
}

impl<'a> Account<'a> {
    /// The e-mail address, when it is proven to be this person's.
    pub fn email(&self) -> Option<&'a str> {
        self.provider.verified_email(self.claims)
    }

    /// A claim by its name or JSON pointer. `email` is one only when it is proven to be this person's.
    pub(crate) fn claim(&self, name_or_pointer: &str) -> Option<Claim<'a>> {
        let found = self.claims.find(name_or_pointer);
        if claims::is_email(name_or_pointer) { found.filter(|_| self.email().is_some()) } else { found }
    }

    /// The groups; of a claim in another shape than the stated one there are none.
    pub(crate) fn groups(&self, groups: &GroupsClaim) -> Option<Claim<'a>> {
        let found = self.claims.groups(groups).ok().flatten();
        if claims::is_email(groups.name()) { found.filter(|_| self.email().is_some()) } else { found }
    }

    /// The name by which its owner knows it, for a page that only he sees; printable, of at most 100 characters.
    pub fn label(&self) -> String {
        let text = |name: &str| self.claims.text(name).filter(|text| !text.trim().is_empty());
        let name = ["email", "preferred_username", "name", "sub"].into_iter().find_map(text).unwrap_or("an account without a name");
        name.chars().take(MAX_LABEL).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::{Config, Source};

    const CONFIG: &str = r#"
[auth]
redirect_uri = "https://app.example/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
client_id = "a"
client_secret = "b"
server_metadata_url = "https://op.example/.well-known/openid-configuration"
"#;

    fn told(claims: &Value) -> Claims<'static> {
        Claims::from(claims.as_object().unwrap().clone())
    }

    #[test]
    fn an_address_is_a_claim_only_when_it_is_verified() {
        let config = Config::parse(&Source::new("f", CONFIG)).unwrap();
        for verified in [true, false] {
            let claims = told(&json!({ "sub": "1", "email": "a@x.example", "email_verified": verified }));
            let account = Account { provider: &config.providers[0], claims: &claims };
            for name in ["email", "/email"] {
                assert_eq!(account.claim(name).is_some(), verified, "{name}");
            }
            assert_eq!(account.claim("sub").and_then(Claim::as_text), Some("1"));
        }
    }

    #[test]
    fn a_label_is_printable_and_short() {
        let config = Config::parse(&Source::new("f", CONFIG)).unwrap();
        for (claims, label) in [
            (json!({ "email": " ", "name": "a\nb\u{1b}" }), "a\u{fffd}b\u{fffd}".to_owned()),
            (json!({ "sub": "x".repeat(MAX_LABEL + 1) }), "x".repeat(MAX_LABEL)),
            (json!({}), "an account without a name".to_owned()),
        ] {
            assert_eq!(Account { provider: &config.providers[0], claims: &told(&claims) }.label(), label, "{claims}");
        }
    }
}
