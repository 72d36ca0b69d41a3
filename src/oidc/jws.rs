//! A signed JWT as providers send it (RFC 7519, RFC 7515 section 3.1): its parts, and whose signature it has. What it must
//! say is for its reader to match: `id_token.rs`, `userinfo.rs`, `logout_token.rs`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::error::{Rejected, Rejection, shown};
use super::jwks::{Candidates, KeySet};
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
    alg: Option<String>,
    kid: Option<String>,
    typ: Option<String>,
    /// Of whatever form, `null` as well.
    #[serde(default, deserialize_with = "any")]
    crit: Option<Value>,
}

fn any<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
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
                parts => Rejected::Malformed.because(format!("{}: it has {parts} parts, and one has 3", Rejected::Malformed)),
            });
        };
        if signature.is_empty() {
            return Err(Rejected::Signature.because("it is not signed"));
        }
        let signed = &raw[..header.len() + 1 + payload.len()];
        let not_a_header =
            || Rejected::Malformed.because("its header is not base64url of a JSON object, in which `alg`, `kid` and `typ` are texts");
        let header: Header = decoded(header).and_then(|json| object(&json).ok()).ok_or_else(not_a_header)?;
        if let Some(typ) = header.typ.as_deref()
            && !types.iter().any(|known| known.eq_ignore_ascii_case(typ))
        {
            let expected = types.first().copied().unwrap_or_default();
            return Err(Rejected::Type.because(format!("its type is `{}`, and that of {kind} is {expected}", shown(typ))));
        }
        // RFC 7515 section 4.1.11: what must be understood and is not, is rejected.
        if let Some(crit) = &header.crit {
            let words = format!("its header demands critical extensions (`crit` is {}), and Vestibule supports none", quoted(crit));
            return Err(Rejected::Critical.because(words));
        }
        Ok(Self { header, payload, signed, signature })
    }

    /// The algorithm of its signature: one of ours, and of those that the metadata lists, if it does, in `listing`.
    pub(super) fn algorithm(&self, listed: Option<&[Algorithm]>, listing: &str) -> Result<Algorithm, Rejection> {
        let Some(name) = self.header.alg.as_deref() else {
            return Err(Rejected::Malformed.because("its header has no `alg`"));
        };
        let accepted = listed.unwrap_or(Algorithm::ALL);
        let names = Algorithm::names(accepted);
        let Some(algorithm) = Algorithm::from_name(name) else {
            let why = match name {
                "none" => "it is not signed (`alg` is `none`)".to_owned(),
                "HS256" | "HS384" | "HS512" => {
                    format!("it is signed with {name}, a symmetric algorithm")
                }
                _ => format!("its signature algorithm is `{}`", shown(name)),
            };
            let instead = accepted.first().copied().unwrap_or(Algorithm::Rs256).name();
            let words = match listed {
                Some([]) => format!(
                    "{why}; {listing} of the provider's metadata has none that Vestibule accepts ({}): have the provider sign with RS256 instead",
                    Algorithm::names(Algorithm::ALL)
                ),
                _ => format!("{why}; Vestibule accepts {names} here: have the provider sign with {instead} instead"),
            };
            return Err(Rejected::Algorithm.because(words));
        };
        if !accepted.contains(&algorithm) {
            let listed = if accepted.is_empty() { "none that Vestibule accepts" } else { names.as_str() };
            let words = format!("it is signed with {name}, and {listing} of the provider's metadata lists {listed}");
            return Err(Rejected::Algorithm.because(words));
        }
        Ok(algorithm)
    }

    /// What it says, each member once. Nothing of it is proven before [`verify`](Self::verify).
    pub(super) fn claims(&self) -> Result<Map<String, Value>, Rejection> {
        let not_claims = || Rejected::Malformed.because("its payload is not base64url of a JSON object that has each member once");
        decoded(self.payload).and_then(|json| members(&json).ok()).ok_or_else(not_claims)
    }

    /// Returns for whom each key signs that the signature may be of, where the key says so.
    pub(super) fn verify<'k>(&self, algorithm: Algorithm, keys: &'k KeySet) -> Result<Vec<Option<&'k str>>, Rejection> {
        let malformed = || Rejected::Signature.because("its signature is not base64url");
        let signature = URL_SAFE_NO_PAD.decode(self.signature).map_err(|_| malformed())?;
        let kid = self.header.kid.as_deref();
        let Candidates { keys: candidates, untried } = keys.candidates(algorithm, kid);
        let tried = candidates.len();
        let mut issuers = vec![];
        for candidate in candidates {
            if candidate.key.verifies(self.signed.as_bytes(), &signature) {
                issuers.push(candidate.issuer);
                // It signs for anybody: there is nothing to learn of another one.
                if candidate.issuer.is_none() {
                    break;
                }
            }
        }
        if !issuers.is_empty() {
            return Ok(issuers);
        }
        let name = algorithm.name();
        if tried == 0 {
            return Err(Rejected::UnknownKey.because(keys.why_none(algorithm, kid)));
        }
        // The key of that name may be one that the set does not have yet.
        let is_absent = kid.is_some_and(|kid| !keys.names(kid));
        if is_absent && keys.has_names() {
            let words =
                format!("{}; its signature is not of the {tried} that were tried of those without a name", keys.why_none(algorithm, kid));
            return Err(Rejected::UnknownKey.because(words));
        }
        let of = match kid {
            Some(_) if is_absent => format!("its signature by {name} is of none of the provider's keys, which have no names"),
            Some(kid) => format!("its signature by {name} is not of the provider's key `{}`", shown(kid)),
            None => format!("its signature by {name} is of none of the provider's keys, and it has no `kid`"),
        };
        let rejection = Rejected::Signature.because(match untried {
            0 => of,
            _ => {
                let advice = if kid.is_none() { ": have the provider send `kid`" } else { "" };
                format!("{of}; {tried} keys that fit were tried, and {untried} were not{advice}")
            }
        });
        Err(if kid.is_none() || is_absent { rejection.of_any_key() } else { rejection })
    }
}

/// A part of a token is base64url.
fn decoded(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
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

/// In words for the log: a date that is not where it should be, the time here, and how far apart the two may be.
pub(super) fn apart(name: &str, at: UnixTime, now: UnixTime, allowed: Duration) -> String {
    let (sooner, later) = (at.min(now), at.max(now));
    let (difference, allowed) = (humantime::format_duration(later.since(sooner)), humantime::format_duration(allowed));
    let relation = if at < now { "ago" } else { "ahead" };
    format!(
        "its `{name}` is {at}, {difference} {relation}: it is {now} here, and {allowed} are allowed. If the clocks differ, set them right"
    )
}

/// What kind of JSON a claim is, where its content is nobody's business.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// In words for the log: an issuer that is not that of the metadata, whose template for tenants (Entra's) a token without a tenant
/// cannot fill in.
pub(super) fn other_issuer(iss: &str, tid: Option<&str>, metadata_issuer: &str) -> String {
    let tenant = match tid {
        _ if !metadata_issuer.contains("{tenantid}") => String::new(),
        Some(tid) => format!(" with the tenant `{}` (`tid`)", shown(tid)),
        None => "; it has no `tid`, by which the tenant is known".to_owned(),
    };
    format!("it is from the issuer `{}`{tenant}, and the provider's metadata names `{}`", shown(iss), shown(metadata_issuer))
}

/// In words for the log: whose tokens the key may sign, and whose this is.
pub(super) fn key_of_another(issuers: &[Option<&str>], iss: &str) -> String {
    let named: Vec<_> = issuers.iter().flatten().take(4).map(|issuer| format!("`{}`", shown(issuer))).collect();
    format!("its key signs for the issuer {}, and it is from `{}`", named.join(", "), shown(iss))
}
