//! What a request is called by whoever has sent it on: `X-Request-Id`.

use super::field_lines::FieldLines;

/// Longest name of a request, in bytes.
const MAX_LENGTH: usize = 128;

/// What the client, or a proxy before us, calls the request: `X-Request-Id`, when it is there once and is fit for a log: 1 to 128
/// visible ASCII characters. A host that names requests puts its own name there.
pub fn of(headers: &FieldLines) -> Option<&str> {
    let mut values = headers.values("x-request-id");
    let value = values.next().filter(|_| values.next().is_none())?;
    let is_fit = (1..=MAX_LENGTH).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(value).ok().filter(|_| is_fit)
}
