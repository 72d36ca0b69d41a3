//! ID tokens (OpenID Connect Core section 2 and 3.1.3.6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::fault::Script;
use crate::grant::CodeGrant;
use crate::person::Person;
use crate::signing_key::{KeyError, SigningAlgorithm, SigningKey, TokenHeader};

/// What an ID token is made of. Times are Unix seconds.
pub(crate) struct IdToken<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) person: &'a Person,
    pub(crate) grant: &'a CodeGrant,
    pub(crate) access_token: &'a str,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
}

impl IdToken<'_> {
    /// The signed token, with whatever the script does to it.
    pub(crate) fn sign(&self, key: &SigningKey, script: &Script) -> Result<String, KeyError> {
        let mut claims = self.claims(key.algorithm);
        if script.wrong_at_hash {
            claims.insert("at_hash".into(), json!(at_hash("another token", key.algorithm)));
        }
        if let Some(edit) = &script.edit_id_token {
            edit(&mut claims);
        }
        let header = TokenHeader { omit_kid: script.omit_kid, typ: script.id_token_type.clone() };
        let mut token = key.sign(claims, &header)?;
        if script.break_signature {
            token = with_broken_signature(&token);
        }
        Ok(match &script.replace_id_token {
            Some(replace) => replace(token),
            None => token,
        })
    }

    fn claims(&self, algorithm: SigningAlgorithm) -> Map<String, Value> {
        let mut claims = self.person.claims(&self.grant.scope);
        claims.insert("iss".into(), json!(self.issuer));
        claims.insert("aud".into(), json!(self.grant.client_id));
        claims.insert("iat".into(), json!(self.issued_at));
        claims.insert("exp".into(), json!(self.expires_at));
        claims.insert("auth_time".into(), json!(self.grant.sign_on.authenticated_at));
        claims.insert("at_hash".into(), json!(at_hash(self.access_token, algorithm)));
        if let Some(nonce) = &self.grant.nonce {
            claims.insert("nonce".into(), json!(nonce));
        }
        claims
    }
}

/// "The left-most half of the hash of the octets of the ASCII representation of the `access_token` value", with the
/// hash of the signature algorithm; Ed25519 signs over SHA-512 (RFC 8032 section 5.1).
fn at_hash(access_token: &str, algorithm: SigningAlgorithm) -> String {
    use SigningAlgorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    let hash = match algorithm {
        Rs256 | Ps256 | Es256 => Sha256::digest(access_token).to_vec(),
        Rs384 | Ps384 | Es384 => Sha384::digest(access_token).to_vec(),
        Rs512 | Ps512 | EdDsa => Sha512::digest(access_token).to_vec(),
    };
    URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
}

fn with_broken_signature(token: &str) -> String {
    let broken = token.rsplit_once('.').and_then(|(signed, signature)| {
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).ok()?;
        *bytes.last_mut()? ^= 1;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes)))
    });
    broken.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_hash_as_in_the_specification() {
        // OpenID Connect Core appendix A.3 (response_type=id_token token, RS256).
        assert_eq!(at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", SigningAlgorithm::Rs256), "77QmUPtjPfzWtF2AnpK9RQ");
    }

    #[test]
    fn a_broken_signature_differs_in_the_signature_only() {
        let token = "e30.e30.AAEC";
        let broken = with_broken_signature(token);
        assert_eq!(broken, "e30.e30.AAED");
    }
}
