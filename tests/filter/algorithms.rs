//! Every signature algorithm that is promised, with real keys, through a whole login.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::*;
use serde_json::{Map, Value, json};

use crate::rig::{Browser, CONFIG, Rig};

/// Logs in at a provider whose tokens `sign` signs and whose only key is `jwk`.
fn log_in(jwk: Value, sign: impl Fn(JWTClaims<Map<String, Value>>) -> String + 'static) -> (u16, String) {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    rig.provider.edit_jwks = Some(Box::new(move |jwks| jwks["keys"] = json!([jwk])));
    rig.provider.edit_token = Some(Box::new(move |token| {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let mut custom: Map<String, Value> = serde_json::from_slice(&payload).unwrap();
        // The hash of the access token depends on the algorithm; that of EdDSA, which the rig made, would be wrong.
        custom.remove("at_hash");
        let mut text = |name: &str| custom.remove(name).and_then(|value| value.as_str().map(str::to_owned));
        let (issuer, subject, audience, nonce) = (text("iss"), text("sub"), text("aud"), text("nonce"));
        let mut number = |name: &str| custom.remove(name).and_then(|value| value.as_u64()).map(UnixTimeStamp::from_secs);
        let (issued_at, expires_at) = (number("iat"), number("exp"));
        let mut claims = Claims::with_custom_claims(custom, Duration::from_secs(1));
        (claims.issuer, claims.subject, claims.nonce, claims.invalid_before) = (issuer, subject, nonce, None);
        (claims.issued_at, claims.expires_at) = (issued_at, expires_at);
        claims.audiences = audience.map(Audiences::AsString);
        *token = sign(claims);
    }));
    let status = browser.log_in(&mut rig, "/", "alice").status;
    (status, rig.last_event().to_owned())
}

fn succeeded() -> (u16, String) {
    (302, "login.succeeded".to_owned())
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa(components: &RSAPublicKeyComponents, kid: &str) -> Value {
    json!({ "kty": "RSA", "kid": kid, "n": b64(&components.n), "e": b64(&components.e) })
}

/// One algorithm of the RSA family: accepted, and refused once the signature is another's.
macro_rules! rsa_algorithm {
    ($name:ident, $pair:ty) => {
        #[test]
        fn $name() {
            let key = <$pair>::generate(2048).unwrap().with_key_id("k");
            let jwk = rsa(&key.public_key().to_components(), "k");
            let other = <$pair>::generate(2048).unwrap().with_key_id("k");
            assert_eq!(log_in(jwk.clone(), move |claims| key.sign(claims).unwrap()), succeeded());
            let forged = log_in(jwk, move |claims| other.sign(claims).unwrap());
            assert_eq!(forged, (502, "id_token.signature".to_owned()), "oidcc-client-test-invalid-sig-rs256");
        }
    };
}

rsa_algorithm!(rs256, RS256KeyPair);
rsa_algorithm!(rs384, RS384KeyPair);
rsa_algorithm!(rs512, RS512KeyPair);
rsa_algorithm!(ps256, PS256KeyPair);
rsa_algorithm!(ps384, PS384KeyPair);
rsa_algorithm!(ps512, PS512KeyPair);

/// One algorithm on an elliptic curve.
macro_rules! ec_algorithm {
    ($name:ident, $pair:ty, $curve:literal, $size:literal) => {
        #[test]
        fn $name() {
            let key = <$pair>::generate().with_key_id("k");
            let point = key.public_key().public_key().to_bytes_uncompressed();
            let jwk = json!({ "kty": "EC", "crv": $curve, "kid": "k", "x": b64(&point[1..=$size]), "y": b64(&point[$size + 1..]) });
            let other = <$pair>::generate().with_key_id("k");
            assert_eq!(log_in(jwk.clone(), move |claims| key.sign(claims).unwrap()), succeeded());
            let forged = log_in(jwk, move |claims| other.sign(claims).unwrap());
            assert_eq!(forged, (502, "id_token.signature".to_owned()), "oidcc-client-test-invalid-sig-es256");
        }
    };
}

ec_algorithm!(es256, ES256KeyPair, "P-256", 32);
ec_algorithm!(es384, ES384KeyPair, "P-384", 48);

#[test]
fn eddsa() {
    let key = Ed25519KeyPair::generate().with_key_id("k");
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": b64(&key.public_key().to_bytes()) });
    assert_eq!(log_in(jwk, move |claims| key.sign(claims).unwrap()), succeeded());
}

/// Authlib CVE-2024-37568: the provider's public key used as the secret of an HMAC.
#[test]
fn the_public_key_is_no_hmac_secret() {
    let pair = RS256KeyPair::generate(2048).unwrap().with_key_id("k");
    let jwk = rsa(&pair.public_key().to_components(), "k");
    let forged = HS256Key::from_bytes(pair.public_key().to_pem().unwrap().as_bytes()).with_key_id("k");
    assert_eq!(log_in(jwk, move |claims| forged.authenticate(claims).unwrap()), (502, "id_token.algorithm".to_owned()));
}

/// A key of one family is never tried with another family's algorithm.
#[test]
fn rsa_keys_are_taken_for_the_algorithm_they_name() {
    let pair = RS256KeyPair::generate(2048).unwrap().with_key_id("k");
    let mut jwk = rsa(&pair.public_key().to_components(), "k");
    jwk["alg"] = "PS256".into();
    assert_eq!(log_in(jwk, move |claims| pair.sign(claims).unwrap()), (502, "id_token.unknown_key".to_owned()));
}
