//! Tokens of a session, in a cookie of their own: few requests need them.
//!
//! They are written when `expose_tokens` asks for them, or when the provider has an `end_session_endpoint`, which wants the ID
//! token as a hint. They are sealed for the session, by its name, so that they count for that session only.
//!
//! **Content.** [`Kept`] in postcard (version 3 of the envelope), each token compressed by itself (`kept_token.rs`): the length
//! of one tells nothing of the other. Tokens that were sealed earlier (version 2) have the session's id with them, or are
//! JSON.

use std::cell::OnceCell;

use serde::{Deserialize, Serialize};

use super::envelope::{Opened, Purpose, Version};
use super::jar::{CookieJar, CookieWriter, MAX_TOKENS_BYTES};
use super::kept_token::{Token, WORTH_THE_CLAIMS, dictionary};
use super::login_session::Session;
use super::{ExposeTokens, SessionSettings};
use crate::claims::Claims;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::secret::Secret;
use crate::time::UnixTime;

/// The first byte of tokens in version 2 of the envelope; JSON begins with `{`.
const FORM: u8 = 2;

/// The tokens of one session.
#[derive(Debug)]
pub struct Tokens {
    pub id_token: Option<Secret>,
    pub access_token: Option<Secret>,
}

/// Tokens as they are sealed. The order of the fields is that of the format (postcard).
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    #[serde(borrow)]
    id_token: Option<Token<'a>>,
    #[serde(borrow)]
    access_token: Option<Token<'a>>,
}

/// As they were sealed in version 2.
#[derive(Deserialize)]
struct KeptWithId<'a> {
    form: u8,
    session_id: &'a str,
    #[serde(borrow)]
    kept: Kept<'a>,
}

/// As they were sealed first.
#[derive(Deserialize)]
struct KeptAsJson {
    #[serde(rename = "i")]
    session_id: String,
    #[serde(rename = "d")]
    id_token: Option<String>,
    #[serde(rename = "a")]
    access_token: Option<String>,
}

impl Tokens {
    /// The tokens that belong to this session, and to no other: those of them that are wanted.
    pub fn open(jar: &CookieJar, session: &Session<'_>, wanted: ExposeTokens, settings: &SessionSettings) -> Option<Self> {
        let opened = settings.keys.open_for(&session.handle(), Purpose::Tokens, &jar.tokens()?)?;
        Self::read(&opened, session.older_id(), session.claims(), wanted)
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
        let sealed = settings.keys.seal_for(&session.handle(), Purpose::Tokens, &self.to_bytes(session.claims()), entropy);
        if sealed.len() > MAX_TOKENS_BYTES {
            cookies.delete_tokens();
            return Err(Error::SessionTooLarge { what: "the tokens".into(), bytes: sealed.len(), limit: MAX_TOKENS_BYTES });
        }
        cookies.set_tokens(&sealed, session.expires_at().since(now).as_secs());
        Ok(())
    }

    fn read(opened: &Opened, older_id: Option<&str>, claims: &Claims<'_>, wanted: ExposeTokens) -> Option<Self> {
        let Kept { id_token, access_token } = match opened.version {
            Version::Three => postcard::from_bytes(&opened.plaintext).ok()?,
            Version::One | Version::Two => Kept::with_id(&opened.plaintext, older_id?)?,
        };
        let known = OnceCell::new();
        let text = |token: Option<Token<'_>>, is_wanted| match token.filter(|_| is_wanted) {
            Some(token) => token.into_text(|| known.get_or_init(|| dictionary(claims))).map(|text| Some(Secret::new(text))),
            None => Some(None),
        };
        Some(Self { id_token: text(id_token, wanted.id)?, access_token: text(access_token, wanted.access)? })
    }

    fn to_bytes(&self, claims: &Claims<'_>) -> Vec<u8> {
        let dictionary = dictionary(claims);
        let id_token = self.id_token.as_ref().map(|token| Token::of(token.expose(), &dictionary, 0));
        let access_token = self.access_token.as_ref().map(|token| Token::of(token.expose(), &dictionary, WORTH_THE_CLAIMS));
        // Texts and bytes: nothing in it can fail to become bytes.
        postcard::to_allocvec(&Kept { id_token, access_token }).unwrap_or_default()
    }
}

impl<'a> Kept<'a> {
    /// Of an earlier release, when they are of that session.
    fn with_id(plaintext: &'a [u8], id: &str) -> Option<Self> {
        if plaintext.first() == Some(&b'{') {
            let KeptAsJson { session_id, id_token, access_token } = serde_json::from_slice(plaintext).ok()?;
            let token = |text: Option<String>| text.map(|text| Token::Text(text.into()));
            return (session_id == id).then(|| Self { id_token: token(id_token), access_token: token(access_token) });
        }
        let KeptWithId { form, session_id, kept } = postcard::from_bytes(plaintext).ok()?;
        (form == FORM && session_id == id).then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::deflate::compress;

    const BOTH: ExposeTokens = ExposeTokens { id: true, access: true };

    fn claims(value: Value) -> Claims<'static> {
        value.as_object().cloned().unwrap_or_default().into()
    }

    fn text(token: Option<Secret>) -> Option<String> {
        token.map(|token| token.expose().to_owned())
    }

    fn sealed(id_token: Option<&str>, access_token: Option<&str>, claims: &Claims<'_>) -> Vec<u8> {
        let secret = |text: Option<&str>| text.map(Secret::new);
        Tokens { id_token: secret(id_token), access_token: secret(access_token) }.to_bytes(claims)
    }

    fn opened(bytes: &[u8], claims: &Claims<'_>, wanted: ExposeTokens) -> Option<(Option<String>, Option<String>)> {
        opened_as(Version::Three, bytes, claims, wanted)
    }

    fn opened_as(version: Version, bytes: &[u8], claims: &Claims<'_>, wanted: ExposeTokens) -> Option<(Option<String>, Option<String>)> {
        let read = Tokens::read(&Opened { version, plaintext: bytes.to_vec() }, Some("session"), claims, wanted)?;
        Some((text(read.id_token), text(read.access_token)))
    }

    fn jwt(payload: &str) -> String {
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(payload), URL_SAFE_NO_PAD.encode([7; 256]))
    }

    /// With groups that do not compress.
    fn account(groups: u64) -> Value {
        let groups: Vec<_> = (1..=groups).map(|group| format!("{:016x}", group.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        json!({ "sub": "alice", "groups": groups })
    }

    #[test]
    fn a_jwt_takes_less_room_than_its_text() {
        let jwt = jwt(&json!({ "groups": vec!["9188040d-6c67-4c5b-b112-36a304b66dad"; 20] }).to_string());
        let nothing = claims(json!({}));
        let bytes = sealed(Some(&jwt), None, &nothing);
        assert_eq!(opened(&bytes, &nothing, BOTH), Some((Some(jwt.clone()), None)));
        assert!(bytes.len() < jwt.len() / 3, "{} of {}", bytes.len(), jwt.len());
    }

    #[test]
    fn what_the_claims_say_takes_no_room_in_an_id_token() {
        let (few, many) = (account(10), account(1_000));
        let bytes = |account: &Value| sealed(Some(&jwt(&account.to_string())), None, &claims(account.clone())).len();
        assert!(bytes(&few) < 340 && bytes(&many) < bytes(&few) + 500, "{} and {}", bytes(&few), bytes(&many));
    }

    #[test]
    fn an_access_token_is_read_without_the_claims_unless_they_save_much() {
        for (groups, needs_claims) in [(10, false), (100, true)] {
            let account = account(groups);
            let token = jwt(&account.to_string());
            let bytes = sealed(None, Some(&token), &claims(account.clone()));
            let others = opened(&bytes, &claims(json!({})), ExposeTokens::ACCESS);
            assert_eq!(others.is_none(), needs_claims, "{groups}");
            assert_eq!(opened(&bytes, &claims(account), ExposeTokens::ACCESS), Some((None, Some(token))));
        }
    }

    #[test]
    fn only_what_is_wanted_is_there() {
        let nothing = claims(json!({}));
        let bytes = sealed(Some("a"), Some("b"), &nothing);
        let wanted = |id, access| opened(&bytes, &nothing, ExposeTokens { id, access }).unwrap();
        let (id_token, access_token) = (Some("a".to_owned()), Some("b".to_owned()));
        assert_eq!(wanted(true, true), (id_token.clone(), access_token.clone()));
        assert_eq!(wanted(true, false), (id_token, None));
        assert_eq!(wanted(false, true), (None, access_token));
        assert_eq!(wanted(false, false), (None, None));
    }

    #[test]
    fn tokens_of_other_claims_are_none() {
        let account = account(50);
        let bytes = sealed(Some(&jwt(&account.to_string())), None, &claims(account.clone()));
        assert!(opened(&bytes, &claims(account.clone()), BOTH).is_some());
        // Of the same length: what refers to them is a text of the same length.
        for (name, value) in [("sub", json!("bob78")), ("groups", json!(vec!["0123456789abcdef"; 50]))] {
            let mut other = account.clone();
            other[name] = value;
            assert_eq!(opened(&bytes, &claims(other), BOTH), None, "{name}");
        }
        assert_eq!(opened(&bytes, &claims(json!({})), BOTH), None);
    }

    /// Sealed by an earlier release, for a session of thirty days.
    #[test]
    fn tokens_of_earlier_forms_are_read() {
        let of = |bytes: &[u8]| opened_as(Version::Two, bytes, &claims(account(3)), BOTH).unwrap();
        assert_eq!(of(br#"{"i":"session","d":"a.b.c"}"#), (Some("a.b.c".to_owned()), None));
        // {"alg":"none"}.{}.signature, by the release before dictionaries.
        let compressed = compress(b"{\"alg\":\"none\"}{}", b"");
        let bytes = [b"\x02\x07session\x01\x01\x0e".as_slice(), &[compressed.len() as u8], &compressed, b"\x03sig\x01\x00\x02ab"].concat();
        assert_eq!(of(&bytes), (Some("eyJhbGciOiJub25lIn0.e30.c2ln".to_owned()), Some("ab".to_owned())));
    }

    /// Every release reads what this one has sealed: neither the dictionary nor the form of the claims in it may change.
    #[test]
    fn tokens_of_this_form_are_read() {
        let account = claims(json!({ "sub": "alice", "groups": ["a", "b"], "n": 1.50, "o": { "y": null, "x": [true] } }));
        assert_eq!(String::from_utf8(dictionary(&account)).unwrap(), DICTIONARY);
        let token = jwt(r#"{"sub":"alice","o":{"y":null,"x":[true]},"groups":["a","b"],"n":1.50}"#);
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let bytes = [part(BEFORE_SIGNATURE), vec![7; 256], part(BEHIND_SIGNATURE)].concat();
        assert_eq!(opened(&bytes, &account, BOTH), Some((Some(token.clone()), None)));
        assert_eq!(sealed(Some(&token), None, &account), bytes);
    }

    const DICTIONARY: &str = concat!(
        r#"{"typ":"at+jwt","x5t":"{"typ":"JWT","alg":"RS256","kid":""#,
        r#"{"groups":["a","b"],"n":1.5,"o":{"x":[true],"y":null},"sub":"alice"}"#,
    );
    const BEFORE_SIGNATURE: &str = "AQIPFqtGMRnIRZaFmgLVqoMwDmgKTqsNagGAAg";
    const BEHIND_SIGNATURE: &str = "d9drdjuT1WgA";

    #[test]
    fn what_is_of_no_known_form_is_none() {
        let older = [&b""[..], b"{", b"{}", b"\x03\x07session\0\0", b"\x02\x07session\0", b"\x02\x07another\0\0", br#"{"i":"another"}"#];
        let newer = [&b""[..], b"\0", b"{}", b"\x01\x01\xff\x7f\0\0\0", b"\x01\x07\0", b"\x01\x02\0\x02\x03\0\0\0"];
        for (version, unknown) in [(Version::Two, &older[..]), (Version::Three, &newer)] {
            for bytes in unknown {
                assert_eq!(opened_as(version, bytes, &claims(json!({})), BOTH), None, "{bytes:?}");
            }
        }
        assert_eq!(opened_as(Version::Two, b"\x02\x07session\0\0", &claims(json!({})), BOTH), Some((None, None)));
        assert_eq!(opened(b"\0\0", &claims(json!({})), BOTH), Some((None, None)));
    }

    proptest! {
        #[test]
        fn every_token_comes_back_as_it_was(
            id_token in proptest::option::of("[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_=-]{0,40}){0,3}"),
            access_token in proptest::option::of("\\PC{0,60}"),
            sub in "\\PC{0,60}",
        ) {
            let account = claims(json!({ "sub": sub }));
            let bytes = sealed(id_token.as_deref(), access_token.as_deref(), &account);
            prop_assert_eq!(opened(&bytes, &account, BOTH), Some((id_token, access_token)));
        }

        /// Whatever its payload has in common with the claims, and however the provider writes it.
        #[test]
        fn every_jwt_comes_back_as_it_was(
            names in proptest::collection::vec("[a-c]{1,2}", 0..6),
            value in "\\PC{0,40}",
            times in 0..80_usize,
            pretty in any::<bool>(),
            cut in 0..8_usize,
        ) {
            let account: Map<String, Value> = names.iter().map(|name| (name.clone(), vec![value.as_str(); times].into())).collect();
            let payload = if pretty { serde_json::to_string_pretty(&account).unwrap() } else { serde_json::to_string(&account).unwrap() };
            let mut token = jwt(&payload);
            token.truncate(token.len() - cut);
            let account = claims(account.into());
            let bytes = sealed(Some(&token), Some(&token), &account);
            prop_assert_eq!(opened(&bytes, &account, BOTH), Some((Some(token.clone()), Some(token))));
        }
    }
}
