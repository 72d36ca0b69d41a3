//! Sealing: bytes that travel through the browser and come back unread and unchanged.
//!
//! An envelope is `3.<key id>.<base64url(nonce, ciphertext, tag)>`: version, which secret, XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha-03) under a key that HKDF-SHA256 (RFC 5869) derives for one purpose and one `redirect_uri`.
//! The cipher was chosen by measurement inside WebAssembly, where AES has no hardware (ARCHITECTURE.md, "Speed"); its
//! nonce is long enough to be drawn at random.
//!
//! **Keys.** HKDF without salt, once for each secret; the info is `vestibule/1/<label>/<redirect_uri>`. The labels are those
//! of [`Purpose`], for 32 bytes each, and `key-id`, for 6 bytes that name the secret. The first secret seals, any opens.
//!
//! **Version.** It says how the plaintext is written. It is authenticated, so that no envelope is read as one of another
//! version: the associated data is `<version>/<label>`, and in version 1 the label alone. What belongs to something that
//! whoever opens it knows, as tokens belong to a session, has that behind another slash. Sessions and their tokens are sealed as
//! version 3, all else as version 2. Older ones are opened, and sealed no more: sessions of thirty days may be in them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::entropy::Entropy;
use crate::secret::Secret;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Longest accepted envelope: beyond it nothing of ours was sealed, so nothing is decoded.
const MAX_ENVELOPE_BYTES: usize = 48 * 1024;

/// What a sealed value is for. One cannot be presented as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Session,
    Tokens,
    LoginAttempt,
    WayBack,
    RefreshToken,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Purpose; 5] = [Purpose::Session, Purpose::Tokens, Purpose::LoginAttempt, Purpose::WayBack, Purpose::RefreshToken];

    fn label(self) -> &'static str {
        match self {
            Purpose::Session => "session",
            Purpose::Tokens => "tokens",
            Purpose::LoginAttempt => "login-attempt",
            Purpose::WayBack => "way-back",
            Purpose::RefreshToken => "refresh-token",
        }
    }

    /// What it is sealed as.
    fn version(self) -> Version {
        match self {
            Self::Session | Self::Tokens | Self::RefreshToken => Version::Three,
            Self::LoginAttempt | Self::WayBack => Version::Two,
        }
    }
}

/// How the plaintext of an envelope is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// JSON, whatever the purpose.
    One,
    /// As the part that seals it writes it.
    Two,
    /// As that part writes it by now.
    Three,
}

impl Version {
    fn label(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Two => "2",
            Self::Three => "3",
        }
    }

    /// The version of an envelope, and what stands behind it.
    fn of(envelope: &str) -> Option<(Self, &str)> {
        let (label, rest) = envelope.split_once('.')?;
        [Self::One, Self::Two, Self::Three].into_iter().find(|version| version.label() == label).map(|version| (version, rest))
    }

    /// The associated data: none but of version 1 was without the version. `owner`: what the envelope belongs to.
    fn associated(self, purpose: Purpose, owner: Option<&str>) -> Cow<'static, [u8]> {
        let fixed: &[u8] = match (self, purpose, owner) {
            (Self::One, ..) => purpose.label().as_bytes(),
            (Self::Two, Purpose::Session, _) => b"2/session",
            (Self::Two, Purpose::Tokens, _) => b"2/tokens",
            (Self::Two, Purpose::LoginAttempt, _) => b"2/login-attempt",
            (Self::Two, Purpose::WayBack, _) => b"2/way-back",
            (Self::Two, Purpose::RefreshToken, _) => b"2/refresh-token",
            (Self::Three, Purpose::Session, None) => b"3/session",
            (Self::Three, _, None) => return format!("3/{}", purpose.label()).into_bytes().into(),
            // No label has a slash.
            (Self::Three, _, Some(owner)) => return format!("3/{}/{owner}", purpose.label()).into_bytes().into(),
        };
        fixed.into()
    }
}

/// What an envelope held.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    pub version: Version,
    pub plaintext: Vec<u8>,
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
        self.seal_as(purpose.version(), purpose, None, plaintext, entropy)
    }

    /// Seals with the first secret, as version 3: it opens for this owner only.
    pub fn seal_for(&self, owner: &str, purpose: Purpose, plaintext: &[u8], entropy: &mut dyn Entropy) -> String {
        self.seal_as(Version::Three, purpose, Some(owner), plaintext, entropy)
    }

    fn seal_as(&self, version: Version, purpose: Purpose, owner: Option<&str>, plaintext: &[u8], entropy: &mut dyn Entropy) -> String {
        let Some(keys) = self.0.first() else { return String::new() };
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(NONCE_BYTES + plaintext.len() + TAG_BYTES);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let cipher = &keys.ciphers[purpose as usize];
        let associated = version.associated(purpose, owner);
        // Fails only for plaintexts of 256 GiB; an empty envelope opens nowhere.
        let Ok(tag) = cipher.encrypt_inout_detached(&XNonce::from(nonce), &associated, (&mut sealed[NONCE_BYTES..]).into()) else {
            return String::new();
        };
        sealed.extend_from_slice(&tag);
        format!("{}.{}.{}", version.label(), keys.id, URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens an envelope, or does not: there is no finer answer for anybody to learn from.
    pub fn open(&self, purpose: Purpose, envelope: &str) -> Option<Opened> {
        self.open_as(purpose, None, envelope)
    }

    /// Opens an envelope of this owner. One of version 1 or 2 does not tell whose it is: its content has to.
    pub fn open_for(&self, owner: &str, purpose: Purpose, envelope: &str) -> Option<Opened> {
        self.open_as(purpose, Some(owner), envelope)
    }

    fn open_as(&self, purpose: Purpose, owner: Option<&str>, envelope: &str) -> Option<Opened> {
        if envelope.len() > MAX_ENVELOPE_BYTES {
            return None;
        }
        let (version, rest) = Version::of(envelope)?;
        let (key_id, sealed) = rest.split_once('.')?;
        let keys = self.0.iter().find(|keys| keys.id == key_id)?;
        let mut sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        // Opened where it lies: a session is the longest thing that a request brings.
        let (tag_at, nonce) = (sealed.len().checked_sub(TAG_BYTES)?, *sealed.first_chunk::<NONCE_BYTES>()?);
        let (rest, tag) = sealed.split_at_mut_checked(tag_at)?;
        let tag = Tag::from(*tag.first_chunk::<TAG_BYTES>()?);
        let ciphertext = rest.get_mut(NONCE_BYTES..)?;
        keys.ciphers[purpose as usize]
            .decrypt_inout_detached(&XNonce::from(nonce), &version.associated(purpose, owner), ciphertext.into(), &tag)
            .ok()?;
        sealed.truncate(tag_at);
        sealed.drain(..NONCE_BYTES);
        Some(Opened { version, plaintext: sealed })
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
        for envelope in [first, second] {
            let opened = ring.open(Purpose::Session, &envelope);
            assert_eq!(opened, Some(Opened { version: Version::Three, plaintext: b"hello".to_vec() }));
        }
    }

    #[test]
    fn an_envelope_of_an_older_version_is_opened_and_is_none_of_another() {
        let (ring, versions) = (ring(&["one"]), [Version::One, Version::Two, Version::Three]);
        for purpose in Purpose::ALL {
            for version in versions {
                let sealed = ring.seal_as(version, purpose, None, b"{}", &mut Fixed::default());
                assert_eq!(ring.open(purpose, &sealed), Some(Opened { version, plaintext: b"{}".to_vec() }));
                for other in versions.into_iter().filter(|other| *other != version) {
                    assert_eq!(ring.open(purpose, &format!("{}{}", other.label(), &sealed[1..])), None);
                }
            }
        }
        for (purpose, version) in
            [(Purpose::Session, "3."), (Purpose::Tokens, "3."), (Purpose::LoginAttempt, "2."), (Purpose::WayBack, "2.")]
        {
            assert!(ring.seal(purpose, b"{}", &mut Fixed::default()).starts_with(version));
        }
    }

    #[test]
    fn what_belongs_to_something_opens_for_that_only() {
        let ring = ring(&["one"]);
        for purpose in Purpose::ALL {
            let sealed = ring.seal_for("alice", purpose, b"x", &mut Fixed::default());
            assert!(sealed.starts_with("3."));
            assert_eq!(ring.open_for("alice", purpose, &sealed), Some(Opened { version: Version::Three, plaintext: b"x".to_vec() }));
            for owner in ["", "alic", "alice2", "Alice"] {
                assert_eq!(ring.open_for(owner, purpose, &sealed), None, "{owner}");
            }
            assert_eq!(ring.open(purpose, &sealed), None);
            for other in Purpose::ALL.into_iter().filter(|other| *other != purpose) {
                assert_eq!(ring.open_for("alice", other, &sealed), None);
            }
            let nobodys = ring.seal_as(Version::Three, purpose, None, b"x", &mut Fixed::default());
            assert_eq!(ring.open_for("", purpose, &nobodys), None);
            // An older one says in its content whose it is.
            let older = ring.seal_as(Version::Two, purpose, None, b"x", &mut Fixed::default());
            assert_eq!(ring.open_for("alice", purpose, &older), ring.open(purpose, &older));
        }
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
            "2",
            "2.a.b",
            "3.a.b",
            "4.a.b",
            &format!("3.{id}."),
            &format!("3.{id}.AAAA"),
            &format!("3.{id}.%%%"),
            &format!("3.{id}.{}", "A".repeat(32)),
            &format!("3.{id}.{}", "A".repeat(52)),
            &format!("3.{id}.{}", "A".repeat(56)),
            &format!("03.{id}.AAAA"),
            &format!("{sealed}="),
            &sealed[1..],
        ] {
            assert_eq!(ring.open(Purpose::Session, other), None, "{other}");
        }
    }

    #[test]
    fn an_envelope_that_is_longer_than_any_of_ours_is_not_opened() {
        let ring = ring(&["one"]);
        let opens = |bytes: usize| {
            let sealed = ring.seal(Purpose::Session, &vec![b'x'; bytes], &mut Fixed::default());
            (sealed.len() <= 48 * 1024, ring.open(Purpose::Session, &sealed).is_some())
        };
        assert_eq!(opens(36_800), (true, true));
        assert_eq!(opens(36_850), (false, false));
    }
}
