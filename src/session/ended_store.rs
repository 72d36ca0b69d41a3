//! What the list of ended sessions is known by in a store that others may use too, and what its entries are authenticated with.
//!
//! Keys are derived as those of cookies (`envelope.rs`), with the label `ended-entry`: nobody else can add an entry. The name of the
//! list is a digest of `redirect_uri`: nodes that have the same sessions have the same list, whichever secret is the first.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};

use crate::secret::Secret;

/// Far fewer lists are in one store than would meet by chance.
const LIST_BYTES: usize = 12;

/// A key for the entries of the list (HMAC-SHA-256).
#[derive(Clone, PartialEq, Eq)]
pub struct EntryKey([u8; 32]);

impl EntryKey {
    pub(crate) fn derive(secret: &Secret, redirect_uri: &str) -> Self {
        let mut key = [0; 32];
        // RFC 5869 section 2.3: any length up to 255 times 32 bytes can be had.
        let _ = Hkdf::<Sha256>::new(None, secret.expose().as_bytes())
            .expand_multi_info(&[b"vestibule/1/ended-entry/", redirect_uri.as_bytes()], &mut key);
        Self(key)
    }

    /// The key itself.
    pub fn expose(&self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EntryKey(…)")
    }
}

/// The name of the list of an application.
pub(crate) fn list_name(redirect_uri: &str) -> String {
    let digest = Sha256::new().chain_update("vestibule/1/ended-list/").chain_update(redirect_uri).finalize();
    URL_SAFE_NO_PAD.encode(&digest[..LIST_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_depend_on_the_secret_and_on_the_application_and_are_not_shown() {
        let key = |secret: &str, uri: &str| EntryKey::derive(&Secret::new(secret.to_owned()), uri);
        assert_eq!(key("one", "https://a.example/oauth2callback"), key("one", "https://a.example/oauth2callback"));
        assert_ne!(key("one", "https://a.example/oauth2callback"), key("two", "https://a.example/oauth2callback"));
        assert_ne!(key("one", "https://a.example/oauth2callback"), key("one", "https://b.example/oauth2callback"));
        assert_ne!(key("one", "").expose(), [0; 32]);
        assert_eq!(format!("{:?}", key("one", "")), "EntryKey(…)");
    }

    #[test]
    fn each_application_has_a_list() {
        assert_eq!(list_name("https://a.example/oauth2callback").len(), 16);
        assert_ne!(list_name("https://a.example/oauth2callback"), list_name("https://b.example/oauth2callback"));
    }
}
