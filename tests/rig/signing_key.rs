//! What the rig's provider signs with, without a library that knows JWTs: it would refuse what some tests want.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_compact::{KeyPair, Seed};
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs1v15;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// Making one takes longer than all that is done with it: once for a process.
static RSA_2048: LazyLock<RsaPrivateKey> = LazyLock::new(|| RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).expect("an RSA key"));

/// The smallest exponent that there is.
static RSA_OF_EXPONENT_3: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::new_with_exp(&mut rsa::rand_core::OsRng, 2048, &rsa::BigUint::from(3_u8)).expect("an RSA key"));

/// Made for this test, and for nothing else: making one takes minutes.
static RSA_8192: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::from_pkcs1_pem(include_str!("rsa_8192.pem")).expect("an RSA key"));

#[derive(Clone)]
pub(crate) enum SigningKey {
    /// ES384.
    P384(Box<p384::ecdsa::SigningKey>),
    /// ES512.
    P521(Box<p521::ecdsa::SigningKey>),
    Ed25519(KeyPair),
    /// RS256.
    Rsa(&'static RsaPrivateKey),
}

impl SigningKey {
    pub(crate) fn ed25519(seed: u8) -> Self {
        Self::Ed25519(KeyPair::from_seed(Seed::new([seed; 32])))
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(&RSA_2048)
    }

    pub(crate) fn rsa_of_exponent_3() -> Self {
        Self::Rsa(&RSA_OF_EXPONENT_3)
    }

    pub(crate) fn rsa_8192() -> Self {
        Self::Rsa(&RSA_8192)
    }

    pub(crate) fn p384(seed: u8) -> Self {
        Self::P384(Box::new(p384::ecdsa::SigningKey::from_slice(&[seed; 48]).expect("a scalar")))
    }

    pub(crate) fn p521(seed: u8) -> Self {
        let mut scalar = [seed; 66];
        scalar[0] = 0;
        Self::P521(Box::new(p521::ecdsa::SigningKey::from_slice(&scalar).expect("a scalar")))
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::Rsa(_) => "RS256",
            Self::P384(_) => "ES384",
            Self::P521(_) => "ES512",
        }
    }

    /// The members that make the key (RFC 7518 section 6.3.1, RFC 8037 section 2), and no others.
    pub(crate) fn public_jwk(&self) -> Value {
        match self {
            Self::Ed25519(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(*pair.pk) }),
            Self::P384(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let (x, y) = point.as_bytes()[1..].split_at(48);
                json!({ "kty": "EC", "crv": "P-384", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
            }
            Self::P521(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let (x, y) = point.as_bytes()[1..].split_at(66);
                json!({ "kty": "EC", "crv": "P-521", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
            }
            Self::Rsa(key) => {
                let encode = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
                json!({ "kty": "RSA", "n": encode(key.n()), "e": encode(key.e()) })
            }
        }
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = p384::ecdsa::signature::Signer::sign(key.as_ref(), bytes);
                signature.to_bytes().to_vec()
            }
            Self::P521(key) => {
                let signature: p521::ecdsa::Signature = p521::ecdsa::signature::Signer::sign(key.as_ref(), bytes);
                signature.to_bytes().to_vec()
            }
            Self::Ed25519(pair) => pair.sk.sign(bytes, None).to_vec(),
            Self::Rsa(key) => pkcs1v15::SigningKey::<rsa::sha2::Sha256>::new((*key).clone()).sign(bytes).to_vec(),
        }
    }

    /// `at_hash` (OIDC Core section 3.1.3.6).
    pub(crate) fn half_of_hash(&self, access_token: &str) -> String {
        match self {
            Self::P384(_) => URL_SAFE_NO_PAD.encode(&Sha384::digest(access_token)[..24]),
            Self::Ed25519(_) | Self::P521(_) => URL_SAFE_NO_PAD.encode(&Sha512::digest(access_token)[..32]),
            Self::Rsa(_) => URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token)[..16]),
        }
    }
}
