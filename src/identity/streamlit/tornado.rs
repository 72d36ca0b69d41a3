//! The cookies of Streamlit's Tornado server: Tornado's signed values, version 2.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::secret::Secret;
use crate::time::UnixTime;

/// `2|1:0|<time>|<name>|<base64 of the text>|<signature>`, every field but the first and the last with its length in
/// front; `0` is the number of the key. HMAC-SHA256 under the secret, as hexadecimal digits.
pub(super) fn sign(secret: &Secret, name: &str, text: &str, at: UnixTime) -> String {
    let field = |value: &str| format!("{}:{value}|", value.len());
    let signed = ["2|", &field("0"), &field(&at.as_secs().to_string()), &field(name), &field(&STANDARD.encode(text))].concat();
    // HMAC takes keys of any length; an empty cookie would say nothing of anybody.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return String::new() };
    let signature = mac.chain_update(&signed).finalize().into_bytes();
    let digits: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    signed + &digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_met_byte_for_byte() {
        let secret = Secret::new("reference-cookie-secret-0123456789abcdef");
        let text = r#"{"sub": "alice", "origin": "http://localhost:8501", "is_logged_in": true, "provider": "default"}"#;
        let expected = "2|1:0|10:1700000000|15:_streamlit_user|128:eyJzdWIiOiAiYWxpY2UiLCAib3JpZ2luIjogImh0dHA6Ly9sb2NhbGhvc3Q6ODUwMSIsICJpc19sb2dnZWRfaW4iOiB0cnVlLCAicHJvdmlkZXIiOiAiZGVmYXVsdCJ9|d65dfb60f9b2124114a38534158634f49d6735336c13bf5360370cb8964dcf46";
        assert_eq!(sign(&secret, "_streamlit_user", text, UnixTime::from_secs(1_700_000_000)), expected);
    }
}
