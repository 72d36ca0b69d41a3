//! Tokens of a session, in a cookie of their own: few requests need them.
//!
//! They are written when `expose_tokens` asks for them, or when the provider has an `end_session_endpoint`, which wants the ID
//! token as a hint. They have the session's id with them, so that they count for that session only.
//!
//! **Content.** [`Kept`] in postcard. A JWT is there without its base64, header and payload compressed (DEFLATE, RFC 1951),
//! each token by itself: the length of one tells nothing of the other. Tokens that were sealed earlier are JSON.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use serde::{Deserialize, Serialize};

use super::SessionSettings;
use super::envelope::{Opened, Purpose};
use super::jar::{CookieJar, CookieWriter, MAX_TOKENS_BYTES};
use super::login_session::Session;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::secret::Secret;
use crate::time::UnixTime;

/// The form of what is sealed, its first byte; JSON begins with `{`.
const FORM: u8 = 2;

/// Header and payload of a token, in bytes: more than its cookies have room for, unless it compresses well.
const MAX_JWT_BYTES: usize = 64 * 1024;

const DEFLATE_LEVEL: u8 = 6;

/// The tokens of one session.
#[derive(Debug, Deserialize)]
pub struct Tokens {
    #[serde(rename = "i")]
    session_id: String,
    #[serde(rename = "d")]
    pub id_token: Option<Secret>,
    #[serde(rename = "a")]
    pub access_token: Option<Secret>,
}

/// Tokens as they are sealed. The order of the fields is that of the format (postcard).
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    form: u8,
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    #[serde(borrow)]
    id_token: Option<Token<'a>>,
    #[serde(borrow)]
    access_token: Option<Token<'a>>,
}

#[derive(Serialize, Deserialize)]
enum Token<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Jwt {
        /// Of the header; the payload follows.
        header_bytes: usize,
        compressed: Vec<u8>,
        signature: Vec<u8>,
    },
}

impl Tokens {
    pub fn new(session: &Session<'_>, id_token: Option<Secret>, access_token: Option<Secret>) -> Self {
        Self { session_id: session.id().to_owned(), id_token, access_token }
    }

    /// The tokens that belong to this session, and to no other.
    pub fn open(jar: &CookieJar, session: &Session<'_>, settings: &SessionSettings) -> Option<Self> {
        let Opened { plaintext, .. } = settings.keys.open(Purpose::Tokens, &jar.tokens()?)?;
        Self::read(&plaintext).filter(|tokens| tokens.session_id == session.id())
    }

    /// Seals the tokens into cookies, or says that they are too large for that and leaves none behind.
    ///
    /// # Errors
    /// [`Error::SessionTooLarge`] when they exceed [`MAX_TOKENS_BYTES`].
    pub fn write(
        &self,
        session: &Session<'_>,
        cookies: &mut CookieWriter<'_>,
        settings: &SessionSettings,
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> Result<(), Error> {
        let sealed = settings.keys.seal(Purpose::Tokens, &self.to_bytes(), entropy);
        if sealed.len() > MAX_TOKENS_BYTES {
            cookies.delete_tokens();
            return Err(Error::SessionTooLarge { what: "the tokens".into(), bytes: sealed.len(), limit: MAX_TOKENS_BYTES });
        }
        cookies.set_tokens(&sealed, session.expires_at().since(now).as_secs());
        Ok(())
    }

    fn read(plaintext: &[u8]) -> Option<Self> {
        if plaintext.first() == Some(&b'{') {
            return serde_json::from_slice(plaintext).ok();
        }
        let Kept { form, session_id, id_token, access_token } = postcard::from_bytes(plaintext).ok()?;
        let text = |token: Option<Token<'_>>| token.map_or(Some(None), |token| token.into_text().map(|text| Some(Secret::new(text))));
        let tokens = Self { session_id: session_id.into_owned(), id_token: text(id_token)?, access_token: text(access_token)? };
        (form == FORM).then_some(tokens)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let kept = |token: &'_ Option<Secret>| token.as_ref().map(|token| Token::of(token.expose().to_owned()));
        let (id_token, access_token) = (kept(&self.id_token), kept(&self.access_token));
        // Texts and bytes: nothing in it can fail to become bytes.
        postcard::to_allocvec(&Kept { form: FORM, session_id: (&self.session_id).into(), id_token, access_token }).unwrap_or_default()
    }
}

impl Token<'_> {
    fn of(text: String) -> Token<'static> {
        Self::jwt(&text).unwrap_or_else(|| Token::Text(text.into()))
    }

    /// In three parts (RFC 7515 section 7.1), as they are written again.
    fn jwt(text: &str) -> Option<Token<'static>> {
        let mut parts = text.splitn(3, '.').map(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let (mut signed, payload, signature) = (parts.next()??, parts.next()??, parts.next()??);
        let header_bytes = signed.len();
        signed.extend(payload);
        let compressed = compress_to_vec(&signed, DEFLATE_LEVEL);
        let jwt = Token::Jwt { header_bytes, compressed, signature };
        (signed.len() <= MAX_JWT_BYTES).then_some(jwt)
    }

    fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.into_owned()),
            Self::Jwt { header_bytes, compressed, signature } => {
                let signed = decompress_to_vec_with_limit(&compressed, MAX_JWT_BYTES).ok()?;
                let (header, payload) = signed.split_at_checked(header_bytes)?;
                Some([header, payload, &signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join("."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn again(id_token: Option<&str>, access_token: Option<&str>) -> (usize, Option<String>, Option<String>) {
        let secret = |text: Option<&str>| text.map(Secret::new);
        let tokens = Tokens { session_id: "session".to_owned(), id_token: secret(id_token), access_token: secret(access_token) };
        let bytes = tokens.to_bytes();
        let read = Tokens::read(&bytes).unwrap();
        assert_eq!(read.session_id, "session");
        let text = |token: Option<Secret>| token.map(|token| token.expose().to_owned());
        (bytes.len(), text(read.id_token), text(read.access_token))
    }

    #[test]
    fn a_jwt_takes_less_room_than_its_text() {
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let payload = part(&format!("{{\"groups\":[{}]}}", vec!["\"9188040d-6c67-4c5b-b112-36a304b66dad\""; 20].join(",")));
        let jwt = format!("{}.{payload}.{}", part("{\"alg\":\"RS256\"}"), URL_SAFE_NO_PAD.encode([7; 256]));
        let (bytes, id_token, access_token) = again(Some(&jwt), None);
        assert_eq!((id_token.as_deref(), access_token), (Some(jwt.as_str()), None));
        assert!(bytes < jwt.len() / 3, "{bytes} of {}", jwt.len());
    }

    /// Sealed by an earlier release, for a session of thirty days.
    #[test]
    fn json_is_read() {
        let tokens = Tokens::read(br#"{"i":"session","d":"a.b.c"}"#).unwrap();
        assert_eq!((tokens.session_id.as_str(), tokens.id_token.unwrap().expose()), ("session", "a.b.c"));
        assert!(tokens.access_token.is_none());
    }

    #[test]
    fn what_is_of_no_known_form_is_none() {
        for bytes in [&b""[..], b"{", b"{}", b"\x03\x01s\0\0", b"\x02\x01s\0", b"\x02\x01s\x01\x01\xff\x7f\0\0\0", b"\x02\x01s\x01\x07\0"] {
            assert!(Tokens::read(bytes).is_none(), "{bytes:?}");
        }
        assert!(Tokens::read(b"\x02\x01s\0\0").is_some());
    }

    proptest! {
        #[test]
        fn every_token_comes_back_as_it_was(
            id_token in proptest::option::of("[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_=-]{0,40}){0,3}"),
            access_token in proptest::option::of("\\PC{0,60}"),
        ) {
            let (_, same_id, same_access) = again(id_token.as_deref(), access_token.as_deref());
            prop_assert_eq!((same_id, same_access), (id_token, access_token));
        }
    }
}
