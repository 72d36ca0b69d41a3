//! Logout token verification (OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6). The only file that verifies one.

use std::time::Duration;

use serde_json::{Map, Value};

use super::error::{Rejected, Rejection, shown};
use super::id_token::check_audiences;
use super::issuer::{entra_tenant, is_issuer_of_token, may_sign_for};
use super::jwks::KeySet;
use super::jws::{SignedJwt, apart, date, key_of_another, kind_of, other_issuer, quoted};
use super::metadata::ProviderMetadata;
use super::provider::Provider;
use crate::secret::Secret;
use crate::time::UnixTime;

/// The member of `events` by which a token is about a logout (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Section 2.4 recommends the first, so that no other token is taken for one; providers that are older send the plain ones.
const TYPES: [&str; 4] = ["logout+jwt", "application/logout+jwt", "JWT", "application/jwt"];

/// How old a token without `exp` may be. The drafts of the specification did not have it.
const MAX_AGE_WITHOUT_EXP: Duration = Duration::from_secs(10 * 60);

/// How old a token with `exp` may be: so long its name is remembered.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest `sub`, `sid` and `jti`, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// A logout token as it was sent, of which nothing is proven yet.
#[derive(Debug)]
pub struct Unverified {
    raw: Secret,
    iss: String,
    tid: Option<String>,
    aud: Value,
}

impl Unverified {
    /// Reads who it claims to be from, and for whom.
    ///
    /// # Errors
    /// [`Rejection`], when it is no signed JWT, or of another type, or does not say.
    pub fn parse(raw: &str) -> Result<Self, Rejection> {
        let claims = SignedJwt::parse(raw, "logout tokens", &TYPES)?.claims()?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let iss = text("iss").ok_or_else(|| match claims.get("iss") {
            None => Rejected::Issuer.because("it has no `iss`"),
            Some(other) => Rejected::Issuer.because(format!("its `iss` is not a text but {}", kind_of(other))),
        })?;
        let iss = iss.to_owned();
        let aud = claims.get("aud").cloned().ok_or_else(|| Rejected::Audience.because("it has no `aud`"))?;
        // Where the issuer names the tenant, a token need not.
        let tid = text("tid").or_else(|| entra_tenant(&iss)).map(str::to_owned);
        Ok(Self { raw: Secret::new(raw), iss, tid, aud })
    }

    /// The providers that it may be from, by their names, and by nothing but its own word: those of its issuer whose client is
    /// an audience.
    ///
    /// # Errors
    /// [`Rejected::Issuer`] or [`Rejected::Audience`], where there is none: nobody is asked about it then.
    pub fn providers(&self, providers: &[Provider]) -> Result<Vec<String>, Rejection> {
        let of_issuer = || providers.iter().filter(|provider| provider.expected_issuer.admits_token(&self.iss, self.tid.as_deref()));
        if of_issuer().next().is_none() {
            let known: Vec<_> = providers.iter().take(8).map(|provider| provider.expected_issuer.to_string()).collect();
            let words =
                format!("it is from the issuer `{}`, and the providers of the configuration have {}", shown(&self.iss), known.join("; "));
            return Err(Rejected::Issuer.because(words));
        }
        let is_audience = |client_id: &str| match &self.aud {
            Value::Array(audiences) => audiences.iter().any(|audience| audience == client_id),
            one => one == client_id,
        };
        let found: Vec<_> = of_issuer().filter(|provider| is_audience(&provider.client_id)).map(|provider| provider.name.clone()).collect();
        if found.is_empty() {
            let ours: Vec<_> = of_issuer().take(8).map(|provider| format!("`{}`", shown(&provider.client_id))).collect();
            let words = format!("it is for the audience {}, and client_id of its issuer is {}", quoted(&self.aud), ours.join(" or "));
            return Err(Rejected::Audience.because(words));
        }
        Ok(found)
    }

    /// Whether metadata is that of its issuer.
    pub fn is_of(&self, metadata: &ProviderMetadata) -> bool {
        is_issuer_of_token(&metadata.issuer, &self.iss, self.tid.as_deref())
    }

    /// Its signature: by the keys and the algorithms of ID tokens (section 2.6, steps 2 and 3).
    ///
    /// # Errors
    /// [`Rejection`], with the step that failed. [`Rejected::UnknownKey`] and [`Rejected::Signature`] may be cured by fresher
    /// keys.
    pub fn verify(&self, metadata: &ProviderMetadata, keys: &KeySet) -> Result<Signed, Rejection> {
        let token = SignedJwt::parse(self.raw.expose(), "logout tokens", &TYPES)?;
        let algorithm = token.algorithm(metadata.signing_algorithms.as_deref(), "id_token_signing_alg_values_supported")?;
        let key_issuers = token.verify(algorithm, keys)?;
        if !self.is_of(metadata) {
            return Err(Rejected::Issuer.because(other_issuer(&self.iss, self.tid.as_deref(), &metadata.issuer)));
        }
        let may_sign = |issuer: &str| may_sign_for(issuer, &self.iss, self.tid.as_deref());
        if !key_issuers.iter().any(|issuer| issuer.is_none_or(may_sign)) {
            return Err(Rejected::Issuer.because(key_of_another(&key_issuers, &self.iss)));
        }
        Ok(Signed { iss: self.iss.clone(), claims: token.claims()? })
    }
}

/// A token with its provider's signature. Made by [`Unverified::verify`] only.
#[derive(Debug)]
pub struct Signed {
    iss: String,
    claims: Map<String, Value>,
}

/// A token that passed every step but that of its `jti`, which the host knows. Made by [`Signed::matched`] only.
#[derive(Debug)]
pub struct LogoutToken {
    pub issuer: String,
    /// Section 2.4: at least one of the two is there. With `sid`, this session of the provider's ends; else every one of `sub`.
    pub sub: Option<String>,
    pub sid: Option<String>,
    pub jti: String,
    /// By our clock, and no earlier than it may have been: the provider's may be behind by `clock_skew`.
    pub logged_out_at: UnixTime,
    /// When it is not accepted any more.
    pub expires_at: UnixTime,
}

impl Signed {
    /// Matches what it says (section 2.6, steps 4 to 8).
    ///
    /// # Errors
    /// [`Rejection`], with the step that failed.
    pub fn matched(self, provider: &Provider, now: UnixTime) -> Result<LogoutToken, Rejection> {
        let Self { iss, claims } = self;
        // Step 3: "in the same way they are validated in ID Tokens".
        check_audiences(provider, claims.get("aud"))?;
        let (issued_at, expires_at) = check_dates(&claims, provider.clock_skew, now)?;
        // Steps 4 and 5. Whatever a member is called, one that is no text names nobody.
        let text = |name: &str, otherwise: Rejected| match claims.get(name) {
            None => Ok(None),
            // A subject may be any text, as in an ID token.
            Some(Value::String(text)) if (name == "sub" && !text.is_empty()) || !text.trim().is_empty() => match text.len() {
                0..=MAX_TEXT_BYTES => Ok(Some(text.clone())),
                length => Err(otherwise.because(format!("its `{name}` has {length} bytes, over the limit of {MAX_TEXT_BYTES}"))),
            },
            Some(Value::String(_)) => Err(otherwise.because(format!("its `{name}` is empty"))),
            Some(other) => Err(otherwise.because(format!("its `{name}` is not a text but {}", kind_of(other)))),
        };
        let (sub, sid) = (text("sub", Rejected::Subject)?, text("sid", Rejected::Subject)?);
        if sub.is_none() && sid.is_none() {
            return Err(Rejected::Subject.because("it has neither `sub` nor `sid`"));
        }
        // Step 6.
        let events =
            claims.get("events").and_then(Value::as_object).ok_or_else(|| Rejected::Events.because("it has no object `events`"))?;
        if !events.get(EVENT).is_some_and(Value::is_object) {
            return Err(Rejected::Events.because(format!("its `events` have no object `{EVENT}`")));
        }
        // Step 7: so that an ID token is never taken for one.
        if claims.contains_key("nonce") {
            return Err(Rejected::Nonce.because("it has a `nonce`"));
        }
        let jti = text("jti", Rejected::TokenId)?.ok_or_else(|| Rejected::TokenId.because("it has no `jti`"))?;
        let logged_out_at = issued_at.after(provider.clock_skew).min(now);
        Ok(LogoutToken { issuer: iss, sub, sid, jti, logged_out_at, expires_at })
    }
}

/// `iat`, and when the token is not accepted any more.
fn check_dates(claims: &Map<String, Value>, skew: Duration, now: UnixTime) -> Result<(UnixTime, UnixTime), Rejection> {
    let issued_at = date(claims, "iat", Rejected::IssuedAt)?.ok_or_else(|| Rejected::IssuedAt.because("it has no `iat`"))?;
    if issued_at > now.after(skew) {
        return Err(Rejected::IssuedAt.because(apart("iat", issued_at, now, skew)));
    }
    let exp = date(claims, "exp", Rejected::Expired)?;
    if let Some(exp) = exp.filter(|exp| now >= exp.after(skew)) {
        return Err(Rejected::Expired.because(apart("exp", exp, now, skew)));
    }
    let max_age = if exp.is_some() { MAX_AGE } else { MAX_AGE_WITHOUT_EXP };
    let too_old = issued_at.after(max_age);
    if now >= too_old.after(skew) {
        return Err(Rejected::IssuedAt.because(apart("iat", issued_at, now, max_age + skew)));
    }
    if let Some(not_before) = date(claims, "nbf", Rejected::NotBefore)?.filter(|not_before| *not_before > now.after(skew)) {
        return Err(Rejected::NotBefore.because(apart("nbf", not_before, now, skew)));
    }
    Ok((issued_at, exp.map_or(too_old, |exp| exp.min(too_old)).after(skew)))
}
