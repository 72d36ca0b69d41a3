//! The account that a request is made with: a provider's word on somebody.

use crate::claims::{self, Claim, Claims};
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

    /// The name by which its owner knows it, for a page that only he sees; printable, of at most 100 characters.
    pub fn label(&self) -> String {
        let text = |name: &str| self.claims.text(name).filter(|text| !text.trim().is_empty());
        let name = ["email", "preferred_username", "name", "sub"].into_iter().find_map(text).unwrap_or("an account without a name");
        name.chars().take(MAX_LABEL).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    }
}
