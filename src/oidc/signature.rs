//! Signatures of tokens (RFC 7515 section 5.2), each by the library of its algorithm.
//!
//! A library that reads the token's header as well rejects members that RFC 7515 section 4 has it ignore; so `jws.rs` reads the
//! header. jwt-simple, for example, rejects a `jwk`, `Ed25519`, ES512, and RSA keys above 4,096 bits or with an exponent other than 65,537.

use ed25519_compact::{PublicKey as Ed25519Key, Signature as Ed25519Signature};
use p256::ecdsa::signature::Verifier as _;
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::signature::Verifier as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPublicKey, pkcs1v15, pss};
use serde::{Deserialize, Serialize};

/// Smaller moduli are within reach of an attacker (RFC 7518 section 3.3).
pub(super) const MIN_RSA_BITS: usize = 2048;

/// Larger ones take a time that grows with the square.
const MAX_RSA_BITS: usize = 8192;

/// The signature algorithms we accept. No symmetric one: an ID token under one proves only that somebody knows the
/// client secret, and `none` proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
    Es512,
}

impl Algorithm {
    /// All of them, the usual ones first.
    pub const ALL: &[Self] =
        &[Self::Rs256, Self::Es256, Self::EdDsa, Self::Ps256, Self::Rs384, Self::Rs512, Self::Ps384, Self::Ps512, Self::Es384, Self::Es512];

    /// Its name in a JWT header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Their names, for messages.
    pub(super) fn names(algorithms: &[Self]) -> String {
        algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", ")
    }

    /// By its name in a JWT header (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864 section 2.2).
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "Ed25519" => Some(Self::EdDsa),
            _ => Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name),
        }
    }
}

/// A key, with the one algorithm that it verifies.
pub enum VerificationKey {
    Rs256(pkcs1v15::VerifyingKey<Sha256>),
    Rs384(pkcs1v15::VerifyingKey<Sha384>),
    Rs512(pkcs1v15::VerifyingKey<Sha512>),
    Ps256(pss::VerifyingKey<Sha256>),
    Ps384(pss::VerifyingKey<Sha384>),
    Ps512(pss::VerifyingKey<Sha512>),
    Es256(p256::ecdsa::VerifyingKey),
    Es384(p384::ecdsa::VerifyingKey),
    Es512(Box<p521::ecdsa::VerifyingKey>),
    EdDsa(Ed25519Key),
}

/// How long a modulus is: big-endian bytes, leading zeros allowed.
pub(super) fn modulus_bits(n: &[u8]) -> usize {
    BigUint::from_bytes_be(n).bits()
}

impl VerificationKey {
    /// A key of the RSA family, for an `algorithm` of that family: modulus and exponent as big-endian bytes, leading zeros
    /// allowed.
    pub(super) fn rsa(algorithm: Algorithm, n: &[u8], e: &[u8]) -> Option<Self> {
        let (n, e) = (BigUint::from_bytes_be(n), BigUint::from_bytes_be(e));
        if n.bits() < MIN_RSA_BITS {
            return None;
        }
        // Also holds that `n` and `e` are odd, and `e` is from 2 to 2^33 - 1.
        let key = RsaPublicKey::new_with_max_size(n, e, MAX_RSA_BITS).ok()?;
        Some(match algorithm {
            Algorithm::Rs256 => Self::Rs256(pkcs1v15::VerifyingKey::new(key)),
            Algorithm::Rs384 => Self::Rs384(pkcs1v15::VerifyingKey::new(key)),
            Algorithm::Rs512 => Self::Rs512(pkcs1v15::VerifyingKey::new(key)),
            Algorithm::Ps256 => Self::Ps256(pss::VerifyingKey::new(key)),
            Algorithm::Ps384 => Self::Ps384(pss::VerifyingKey::new(key)),
            Algorithm::Ps512 => Self::Ps512(pss::VerifyingKey::new(key)),
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 | Algorithm::EdDsa => return None,
        })
    }

    /// A key on an elliptic curve, for the `algorithm` of that curve: coordinates of exactly the curve's size (RFC 7518
    /// section 6.2.1.2).
    pub(super) fn ec(algorithm: Algorithm, x: &[u8], y: &[u8]) -> Option<Self> {
        let size = match algorithm {
            Algorithm::Es256 => 32,
            Algorithm::Es384 => 48,
            Algorithm::Es512 => 66,
            _ => return None,
        };
        if x.len() != size || y.len() != size {
            return None;
        }
        // An uncompressed point (SEC 1 section 2.3.3); the libraries check that it is on the curve.
        let point = [&[4], x, y].concat();
        match algorithm {
            Algorithm::Es256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok().map(Self::Es256),
            Algorithm::Es384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok().map(Self::Es384),
            _ => p521::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok().map(|key| Self::Es512(Box::new(key))),
        }
    }

    /// An Ed25519 key of 32 bytes (RFC 8037 section 2).
    pub(super) fn ed25519(x: &[u8]) -> Option<Self> {
        Ed25519Key::from_slice(x).ok().map(Self::EdDsa)
    }

    /// About what a verification costs, in those by RSA with 2048 bits.
    pub(super) fn cost(&self) -> usize {
        let of_bits = |bits: usize| ((bits / 1024).pow(2) / 4).max(1);
        match self {
            Self::Rs256(key) => of_bits(key.as_ref().n().bits()),
            Self::Rs384(key) => of_bits(key.as_ref().n().bits()),
            Self::Rs512(key) => of_bits(key.as_ref().n().bits()),
            Self::Ps256(key) => of_bits(key.as_ref().n().bits()),
            Self::Ps384(key) => of_bits(key.as_ref().n().bits()),
            Self::Ps512(key) => of_bits(key.as_ref().n().bits()),
            Self::EdDsa(_) => 1,
            Self::Es256(_) => 2,
            Self::Es384(_) => 6,
            Self::Es512(_) => 12,
        }
    }

    /// Whether `signature` is this key's of `signed`.
    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rs256(key) => pkcs1v15::Signature::try_from(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Self::Rs384(key) => pkcs1v15::Signature::try_from(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Self::Rs512(key) => pkcs1v15::Signature::try_from(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Self::Ps256(key) => pss::Signature::try_from(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Self::Ps384(key) => pss::Signature::try_from(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Self::Ps512(key) => pss::Signature::try_from(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Self::Es256(key) => p256::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Self::Es384(key) => p384::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Self::Es512(key) => p521::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Self::EdDsa(key) => Ed25519Signature::from_slice(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
        }
    }
}
