//! Values that a provider draws at random, apart from the text that is compressed.
//!
//! DEFLATE spends 6 to 8 bits on each character of a random text and has to be told its codes first; base64url has 6 bits of content
//! in a character, and a GUID 3.6. So such values are taken out, and stand beside the compressed rest as the bytes that they spell.
//! What the dictionary has, or what has been said before, stays: DEFLATE refers to it.
//!
//! In the rest, [`BASE64URL`] or [`GUID`] stands for the next value. No UTF-8 has these bytes (RFC 3629 section 1).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::id::{GUID_BYTES, guid, with_guid};
use crate::deflate;

const BASE64URL: u8 = 0xff;
const GUID: u8 = 0xfe;

/// Shorter than a value whose guessing a provider wants to prevent: 96 bits.
const MIN_CHARACTERS: usize = 16;

/// Longest that is looked at: a length of one or two bytes.
const MAX_CHARACTERS: usize = 1_024;

/// More than any token has. Each is looked up in the dictionary.
const MAX_LOOKED_AT: usize = 256;

/// The order of the fields is that of the format (postcard).
#[derive(Serialize, Deserialize)]
struct Apart<'a> {
    #[serde(borrow)]
    values: Vec<Cow<'a, [u8]>>,
    #[serde(borrow)]
    rest: Cow<'a, [u8]>,
}

/// `text`, which may repeat what `dictionary` has; `None` when there is nothing to take out of it.
pub(crate) fn compress(text: &[u8], dictionary: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (mut values, mut rest, mut kept_to) = (vec![], Vec::with_capacity(text.len()), 0);
    let is_known = |word: &str, at: usize| [dictionary, &text.as_bytes()[..at]].iter().any(|known| contains(known, word));
    let candidates = words(text).filter(|(_, word)| (MIN_CHARACTERS..=MAX_CHARACTERS).contains(&word.len())).take(MAX_LOOKED_AT);
    for (at, word) in candidates {
        let Some((mark, value, characters)) = value(word).filter(|_| !is_known(word, at)) else { continue };
        rest.extend_from_slice(&text.as_bytes()[kept_to..at]);
        rest.push(mark);
        values.push(Cow::Owned(value));
        kept_to = at + characters;
    }
    rest.extend_from_slice(&text.as_bytes()[kept_to..]);
    let rest = Cow::Owned(deflate::compress(&rest, dictionary));
    // Bytes: nothing in it can fail to become bytes.
    (!values.is_empty()).then(|| postcard::to_allocvec(&Apart { values, rest }).ok())?
}

/// The text that was compressed with the same dictionary; `None` when there is none, or it has more than `limit` bytes.
pub(crate) fn decompress(compressed: &[u8], dictionary: &[u8], limit: usize) -> Option<Vec<u8>> {
    let Apart { values, rest } = postcard::from_bytes(compressed).ok()?;
    let rest = deflate::decompress(&rest, dictionary, limit)?;
    let (mut values, mut text) = (values.iter(), Vec::with_capacity(rest.len()));
    for byte in rest {
        match byte {
            BASE64URL => text.extend_from_slice(URL_SAFE_NO_PAD.encode(values.next()?).as_bytes()),
            GUID => {
                let bytes: &[u8; GUID_BYTES] = values.next()?.as_ref().try_into().ok()?;
                with_guid(bytes, |guid| text.extend_from_slice(guid.as_bytes()));
            }
            other => text.push(other),
        }
        if text.len() > limit {
            return None;
        }
    }
    values.next().is_none().then_some(text)
}

/// What a word spells: the mark, its bytes, and how many of its characters they stand for.
fn value(word: &str) -> Option<(u8, Vec<u8>, usize)> {
    if let Some(guid) = guid(word) {
        return Some((GUID, guid.to_vec(), word.len()));
    }
    // Names and words have letters of one case, or no digit.
    let has = |kind: fn(&u8) -> bool| word.as_bytes().iter().any(kind);
    if !(has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)) {
        return None;
    }
    // Where the last characters spell no whole byte, they stay in the text.
    [word.len(), word.len() / 4 * 4].into_iter().find_map(|characters| {
        let spelled = word.get(..characters)?;
        let bytes = URL_SAFE_NO_PAD.decode(spelled).ok()?;
        Some((BASE64URL, bytes, characters))
    })
}

/// The words of base64url's alphabet (RFC 4648 section 5), and where each begins.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_between = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let ends = text.match_indices(is_between).map(|(at, between)| (at, between.len())).chain([(text.len(), 0)]);
    ends.scan(0, |start, (end, bytes)| {
        let begin = std::mem::replace(start, end + bytes);
        Some((begin, &text[begin..end]))
    })
}

fn contains(text: &[u8], word: &str) -> bool {
    memchr::memmem::find(text, word.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 64 * 1024;
    /// Of 32 bytes, of 16 as a GUID.
    const RANDOM: &str = "pK3vZ8mWqR1yT6uJ0cXeH5bNfL2aDgS9oIiVwQxErtM";
    const GUID_TEXT: &str = "7d1a3c64-1c2b-4b51-9b7e-0d6f2a8c9e10";

    fn values(text: &str, dictionary: &str) -> Vec<usize> {
        let compressed = compress(text.as_bytes(), dictionary.as_bytes()).unwrap_or_default();
        postcard::from_bytes::<Apart<'_>>(&compressed)
            .map(|apart| apart.values.iter().map(|value| value.len()).collect())
            .unwrap_or_default()
    }

    #[test]
    fn random_values_take_the_room_of_their_bytes() {
        let text = format!(r#"{{"sub":"{RANDOM}","oid":"{GUID_TEXT}"}}"#);
        assert_eq!(values(&text, ""), [32, 16]);
        let compressed = compress(text.as_bytes(), b"{\"oid\":\"\",\"sub\":\"\"}").unwrap();
        assert!(compressed.len() < 32 + 16 + 24, "{}", compressed.len());
        assert_eq!(decompress(&compressed, b"{\"oid\":\"\",\"sub\":\"\"}", text.len()), Some(text.into_bytes()));
    }

    /// Every release reads what this one has sealed.
    #[test]
    fn text_of_this_form_is_read() {
        let text = format!(r#"{{"aud":"{GUID_TEXT}","sub":"{RANDOM}","ver":"2.0"}}"#);
        let sealed = URL_SAFE_NO_PAD.decode(SEALED).unwrap();
        assert_eq!(decompress(&sealed, DICTIONARY, LIMIT), Some(text.clone().into_bytes()));
        assert_eq!(compress(text.as_bytes(), DICTIONARY), Some(sealed));
    }

    const DICTIONARY: &[u8] = br#"{"ver":"2.0","aud":"","sub":""}"#;
    const SEALED: &str = "AhB9GjxkHCtLUZt-DW8qjJ4QIKSt72fJlqkdck-ridHF3h-WzXy9mg4EvaCIlcEMRK7TDauGCv2Di_0HshBaagE";

    #[test]
    fn what_is_known_or_no_random_value_stays_in_the_text() {
        assert_eq!(values(&format!("\"{RANDOM}\""), &format!("com{RANDOM}{{")), [0_usize; 0]);
        assert_eq!(values(&format!("{RANDOM} {RANDOM}"), ""), [32]);
        for word in ["manage-account-links", "ABCDEFGHIJKLMNOPQ", "1700000000000000", "Ab1Ab1Ab1Ab1Ab1", GUID_TEXT.to_uppercase().as_str()]
        {
            assert_eq!(values(word, ""), [0_usize; 0], "{word}");
        }
        // 17 characters spell no whole number of bytes; the last of 18 has bits that no byte has.
        assert_eq!(values("Ab1Ab1Ab1Ab1Ab1Ab", ""), [12]);
        assert_eq!(values("Ab1Ab1Ab1Ab1Ab1Ab1", ""), [12]);
        assert_eq!(compress(&[0xff, b'x'], b""), None);
    }

    #[test]
    fn no_more_is_looked_up_and_written_than_the_limits() {
        let word = |number: usize| format!("Aa{number:016}");
        let text: Vec<_> = (0..400).map(word).collect();
        assert_eq!(values(&text.join(" "), "").len(), MAX_LOOKED_AT);
        let many = |count: usize| {
            let value = Cow::Owned(vec![7; 300]);
            let rest = Cow::Owned(deflate::compress(&vec![BASE64URL; count], b""));
            postcard::to_allocvec(&Apart { values: vec![value; count], rest }).unwrap()
        };
        assert_eq!(decompress(&many(10), b"", 4_000).map(|text| text.len()), Some(4_000));
        assert_eq!(decompress(&many(10), b"", 3_999), None);
    }

    #[test]
    fn marks_and_values_have_to_agree() {
        let of = |values: &[&[u8]], rest: &[u8]| {
            let values = values.iter().map(|value| Cow::Borrowed(*value)).collect();
            let apart = Apart { values, rest: Cow::Owned(deflate::compress(rest, b"")) };
            decompress(&postcard::to_allocvec(&apart).unwrap(), b"", LIMIT)
        };
        assert_eq!(of(&[b"abc"], b"\xff"), Some(b"YWJj".to_vec()));
        let cases: [(&[&[u8]], &[u8]); 5] =
            [(&[], b"\xff"), (&[], b"\xfe"), (&[b"abc"], b""), (&[b"abc"], b"\xfe"), (&[b"abc", b"d"], b"\xff")];
        for (values, rest) in cases {
            assert_eq!(of(values, rest), None, "{values:?} {rest:?}");
        }
        for bytes in [&b""[..], b"\x01", b"\x00\x05ab"] {
            assert_eq!(decompress(bytes, b"", LIMIT), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(
            pieces in prop::collection::vec("[A-Za-z0-9_-]{10,70}|[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}|\\PC{0,9}", 0..12),
            known in any::<prop::sample::Index>(),
        ) {
            let text = pieces.join("\"");
            let dictionary = pieces.get(known.index(pieces.len().max(1))).cloned().unwrap_or_default();
            if let Some(compressed) = compress(text.as_bytes(), dictionary.as_bytes()) {
                prop_assert_eq!(decompress(&compressed, dictionary.as_bytes(), text.len()), Some(text.into_bytes()));
            }
        }

        #[test]
        fn bytes_of_any_kind_stay_below_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..200), limit in 0..300_usize) {
            if let Some(text) = decompress(&bytes, b"", limit) {
                prop_assert!(text.len() <= limit);
            }
        }
    }
}
