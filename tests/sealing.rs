//! Sealing, for contents and changes that nobody thought of.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

use proptest::prelude::*;
use vestibule::entropy::Fixed;
use vestibule::secret::Secret;
use vestibule::session::{KeyRing, Opened, Purpose};

const PURPOSES: [Purpose; 5] = Purpose::ALL;

fn ring(secret: &str) -> KeyRing {
    KeyRing::derive(&[Secret::new(secret)], "https://app.example/oauth2callback")
}

proptest! {
    #[test]
    fn what_is_sealed_opens_and_only_for_its_purpose(content in prop::collection::vec(any::<u8>(), 0..4096), purpose in 0..PURPOSES.len()) {
        let ring = ring("one");
        let sealed = ring.seal(PURPOSES[purpose], &content, &mut Fixed::default());
        prop_assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')), "fit for a cookie");
        for (index, other) in PURPOSES.into_iter().enumerate() {
            prop_assert_eq!(ring.open(other, &sealed).map(|Opened { plaintext, .. }| plaintext), (index == purpose).then(|| content.clone()));
        }
    }

    #[test]
    fn any_bit_that_changes_opens_nothing(content in prop::collection::vec(any::<u8>(), 0..512), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let ring = ring("one");
        let mut bytes = ring.seal(Purpose::Session, &content, &mut Fixed::default()).into_bytes();
        let index = at.index(bytes.len());
        bytes[index] ^= 1 << bit;
        if let Ok(changed) = String::from_utf8(bytes) {
            prop_assert_eq!(ring.open(Purpose::Session, &changed), None);
        }
    }

    #[test]
    fn cuts_and_additions_open_nothing(content in prop::collection::vec(any::<u8>(), 1..512), at in any::<prop::sample::Index>(), more in "[A-Za-z0-9._~=-]{1,8}") {
        let ring = ring("one");
        let sealed = ring.seal(Purpose::Session, &content, &mut Fixed::default());
        let index = at.index(sealed.len());
        prop_assert_eq!(ring.open(Purpose::Session, &sealed[..index]), None);
        prop_assert_eq!(ring.open(Purpose::Session, &format!("{sealed}{more}")), None);
        prop_assert_eq!(ring.open(Purpose::Session, &format!("{}{more}{}", &sealed[..index], &sealed[index..])), None);
    }

    #[test]
    fn no_text_opens(text in "\\PC{0,200}|[123]\\.[A-Za-z0-9_-]{8}\\.[A-Za-z0-9_-]{0,200}") {
        prop_assert_eq!(ring("one").open(Purpose::Session, &text), None);
    }

    #[test]
    fn another_secret_opens_nothing(secret in "[!-~]{32,64}", content in prop::collection::vec(any::<u8>(), 0..64)) {
        let sealed = ring("one").seal(Purpose::Session, &content, &mut Fixed::default());
        prop_assert_eq!(ring(&secret).open(Purpose::Session, &sealed), None);
    }
}
