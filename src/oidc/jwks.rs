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
use super::signature::{Algorithm, MIN_RSA_BITS, VerificationKey, modulus_bits};
use crate::oidc::provider::Provider;
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};

const MAX_BYTES: u32 = 256 * 1024;

/// What the keys that are tried for one token may cost, in verifications by RSA with 2048 bits ([`VerificationKey::cost`]). Each takes
/// up to a millisecond in WebAssembly, and a host stops what computes for half a second; a key set of `MAX_BYTES` can hold thousands.
const MAX_COST: usize = 128;

/// Some publish numbers with padding, which RFC 7515 section 2 leaves out.
const BASE64URL: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// The keys that are tried for a token.
pub struct Candidates<'a> {
    pub keys: Vec<Candidate<'a>>,
    /// How many more fit, and are not tried.
    pub untried: usize,
}

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
        let not_a_key_set = |_| match outbound::is_object(&body) {
            true => fault("not a JSON Web Key Set: `keys` is missing, or no list, or comes twice"),
            false => fault(&format!("not a JSON Web Key Set: {}", outbound::form_of(&body))),
        };
        let document: Document = outbound::object(&body).map_err(not_a_key_set)?;
        let objects = document.keys.into_iter().filter(Value::is_object);
        Ok(Self(objects.filter_map(|key| serde_json::from_value(key).ok()).collect()))
    }

    /// The keys for a token with this header, as many as may be tried: up to the cost of 128 verifications by RSA with 2048 bits. With
    /// a `kid`, those of that name; where there is none, those without a name. Without a `kid`, all that fit by `kty`, `crv`, `use`,
    /// `key_ops` and `alg`: those first that say that they are for this algorithm and for signatures.
    pub fn candidates(&self, algorithm: Algorithm, kid: Option<&str>) -> Candidates<'_> {
        let mut fitting: Vec<&Jwk> = self.named(kid).filter(|key| key.fits(algorithm)).collect();
        fitting.sort_by_key(|key| (key.alg.is_none(), key.usage.is_none() && key.key_ops.is_none()));
        let (mut left, mut keys, mut untried) = (MAX_COST, vec![], 0);
        for jwk in fitting {
            let Some(key) = jwk.for_algorithm(algorithm) else { continue };
            match left.checked_sub(key.cost()) {
                Some(rest) => {
                    left = rest;
                    keys.push(Candidate { key, issuer: jwk.issuer.as_str() });
                }
                None => untried += 1,
            }
        }
        Candidates { keys, untried }
    }

    /// Whether some key can verify a signature by this algorithm.
    pub fn has_one_for(&self, algorithm: Algorithm) -> bool {
        self.0.iter().any(|key| key.fits(algorithm) && key.for_algorithm(algorithm).is_some())
    }

    /// Whether it has a key of that name.
    pub(super) fn names(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// Whether it has keys with names.
    pub(super) fn has_names(&self) -> bool {
        self.0.iter().any(|key| key.kid.is_some())
    }

    fn named(&self, kid: Option<&str>) -> impl Iterator<Item = &Jwk> {
        let is_named = kid.is_some_and(|kid| self.names(kid));
        let named = move |key: &&Jwk| match kid {
            Some(kid) if is_named => key.kid.as_deref() == Some(kid),
            Some(_) => key.kid.is_none(),
            None => true,
        };
        self.0.iter().filter(named)
    }

    /// Why there is no candidate, in words for the log.
    pub(super) fn why_none(&self, algorithm: Algorithm, kid: Option<&str>) -> String {
        let too_short = self.named(kid).filter(|key| key.fits(algorithm)).find_map(Jwk::bits_of_short_rsa);
        let algorithm = algorithm.name();
        let too_short = too_short.map(|bits| {
            format!("{bits} bits of RSA are too short: {algorithm} takes {MIN_RSA_BITS} or more (RFC 7518 sections 3.3 and 3.5), have the provider sign with a longer key")
        });
        match kid {
            None => match too_short {
                Some(words) => format!("the provider's key set has no key for {algorithm} that may be used, and {words}"),
                None => format!("the provider's key set has no key for {algorithm}, and it has no `kid`; the key set has {self}"),
            },
            Some(kid) => match self.0.iter().find(|key| key.kid.as_deref() == Some(kid)) {
                Some(_) if let Some(words) = too_short => format!("the provider's key `{}` may not be used: {words}", shown(kid)),
                Some(key) => format!("the provider's key `{}` is not for {algorithm}: {key}", shown(kid)),
                None => format!("the provider's key set has no key `{}` for {algorithm}; it has {self}", shown(kid)),
            },
        }
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

/// What it says that it is for.
impl fmt::Display for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its kty is `{}`", shown(&self.kty))?;
        for (name, value) in [("crv", &self.crv), ("alg", &self.alg), ("use", &self.usage)] {
            if let Some(value) = value {
                write!(f, ", its {name} `{}`", shown(value))?;
            }
        }
        Ok(())
    }
}

impl Jwk {
    /// By what it says of itself.
    fn fits(&self, algorithm: Algorithm) -> bool {
        let is_of_kind = match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => {
                self.kty == "RSA"
            }
            Algorithm::Es256 => self.is_on("EC", "P-256"),
            Algorithm::Es384 => self.is_on("EC", "P-384"),
            Algorithm::Es512 => self.is_on("EC", "P-521"),
            Algorithm::EdDsa => self.is_on("OKP", "Ed25519"),
        };
        is_of_kind
            && self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.key_ops.as_deref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"))
            && self.alg.as_deref().is_none_or(|alg| Algorithm::from_name(alg) == Some(algorithm))
    }

    /// The length of its modulus, where that is what is wrong with it.
    fn bits_of_short_rsa(&self) -> Option<usize> {
        let bits = modulus_bits(&number(&self.n)?);
        (self.kty == "RSA" && bits > 0 && bits < MIN_RSA_BITS).then_some(bits)
    }

    fn is_on(&self, kty: &str, crv: &str) -> bool {
        self.kty == kty && self.crv.as_deref() == Some(crv)
    }

    /// Of one that [`fits`](Self::fits); `None` where its numbers make no key.
    fn for_algorithm(&self, algorithm: Algorithm) -> Option<VerificationKey> {
        match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => {
                VerificationKey::rsa(algorithm, &number(&self.n)?, &number(&self.e)?)
            }
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => VerificationKey::ec(algorithm, &number(&self.x)?, &number(&self.y)?),
            Algorithm::EdDsa => VerificationKey::ed25519(&number(&self.x)?),
        }
    }
}

fn number(text: &Option<String>) -> Option<Vec<u8>> {
    BASE64URL.decode(text.as_deref()?).ok()
}
