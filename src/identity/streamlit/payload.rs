//! The texts in Streamlit's cookies: JSON in ASCII, spaced as Python's `json.dumps` does.

use std::io;

use serde::Serializer as _;
use serde_json::ser::Formatter;
use serde_json::{Serializer, Value};

use crate::session::ExposeTokens;
use crate::session::{Session, Tokens};

/// What Streamlit itself says beside the claims; claims of these names give way, as with Streamlit.
const OWN: [&str; 3] = ["origin", "is_logged_in", "provider"];

/// Every claim but those left out, the origin of the page that asks, the provider.
pub(super) fn user(session: &Session<'_>, left_out: &[&str], origin: &str) -> String {
    let claims = session.claims().whole().iter().map(|(name, value)| (name.as_str(), value));
    let claims = claims.filter(|(name, _)| !OWN.contains(name) && !left_out.contains(name));
    let own = [origin.into(), Value::Bool(true), session.provider().into()];
    text(claims.chain(OWN.into_iter().zip(&own)))
}

/// The tokens that the application may see; an empty object when there are none, as with Streamlit.
pub(super) fn tokens(tokens: Option<&Tokens>, exposed: ExposeTokens) -> String {
    let id_token = tokens.and_then(|tokens| tokens.id_token.as_ref()).filter(|_| exposed.id);
    let access_token = tokens.and_then(|tokens| tokens.access_token.as_ref()).filter(|_| exposed.access);
    let both = [("id_token", id_token), ("access_token", access_token)];
    text(both.into_iter().filter_map(|(name, token)| Some((name, token?.expose()))))
}

/// A text as a JSON string.
pub(super) fn literal(text: &str) -> String {
    to_text(|to| to.serialize_str(text))
}

fn text<'a, V: serde::Serialize>(entries: impl Iterator<Item = (&'a str, V)>) -> String {
    to_text(|to| to.collect_map(entries))
}

type PythonSerializer<'a> = Serializer<&'a mut Vec<u8>, Python>;

fn to_text(write: impl FnOnce(&mut PythonSerializer<'_>) -> serde_json::Result<()>) -> String {
    let mut written = vec![];
    // Strings, numbers and maps with string keys: nothing in it can fail to become JSON.
    let _ = write(&mut Serializer::with_formatter(&mut written, Python));
    String::from_utf8(written).unwrap_or_default()
}

/// Spaces behind commas and colons, and an escape for whatever is not printable ASCII.
struct Python;

impl Formatter for Python {
    fn begin_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.begin_array_value(writer, first)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for character in fragment.chars() {
            if matches!(character, ' '..='~') {
                writer.write_all(&[character as u8])?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Right-hand sides are what Python's `json.dumps` prints.
    #[test]
    fn json_is_written_as_python_writes_it() {
        for (value, text) in [
            (
                json!({"sub": "alice", "n": [1, 2.5, -3], "o": {"a": null, "b": false}}),
                r#"{"n": [1, 2.5, -3], "o": {"a": null, "b": false}, "sub": "alice"}"#,
            ),
            (json!([]), "[]"),
            (json!({}), "{}"),
            (json!("Chlo\u{eb} \u{1f600} \u{7f}"), r#""Chlo\u00eb \ud83d\ude00 \u007f""#),
            (json!("\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}"), r#""\"\\/\b\f\n\r\t\u0001\u001f""#),
            (json!(1_700_000_000.0), "1700000000.0"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            use serde::Serialize as _;
            assert_eq!(to_text(|to| value.serialize(to)), text);
        }
    }

    #[test]
    fn a_text_in_a_text_is_quoted_once_more() {
        assert_eq!(literal(r#"{"a": "\u00eb"}"#), r#""{\"a\": \"\\u00eb\"}""#);
    }
}
