//! A signed JWT as providers send it (RFC 7519, RFC 7515 section 3.1): its parts, and whose signature it has. What it must
//! say is for its reader to match: `id_token.rs`, `userinfo.rs`, `logout_token.rs`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::error::{Rejected, Rejection, shown};
use super::jwks::KeySet;
use super::outbound::{members, object};
use super::signature::Algorithm;
use crate::time::UnixTime;

/// Longest accepted token, in bytes. What it says also has to fit into a session.
const MAX_BYTES: usize = 256 * 1024;

/// Types of tokens without a type of their own. RFC 7515 section 4.1.9 has `application/` left out, and lets it stand.
pub(super) const PLAIN: [&str; 2] = ["JWT", "application/jwt"];

/// What of a token's header is looked at (RFC 7515 section 4.1). The rest is not: `jwk`, `jku` and `x5u` name keys that
/// anybody can make, and what is not known is ignored.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Whether there is one, of whatever form.
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

fn is_there<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(value).map(|_| true)
}

/// A token in parts, of which nothing is proven yet.
pub(super) struct SignedJwt<'a> {
    header: Header,
    payload: &'a str,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> SignedJwt<'a> {
    /// `kind`: what it is, in the plural, for messages. `types`: those that it may name, the first for messages; it need not name
    /// one. A logout token or an access token is no ID token, whoever signed it (RFC 8725 section 3.11).
    ///
    /// # Errors
    /// [`Rejected::Malformed`], [`Rejected::Signature`] of what is not signed, [`Rejected::Type`] and [`Rejected::Critical`].
    pub(super) fn parse(raw: &'a str, kind: &str, types: &[&str]) -> Result<Self, Rejection> {
        if raw.len() > MAX_BYTES {
            return Err(Rejected::Malformed.because(format!("it is longer than {MAX_BYTES} bytes")));
        }
        let mut parts = raw.split('.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(match raw.split('.').count() {
                // RFC 7516 section 3.1.
                5 => Rejected::Malformed.because(format!("it is encrypted: have the provider sign {kind}, and not encrypt them")),
                _ => Rejected::Malformed.into(),
            });
        };
        if signature.is_empty() {
            return Err(Rejected::Signature.because("it is not signed"));
        }
        let signed = &raw[..header.len() + 1 + payload.len()];
        let header: Header = object(&decoded(header)?).map_err(|_| Rejected::Malformed)?;
        if let Some(typ) = header.typ.as_deref()
            && !types.iter().any(|known| known.eq_ignore_ascii_case(typ))
        {
            let expected = types.first().copied().unwrap_or_default();
            return Err(Rejected::Type.because(format!("its type is `{}`, and that of {kind} is {expected}", shown(typ))));
        }
        // RFC 7515 section 4.1.11: what must be understood and is not, is rejected.
        if header.crit {
            return Err(Rejected::Critical.into());
        }
        Ok(Self { header, payload, signed, signature })
    }

    /// The algorithm of its signature: one of ours, and of those that the metadata lists, if it does, in `listing`.
    pub(super) fn algorithm(&self, listed: Option<&[Algorithm]>, listing: &str) -> Result<Algorithm, Rejection> {
        let name = self.header.alg.as_str();
        let Some(algorithm) = Algorithm::from_name(name) else {
            let words = match name {
                "none" => "it is not signed (`alg` is `none`): have the provider sign with RS256".to_owned(),
                "HS256" | "HS384" | "HS512" => {
                    format!(
                        "it is signed with {name}, a symmetric algorithm, which Vestibule does not accept: have the provider sign with RS256"
                    )
                }
                _ => format!("its signature algorithm is `{}`: have the provider sign with RS256 instead", shown(name)),
            };
            return Err(Rejected::Algorithm.because(words));
        };
        if listed.is_some_and(|listed| !listed.contains(&algorithm)) {
            let words = format!("it is signed with {name}, which the provider's metadata does not list in {listing}");
            return Err(Rejected::Algorithm.because(words));
        }
        Ok(algorithm)
    }

    /// What it says, each member once. Nothing of it is proven before [`verify`](Self::verify).
    pub(super) fn claims(&self) -> Result<Map<String, Value>, Rejection> {
        Ok(members(&decoded(self.payload)?).map_err(|_| Rejected::Malformed)?)
    }

    /// Returns for whom each key signs that the signature may be of, where the key says so.
    pub(super) fn verify<'k>(&self, algorithm: Algorithm, keys: &'k KeySet) -> Result<Vec<Option<&'k str>>, Rejection> {
        let malformed = || Rejected::Signature.because("its signature is not base64url");
        let signature = URL_SAFE_NO_PAD.decode(self.signature).map_err(|_| malformed())?;
        let kid = self.header.kid.as_deref();
        let mut is_known = false;
        let candidates = keys.candidates(algorithm, kid).inspect(|_| is_known = true);
        let verifying = candidates.filter(|candidate| candidate.key.verifies(self.signed.as_bytes(), &signature));
        let issuers: Vec<_> = verifying.map(|candidate| candidate.issuer).collect();
        match (issuers.is_empty(), is_known) {
            (false, _) => Ok(issuers),
            (true, true) => Err(Rejected::Signature.because(match kid {
                Some(kid) => format!("its signature is not of the provider's key `{}`", shown(kid)),
                None => "its signature is of none of the provider's keys, and it does not name one".to_owned(),
            })),
            (true, false) => Err(Rejected::UnknownKey.because(match kid {
                Some(kid) => format!("the provider's key set has no key `{}` for its algorithm; it has {keys}", shown(kid)),
                None => format!("the provider's key set has no key for its algorithm; it has {keys}"),
            })),
        }
    }
}

/// A part of a token is base64url.
fn decoded(part: &str) -> Result<Vec<u8>, Rejection> {
    Ok(URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejected::Malformed)?)
}

/// A claim as the log shows it.
pub(super) fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{}`", shown(text)),
        other => shown(&other.to_string()),
    }
}

/// A date among the claims; `None` when it is absent.
pub(super) fn date(claims: &Map<String, Value>, name: &str, otherwise: Rejected) -> Result<Option<UnixTime>, Rejection> {
    let wrong = |value| otherwise.because(format!("its `{name}` is {}, which is not a date", quoted(value)));
    claims.get(name).map(|value| UnixTime::from_numeric_date(value).ok_or_else(|| wrong(value))).transpose()
}

/// In words for the log: a date that is not where it should be, and the time here.
pub(super) fn apart(name: &str, at: UnixTime, now: UnixTime) -> String {
    let (sooner, later) = (at.min(now), at.max(now));
    let difference = humantime::format_duration(later.since(sooner));
    let relation = if at < now { "ago" } else { "ahead" };
    format!("its `{name}` is {at}, {difference} {relation}: it is {now} here. If the clocks differ, set them right")
}
