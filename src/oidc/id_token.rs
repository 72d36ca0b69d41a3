//! ID Token verification (OIDC Core section 3.1.3.7). The only file that verifies one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{ECDSAP256PublicKeyLike, ECDSAP384PublicKeyLike, EdDSAPublicKeyLike, RSAPublicKeyLike};
use jwt_simple::prelude::{JWTClaims, NoCustomClaims, UnixTimeStamp, VerificationOptions};
use jwt_simple::token::Token;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

use super::error::Rejected;
use super::jwks::{Algorithm, KeySelection, KeySet, VerificationKey};
use super::outbound::is_object;
use crate::claims::Claims;
use crate::oidc::issuer::{is_issuer_of_token, may_sign_for};
use crate::oidc::provider::{ProvenLogin, Provider, Unmet};
use crate::secret::Secret;
use crate::time::{CLOCK_SKEW, UnixTime};

/// A token this old was not issued for the login that has just come back.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// Longest accepted token, in bytes. It also has to fit into a session.
const MAX_BYTES: usize = 256 * 1024;

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
    pub nonce: &'a Secret,
    pub access_token: &'a Secret,
}

impl IdTokenVerifier<'_> {
    /// Takes the steps of OIDC Core section 3.1.3.7, in its numbering; those that need no signature come with the
    /// claims, because jwt-simple leaves nearly all of them to its caller.
    ///
    /// # Errors
    /// [`Rejected`], with the step that failed. [`Rejected::UnknownKey`] may be cured by fresher keys.
    pub fn verify(&self, raw: &Secret, now: UnixTime) -> Result<VerifiedIdToken, Rejected> {
        let raw = raw.expose();
        if raw.len() > MAX_BYTES {
            return Err(Rejected::Malformed);
        }
        // 1. Encrypted ID tokens are not negotiated; five parts are one, and are rejected here.
        let mut parts = raw.split('.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(Rejected::Malformed);
        };
        if signature.is_empty() {
            return Err(Rejected::Signature);
        }
        // The library would read a header that is an array.
        if !URL_SAFE_NO_PAD.decode(header).is_ok_and(|json| is_object(&json)) {
            return Err(Rejected::Malformed);
        }
        let header = Token::decode_metadata(raw).map_err(|_| Rejected::Malformed)?;
        // A logout token or an access token is no ID token, whoever signed it (RFC 8725 section 3.11).
        if header.signature_type().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(Rejected::Type);
        }
        // RFC 7515 section 4.1.11: what must be understood and is not, is rejected.
        if header.critical().is_some() {
            return Err(Rejected::Critical);
        }
        // 7. and 8. Only the provider's public keys, by an algorithm that needs one. `jwk`, `jku` and `x5u` are not read.
        let algorithm = Algorithm::from_name(header.algorithm()).ok_or(Rejected::Algorithm)?;
        if self.algorithms.is_some_and(|listed| !listed.contains(&algorithm)) {
            return Err(Rejected::Algorithm);
        }
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Rejected::Malformed)?;
        let claims: Map<String, Value> = serde_json::from_slice(&payload).map_err(|_| Rejected::Malformed)?;
        // Before the library converts these numbers with less care.
        let expires_at = date(&claims, "exp", Rejected::Expired)?.ok_or(Rejected::Expired)?;
        let issued_at = date(&claims, "iat", Rejected::IssuedAt)?.ok_or(Rejected::IssuedAt)?;
        let not_before = date(&claims, "nbf", Rejected::NotBefore)?;

        // The library cannot read these claims in any other type, and would blame the signature.
        for (name, otherwise) in
            [("iss", Rejected::Issuer), ("sub", Rejected::Subject), ("nonce", Rejected::Nonce), ("jti", Rejected::Malformed)]
        {
            if claims.get(name).is_some_and(|value| !value.is_string()) {
                return Err(otherwise);
            }
        }
        let is_audience = |value: &Value| value.is_string() || value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
        if claims.get("aud").is_some_and(|value| !is_audience(value)) {
            return Err(Rejected::Audience);
        }

        // 6. The signature.
        let (key, key_issuer) = match self.keys.select(algorithm, header.key_id()) {
            KeySelection::Key { key, issuer } => (key, issuer),
            KeySelection::UnknownKid => return Err(Rejected::UnknownKey),
            KeySelection::Ambiguous => return Err(Rejected::AmbiguousKey),
        };
        verify_signature(&key, raw)?;

        // 2. The issuer is exactly that of the metadata, and with Entra's template that of the token's tenant.
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let iss = text("iss").filter(|iss| is_issuer_of_token(self.issuer, iss, text("tid"))).ok_or(Rejected::Issuer)?;
        if key_issuer.is_some_and(|key_issuer| !may_sign_for(key_issuer, iss, text("tid"))) {
            return Err(Rejected::Issuer);
        }
        // 3. We are its audience, and nobody else is: an audience that we do not know is one that we do not trust.
        let client_id = self.provider.client_id.as_str();
        let for_us = match claims.get("aud") {
            Some(Value::String(audience)) => audience == client_id,
            Some(Value::Array(audiences)) => audiences.len() == 1 && audiences[0] == client_id,
            _ => false,
        };
        if !for_us {
            return Err(Rejected::Audience);
        }
        // 4. and 5. If it names the party it was issued to, that is us.
        if claims.get("azp").is_some_and(|party| party != client_id) {
            return Err(Rejected::AuthorizedParty);
        }
        // Section 2: `sub` has at most 255 characters. Streamlit accepts an empty one.
        let subject = text("sub").filter(|sub| !sub.trim().is_empty() && sub.len() <= 255).ok_or(Rejected::Subject)?.to_owned();
        // 9. It has not expired.
        if now >= expires_at.after(CLOCK_SKEW) {
            return Err(Rejected::Expired);
        }
        // 10. It was issued just now: the code was redeemed a moment ago.
        if issued_at > now.after(CLOCK_SKEW) || now.since(issued_at) > MAX_AGE + CLOCK_SKEW {
            return Err(Rejected::IssuedAt);
        }
        if not_before.is_some_and(|not_before| not_before > now.after(CLOCK_SKEW)) {
            return Err(Rejected::NotBefore);
        }
        // 11. It was issued for this login.
        if !text("nonce").is_some_and(|nonce| self.nonce.matches(nonce)) {
            return Err(Rejected::Nonce);
        }
        // Section 3.1.3.8: it was issued together with this access token.
        if let Some(at_hash) = claims.get("at_hash")
            && !at_hash.as_str().is_some_and(|hash| is_hash_of(hash, self.access_token, algorithm))
        {
            return Err(Rejected::AccessTokenHash);
        }
        // 12. and 13. What the authorization request asked for has been done, and nothing else that the section demands lacks.
        let (claims, metadata_tag) = (Claims::from(claims), self.provider.metadata_tag());
        self.provider.admits(&ProvenLogin { claims: &claims, requested_at: self.requested_at, metadata_tag: &metadata_tag })?;
        Ok(VerifiedIdToken(Identity { claims, subject, requested_at: self.requested_at }))
    }
}

impl From<Unmet> for Rejected {
    fn from(unmet: Unmet) -> Self {
        match unmet {
            Unmet::Issuer => Self::Issuer,
            Unmet::Tenant => Self::Tenant,
            Unmet::AuthenticationContext => Self::AuthenticationContext,
            Unmet::AuthenticationTime => Self::AuthenticationTime,
            Unmet::HostedDomain => Self::HostedDomain,
        }
    }
}

/// A date among the claims; `None` when it is absent.
fn date(claims: &Map<String, Value>, name: &str, otherwise: Rejected) -> Result<Option<UnixTime>, Rejected> {
    claims.get(name).map(|value| UnixTime::from_numeric_date(value).ok_or(otherwise)).transpose()
}

fn verify_signature(key: &VerificationKey, raw: &str) -> Result<(), Rejected> {
    // The library is asked for the signature only. Its clock stands at zero, when nothing has expired: dates are
    // checked by the steps above, whose errors are exact.
    let options = || {
        Some(VerificationOptions {
            accept_future: true,
            time_tolerance: None,
            artificial_time: Some(UnixTimeStamp::from_secs(0)),
            max_token_length: Some(MAX_BYTES),
            ..VerificationOptions::default()
        })
    };
    use VerificationKey as Key;
    let verified: Result<JWTClaims<NoCustomClaims>, _> = match key {
        Key::Rs256(key) => key.verify_token(raw, options()),
        Key::Rs384(key) => key.verify_token(raw, options()),
        Key::Rs512(key) => key.verify_token(raw, options()),
        Key::Ps256(key) => key.verify_token(raw, options()),
        Key::Ps384(key) => key.verify_token(raw, options()),
        Key::Ps512(key) => key.verify_token(raw, options()),
        Key::Es256(key) => key.verify_token(raw, options()),
        Key::Es384(key) => key.verify_token(raw, options()),
        Key::EdDsa(key) => key.verify_token(raw, options()),
    };
    verified.map(|_| ()).map_err(|_| Rejected::Signature)
}

/// The left half of the hash that belongs to the signature's algorithm (OIDC Core section 3.1.3.6; EdDSA with Ed25519
/// uses SHA-512, as its signatures do).
fn is_hash_of(hash: &str, access_token: &Secret, algorithm: Algorithm) -> bool {
    let token = access_token.expose().as_bytes();
    let digest = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => Sha256::digest(token).to_vec(),
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => Sha384::digest(token).to_vec(),
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::EdDsa => Sha512::digest(token).to_vec(),
    };
    let expected = URL_SAFE_NO_PAD.encode(&digest[..digest.len() / 2]);
    hash.as_bytes().ct_eq(expected.as_bytes()).into()
}
