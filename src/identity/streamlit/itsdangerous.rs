//! The cookies of Streamlit's Starlette server: itsdangerous, `URLSafeTimedSerializer` with the cookie's name as salt.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use miniz_oxide::deflate::compress_to_vec_zlib;
use sha1::{Digest as _, Sha1};

use super::payload;
use crate::secret::Secret;
use crate::time::UnixTime;

/// zlib's default.
const COMPRESSION_LEVEL: u8 = 6;

/// `<payload>.<time>.<signature>`: the text as a JSON string, compressed with a dot in front where that is shorter;
/// the time in as few bytes as it needs; HMAC-SHA1 under a key that SHA-1 makes of name and secret.
pub(super) fn sign(secret: &Secret, name: &str, text: &str, at: UnixTime) -> String {
    timed(secret, name, &shorter(&payload::literal(text)), at)
}

/// As itsdangerous itself chooses; it reads both.
fn shorter(literal: &str) -> String {
    let compressed = compress_to_vec_zlib(literal.as_bytes(), COMPRESSION_LEVEL);
    if compressed.len() + 1 < literal.len() { format!(".{}", URL_SAFE_NO_PAD.encode(compressed)) } else { URL_SAFE_NO_PAD.encode(literal) }
}

fn timed(secret: &Secret, name: &str, payload: &str, at: UnixTime) -> String {
    let seconds = at.as_secs().to_be_bytes();
    let first = seconds.iter().position(|&byte| byte != 0).unwrap_or(seconds.len());
    let signed = format!("{payload}.{}", URL_SAFE_NO_PAD.encode(&seconds[first..]));

    let key = Sha1::new().chain_update(name).chain_update("signer").chain_update(secret.expose()).finalize();
    // HMAC takes keys of any length; an empty cookie would say nothing of anybody.
    let Ok(mac) = Hmac::<Sha1>::new_from_slice(&key) else { return String::new() };
    let signature = mac.chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[cfg(test)]
mod tests {
    use miniz_oxide::inflate::decompress_to_vec_zlib;

    use super::*;

    const SECRET: &str = "reference-cookie-secret-0123456789abcdef";
    const AT: UnixTime = UnixTime::from_secs(1_700_000_000);

    #[test]
    fn the_reference_is_met_byte_for_byte() {
        let text = r#"{"sub": "alice", "origin": "http://localhost:8501", "is_logged_in": true, "provider": "default"}"#;
        let expected = "IntcInN1YlwiOiBcImFsaWNlXCIsIFwib3JpZ2luXCI6IFwiaHR0cDovL2xvY2FsaG9zdDo4NTAxXCIsIFwiaXNfbG9nZ2VkX2luXCI6IHRydWUsIFwicHJvdmlkZXJcIjogXCJkZWZhdWx0XCJ9Ig.ZVPxAA.2dqmtcga-NKk0lazPKK0-K1Hwxc";
        let payload = URL_SAFE_NO_PAD.encode(payload::literal(text));
        assert_eq!(timed(&Secret::new(SECRET), "_streamlit_user", &payload, AT), expected);
    }

    #[test]
    fn a_text_that_gets_no_shorter_is_left_as_it_is() {
        // What itsdangerous 2.2 makes of it.
        assert_eq!(sign(&Secret::new(SECRET), "_streamlit_user", "chunks-2", AT), "ImNodW5rcy0yIg.ZVPxAA.WZXAxLK1SyPLM7cIGlNHjqo3QDE");
    }

    #[test]
    fn a_text_that_gets_shorter_is_compressed() {
        let text = format!("[{}]", vec!["\"6f9619ff-8b86-d011-b42d-00c04fc964ff\""; 50].join(", "));
        let signed = sign(&Secret::new(SECRET), "n", &text, AT);
        let payload = signed.strip_prefix('.').expect("the mark of a compressed payload").split('.').next().unwrap();
        let literal = decompress_to_vec_zlib(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<String>(&literal).unwrap(), text);
        assert!(signed.len() < text.len() / 4, "{}", signed.len());
    }

    #[test]
    fn a_cookie_of_another_name_secret_or_time_has_another_signature() {
        let signature = |secret, name, at| {
            let signed = sign(&Secret::new(secret), name, "x", UnixTime::from_secs(at));
            signed.rsplit('.').next().unwrap().to_owned()
        };
        let all = [signature("a", "n", 1), signature("b", "n", 1), signature("a", "m", 1), signature("a", "n", 2)];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }
}
