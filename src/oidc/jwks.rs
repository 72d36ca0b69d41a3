//! A provider's keys (RFC 7517), and which of them a token may have been signed with.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::error::{Endpoint, Error, shown};
use super::outbound;
use super::signature::{Algorithm, VerificationKey};
use crate::oidc::provider::Provider;
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};

const MAX_BYTES: u32 = 256 * 1024;

/// How many keys are tried for one token: each costs a verification.
const MAX_CANDIDATES: usize = 64;

/// Some publish numbers with padding, which RFC 7515 section 2 leaves out.
const BASE64URL: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// A key that may have signed a token.
pub struct Candidate<'a> {
    pub key: VerificationKey,
    /// For whom the key signs, where the key itself says so.
    pub issuer: Option<&'a str>,
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
    /// When there is no answer, and when it is no key set.
    pub fn parse(answer: Result<OutboundResponse, OutboundError>, provider: &Provider) -> Result<Self, Error> {
        let body = outbound::success(answer, MAX_BYTES, &provider.name, Endpoint::Keys)?;
        let fault = |text: &str| outbound::unacceptable(&provider.name, Endpoint::Keys, text);
        let document: Document = outbound::object(&body).map_err(|_| fault("not a JSON Web Key Set"))?;
        let objects = document.keys.into_iter().filter(Value::is_object);
        Ok(Self(objects.filter_map(|key| serde_json::from_value(key).ok()).collect()))
    }

    /// The keys for a token with this header, at most 64. With a `kid`, those of that name; where there is
    /// none, those without a name. Without a `kid`, all that fit.
    pub fn candidates(&self, algorithm: Algorithm, kid: Option<&str>) -> impl Iterator<Item = Candidate<'_>> {
        let is_named = kid.is_some_and(|kid| self.0.iter().any(|key| key.kid.as_deref() == Some(kid)));
        let named = move |key: &&Jwk| match kid {
            Some(kid) if is_named => key.kid.as_deref() == Some(kid),
            Some(_) => key.kid.is_none(),
            None => true,
        };
        self.0.iter().filter(named).filter_map(move |key| key.candidate(algorithm)).take(MAX_CANDIDATES)
    }
}

/// The names of its keys, as the log shows them.
impl fmt::Display for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_NAMES: usize = 8;
        let named = || self.0.iter().filter_map(|key| key.kid.as_deref());
        let names: Vec<_> = named().take(MAX_NAMES).map(|kid| format!("`{}`", shown(kid))).collect();
        let unnamed = self.0.len() - named().count();
        match (names.is_empty(), named().count().saturating_sub(MAX_NAMES), unnamed) {
            (true, _, 0) => f.write_str("none"),
            (true, _, unnamed) => write!(f, "{unnamed} without a name"),
            (false, 0, 0) => f.write_str(&names.join(", ")),
            (false, more, unnamed) => write!(f, "{} and {} others", names.join(", "), more + unnamed),
        }
    }
}

impl Jwk {
    fn candidate(&self, algorithm: Algorithm) -> Option<Candidate<'_>> {
        Some(Candidate { key: self.for_algorithm(algorithm)?, issuer: self.issuer.as_str() })
    }

    fn for_algorithm(&self, algorithm: Algorithm) -> Option<VerificationKey> {
        let may_verify = self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.key_ops.as_deref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"))
            && self.alg.as_deref().is_none_or(|alg| Algorithm::from_name(alg) == Some(algorithm));
        if !may_verify {
            return None;
        }
        match (algorithm, self.kty.as_str(), self.crv.as_deref()) {
            (Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512, "RSA", _) => {
                VerificationKey::rsa(algorithm, &number(&self.n)?, &number(&self.e)?)
            }
            (Algorithm::Es256, "EC", Some("P-256")) | (Algorithm::Es384, "EC", Some("P-384")) | (Algorithm::Es512, "EC", Some("P-521")) => {
                VerificationKey::ec(algorithm, &number(&self.x)?, &number(&self.y)?)
            }
            (Algorithm::EdDsa, "OKP", Some("Ed25519")) => VerificationKey::ed25519(&number(&self.x)?),
            _ => None,
        }
    }
}

fn number(text: &Option<String>) -> Option<Vec<u8>> {
    BASE64URL.decode(text.as_deref()?).ok()
}
