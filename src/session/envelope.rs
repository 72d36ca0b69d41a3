//! Sealing: bytes that travel through the browser and come back unread and unchanged.
//!
//! An envelope is `1.<key id>.<base64url(nonce, ciphertext, tag)>`: version, which secret, XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha-03) under a key that HKDF-SHA256 (RFC 5869) derives for one purpose and one `redirect_uri`.
//! The cipher was chosen by measurement inside WebAssembly, where AES has no hardware (ARCHITECTURE.md, "Speed"); its
//! nonce is long enough to be drawn at random.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::entropy::Entropy;
use crate::secret::Secret;

const VERSION: &str = "1";
const NONCE_BYTES: usize = 24;

/// Longest accepted envelope: beyond it nothing of ours was sealed, so nothing is decoded.
const MAX_ENVELOPE_BYTES: usize = 48 * 1024;

/// What a sealed value is for. One cannot be presented as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Session,
    Tokens,
    LoginAttempt,
}

impl Purpose {
    const ALL: [Purpose; 3] = [Purpose::Session, Purpose::Tokens, Purpose::LoginAttempt];

    fn label(self) -> &'static str {
        match self {
            Purpose::Session => "session",
            Purpose::Tokens => "tokens",
            Purpose::LoginAttempt => "login-attempt",
        }
    }
}

/// The keys of every configured secret. Seals with the first, opens with any, so that changing the secret logs nobody out.
pub struct KeyRing(Vec<PurposeKeys>);

struct PurposeKeys {
    /// Tells which secret sealed an envelope. Not secret, not proof of anything.
    id: String,
    ciphers: [XChaCha20Poly1305; Purpose::ALL.len()],
}

impl KeyRing {
    /// Derives the keys. `redirect_uri` separates applications that share a secret by mistake.
    pub fn derive(secrets: &[Secret], redirect_uri: &str) -> Self {
        Self(secrets.iter().map(|secret| PurposeKeys::derive(secret, redirect_uri)).collect())
    }

    /// Seals with the first secret. Two calls with the same bytes give different envelopes.
    pub fn seal(&self, purpose: Purpose, plaintext: &[u8], entropy: &mut dyn Entropy) -> String {
        let Some(keys) = self.0.first() else { return String::new() };
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        let payload = Payload { msg: plaintext, aad: purpose.label().as_bytes() };
        // Fails only for plaintexts of 256 GiB; an empty envelope opens nowhere.
        let Ok(ciphertext) = keys.ciphers[purpose as usize].encrypt(&XNonce::from(nonce), payload) else { return String::new() };
        let sealed = [nonce.as_slice(), &ciphertext].concat();
        format!("{VERSION}.{}.{}", keys.id, URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens an envelope, or does not: there is no finer answer for anybody to learn from.
    pub fn open(&self, purpose: Purpose, envelope: &str) -> Option<Vec<u8>> {
        if envelope.len() > MAX_ENVELOPE_BYTES {
            return None;
        }
        let (key_id, sealed) = envelope.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')?;
        let keys = self.0.iter().find(|keys| keys.id == key_id)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: ciphertext, aad: purpose.label().as_bytes() };
        keys.ciphers[purpose as usize].decrypt(&XNonce::from(*nonce), payload).ok()
    }
}

impl PurposeKeys {
    fn derive(secret: &Secret, redirect_uri: &str) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, secret.expose().as_bytes());
        let expand = |label: &str, output: &mut [u8]| {
            // Fails only beyond 255 blocks of output; these are one block.
            hkdf.expand_multi_info(&[b"vestibule/1/", label.as_bytes(), b"/", redirect_uri.as_bytes()], output).is_ok()
        };
        let mut id = [0; 6];
        expand("key-id", &mut id);
        let ciphers = Purpose::ALL.map(|purpose| {
            let mut key = zeroize::Zeroizing::new([0; 32]);
            expand(purpose.label(), key.as_mut_slice());
            XChaCha20Poly1305::new((&*key).into())
        });
        Self { id: URL_SAFE_NO_PAD.encode(id), ciphers }
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({} secrets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Fixed;

    fn ring(secrets: &[&str]) -> KeyRing {
        let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        KeyRing::derive(&secrets, "https://app.example/oauth2callback")
    }

    #[test]
    fn opens_what_it_sealed_and_seals_differently_each_time() {
        let (ring, mut entropy) = (ring(&["one"]), Fixed::default());
        let first = ring.seal(Purpose::Session, b"hello", &mut entropy);
        let second = ring.seal(Purpose::Session, b"hello", &mut entropy);
        assert_ne!(first, second);
        assert_eq!(ring.open(Purpose::Session, &first).as_deref(), Some(b"hello".as_slice()));
        assert_eq!(ring.open(Purpose::Session, &second).as_deref(), Some(b"hello".as_slice()));
    }

    #[test]
    fn refuses_every_single_bit_change() {
        let ring = ring(&["one"]);
        let sealed = ring.seal(Purpose::Session, b"{\"sub\":\"alice\"}", &mut Fixed::default());
        for index in 0..sealed.len() {
            for bit in 0..8 {
                let mut bytes = sealed.clone().into_bytes();
                bytes[index] ^= 1 << bit;
                if let Ok(changed) = String::from_utf8(bytes) {
                    assert_eq!(ring.open(Purpose::Session, &changed), None, "byte {index}, bit {bit}");
                }
            }
        }
    }

    #[test]
    fn separates_purposes_secrets_and_applications() {
        let mut entropy = Fixed::default();
        let sealed = ring(&["one"]).seal(Purpose::Session, b"x", &mut entropy);
        assert_eq!(ring(&["one"]).open(Purpose::LoginAttempt, &sealed), None);
        assert_eq!(ring(&["one"]).open(Purpose::Tokens, &sealed), None);
        assert_eq!(ring(&["two"]).open(Purpose::Session, &sealed), None);
        let elsewhere = KeyRing::derive(&[Secret::new("one")], "https://other.example/oauth2callback");
        assert_eq!(elsewhere.open(Purpose::Session, &sealed), None);
    }

    #[test]
    fn opens_with_older_secrets_and_seals_with_the_first() {
        let mut entropy = Fixed::default();
        let old = ring(&["one"]).seal(Purpose::Session, b"x", &mut entropy);
        let rotated = ring(&["two", "one"]);
        assert!(rotated.open(Purpose::Session, &old).is_some());
        let new = rotated.seal(Purpose::Session, b"x", &mut entropy);
        assert!(ring(&["one"]).open(Purpose::Session, &new).is_none());
        assert!(ring(&["two"]).open(Purpose::Session, &new).is_some());
    }

    #[test]
    fn opens_nothing_that_is_not_an_envelope() {
        let ring = ring(&["one"]);
        let sealed = ring.seal(Purpose::Session, b"x", &mut Fixed::default());
        let id = sealed.split('.').nth(1).unwrap();
        for other in [
            "",
            "1",
            "1.",
            "1..",
            "2.a.b",
            &format!("1.{id}."),
            &format!("1.{id}.AAAA"),
            &format!("1.{id}.%%%"),
            &format!("{sealed}="),
            &sealed[1..],
        ] {
            assert_eq!(ring.open(Purpose::Session, other), None, "{other}");
        }
    }
}
