//! One token as it is kept: a JWT without its base64, and without what the claims of its session say already.
//!
//! The payload of an ID token says what the session's claims say, groups above all. So these are the dictionary that it is
//! compressed with ([`crate::deflate`]), as one JSON object. They are known wherever the tokens are opened, and stay what they
//! are as long as the session, however it is sealed. What comes out is compared with a digest of what went in: with any other
//! dictionary there is no token.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::claims::{Claims, apart};
use crate::deflate::{compress, decompress};

/// Header and payload of a token, in bytes: more than its cookies have room for, unless it compresses well.
pub(super) const MAX_JWT_BYTES: usize = 64 * 1024;

/// By how many bytes an access token has to be shorter with the claims as its dictionary: where it is exposed, every request
/// asks for it, and most get along without all claims.
pub(super) const WORTH_THE_CLAIMS: usize = 512;

/// With this the dictionary begins: headers as providers write them, which no claim has (RFC 7515 section 4.1). A part of the
/// format.
const HEADERS: &[u8] = br#"{"typ":"at+jwt","x5t":"{"typ":"JWT","alg":"RS256","kid":""#;

/// Enough to notice another dictionary than the one that a token was compressed with; the seal is against attackers.
const CHECK_BYTES: usize = 8;

/// A token as it is sealed. The order of the cases and of their fields is that of the format (postcard).
#[derive(Serialize, Deserialize)]
pub(super) enum Token<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    /// Without a dictionary.
    Jwt(Jwt<'a>),
    /// With the claims.
    JwtOfClaims {
        #[serde(borrow)]
        jwt: Jwt<'a>,
        /// Of SHA-256 of the token.
        check: [u8; CHECK_BYTES],
    },
    /// As [`Token::Jwt`], with random values apart ([`apart`]).
    Apart(#[serde(borrow)] Jwt<'a>),
    /// As [`Token::JwtOfClaims`], with random values apart.
    ApartOfClaims {
        #[serde(borrow)]
        jwt: Jwt<'a>,
        check: [u8; CHECK_BYTES],
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct Jwt<'a> {
    /// Of the header; the payload follows.
    header_bytes: usize,
    #[serde(borrow)]
    compressed: Cow<'a, [u8]>,
    #[serde(borrow)]
    signature: Cow<'a, [u8]>,
}

/// The text of compressed bytes, a dictionary and a limit.
type Decompress = fn(&[u8], &[u8], usize) -> Option<Vec<u8>>;

/// What a JWT about these claims is likely to say.
pub(super) fn dictionary(claims: &Claims<'_>) -> Vec<u8> {
    // Claims with names that are strings: nothing in it can fail to become JSON.
    [HEADERS, &serde_json::to_vec(claims.whole()).unwrap_or_default()].concat()
}

impl<'a> Token<'a> {
    /// `worth`: how many bytes the dictionary has to save.
    pub(super) fn of(text: &'a str, dictionary: &[u8], worth: usize) -> Self {
        let Some((signed, header_bytes, signature)) = parts(text) else { return Self::Text(text.into()) };
        let jwt = |compressed: Vec<u8>| Jwt { header_bytes, compressed: compressed.into(), signature: signature.into() };
        let (alone, of_claims) = (Compressed::of(&signed, b""), Compressed::of(&signed, dictionary));
        if of_claims.bytes.len() + CHECK_BYTES + worth >= alone.bytes.len() {
            return if alone.is_apart { Self::Apart(jwt(alone.bytes)) } else { Self::Jwt(jwt(alone.bytes)) };
        }
        let (jwt, check) = (jwt(of_claims.bytes), check(text));
        if of_claims.is_apart { Self::ApartOfClaims { jwt, check } } else { Self::JwtOfClaims { jwt, check } }
    }

    pub(super) fn into_text<'d>(self, dictionary: impl FnOnce() -> &'d Vec<u8>) -> Option<String> {
        let is_whole = |expected, text: &String| check(text) == expected;
        match self {
            Self::Text(text) => Some(text.into_owned()),
            Self::Jwt(jwt) => jwt.into_text(b"", decompress),
            Self::Apart(jwt) => jwt.into_text(b"", apart::decompress),
            Self::JwtOfClaims { jwt, check } => jwt.into_text(dictionary(), decompress).filter(|text| is_whole(check, text)),
            Self::ApartOfClaims { jwt, check } => jwt.into_text(dictionary(), apart::decompress).filter(|text| is_whole(check, text)),
        }
    }
}

/// Header and payload of a token in the shorter of two forms.
struct Compressed {
    is_apart: bool,
    bytes: Vec<u8>,
}

impl Compressed {
    fn of(signed: &[u8], dictionary: &[u8]) -> Self {
        let whole = compress(signed, dictionary);
        match apart::compress(signed, dictionary) {
            Some(bytes) if bytes.len() < whole.len() => Self { is_apart: true, bytes },
            _ => Self { is_apart: false, bytes: whole },
        }
    }
}

/// Header and payload of a text in three parts (RFC 7515 section 7.1), the length of the first, and the signature; only where they are
/// written so again.
fn parts(text: &str) -> Option<(Vec<u8>, usize, Vec<u8>)> {
    let mut parts = text.splitn(3, '.').map(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let (mut signed, payload, signature) = (parts.next()??, parts.next()??, parts.next()??);
    let header_bytes = signed.len();
    signed.extend(payload);
    (signed.len() <= MAX_JWT_BYTES).then_some((signed, header_bytes, signature))
}

impl Jwt<'_> {
    fn into_text(self, dictionary: &[u8], decompress: Decompress) -> Option<String> {
        let signed = decompress(&self.compressed, dictionary, MAX_JWT_BYTES)?;
        let (header, payload) = signed.split_at_checked(self.header_bytes)?;
        Some([header, payload, &self.signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join("."))
    }
}

fn check(text: &str) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&Sha256::digest(text)[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_that_grows_beyond_all_bounds_is_none() {
        let claims: Claims<'_> = json!({ "zeros": "0".repeat(10_000) }).as_object().cloned().unwrap_or_default().into();
        let dictionary = dictionary(&claims);
        let token = |bytes: usize| format!(".{}.", URL_SAFE_NO_PAD.encode(vec![b'0'; bytes]));
        let grown = |bytes: usize, of_claims: bool| {
            let known = if of_claims { dictionary.as_slice() } else { b"" };
            let jwt = Jwt { header_bytes: 0, compressed: compress(&vec![b'0'; bytes], known).into(), signature: vec![].into() };
            let kept = if of_claims { Token::JwtOfClaims { jwt, check: check(&token(bytes)) } } else { Token::Jwt(jwt) };
            kept.into_text(|| &dictionary)
        };
        for of_claims in [false, true] {
            assert_eq!(grown(MAX_JWT_BYTES, of_claims), Some(token(MAX_JWT_BYTES)));
            assert_eq!(grown(MAX_JWT_BYTES + 1, of_claims), None);
            assert_eq!(grown(10 * MAX_JWT_BYTES, of_claims), None);
        }
        // What would not be read is kept as it is.
        let longest = token(MAX_JWT_BYTES);
        assert!(!matches!(Token::of(&longest, &dictionary, 0), Token::Text(_)));
        assert!(matches!(Token::of(&token(MAX_JWT_BYTES + 1), &dictionary, 0), Token::Text(_)));
    }

    #[test]
    fn a_header_that_ends_behind_the_token_is_none() {
        let jwt = |header_bytes| Jwt { header_bytes, compressed: compress(b"{}{}", b"").into(), signature: vec![].into() };
        assert_eq!(Token::Jwt(jwt(2)).into_text(|| unreachable!()).as_deref(), Some("e30.e30."));
        assert_eq!(Token::Jwt(jwt(5)).into_text(|| unreachable!()), None);
        assert_eq!(Token::Jwt(jwt(usize::MAX)).into_text(|| unreachable!()), None);
    }

    #[test]
    fn the_dictionary_is_taken_where_it_saves_enough() {
        let payload = json!({ "sub": "7d1a3c64-1c2b-4b51-9b7e-0d6f2a8c9e10" });
        let claims: Claims<'_> = payload.as_object().cloned().unwrap_or_default().into();
        let text = format!("e30.{}.AAAA", URL_SAFE_NO_PAD.encode(payload.to_string()));
        let dictionary = dictionary(&claims);
        let Token::Apart(alone) = Token::of(&text, b"", 0) else { panic!("no dictionary saves nothing") };
        let Token::JwtOfClaims { jwt, .. } = Token::of(&text, &dictionary, 0) else { panic!("it saves nearly everything") };
        let saved = alone.compressed.len() - CHECK_BYTES - jwt.compressed.len();
        assert!(matches!(Token::of(&text, &dictionary, saved - 1), Token::JwtOfClaims { .. }));
        assert!(matches!(Token::of(&text, &dictionary, saved), Token::Apart(_)));
    }

    #[test]
    fn random_values_are_apart_where_that_is_shorter() {
        const OF_TOKEN: &str = "pK3vZ8mWqR1yT6uJ0cXeH5bNfL2aDgS9oIiVwQxErtM";
        let groups: Vec<_> = (0..9_u64).map(|group| format!("{:016x}", group.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let claims: Claims<'_> = json!({ "groups": groups }).as_object().cloned().unwrap_or_default().into();
        let dictionary = dictionary(&claims);
        let text = format!("e30.{}.AAAA", URL_SAFE_NO_PAD.encode(json!({ "groups": groups, "sub": OF_TOKEN }).to_string()));
        for (worth, is_of_claims) in [(0, true), (10_000, false)] {
            let token = Token::of(&text, &dictionary, worth);
            let (Token::Apart(jwt) | Token::ApartOfClaims { jwt, .. }) = &token else { panic!("not apart") };
            assert!(jwt.compressed.windows(4).any(|bytes| bytes == &URL_SAFE_NO_PAD.decode(OF_TOKEN).unwrap()[..4]));
            assert_eq!(matches!(token, Token::ApartOfClaims { .. }), is_of_claims);
            assert_eq!(postcard::to_allocvec(&token).unwrap().first(), Some(&if is_of_claims { 4 } else { 3 }), "a part of the format");
            assert_eq!(token.into_text(|| &dictionary).as_deref(), Some(text.as_str()));
        }
        let other = b"another dictionary".to_vec();
        assert_eq!(Token::of(&text, &dictionary, 0).into_text(|| &other), None);
    }
}
