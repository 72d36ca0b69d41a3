//! ID tokens: what is verified was signed by the provider, for this login, byte for byte.

use std::sync::LazyLock;

use vestibule::filter::Filter;
use vestibule::oidc::error::Rejection;
use vestibule::oidc::id_token::{IdTokenVerifier, Occasion, VerifiedIdToken};
use vestibule::oidc::jwks::KeySet;
use vestibule::oidc::provider::Provider as Expected;
use vestibule::secret::Secret;
use vestibule::time::UnixTime;

use super::provider::{ACCESS_TOKEN, Provider, is_for};
use super::site::{self, ISSUER, NOW};
use super::visitor;

pub const NONCE: &str = "nonce-1";

struct Site {
    filter: Filter,
    provider: Provider,
    keys: KeySet,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let (filter, provider) = (site::filter(""), Provider::default());
    let keys = KeySet::parse(Ok(visitor::json(&provider.jwks())), expected(&filter)).expect("a key set");
    Site { filter, provider, keys }
});

/// The first byte of `data` says what the rest is: a token; header and payload, a line each, to be signed by the provider
/// or by somebody else; or changes of a good token, two bytes for the place and one for the bits of each.
pub fn run(data: &[u8]) {
    match data {
        [0, token @ ..] => {
            let Ok(token) = std::str::from_utf8(token) else { return };
            assert!(verify(token).is_err(), "nobody signed {token}");
        }
        [kind @ (1 | 2), text @ ..] => {
            let Some(end) = text.iter().position(|&byte| byte == b'\n') else { return };
            let (header, payload) = (&text[..end], &text[end + 1..]);
            if *kind == 1 {
                signed(header, payload);
            } else {
                assert!(verify(&SITE.provider.sign_with_foreign_key(header, payload)).is_err(), "signed by somebody else");
            }
        }
        [3, changes @ ..] => changed(changes),
        _ => {}
    }
}

fn signed(header: &[u8], payload: &[u8]) {
    let token = SITE.provider.sign(header, payload);
    if let Ok(verified) = verify(&token) {
        let claims = SITE.provider.payload_of(&token).expect("a payload that is JSON");
        assert!(is_for(&claims, ISSUER, NONCE, NOW), "{claims}");
        assert_eq!(claims["sub"], verified.subject());
        // The library does not look into members that it does not know.
        let Ok(header) = serde_json::from_slice::<serde_json::Value>(header) else { return };
        assert!(
            (header["alg"] == "EdDSA" || header["alg"] == "Ed25519") && header.get("crit").is_none_or(serde_json::Value::is_null),
            "{header}"
        );
        let is_jwt = |typ: &str| typ.eq_ignore_ascii_case("jwt") || typ.eq_ignore_ascii_case("application/jwt");
        assert!(header["typ"].as_str().is_none_or(is_jwt), "{header}");
    }
}

fn changed(changes: &[u8]) {
    let claims = SITE.provider.claims("alice", NONCE, NOW).to_string();
    let good = SITE.provider.sign(SITE.provider.header().to_string().as_bytes(), claims.as_bytes());
    let mut bytes = good.clone().into_bytes();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] ^= change[2];
    }
    let Ok(token) = String::from_utf8(bytes) else { return };
    assert_eq!(verify(&token).is_ok(), token == good, "{token}");
}

fn verify(token: &str) -> Result<VerifiedIdToken, Rejection> {
    let verifier = IdTokenVerifier {
        provider: expected(&SITE.filter),
        issuer: ISSUER,
        algorithms: None,
        requested_at: UnixTime::from_secs(NOW),
        keys: &SITE.keys,
        occasion: Occasion::Login { nonce: &Secret::new(NONCE) },
        access_token: &Secret::new(ACCESS_TOKEN),
    };
    verifier.verify(&Secret::new(token), UnixTime::from_secs(NOW))
}

fn expected(filter: &Filter) -> &Expected {
    filter.config().provider("default").expect("a provider")
}
