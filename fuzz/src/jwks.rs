//! Key sets: no set makes a token good whose key is not in it.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use vestibule::filter::Filter;
use vestibule::oidc::id_token::{IdTokenVerifier, Occasion};
use vestibule::oidc::jwks::KeySet;
use vestibule::oidc::signature::Algorithm;
use vestibule::secret::Secret;
use vestibule::time::UnixTime;
use vestibule::web::http::OutboundResponse;

use super::id_token::NONCE;
use super::provider::{ACCESS_TOKEN, KEY_ID, Provider};
use super::site::{self, ISSUER, NOW};

struct Site {
    filter: Filter,
    provider: Provider,
    /// A good token that names its key, and one that does not.
    tokens: [Secret; 2],
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let (filter, provider) = (site::filter(""), Provider::default());
    let claims = provider.claims("alice", NONCE, NOW).to_string();
    let headers = [provider.header().to_string(), "{\"alg\":\"EdDSA\"}".to_owned()];
    let tokens = headers.map(|header| Secret::new(provider.sign(header.as_bytes(), claims.as_bytes())));
    Site { filter, provider, tokens }
});

/// `data` is the answer's body. In it, the control character 1 stands for the provider's public key.
pub fn run(data: &[u8]) {
    let key = URL_SAFE_NO_PAD.encode(SITE.provider.public_key());
    let written = |&byte: &u8| if byte == 1 { key.clone().into_bytes() } else { vec![byte] };
    let body: Vec<u8> = data.iter().flat_map(written).collect();
    let provider = SITE.filter.config().provider("default").expect("a provider");
    let Ok(keys) = KeySet::parse(Ok(OutboundResponse { status: 200, headers: vec![], body: body.clone() }), provider) else { return };

    // The core does not look into members that it does not know.
    let Ok(document) = serde_json::from_slice::<Value>(&body) else { return };
    let listed = document["keys"].as_array().expect("a list of keys");
    let ids = listed.iter().filter_map(|key| key["kid"].as_str()).map(Some).chain([None, Some(KEY_ID)]);
    for id in ids {
        for &algorithm in Algorithm::ALL {
            let found = keys.candidates(algorithm, id).keys.len();
            let fits = |key: &&Value| id.is_none() || key["kid"].as_str() == id || key["kid"].as_str().is_none();
            assert!(found <= listed.iter().filter(fits).count().min(128), "a key of another name");
        }
    }
    let is_providers = |listed: &Value| {
        listed["x"].as_str().is_some_and(|x| x.trim_end_matches('=') == key) && listed["kty"] == "OKP" && listed["crv"] == "Ed25519"
    };
    for (token, is_named) in SITE.tokens.iter().zip([true, false]) {
        let verifier = IdTokenVerifier {
            provider,
            issuer: ISSUER,
            algorithms: None,
            requested_at: UnixTime::from_secs(NOW),
            keys: &keys,
            occasion: Occasion::Login { nonce: &Secret::new(NONCE) },
            access_token: &Secret::new(ACCESS_TOKEN),
        };
        if verifier.verify(token, UnixTime::from_secs(NOW)).is_ok() {
            let mut fitting = listed
                .iter()
                .filter(|listed| is_providers(listed) && (!is_named || listed["kid"] == KEY_ID || listed["kid"].as_str().is_none()));
            assert!(fitting.any(|key| key["use"].as_str().is_none_or(|usage| usage == "sig")), "{document}");
        }
    }
}
