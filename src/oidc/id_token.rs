//! ID Token verification (OIDC Core section 3.1.3.7). The only file that verifies one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

use super::error::{Rejected, Rejection, shown};
use super::jwks::KeySet;
use super::jws::{PLAIN, SignedJwt, apart, date, key_of_another, kind_of, other_issuer, quoted};
use super::refresh;
use super::signature::Algorithm;
use crate::claims::Claims;
use crate::oidc::issuer::{is_issuer_of_token, may_sign_for};
use crate::oidc::provider::{ProvenLogin, Provider, Requirements, Unmet};
use crate::secret::Secret;
use crate::time::UnixTime;

/// A token this old was not issued for the login that has just come back.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// So many audiences are named in a message.
const MAX_NAMED: usize = 8;

/// Longest `sub`, in characters (OIDC Core section 2, where they are ASCII).
const MAX_SUBJECT_CHARACTERS: usize = 255;

/// A token that passed every step. Made by [`IdTokenVerifier::verify`] only.
#[derive(Debug)]
pub struct VerifiedIdToken(Identity);

/// Who has logged in, and what their provider says of them. Made of a verified ID token, alone or completed by a userinfo
/// response for the same subject; there is no other way.
#[derive(Debug)]
pub struct Identity {
    pub(super) claims: Claims<'static>,
    subject: String,
    requested_at: UnixTime,
}

impl Identity {
    /// When the authorization request was made that the login answers.
    pub fn requested_at(&self) -> UnixTime {
        self.requested_at
    }

    pub fn into_claims(self) -> Claims<'static> {
        self.claims
    }
}

impl VerifiedIdToken {
    pub fn claims(&self) -> &Map<String, Value> {
        self.0.claims.whole()
    }

    /// `sub`: who this is, at this issuer, for ever.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Whose it is, by itself.
    pub fn into_identity(self) -> Identity {
        self.0
    }
}

/// What a token is compared with.
pub struct IdTokenVerifier<'a> {
    pub provider: &'a Provider,
    /// `issuer` of the metadata that this login was started with.
    pub issuer: &'a str,
    /// The algorithms that the metadata lists; `None` for all of ours.
    pub algorithms: Option<&'a [Algorithm]>,
    /// When the authorization request was made.
    pub requested_at: UnixTime,
    pub keys: &'a KeySet,
    pub occasion: Occasion<'a>,
    pub access_token: &'a Secret,
}

/// What a token was issued upon.
#[derive(Clone, Copy)]
pub enum Occasion<'a> {
    /// An authorization request with this `nonce`.
    Login { nonce: &'a Secret },
    /// A refresh, after a login whose ID token had these claims.
    Refresh { login: &'a Map<String, Value> },
}

impl IdTokenVerifier<'_> {
    /// Takes the steps of OIDC Core section 3.1.3.7, in its numbering; those that need no signature come with the claims.
    ///
    /// # Errors
    /// [`Rejection`], with the step that failed. [`Rejected::UnknownKey`] and [`Rejected::Signature`] may be cured by fresher
    /// keys.
    pub fn verify(&self, raw: &Secret, now: UnixTime) -> Result<VerifiedIdToken, Rejection> {
        // 1. Encrypted ID tokens are not negotiated; five parts are one, and are rejected here.
        let token = SignedJwt::parse(raw.expose(), "ID tokens", &PLAIN)?;
        // 7. and 8. Only the provider's public keys, by an algorithm that needs one.
        let algorithm = token.algorithm(self.algorithms, "id_token_signing_alg_values_supported")?;
        let claims = token.claims()?;
        let expires_at = date(&claims, "exp", Rejected::Expired)?.ok_or_else(|| Rejected::Expired.because("it has no `exp`"))?;
        let issued_at = date(&claims, "iat", Rejected::IssuedAt)?.ok_or_else(|| Rejected::IssuedAt.because("it has no `iat`"))?;
        let not_before = date(&claims, "nbf", Rejected::NotBefore)?;
        for (name, otherwise) in
            [("iss", Rejected::Issuer), ("sub", Rejected::Subject), ("nonce", Rejected::Nonce), ("jti", Rejected::Malformed)]
        {
            if let Some(value) = claims.get(name).filter(|value| !value.is_string()) {
                return Err(otherwise.because(format!("its `{name}` is not a text but {}", kind_of(value))));
            }
        }

        // 6. The signature.
        let key_issuers = token.verify(algorithm, self.keys)?;

        // 2. The issuer is exactly that of the metadata, and with Entra's template that of the token's tenant.
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let iss = text("iss").ok_or_else(|| Rejected::Issuer.because("it has no `iss`"))?;
        if !is_issuer_of_token(self.issuer, iss, text("tid")) {
            return Err(Rejected::Issuer.because(other_issuer(iss, text("tid"), self.issuer)));
        }
        if !key_issuers.iter().any(|issuer| issuer.is_none_or(|issuer| may_sign_for(issuer, iss, text("tid")))) {
            return Err(Rejected::Issuer.because(key_of_another(&key_issuers, iss)));
        }
        // 3. We are an audience, and every other one is trusted.
        check_audiences(self.provider, claims.get("aud"))?;
        // 4. and 5. If it names the party it was issued to, that is us.
        let client_id = self.provider.client_id.as_str();
        if let Some(party) = claims.get("azp").filter(|party| *party != client_id) {
            let words = format!("it was issued to {} (`azp`), and client_id is `{}`", quoted(party), shown(client_id));
            return Err(Rejected::AuthorizedParty.because(words));
        }
        let subject = text("sub").ok_or_else(|| Rejected::Subject.because("it has no `sub`"))?;
        // Streamlit accepts an empty one. A space is a name as any other: a person is found by the very bytes.
        if subject.is_empty() {
            return Err(Rejected::Subject.because("its `sub` is empty"));
        }
        if subject.chars().count() > MAX_SUBJECT_CHARACTERS {
            let words = format!("its `sub` has {} characters, over the limit of {MAX_SUBJECT_CHARACTERS}", subject.chars().count());
            return Err(Rejected::Subject.because(words));
        }
        self.check_dates(expires_at, issued_at, not_before, now)?;
        // 11. It was issued for this login. Whose else it is remains unsaid: a nonce is a secret.
        match (self.occasion, text("nonce")) {
            (Occasion::Login { .. }, None) => return Err(Rejected::Nonce.because("it has no `nonce`")),
            (Occasion::Login { nonce: expected }, Some(nonce)) if !expected.matches(nonce) => {
                return Err(Rejected::Nonce.because("its `nonce` is not that of this login: it was issued for another one"));
            }
            (Occasion::Login { .. }, Some(_)) => {}
            (Occasion::Refresh { login }, _) => refresh::match_login(&claims, login)?,
        }
        // Section 3.1.3.8: it was issued together with this access token.
        if let Some(at_hash) = claims.get("at_hash")
            && !at_hash.as_str().is_some_and(|hash| is_hash_of(hash, self.access_token, algorithm))
        {
            let words = format!("its `at_hash` is not that of the access token by {}: the tokens do not belong together", algorithm.name());
            return Err(Rejected::AccessTokenHash.because(words));
        }
        let subject = subject.to_owned();
        let claims = match self.occasion {
            Occasion::Login { .. } => claims,
            Occasion::Refresh { login } => refresh::with_those_of_the_login(claims, login),
        };
        // 12. and 13. What the authorization request asked for has been done, and nothing else that the section demands lacks.
        let (claims, metadata_tag) = (Claims::from(claims), self.provider.metadata_tag());
        let login = ProvenLogin { claims: &claims, requested_at: self.requested_at, proven_at: now, metadata_tag: &metadata_tag };
        self.provider.admits(&login).map_err(|unmet| self.rejection(unmet, &claims, now))?;
        Ok(VerifiedIdToken(Identity { claims, subject, requested_at: self.requested_at }))
    }

    fn check_dates(&self, expires_at: UnixTime, issued_at: UnixTime, not_before: Option<UnixTime>, now: UnixTime) -> Result<(), Rejection> {
        let skew = self.provider.clock_skew;
        // 9. It has not expired.
        if now >= expires_at.after(skew) {
            return Err(Rejected::Expired.because(apart("exp", expires_at, now, skew)));
        }
        // 10. It was issued just now: the code was redeemed a moment ago.
        if issued_at > now.after(skew) || now.since(issued_at) > MAX_AGE + skew {
            return Err(Rejected::IssuedAt.because(apart("iat", issued_at, now, if issued_at > now { skew } else { MAX_AGE + skew })));
        }
        match not_before.filter(|not_before| *not_before > now.after(skew)) {
            Some(not_before) => Err(Rejected::NotBefore.because(apart("nbf", not_before, now, skew))),
            None => Ok(()),
        }
    }

    fn rejection(&self, unmet: Unmet, claims: &Claims<'_>, now: UnixTime) -> Rejection {
        let (reason, name) = match unmet {
            Unmet::Issuer => (Rejected::Issuer, "iss"),
            Unmet::Tenant => (Rejected::Tenant, "tid"),
            Unmet::AuthenticationContext => (Rejected::AuthenticationContext, "acr"),
            Unmet::AuthenticationTime | Unmet::AuthenticationInFuture => (Rejected::AuthenticationTime, "auth_time"),
            Unmet::HostedDomain => (Rejected::HostedDomain, "hd"),
        };
        let Requirements { max_age, acr_values, hosted_domain } = &self.provider.requirements;
        let expected = match unmet {
            Unmet::Issuer => format!("expects the issuer {}", self.provider.expected_issuer),
            Unmet::Tenant => format!("has tenants = {:?}", self.provider.tenants),
            Unmet::AuthenticationContext => format!("has acr_values = {:?}", acr_values.join(" ")),
            Unmet::AuthenticationTime | Unmet::AuthenticationInFuture => {
                format!("has max_age = {}; the login was started at {}", max_age.unwrap_or_default().as_secs(), self.requested_at)
            }
            Unmet::HostedDomain => format!("has hd = {:?}", hosted_domain.as_deref().unwrap_or_default()),
        };
        let found = match (claims.whole().get(name), unmet) {
            (None, _) => format!("it has no `{name}`"),
            (Some(value), Unmet::AuthenticationInFuture) if let Some(at) = UnixTime::from_numeric_date(value) => {
                return reason.because(format!(
                    "the person is said to have authenticated at a time that is still to come: {}",
                    apart(name, at, now, self.provider.clock_skew)
                ));
            }
            (Some(value), Unmet::AuthenticationTime) => match UnixTime::from_numeric_date(value) {
                Some(at) => {
                    let before = humantime::format_duration(self.requested_at.since(at));
                    format!("{reason}: its `{name}` is {at}, {before} before the login was started")
                }
                None => format!("its `{name}` is {}, which is not a date", quoted(value)),
            },
            (Some(value), _) => format!("{reason}: its `{name}` is {}", quoted(value)),
        };
        reason.because(format!("{found}, and the configuration {expected}"))
    }
}

/// Step 3: we are an audience, and every other one is trusted.
pub(super) fn check_audiences(provider: &Provider, aud: Option<&Value>) -> Result<(), Rejection> {
    let client_id = provider.client_id.as_str();
    let audiences = match aud {
        None => return Err(Rejected::Audience.because(format!("it has no `aud`, and client_id is `{}`", shown(client_id)))),
        Some(Value::Array(audiences)) => audiences.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    if let Some(other) = audiences.iter().find(|audience| !audience.is_string()) {
        let words = format!("its `aud` holds {}, which is not a text, and client_id is `{}`", quoted(other), shown(client_id));
        return Err(Rejected::Audience.because(words));
    }
    if !audiences.iter().any(|audience| audience == client_id) {
        let all: Vec<_> = audiences.iter().take(MAX_NAMED).map(quoted).collect();
        let all =
            if all.is_empty() { "its `aud` is an empty list".to_owned() } else { format!("it is for the audience {}", all.join(", ")) };
        let words = format!("{all}, and client_id is `{}`", shown(client_id));
        return Err(Rejected::Audience.because(words));
    }
    let is_trusted = |audience: &Value| audience == client_id || provider.audiences.iter().any(|trusted| audience == trusted.as_str());
    let others: Vec<_> = audiences.iter().filter(|audience| !is_trusted(audience)).collect();
    let named = others.iter().take(MAX_NAMED).map(|audience| quoted(audience)).collect::<Vec<_>>().join(", ");
    let (client_id, setting) = (shown(client_id), format!("vestibule.provider.{}.audiences", provider.name));
    // The list comes last: it may be long.
    Err(Rejected::Audience.because(match others.len() {
        0 => return Ok(()),
        1 => format!(
            "it is also for the audience {named}, which is neither client_id `{client_id}` nor trusted: if it should be, name it in {setting}"
        ),
        all => {
            let more = all.saturating_sub(MAX_NAMED);
            let more = if more > 0 { format!(" (and {more} others)") } else { String::new() };
            format!(
                "it is also for audiences{more} that are neither client_id `{client_id}` nor trusted; if they should be, name them in {setting}: {named}"
            )
        }
    }))
}

/// The left half of the hash that belongs to the signature's algorithm (OIDC Core section 3.1.3.6; EdDSA with Ed25519
/// uses SHA-512, as its signatures do).
fn is_hash_of(hash: &str, access_token: &Secret, algorithm: Algorithm) -> bool {
    let token = access_token.expose().as_bytes();
    let digest = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => Sha256::digest(token).to_vec(),
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => Sha384::digest(token).to_vec(),
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::Es512 | Algorithm::EdDsa => Sha512::digest(token).to_vec(),
    };
    let expected = URL_SAFE_NO_PAD.encode(&digest[..digest.len() / 2]);
    hash.as_bytes().ct_eq(expected.as_bytes()).into()
}
