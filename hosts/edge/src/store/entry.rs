//! An entry of the list, and its text in a store that others may write to.
//!
//! `session 3q2-7w… 1767225600 1769817600 kFJ2…`: what has ended, its name, when, until when that matters, and a code of authenticity
//! (HMAC-SHA-256, 128 bits) over the name of the list and the rest of the text. Without the key nobody can end sessions by writing to the store, and an entry
//! of one list is none of another.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// More than any entry has: the longest is below 100 bytes.
const MAX_TEXT_BYTES: usize = 128;

/// RFC 2104 section 5: half of the digest's length or more.
const CODE_BYTES: usize = 16;

/// Something that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    pub what: What,
    /// A digest, or random: it opens nothing.
    pub name: [u8; 16],
    /// When it ended, in seconds since the Unix epoch.
    pub at: u64,
    /// When it may be forgotten, in seconds since the Unix epoch.
    pub until: u64,
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    Session,
    Account,
    ProviderSession,
    /// A logout token that was used.
    LogoutToken,
}

const WORDS: [(What, &str); 4] = [
    (What::Session, "session"),
    (What::Account, "account"),
    (What::ProviderSession, "provider-session"),
    (What::LogoutToken, "logout-token"),
];

impl What {
    /// Whether it has ended whenever it began, or only what began before.
    fn is_once(self) -> bool {
        matches!(self, Self::Session | Self::LogoutToken)
    }

    pub(super) fn word(self) -> &'static str {
        WORDS[self as usize].1
    }

    fn of_word(word: &str) -> Option<Self> {
        WORDS.iter().find(|(_, known)| *known == word).map(|(what, _)| *what)
    }

    pub(super) fn of_number(number: u8) -> Option<Self> {
        WORDS.get(usize::from(number)).map(|(what, _)| *what)
    }
}

impl Entry {
    /// By what memory knows it.
    pub(super) fn key(&self) -> (bool, [u8; 16]) {
        (self.what.is_once(), self.name)
    }
}

/// What entries are authenticated with: the first writes, each reads.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys(Vec<[u8; 32]>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.0.len()).finish()
    }
}

impl Keys {
    /// The first is the one that writes.
    pub fn new(first: [u8; 32], older: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self([first].into_iter().chain(older).collect())
    }

    pub(super) fn seal(&self, list: &str, entry: &Entry) -> String {
        let Entry { what, name, at, until } = entry;
        let text = format!("{} {} {at} {until}", what.word(), URL_SAFE_NO_PAD.encode(name));
        let code = self.0.first().map(|key| code(key, list, &text).finalize().into_bytes()).unwrap_or_default();
        format!("{text} {}", URL_SAFE_NO_PAD.encode(&code[..CODE_BYTES]))
    }

    /// The entry, when it is authentic and of this list.
    pub(super) fn open(&self, list: &str, text: &[u8]) -> Option<Entry> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_TEXT_BYTES)?;
        let (text, found) = text.rsplit_once(' ')?;
        let found = URL_SAFE_NO_PAD.decode(found).ok().filter(|found| found.len() == CODE_BYTES)?;
        self.0.iter().find(|key| code(key, list, text).verify_truncated_left(&found).is_ok())?;
        let mut parts = text.split(' ');
        let (what, name) = (What::of_word(parts.next()?)?, parts.next()?);
        let (at, until) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let name = URL_SAFE_NO_PAD.decode(name).ok()?.try_into().ok()?;
        parts.next().is_none().then_some(Entry { what, name, at, until })
    }
}

fn code(key: &[u8; 32], list: &str, text: &str) -> Hmac<Sha256> {
    // RFC 2104 section 2: zeros to the length of a block.
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let mut code = Hmac::<Sha256>::new(&block.into());
    code.update(list.as_bytes());
    code.update(b"\0");
    code.update(text.as_bytes());
    code
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENTRY: Entry = Entry { what: What::ProviderSession, name: *b"0123456789abcdef", at: 1_767_225_600, until: 1_769_817_600 };

    fn keys(first: u8, older: &[u8]) -> Keys {
        Keys::new([first; 32], older.iter().map(|byte| [*byte; 32]))
    }

    #[test]
    fn an_entry_is_read_under_the_key_that_wrote_it_and_in_its_list() {
        let text = keys(1, &[]).seal("list", &ENTRY);
        assert!(text.starts_with("provider-session MDEyMzQ1Njc4OWFiY2RlZg 1767225600 1769817600 "), "{text}");
        assert_eq!(keys(1, &[]).open("list", text.as_bytes()), Some(ENTRY));
        assert_eq!(keys(2, &[1]).open("list", text.as_bytes()), Some(ENTRY), "the secret was rotated");
        assert_eq!(keys(2, &[3]).open("list", text.as_bytes()), None);
        assert_eq!(keys(1, &[]).open("other", text.as_bytes()), None);
    }

    #[test]
    fn every_kind_has_a_word_and_a_number() {
        for (index, (what, word)) in WORDS.into_iter().enumerate() {
            assert_eq!((what as usize, what.word(), What::of_word(word)), (index, word, Some(what)));
            assert_eq!(What::of_number(u8::try_from(index).expect("few")), Some(what));
        }
        assert_eq!(What::of_number(4), None);
    }

    #[test]
    fn keys_are_not_shown() {
        assert_eq!(format!("{:?}", keys(7, &[8])), "Keys(2)");
    }

    proptest! {
        #[test]
        fn what_was_changed_is_no_entry(place in 0_usize..100, byte: u8) {
            let text = keys(1, &[]).seal("list", &ENTRY).into_bytes();
            let mut changed = text.clone();
            let place = place % text.len();
            changed[place] = byte;
            prop_assume!(changed != text);
            prop_assert_eq!(keys(1, &[]).open("list", &changed), None);
        }

        #[test]
        fn what_strangers_write_is_no_entry(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(keys(1, &[]).open("list", &text), None);
        }
    }
}
