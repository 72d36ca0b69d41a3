//! Keys that sign ID tokens, and the key set published of them.

use std::fmt;

use jwt_simple::prelude::*;
use serde_json::{Map, Value, json};

/// The signature algorithm of ID tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// All of them, for tests that go through each.
    pub const ALL: [Self; 9] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Ps384, Self::Ps512, Self::Es256, Self::Es384, Self::EdDsa];

    /// The JOSE name (RFC 7518 section 3.1, RFC 8037 section 3.1).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key could not be made or used.
#[derive(Debug, thiserror::Error)]
#[error("{algorithm} key: {reason}; try another signing algorithm")]
pub struct KeyError {
    algorithm: SigningAlgorithm,
    reason: String,
}

/// How the header of a token is to look.
#[derive(Debug, Default)]
pub(crate) struct TokenHeader {
    pub(crate) omit_kid: bool,
    /// `JWT` when absent.
    pub(crate) typ: Option<String>,
}

/// What an `id_token_hint` that we signed ourselves says.
pub(crate) struct Hint {
    pub(crate) subject: String,
    pub(crate) audience: Vec<String>,
}

type ClaimSet = JWTClaims<Map<String, Value>>;
type Sign = dyn Fn(ClaimSet, &TokenHeader) -> Result<String, jwt_simple::Error> + Send + Sync;
type Verify = dyn Fn(&str, VerificationOptions) -> Result<ClaimSet, jwt_simple::Error> + Send + Sync;

/// One key pair. The algorithms have a type each in jwt-simple; the closures hide which one it is.
pub(crate) struct SigningKey {
    pub(crate) algorithm: SigningAlgorithm,
    public_jwk: Value,
    sign: Box<Sign>,
    verify: Box<Verify>,
}

/// jwt-simple takes 2048, 3072 or 4096; the smallest, because making a key in a debug build takes seconds.
const RSA_MODULUS_BITS: usize = 2048;

impl SigningKey {
    /// Makes a key. Slow for RSA (a second or so): not for the threads that serve requests.
    pub(crate) fn generate(algorithm: SigningAlgorithm) -> Result<Self, KeyError> {
        macro_rules! key {
            ($pair:ty, $generated:expr) => {{
                // A pair always writes its key id, or never: two copies serve tokens with and without one.
                let anonymous: $pair = $generated?;
                let named = <$pair>::from_jwk(&anonymous.to_jwk())?.with_key_id(&anonymous.jwk_thumbprint());
                let public = named.public_key();
                Ok(Self {
                    algorithm,
                    public_jwk: serde_json::from_str(&public.to_jwk())?,
                    sign: Box::new(move |claims, header| {
                        let pair = if header.omit_kid { &anonymous } else { &named };
                        let options = HeaderOptions { signature_type: header.typ.clone(), ..HeaderOptions::default() };
                        pair.sign_with_options(claims, &options)
                    }),
                    verify: Box::new(move |token, options| public.verify_token(token, Some(options))),
                })
            }};
        }
        let generate = || -> Result<Self, jwt_simple::Error> {
            match algorithm {
                SigningAlgorithm::Rs256 => key!(RS256KeyPair, RS256KeyPair::generate(RSA_MODULUS_BITS)),
                SigningAlgorithm::Rs384 => key!(RS384KeyPair, RS384KeyPair::generate(RSA_MODULUS_BITS)),
                SigningAlgorithm::Rs512 => key!(RS512KeyPair, RS512KeyPair::generate(RSA_MODULUS_BITS)),
                SigningAlgorithm::Ps256 => key!(PS256KeyPair, PS256KeyPair::generate(RSA_MODULUS_BITS)),
                SigningAlgorithm::Ps384 => key!(PS384KeyPair, PS384KeyPair::generate(RSA_MODULUS_BITS)),
                SigningAlgorithm::Ps512 => key!(PS512KeyPair, PS512KeyPair::generate(RSA_MODULUS_BITS)),
                SigningAlgorithm::Es256 => key!(ES256KeyPair, Ok::<_, jwt_simple::Error>(ES256KeyPair::generate())),
                SigningAlgorithm::Es384 => key!(ES384KeyPair, Ok::<_, jwt_simple::Error>(ES384KeyPair::generate())),
                SigningAlgorithm::EdDsa => key!(Ed25519KeyPair, Ok::<_, jwt_simple::Error>(Ed25519KeyPair::generate())),
            }
        };
        generate().map_err(|error| KeyError { algorithm, reason: error.to_string() })
    }

    /// Signs exactly these claims, whatever they are: a fault may have left out or bent any of them.
    pub(crate) fn sign(&self, claims: Map<String, Value>, header: &TokenHeader) -> Result<String, KeyError> {
        let claims = JWTClaims {
            issued_at: None,
            expires_at: None,
            invalid_before: None,
            issuer: None,
            subject: None,
            audiences: None,
            jwt_id: None,
            nonce: None,
            custom: claims,
        };
        (self.sign)(claims, header).map_err(|error| KeyError { algorithm: self.algorithm, reason: error.to_string() })
    }

    /// Reads a token that this key signed, expired or not: RP-Initiated Logout 1.0 section 2 wants old ID tokens taken.
    fn hint(&self, token: &str) -> Option<Hint> {
        let any_time = VerificationOptions {
            accept_future: true,
            time_tolerance: Some(Duration::from_days(10 * 365)),
            ..VerificationOptions::default()
        };
        let claims = (self.verify)(token, any_time).ok()?;
        Some(Hint {
            subject: claims.subject?,
            audience: match claims.audiences? {
                Audiences::AsString(client_id) => vec![client_id],
                Audiences::AsSet(client_ids) => client_ids.into_iter().collect(),
            },
        })
    }
}

/// The key that signs now, and the one before, as a provider publishes it while its tokens are still around.
pub(crate) struct KeyRing {
    current: SigningKey,
    previous: Option<SigningKey>,
}

impl KeyRing {
    pub(crate) fn new(key: SigningKey) -> Self {
        Self { current: key, previous: None }
    }

    pub(crate) fn rotate(&mut self, key: SigningKey) {
        self.previous = Some(std::mem::replace(&mut self.current, key));
    }

    pub(crate) fn current(&self) -> &SigningKey {
        &self.current
    }

    pub(crate) fn hint(&self, token: &str) -> Option<Hint> {
        self.keys().find_map(|key| key.hint(token))
    }

    /// The JWK Set (RFC 7517 section 5), the current key first.
    pub(crate) fn published(&self) -> Map<String, Value> {
        let keys: Vec<&Value> = self.keys().map(|key| &key.public_jwk).collect();
        Map::from_iter([("keys".to_owned(), json!(keys))])
    }

    fn keys(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}
