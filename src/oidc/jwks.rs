//! A provider's keys (RFC 7517), and which of them a token was signed with.

use jwt_simple::prelude::{
    ES256PublicKey, ES384PublicKey, Ed25519PublicKey, PS256PublicKey, PS384PublicKey, PS512PublicKey, RS256PublicKey, RS384PublicKey,
    RS512PublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use super::error::{Endpoint, Error};
use super::outbound;
use crate::oidc::provider::Provider;
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

const MAX_BYTES: u32 = 256 * 1024;

/// Entra publishes about eight. More is not a key set but an attempt to keep us busy.
const MAX_KEYS: usize = 64;

/// The signature algorithms we accept. No symmetric one: an ID token under one proves only that somebody knows the
/// client secret, and `none` proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, Deserialize)]
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
}

impl Algorithm {
    /// By its name in a JWT header (RFC 7518 section 3.1, RFC 8037 section 3.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// A key that fits a token's algorithm, ready to verify with.
pub enum VerificationKey {
    Rs256(RS256PublicKey),
    Rs384(RS384PublicKey),
    Rs512(RS512PublicKey),
    Ps256(PS256PublicKey),
    Ps384(PS384PublicKey),
    Ps512(PS512PublicKey),
    Es256(ES256PublicKey),
    Es384(ES384PublicKey),
    EdDsa(Ed25519PublicKey),
}

/// Which key a token asks for.
pub enum KeySelection<'a> {
    /// `issuer`: for whom the key signs, where the key itself says so.
    Key { key: Box<VerificationKey>, issuer: Option<&'a str> },
    /// The key set may be older than the key.
    UnknownKid,
    /// Several fit and the token does not say which.
    Ambiguous,
}

/// The keys of one provider that can verify a signature. Broken ones are left out, the others stand.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Jwk>);

/// One key as published (RFC 7517 section 4). All text, because nothing is believed before it is used.
#[derive(Clone, Debug, Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// Entra's own member; elsewhere it may be anything.
    #[serde(default)]
    issuer: Value,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    pub fn request(jwks_uri: &Url) -> OutboundRequest {
        outbound::get_json(jwks_uri.clone(), MAX_BYTES)
    }

    /// Parses the answer to [`request`](Self::request).
    ///
    /// # Errors
    /// When there is no answer, when it is no key set, or one of more than 64 keys.
    pub fn parse(answer: Result<OutboundResponse, OutboundError>, provider: &Provider) -> Result<Self, Error> {
        let body = outbound::success(answer, MAX_BYTES, &provider.name, Endpoint::Keys)?;
        let fault = |text: &str| outbound::unacceptable(&provider.name, Endpoint::Keys, text);
        let document: Document = outbound::object(&body).map_err(|_| fault("not a JSON Web Key Set"))?;
        if document.keys.len() > MAX_KEYS {
            return Err(fault("more than 64 keys"));
        }
        let objects = document.keys.into_iter().filter(Value::is_object);
        Ok(Self(objects.filter_map(|key| serde_json::from_value(key).ok()).collect()))
    }

    /// The key for a token with this header. With a `kid`, that key and no other; without, the only one that fits.
    pub fn select(&self, algorithm: Algorithm, kid: Option<&str>) -> KeySelection<'_> {
        let named = self.0.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        let mut fitting = named.filter_map(|key| Some((key.for_algorithm(algorithm)?, key.issuer.as_str())));
        match (fitting.next(), fitting.next()) {
            (Some((key, issuer)), None) => KeySelection::Key { key: Box::new(key), issuer },
            (Some(_), Some(_)) => KeySelection::Ambiguous,
            (None, _) => KeySelection::UnknownKid,
        }
    }
}

impl Jwk {
    fn for_algorithm(&self, algorithm: Algorithm) -> Option<VerificationKey> {
        let may_verify = self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.key_ops.as_deref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"))
            && self.alg.as_deref().is_none_or(|alg| Algorithm::from_name(alg) == Some(algorithm));
        if !may_verify {
            return None;
        }
        use VerificationKey as Key;
        match (algorithm, self.kty.as_str(), self.crv.as_deref()) {
            (Algorithm::Rs256, "RSA", _) => self.rsa(RS256PublicKey::from_components).map(Key::Rs256),
            (Algorithm::Rs384, "RSA", _) => self.rsa(RS384PublicKey::from_components).map(Key::Rs384),
            (Algorithm::Rs512, "RSA", _) => self.rsa(RS512PublicKey::from_components).map(Key::Rs512),
            (Algorithm::Ps256, "RSA", _) => self.rsa(PS256PublicKey::from_components).map(Key::Ps256),
            (Algorithm::Ps384, "RSA", _) => self.rsa(PS384PublicKey::from_components).map(Key::Ps384),
            (Algorithm::Ps512, "RSA", _) => self.rsa(PS512PublicKey::from_components).map(Key::Ps512),
            (Algorithm::Es256, "EC", Some("P-256")) => ES256PublicKey::from_bytes(&self.point(32)?).ok().map(Key::Es256),
            (Algorithm::Es384, "EC", Some("P-384")) => ES384PublicKey::from_bytes(&self.point(48)?).ok().map(Key::Es384),
            (Algorithm::EdDsa, "OKP", Some("Ed25519")) => Ed25519PublicKey::from_bytes(&member(&self.x)?).ok().map(Key::EdDsa),
            _ => None,
        }
    }

    fn rsa<Key, E>(&self, from_components: impl Fn(&[u8], &[u8]) -> Result<Key, E>) -> Option<Key> {
        from_components(&member(&self.n)?, &member(&self.e)?).ok()
    }

    /// An uncompressed point (SEC 1 section 2.3.3) of coordinates that have exactly the curve's size (RFC 7518 section
    /// 6.2.1.2).
    fn point(&self, size: usize) -> Option<Vec<u8>> {
        let (x, y) = (member(&self.x)?, member(&self.y)?);
        (x.len() == size && y.len() == size).then(|| [&[4], x.as_slice(), &y].concat())
    }
}

fn member(text: &Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_deref()?).ok()
}
