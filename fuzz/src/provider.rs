//! A provider that answers as it should, and signs whatever it is given to sign.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_compact::{KeyPair, PublicKey, Seed, Signature};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::site::{CLIENT_ID, ISSUER};

pub const KEY_ID: &str = "key-1";
pub const ACCESS_TOKEN: &str = "access-token-1";

/// Signs with a key of its own, or with one that it does not publish.
pub struct Provider {
    key: KeyPair,
    foreign: KeyPair,
}

impl Default for Provider {
    fn default() -> Self {
        let pair = |seed| KeyPair::from_seed(Seed::new([seed; 32]));
        Self { key: pair(7), foreign: pair(9) }
    }
}

impl Provider {
    pub fn metadata(&self, issuer: &str) -> Value {
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "end_session_endpoint": format!("{issuer}/logout"),
            "authorization_response_iss_parameter_supported": true,
        })
    }

    pub fn jwks(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(*self.key.pk);
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig", "alg": "EdDSA", "kid": KEY_ID }] })
    }

    pub fn header(&self) -> Value {
        json!({ "alg": "EdDSA", "typ": "JWT", "kid": KEY_ID })
    }

    pub fn claims(&self, sub: &str, nonce: &str, now: u64) -> Value {
        let at_hash = URL_SAFE_NO_PAD.encode(&Sha512::digest(ACCESS_TOKEN)[..32]);
        json!({
            "iss": ISSUER, "sub": sub, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce, "at_hash": at_hash,
            "name": "Alice Example", "email": "alice@example.com", "groups": ["staff", "admins"],
        })
    }

    pub fn token_answer(&self, id_token: &str) -> Value {
        json!({ "access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 300, "id_token": id_token })
    }

    pub fn userinfo(&self, sub: &str) -> Value {
        json!({ "sub": sub, "locale": "de", "name": "Not The Signed Name" })
    }

    /// A JWS in compact form of exactly these bytes.
    pub fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        jws(&self.key, header, payload)
    }

    /// The same under a key that is not in the key set.
    pub fn sign_with_foreign_key(&self, header: &[u8], payload: &[u8]) -> String {
        jws(&self.foreign, header, payload)
    }

    /// The payload of a token that this provider's key has signed, by no code of the core's.
    pub fn payload_of(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        PublicKey::verify(&self.key.pk, signed, &signature).ok()?;
        let (_, payload) = signed.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    /// The public key, as a key set has it.
    pub fn public_key(&self) -> [u8; 32] {
        *self.key.pk
    }
}

fn jws(key: &KeyPair, header: &[u8], payload: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = key.sk.sign(&signed, None);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(*signature))
}

/// Whether an ID token with these claims is for this login: what the core must have found, said in another way.
pub fn is_for(claims: &Value, issuer: &str, nonce: &str, now: u64) -> bool {
    let seconds = |name: &str| claims[name].as_f64();
    let is_us = |audience: &Value| audience == CLIENT_ID || audience.as_array().is_some_and(|all| *all == [CLIENT_ID]);
    claims["iss"] == issuer
        && is_us(&claims["aud"])
        && claims["nonce"] == nonce
        && claims["sub"].as_str().is_some_and(|sub| !sub.trim().is_empty())
        && claims.get("azp").is_none_or(|party| party == CLIENT_ID)
        && seconds("exp").is_some_and(|exp| exp + 120.0 > now as f64)
        && seconds("iat").is_some_and(|iat| iat < now as f64 + 121.0 && iat + 721.0 > now as f64)
        && claims.get("nbf").is_none_or(|nbf| nbf.as_f64().is_some_and(|nbf| nbf < now as f64 + 121.0))
}
