//! What of an answer no log may show: the secrets of the request that it answers, whole or in pieces, in whatever spelling.
//!
//! 1. A secret in a spelling that was sent is taken out, and the rest of the text is told.
//! 2. Of a text that holds a piece of one after that, nothing is told. A piece is of 8 bytes, or the whole of a shorter secret.
//! 3. The text is compared as it is, and without its escapes, in whatever order they were made: percent-encoding, references of
//!    HTML, backslashes. Letters count in either case, and `+` as a space. So a text may be held back that repeats no secret.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::oidc::provider::Provider;
use crate::oidc::token::CredentialForm;
use crate::secret::Secret;

/// Of a secret, in bytes: longer than what a text has in common with one by chance.
const PIECE: usize = 8;

/// Readings of one text, each with other escapes undone. What has more is no text for people.
const MAX_READINGS: usize = 64;

/// Where a secret was, until the rest has been compared: nothing that is shown.
const TAKEN_OUT: &str = "\u{0}";

pub(super) struct Secrets {
    /// In the spellings that were sent. The longest first: one may begin with another.
    sent: Vec<String>,
    pieces: BTreeSet<String>,
}

impl Secrets {
    /// The client's secret, and those of the request.
    pub(super) fn new(provider: &Provider, asked_with: &[&Secret]) -> Self {
        let secret = provider.client_secret.as_ref().map(Secret::expose);
        let pair = |form: CredentialForm| {
            secret.map(|secret| STANDARD.encode(format!("{}:{}", form.write(&provider.client_id), form.write(secret))))
        };
        let mut sent: Vec<String> = asked_with.iter().map(|secret| secret.expose().to_owned()).chain(secret.map(str::to_owned)).collect();
        sent.extend(sent.iter().map(|secret| CredentialForm::Encoded.write(secret)).collect::<Vec<_>>());
        sent.extend([pair(CredentialForm::Encoded), pair(CredentialForm::Raw)].into_iter().flatten());
        Self::of(sent)
    }

    fn of(mut sent: Vec<String>) -> Self {
        sent.retain(|secret| !secret.is_empty());
        sent.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let pieces = sent.iter().flat_map(|secret| pieces(secret)).collect();
        Self { sent, pieces }
    }

    /// A text for the log, or words in its place.
    pub(super) fn taken_out_of(&self, text: &str) -> String {
        // More than the log shows.
        let text: String = text.chars().take(1000).collect();
        let text = self.sent.iter().fold(text, |text, secret| text.replace(secret.as_str(), TAKEN_OUT));
        if self.is_clean(&text) { text.replace(TAKEN_OUT, "(secret)") } else { "(not shown: it may repeat a secret)".to_owned() }
    }

    fn is_clean(&self, text: &str) -> bool {
        let (mut readings, mut compared) = (vec![text.to_owned()], 0);
        while let Some(reading) = readings.get(compared).cloned() {
            if self.is_in(&plain(&reading)) {
                return false;
            }
            compared += 1;
            for escape in [percent, reference, backslash] {
                let inner = without(escape, &reading);
                if !readings.contains(&inner) {
                    readings.push(inner);
                }
            }
            if readings.len() > MAX_READINGS {
                return false;
            }
        }
        true
    }

    fn is_in(&self, plain: &[char]) -> bool {
        (0..plain.len()).any(|start| {
            let mut piece = String::new();
            plain.iter().skip(start).take(PIECE).any(|c| {
                piece.push(*c);
                self.pieces.contains(&piece)
            })
        })
    }
}

/// Every piece of a secret, as it is compared.
fn pieces(secret: &str) -> impl Iterator<Item = String> {
    let starts = secret.char_indices().map(|(start, _)| start).filter(|start| *start == 0 || start + PIECE <= secret.len());
    starts.map(|start| {
        let rest = secret.get(start..).unwrap_or_default();
        let end = rest.char_indices().map(|(at, c)| at + c.len_utf8()).find(|end| *end >= PIECE).unwrap_or(rest.len());
        plain(rest.get(..end).unwrap_or_default()).into_iter().collect()
    })
}

/// A text as it is compared.
fn plain(text: &str) -> Vec<char> {
    let plain = |c: char| if c == '+' || c.is_whitespace() { ' ' } else { c.to_ascii_lowercase() };
    text.chars().map(plain).collect()
}

/// What an escape at the beginning of a text means, and its length; `None` where there is none.
type Escape = fn(&str) -> Option<(Meant, usize)>;

/// A text without its escapes of one kind.
fn without(escape: Escape, text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (meant, length) = escape(rest).unwrap_or((Meant::Char(first), first.len_utf8()));
        match meant {
            Meant::Byte(code) => bytes.extend(u8::try_from(code)),
            Meant::Char(c) => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

enum Meant {
    Byte(u32),
    Char(char),
}

/// A number of so many hexadecimal digits.
fn hex(text: &str, start: usize, digits: usize) -> Option<u32> {
    let digits = text.get(start..start + digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// `%2B`.
fn percent(text: &str) -> Option<(Meant, usize)> {
    let byte = text.starts_with('%').then(|| hex(text, 1, 2))??;
    Some((Meant::Byte(byte), 3))
}

/// The names that HTML has for characters of ASCII, and what is written for some of them.
const NAMES: [(&str, char); 44] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("plus", '+'),
    ("sol", '/'),
    ("equals", '='),
    ("nbsp", ' '),
    ("excl", '!'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("midast", '*'),
    ("comma", ','),
    ("period", '.'),
    ("colon", ':'),
    ("semi", ';'),
    ("quest", '?'),
    ("commat", '@'),
    ("lsqb", '['),
    ("lbrack", '['),
    ("bsol", '\\'),
    ("rsqb", ']'),
    ("rbrack", ']'),
    ("hat", '^'),
    ("lowbar", '_'),
    ("underbar", '_'),
    ("grave", '`'),
    ("diacriticalgrave", '`'),
    ("lcub", '{'),
    ("lbrace", '{'),
    ("verbar", '|'),
    ("vert", '|'),
    ("verticalline", '|'),
    ("rcub", '}'),
    ("rbrace", '}'),
    ("hyphen", '-'),
    ("dash", '-'),
    ("minus", '-'),
    ("tilde", '~'),
];

/// Those that HTML reads without the semicolon as well.
const UNCLOSED: usize = 4;

/// A character reference of HTML: `&#43;`, `&#x2b;`, `&plus;`.
fn reference(text: &str) -> Option<(Meant, usize)> {
    let name = text.strip_prefix('&')?;
    let length = name.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'#')).unwrap_or(name.len());
    let name = name.get(..length)?;
    let is_closed = text.as_bytes().get(1 + length) == Some(&b';');
    let whole = 1 + length + usize::from(is_closed);
    if let Some(number) = name.strip_prefix('#') {
        let digits = number.strip_prefix(['x', 'X']);
        let radix = if digits.is_some() { 16 } else { 10 };
        let digits = digits.unwrap_or(number);
        // Without a semicolon, what follows may be of the text.
        let length = digits.bytes().position(|b| !char::from(b).is_digit(radix)).unwrap_or(digits.len());
        let code = u32::from_str_radix(digits.get(..length)?, radix).ok()?;
        let skipped = whole - (digits.len() - length) - usize::from(is_closed && length < digits.len());
        return Some((Meant::Char(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)), skipped));
    }
    if is_closed && let Some((_, c)) = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) {
        return Some((Meant::Char(*c), whole));
    }
    let begins = |known: &str| name.get(..known.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(known));
    let unclosed = NAMES.iter().take(UNCLOSED).find(|(known, _)| begins(known));
    unclosed.map(|(known, c)| (Meant::Char(*c), 1 + known.len()))
}

/// An escape of JSON, of JavaScript, or of a quoted string in a field of HTTP: `\u002b`, `\x2b`, `\/`.
fn backslash(text: &str) -> Option<(Meant, usize)> {
    let escaped = text.strip_prefix('\\')?.chars().next()?;
    match escaped {
        'u' if let Some(code) = hex(text, 2, 4) => Some((Meant::Char(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)), 6)),
        'x' if let Some(code) = hex(text, 2, 2) => Some((Meant::Byte(code), 4)),
        c => Some((Meant::Char(c), 1 + c.len_utf8())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;

    const HELD_BACK: &str = "(not shown: it may repeat a secret)";

    /// How somebody may write a character.
    const SPELLINGS: [fn(char) -> String; 13] = [
        |c| c.to_string(),
        |c| format!("%{:02X}", c as u32),
        |c| format!("%{:02x}", c as u32),
        |c| format!("%25{:02x}", c as u32),
        |c| format!("&#{};", c as u32),
        |c| format!("&#x{:x};", c as u32),
        |c| format!("&#X{:X};", c as u32),
        |c| format!("&amp;#{};", c as u32),
        |c| format!("\\u{:04x}", c as u32),
        |c| format!("\\\\u{:04X}", c as u32),
        |c| format!("\\x{:02x}", c as u32),
        |c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\{c}") },
        |c| match c {
            '+' => " ".to_owned(),
            ' ' => "+".to_owned(),
            '&' => "&amp;".to_owned(),
            '=' => "&equals;".to_owned(),
            '/' => "&sol;".to_owned(),
            '"' => "&quot;".to_owned(),
            c => c.to_string(),
        },
    ];

    fn told(secret: &str, text: &str) -> String {
        Secrets::of(vec![secret.to_owned()]).taken_out_of(text)
    }

    #[test]
    fn a_secret_is_known_in_other_spellings_and_by_its_pieces() {
        let secret = "Ab+/cD3=eF~gH5*k";
        for text in [
            "Ab%2B%2FcD3%3DeF~gH5*k",
            "Ab%2b%2fcD3%3deF%7egH5%2ak",
            "Ab&#43;&#47;cD3&#61;eF&#126;gH5*k",
            "Ab&#x2B;/cD3&equals;eF~gH5&ast;k",
            "Ab&plus;&sol;cD3=eF~gH5*k",
            "Ab+\\/cD3=eF~gH5*k",
            "Ab /cD3=eF~gH5*k",
            "Ab%252B%252FcD3%253DeF~gH5*k",
            "Ab+/cD3=eF~gH5",
            "/cD3=eF~",
            "ab+/cd3=ef~gh5*k",
            "AB%2B%2FCD3%3DEF",
            "Ab\\u002b/cD3=eF",
            "Ab&PLUS;/cD3=eF",
            "Ab&#43/cD3=eF",
        ] {
            assert_eq!(told(secret, &format!("bad secret {text}")), HELD_BACK, "{text}");
        }
        assert_eq!(told(secret, "bad secret Ab+/cD3=eF~gH5*k for client-1"), "bad secret (secret) for client-1");
        for text in ["AADSTS7000215: Invalid client secret provided.", "cD3=eF~", "50% of &c. \\o/ &", "%%%&&&\\\\\\", "", "100%"] {
            assert_eq!(told(secret, text), text);
        }
        assert_eq!(told("a~secret/of it", "a bad secret (of client)"), "a bad secret (of client)");
        assert_eq!(told("short", "it was s&#104;ort"), HELD_BACK);
        assert_eq!(told("short", "it was shor"), "it was shor");
    }

    #[test]
    fn a_text_with_more_escapes_than_are_undone_is_held_back() {
        let mut text = "+".to_owned();
        for _ in 0..MAX_READINGS {
            text = text.replace('%', "%25").replace('+', "%2B");
        }
        assert_eq!(told("0123456789", &text), HELD_BACK);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_piece_of_a_secret_is_told(
            secret in "[ -~]{8,60}",
            (start, length) in any::<(Index, Index)>(),
            spellings in prop::collection::vec(select(SPELLINGS.to_vec()), 60),
            (before, after) in ("[a-z ]{0,20}", "[a-z ]{0,20}"),
        ) {
            let start = start.index(secret.len() - PIECE + 1);
            let length = PIECE + length.index(secret.len() - start - PIECE + 1);
            let piece = &secret[start..start + length];
            let alike = |c: char| spellings[0](c);
            let where_needed = |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { spellings[0](c) };
            let mut spelled: Vec<String> = vec![piece.chars().map(alike).collect(), piece.chars().map(where_needed).collect()];
            // Nobody who escapes some characters leaves the mark of an escape as it is.
            if !piece.contains(['%', '&', '\\']) {
                spelled.push(piece.chars().zip(&spellings).map(|(c, spelling)| spelling(c)).collect());
            }
            for spelled in spelled {
                let told = told(&secret, &format!("{before} {spelled} {after}"));
                let shows = told != HELD_BACK && !told.contains("(secret)");
                prop_assert!(!shows, "{piece} in {told}");
            }
        }
    }
}
