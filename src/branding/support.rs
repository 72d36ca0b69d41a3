//! Where people find help: a line of text, in which e-mail addresses and https URLs are links.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// Longest line, in characters.
pub(crate) const MAX_CHARACTERS: usize = 200;

/// The line, in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    pub(crate) pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    /// Where it leads, for a link.
    pub(crate) href: Option<String>,
}

/// Why a text is no such line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSupport {
    #[error("is not one line of 1 to 200 characters")]
    Line,
    #[error("has an http address, whose page others on the network can change")]
    PlainHttp,
}

impl Support {
    pub(crate) fn parse(text: &str) -> Result<Self, NotSupport> {
        if !super::is_line(text, MAX_CHARACTERS) {
            return Err(NotSupport::Line);
        }
        let mut pieces: Vec<Piece> = vec![];
        for word in text.trim().split_inclusive(char::is_whitespace) {
            // What stands around an address is none of it.
            let core = word.trim().trim_matches(['.', ',', ';', ':', '!', '?', '(', ')', '<', '>', '"', '\'']);
            if core.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://")) {
                return Err(NotSupport::PlainHttp);
            }
            let shown = core.strip_prefix("mailto:").unwrap_or(core);
            match (link(shown), word.split_once(core)) {
                (Some(href), Some((before, behind))) => {
                    push_text(&mut pieces, before);
                    pieces.push(Piece { text: shown.to_owned(), href: Some(href) });
                    push_text(&mut pieces, behind);
                }
                _ => push_text(&mut pieces, word),
            }
        }
        Ok(Self { pieces })
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(last) if last.href.is_none() => last.text.push_str(text),
        _ if text.is_empty() => {}
        _ => pieces.push(Piece { text: text.to_owned(), href: None }),
    }
}

/// Where a word leads, if it is an address.
fn link(word: &str) -> Option<String> {
    if word.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
        let url = Url::parse(word).ok().filter(|url| url.username().is_empty() && url.password().is_none())?;
        return Some(url.into());
    }
    /// RFC 6068 section 2: what would end the address, and what no address has.
    const MAILTO: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b'+');
    let (local, domain) = word.split_once('@')?;
    let is_local = !local.is_empty() && local.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&b));
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (is_local && domain.split('.').all(label)).then(|| format!("mailto:{}@{domain}", utf8_percent_encode(local, MAILTO)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces, links as `[text](href)`.
    fn marked(text: &str) -> String {
        let piece = |piece: &Piece| match &piece.href {
            Some(href) => format!("[{}]({href})", piece.text),
            None => piece.text.clone(),
        };
        Support::parse(text).unwrap().pieces.iter().map(piece).collect()
    }

    #[test]
    fn addresses_in_a_line_are_links() {
        for (text, expected) in [
            ("Room 4.11, extension 4711", "Room 4.11, extension 4711"),
            ("help@example.com", "[help@example.com](mailto:help@example.com)"),
            ("mailto:help@example.com", "[help@example.com](mailto:help@example.com)"),
            ("https://help.example.com", "[https://help.example.com](https://help.example.com/)"),
            (
                "Ask (help@example.com), or see HTTPS://example.com/a?b=c.",
                "Ask ([help@example.com](mailto:help@example.com)), or see [HTTPS://example.com/a?b=c](https://example.com/a?b=c).",
            ),
            ("a&b?subject=x@example.com", "[a&b?subject=x@example.com](mailto:a%26b%3Fsubject%3Dx@example.com)"),
            ("  two  words ", "two  words"),
        ] {
            assert_eq!(marked(text), expected);
        }
        for text in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//example.com",
            "https://",
            "https://a:b@example.com",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a@b..c",
            "\u{e9}@example.com",
            "a@b/c",
            "<script>x</script>",
        ] {
            assert_eq!(marked(text), text, "no link");
        }
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let long = "a".repeat(MAX_CHARACTERS + 1);
        for text in ["", " ", "a\nb", "a\u{202e}b", "a\u{0}", &long] {
            assert_eq!(Support::parse(text), Err(NotSupport::Line), "{text:?}");
        }
        assert!(Support::parse(&long[1..]).is_ok());
        for text in ["http://example.com", "see HTTP://example.com."] {
            assert_eq!(Support::parse(text), Err(NotSupport::PlainHttp), "{text:?}");
        }
    }
}
