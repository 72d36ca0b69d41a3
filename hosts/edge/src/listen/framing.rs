//! The one reading of an HTTP/1.1 request's bytes: where its head ends, and what frames its body. Servers that read on
//! leniently disagree about where the next request begins (request smuggling); what has a second reading is refused.
//!
//! 1. A line ends with CRLF. A CR or an LF without the other, and a NUL, are refused wherever they stand in a head. One
//!    empty line before the request line is skipped (RFC 9112 section 2.2).
//! 2. The head is of the strict form: `METHOD target HTTP/1.0` or `/1.1` with single spaces, no space before a colon, no
//!    folded line. [`httparse`] reads it.
//! 3. A target has no `#`: what follows is for the browser, and servers differ in whether they cut it off.
//! 4. It is for one host: one `Host` at most, without a user, and the same as in a target that names one. Where letters
//!    differ in case only, `Host` becomes what the target says ([`spell_host_as_target`]).
//! 5. There is one `Content-Length` at most, of decimal digits only: no list, no sign, also where the values are equal.
//! 6. There is one `Transfer-Encoding` at most, of HTTP/1.1, without `Content-Length` beside it, and it is `chunked`, in
//!    these letters. Of the white space around the two values one space before it is taken.
//! 7. In a chunked body a size has hexadecimal digits; an extension is printable; each line is short; data ends with CRLF;
//!    trailers are lines with a colon. [`ChunkScan`] follows a body by the same bytes that are handed on.
//!
//! Each byte is looked at once, however few arrive at a time.

use http::HeaderValue;
use http::header::HOST;
use memchr::memchr3_iter;
use pingora::http::RequestHeader;
use pingora::http::authority::{RawTargetAuthority, raw_target_authority};
use pingora::protocols::http::authority::validate_request_authority;

/// More fields are no request of a browser's; Pingora takes no more either.
const MAX_FIELDS: usize = 256;

/// No body is longer than these digits say.
const MAX_LENGTH_DIGITS: usize = 15;

/// A chunk's size with its extensions, which nobody uses.
const MAX_CHUNK_LINE_BYTES: usize = 1024;

/// All trailers, which are read and dropped.
const MAX_TRAILER_BYTES: usize = 8 * 1024;

/// Why bytes are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("a line of the head does not end with CRLF, or holds a NUL")]
    Line,
    #[error("the head is not of HTTP/1's form")]
    Form,
    #[error("the head has too many fields")]
    TooManyFields,
    #[error("the target has a fragment")]
    Fragment,
    #[error("the request names no host, or more than one")]
    Authority,
    #[error("Content-Length is not one number")]
    ContentLength,
    #[error("Transfer-Encoding is not one `chunked`, or not alone")]
    TransferEncoding,
    #[error("a chunk is not of its form")]
    Chunk,
    #[error("the trailers are not of their form")]
    Trailer,
}

/// Finds the end of a head, piece by piece.
#[derive(Debug, Default)]
pub struct HeadScan {
    after_cr: bool,
    line_has_text: bool,
    /// The request line has begun.
    begun: bool,
    skipped_line: bool,
}

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Chunked,
    /// In bytes: by `Content-Length`, or there is none.
    Counted(u64),
}

impl HeadScan {
    /// Looks at the bytes that have arrived. Returns how many of them belong to the head, when its end is among them.
    ///
    /// # Errors
    /// [`Malformed::Line`].
    pub fn look(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let mut next = 0;
        for at in memchr3_iter(b'\r', b'\n', 0, bytes) {
            let has_text = at > next;
            next = at + 1;
            if !self.after_cr {
                self.line_has_text |= has_text;
                self.after_cr = bytes[at] == b'\r';
                if !self.after_cr {
                    return Err(Malformed::Line);
                }
                continue;
            }
            if has_text || bytes[at] != b'\n' {
                return Err(Malformed::Line);
            }
            self.after_cr = false;
            if std::mem::take(&mut self.line_has_text) {
                self.begun = true;
            } else if self.begun {
                return Ok(Some(next));
            } else if std::mem::replace(&mut self.skipped_line, true) {
                return Err(Malformed::Line);
            }
        }
        if next < bytes.len() {
            if self.after_cr {
                return Err(Malformed::Line);
            }
            self.line_has_text = true;
        }
        Ok(None)
    }

    /// Whether there is more than an empty line.
    pub fn has_begun(&self) -> bool {
        self.begun || self.line_has_text
    }

    /// How many bytes stand before the request line.
    pub fn skipped(&self) -> usize {
        if self.skipped_line { b"\r\n".len() } else { 0 }
    }
}

/// Writes `Host` as an absolute-form target spells it, where they differ in the case of letters only: RFC 9110 section 4.2.3
/// takes both for one host, and RFC 9112 section 3.2.2 goes by the target. Pingora compares bytes.
pub fn spell_host_as_target(head: &mut [u8]) {
    if head.split(|&byte| byte == b' ').nth(1).is_none_or(|target| target.starts_with(b"/")) {
        return;
    }
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let (Ok(httparse::Status::Complete(_)), Some(target)) = (request.parse(head), request.path) else { return };
    let RawTargetAuthority::Absolute { authority, .. } = raw_target_authority(target.as_bytes()) else { return };
    let Some(host) = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case("host")).map(|field| field.value) else { return };
    if !host.eq_ignore_ascii_case(authority) {
        return;
    }
    let (authority, at) = (authority.to_vec(), host.as_ptr().addr() - head.as_ptr().addr());
    head[at..at + authority.len()].copy_from_slice(&authority);
}

/// Reads a whole head by the rules of this module.
///
/// # Errors
/// [`Malformed`].
pub fn body_of(head: &[u8]) -> Result<Body, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed::TooManyFields),
        _ => return Err(Malformed::Form),
    }
    if request.path.is_none_or(|target| target.contains('#')) {
        return Err(Malformed::Fragment);
    }
    check_authority(&request)?;
    let (mut length, mut chunked) = (None, false);
    for field in request.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let is_number = (1..=MAX_LENGTH_DIGITS).contains(&field.value.len()) && field.value.iter().all(u8::is_ascii_digit);
            if length.is_some() || !is_number || !is_bare(head, field) {
                return Err(Malformed::ContentLength);
            }
            length = Some(field.value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')));
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || field.value != b"chunked" || !is_bare(head, field) {
                return Err(Malformed::TransferEncoding);
            }
            chunked = true;
        }
    }
    match (chunked, length, request.version) {
        (false, ..) => Ok(Body::Counted(length.unwrap_or(0))),
        (true, None, Some(1)) => Ok(Body::Chunked),
        _ => Err(Malformed::TransferEncoding),
    }
}

/// Whether a request is for one host, by Pingora's own rules: it would answer others with its name.
fn check_authority(request: &httparse::Request<'_, '_>) -> Result<(), Malformed> {
    let mut hosts = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("host"));
    let (host, second) = (hosts.next(), hosts.next());
    let target = request.path.unwrap_or_default();
    let is_usual = second.is_none() && target.starts_with('/') && host.is_none_or(|host| !host.value.contains(&b'@'));
    if is_usual {
        return Ok(());
    }
    let mut head = RequestHeader::build(request.method.unwrap_or_default(), target.as_bytes(), None).map_err(|_| Malformed::Form)?;
    for host in [host, second].into_iter().flatten() {
        let value = HeaderValue::from_bytes(host.value).map_err(|_| Malformed::Form)?;
        head.append_header(HOST, value).map_err(|_| Malformed::Form)?;
    }
    validate_request_authority(&head).map_err(|_| Malformed::Authority)
}

/// Whether nothing but one space is around a field's value, which is not empty.
fn is_bare(head: &[u8], field: &httparse::Header<'_>) -> bool {
    let offset = |part: &[u8]| part.as_ptr().addr().checked_sub(head.as_ptr().addr());
    let before = offset(field.name.as_bytes()).zip(offset(field.value)).and_then(|(name, value)| head.get(name + field.name.len()..value));
    let behind = offset(field.value).and_then(|value| head.get(value + field.value.len()..));
    matches!(before, Some(b":" | b": ")) && behind.is_some_and(|behind| behind.starts_with(b"\r\n"))
}

/// Follows a chunked body, piece by piece.
#[derive(Debug)]
pub struct ChunkScan {
    at: At,
    /// Bytes of the line, or of all trailers, so far.
    line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size {
        digits: usize,
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastLf,
    /// What follows is not of this body.
    Over,
}

/// At the start of a chunk.
const SIZE: At = At::Size { digits: 0, size: 0 };

impl ChunkScan {
    pub fn new() -> Self {
        Self { at: SIZE, line: 0 }
    }

    /// Looks at the bytes that have arrived. Returns how many of them belong to the body; those behind its end are not
    /// looked at.
    ///
    /// # Errors
    /// [`Malformed::Chunk`], [`Malformed::Trailer`].
    pub fn look(&mut self, mut bytes: &[u8]) -> Result<usize, Malformed> {
        let arrived = bytes.len();
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.at {
                At::Over => break,
                At::Data { left } => {
                    let here = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    bytes = &bytes[here..];
                    let left = left - here as u64;
                    self.at = if left == 0 { At::DataCr } else { At::Data { left } };
                    continue;
                }
                _ => self.at = self.after(byte)?,
            }
            bytes = rest;
        }
        Ok(arrived - bytes.len())
    }

    /// Whether the body is over.
    pub fn is_over(&self) -> bool {
        self.at == At::Over
    }

    /// What comes after `byte`, which is none of a chunk's data.
    fn after(&mut self, byte: u8) -> Result<At, Malformed> {
        self.line += 1;
        let is_text = byte == b'\t' || matches!(byte, b' '..=b'~') || byte >= 0x80;
        let next = match (self.at, byte) {
            (At::Size { digits, size }, _) if byte.is_ascii_hexdigit() && digits < MAX_LENGTH_DIGITS => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                At::Size { digits: digits + 1, size: size * 16 + digit }
            }
            (At::Size { digits: 1.., size }, b';') => At::Extension { size },
            (At::Size { digits: 1.., size } | At::Extension { size }, b'\r') => At::SizeEnd { size },
            (At::Extension { size }, _) if is_text => At::Extension { size },
            (At::SizeEnd { size }, b'\n') => {
                self.line = 0;
                if size == 0 { At::TrailerStart } else { At::Data { left: size } }
            }
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => {
                self.line = 0;
                SIZE
            }
            (At::TrailerStart, b'\r') => At::LastLf,
            (At::LastLf, b'\n') => At::Over,
            (At::TrailerName, b':') => At::TrailerValue,
            (At::TrailerStart | At::TrailerName, _) if byte.is_ascii_graphic() && byte != b':' => At::TrailerName,
            (At::TrailerValue, b'\r') => At::TrailerEnd,
            (At::TrailerValue, _) if is_text => At::TrailerValue,
            (At::TrailerEnd, b'\n') => At::TrailerStart,
            (At::TrailerStart | At::TrailerName | At::TrailerValue | At::TrailerEnd | At::LastLf, _) => return Err(Malformed::Trailer),
            _ => return Err(Malformed::Chunk),
        };
        let (most, fault) = match next {
            At::TrailerStart | At::TrailerName | At::TrailerValue | At::TrailerEnd | At::LastLf | At::Over => {
                (MAX_TRAILER_BYTES, Malformed::Trailer)
            }
            _ => (MAX_CHUNK_LINE_BYTES, Malformed::Chunk),
        };
        if self.line > most { Err(fault) } else { Ok(next) }
    }
}

impl Default for ChunkScan {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where a head ends, when it arrives in pieces of this size.
    fn end(bytes: &[u8], piece: usize) -> Result<Option<usize>, Malformed> {
        let mut scan = HeadScan::default();
        for (number, piece_bytes) in bytes.chunks(piece).enumerate() {
            if let Some(end) = scan.look(piece_bytes)? {
                return Ok(Some(number * piece + end));
            }
        }
        Ok(None)
    }

    /// What is made of a whole body, when it arrives in pieces of this size: whether it is over.
    fn chunks(bytes: &[u8], piece: usize) -> Result<bool, Malformed> {
        let mut scan = ChunkScan::new();
        bytes.chunks(piece).try_for_each(|piece| scan.look(piece).map(drop))?;
        Ok(scan.is_over())
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        for (text, expected) in [
            ("GET / HTTP/1.1\r\nHost: h\r\n\r\nrest", Ok(Some(27))),
            ("\r\nGET / HTTP/1.1\r\n\r\n", Ok(Some(20))),
            ("GET / HTTP/1.1\r\n\r", Ok(None)),
            ("GET / HTTP/1.1", Ok(None)),
            ("", Ok(None)),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", Err(Malformed::Line)),
            ("GET / HTTP/1.1\n\n", Err(Malformed::Line)),
            ("GET / HTTP/1.1\r\nHost: h\n\r\n", Err(Malformed::Line)),
            ("GET / HTTP/1.1\r\nHost: h\r\n\n", Err(Malformed::Line)),
            ("GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", Err(Malformed::Line)),
            ("GET / HTTP/1.1\r\r\n\r\n", Err(Malformed::Line)),
            ("GET / HTTP/1.1\r\nHost: \0\r\n\r\n", Err(Malformed::Line)),
            ("\nGET / HTTP/1.1\r\n\r\n", Err(Malformed::Line)),
            ("GET /\n", Err(Malformed::Line)),
        ] {
            for piece in 1..=text.len().max(1) {
                assert_eq!(end(text.as_bytes(), piece), expected, "{text:?} in pieces of {piece}");
            }
        }
    }

    fn body(fields: &str) -> Result<Body, Malformed> {
        body_of(format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes())
    }

    #[test]
    fn a_body_is_framed_in_one_way() {
        for (fields, length) in [
            ("", 0),
            ("Content-Length: 5\r\n", 5),
            ("content-length:05\r\n", 5),
            ("CONTENT-LENGTH: 0\r\n", 0),
            ("Content-Length: 999999999999999\r\n", 999_999_999_999_999),
        ] {
            assert_eq!(body(fields), Ok(Body::Counted(length)), "{fields}");
        }
        for fields in ["Transfer-Encoding: chunked\r\n", "transfer-encoding:chunked\r\n"] {
            assert_eq!(body(fields), Ok(Body::Chunked), "{fields}");
        }
        for value in [
            " 5, 5",
            " 5,5",
            " +5",
            " -5",
            " 0x5",
            " 5a",
            " 5.0",
            " 5 5",
            "",
            " ",
            "  5",
            "\t5",
            " 5 ",
            " 5\t",
            " \"5\"",
            " ٥",
            " 1000000000000000",
            " 18446744073709551621",
        ] {
            assert_eq!(body(&format!("Content-Length:{value}\r\n")), Err(Malformed::ContentLength), "{value:?}");
        }
        for second in ["Content-Length: 5\r\n", "content-length: 6\r\n", "Content-Length:\r\n"] {
            assert_eq!(body(&format!("Content-Length: 5\r\n{second}")), Err(Malformed::ContentLength), "{second:?}");
        }
        for value in [
            " Chunked",
            " CHUNKED",
            " identity",
            " gzip, chunked",
            " chunked, chunked",
            " chunked,",
            " ,chunked",
            " chunked;x",
            " chunked;q=1",
            " xchunked",
            "  chunked",
            "\tchunked",
            " chunked ",
            " chunked\t",
            "",
            " \"chunked\"",
            " chunked\u{b}",
        ] {
            let refused = body(&format!("Transfer-Encoding:{value}\r\n"));
            assert!(matches!(refused, Err(Malformed::TransferEncoding | Malformed::Form)), "{value:?}: {refused:?}");
        }
        for fields in [
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert_eq!(body(fields), Err(Malformed::TransferEncoding), "{fields:?}");
        }
        let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(body_of(old), Err(Malformed::TransferEncoding), "HTTP/1.0 has none");
    }

    #[test]
    fn a_head_is_of_the_strict_form() {
        for head in [
            "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
            "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length\r\n\r\n",
            "GET / HTTP/1.1\r\n: h\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET /  HTTP/1.1\r\n\r\n",
            "GET\t/ HTTP/1.1\r\n\r\n",
            " GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1 \r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/0.9\r\n\r\n",
            "GET / HTTP/1.2\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET / http/1.1\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
            "G(T / HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(body_of(head.as_bytes()), Err(Malformed::Form), "{head:?}");
        }
        for target in ["/a#b", "#", "/#", "http://h/#a", "/?q#", "*#"] {
            assert_eq!(body_of(format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes()), Err(Malformed::Fragment), "{target}");
        }
        for head in [
            "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: h\r\nHOST: i\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: user@h\r\n\r\n",
            "GET http://h/ HTTP/1.1\r\nHost: i\r\n\r\n",
            "GET http://user@h/ HTTP/1.1\r\nHost: user@h\r\n\r\n",
        ] {
            assert_eq!(body_of(head.as_bytes()), Err(Malformed::Authority), "{head:?}");
        }
        for head in ["GET / HTTP/1.0\r\n\r\n", "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"] {
            assert_eq!(body_of(head.as_bytes()), Ok(Body::Counted(0)), "{head:?}");
        }
        let fields = |number| format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(number));
        assert_eq!(body_of(fields(MAX_FIELDS).as_bytes()), Ok(Body::Counted(0)));
        assert_eq!(body_of(fields(MAX_FIELDS + 1).as_bytes()), Err(Malformed::TooManyFields));
    }

    #[test]
    fn chunks_are_of_the_strict_form() {
        let long_line = format!("5;{}\r\nabcde\r\n0\r\n\r\n", "x".repeat(MAX_CHUNK_LINE_BYTES));
        let long_trailers = format!("0\r\n{}\r\n", "a: b\r\n".repeat(MAX_TRAILER_BYTES / 5));
        for (text, expected) in [
            ("0\r\n\r\n", Ok(true)),
            ("5\r\nabcde\r\n0\r\n\r\n", Ok(true)),
            ("00000000000000A\r\n0123456789\r\n000\r\n\r\n", Ok(true)),
            ("5;name=value;flag;q=\"a b\"\r\n\r\n\r\n\n\r\n0\r\n\r\nnext", Ok(true)),
            ("0\r\nTrailer: a\r\nother:\tb\r\n\r\n", Ok(true)),
            ("5\r\nabc", Ok(false)),
            ("0\r\n", Ok(false)),
            ("5\nabcde\r\n0\r\n\r\n", Err(Malformed::Chunk)),
            ("5\rabcde\r\n0\r\n\r\n", Err(Malformed::Chunk)),
            ("5;a\nb\r\nabcde\r\n0\r\n\r\n", Err(Malformed::Chunk)),
            ("5;\0\r\nabcde\r\n0\r\n\r\n", Err(Malformed::Chunk)),
            ("5 \r\nabcde\r\n0\r\n\r\n", Err(Malformed::Chunk)),
            (" 5\r\nabcde\r\n0\r\n\r\n", Err(Malformed::Chunk)),
            ("+5\r\nabcde\r\n0\r\n\r\n", Err(Malformed::Chunk)),
            ("-1\r\n", Err(Malformed::Chunk)),
            ("0x5\r\nabcde\r\n0\r\n\r\n", Err(Malformed::Chunk)),
            ("5_0\r\n", Err(Malformed::Chunk)),
            ("\r\n", Err(Malformed::Chunk)),
            (";a\r\n", Err(Malformed::Chunk)),
            ("1000000000000000\r\n", Err(Malformed::Chunk)),
            ("fffffffffffffffff\r\n", Err(Malformed::Chunk)),
            ("5\r\nabcde0\r\n\r\n", Err(Malformed::Chunk)),
            ("5\r\nabcde\n0\r\n\r\n", Err(Malformed::Chunk)),
            ("5\r\nabcde\r0\r\n\r\n", Err(Malformed::Chunk)),
            ("5\r\nabcdef\r\n0\r\n\r\n", Err(Malformed::Chunk)),
            (long_line.as_str(), Err(Malformed::Chunk)),
            ("0\r\n\n", Err(Malformed::Trailer)),
            ("0\r\na: b\n\r\n", Err(Malformed::Trailer)),
            ("0\r\na: b\rc\r\n\r\n", Err(Malformed::Trailer)),
            ("0\r\n folded\r\n\r\n", Err(Malformed::Trailer)),
            ("0\r\na\r\n\r\n", Err(Malformed::Trailer)),
            ("0\r\na : b\r\n\r\n", Err(Malformed::Trailer)),
            ("0\r\n: b\r\n\r\n", Err(Malformed::Trailer)),
            ("0\r\nGET / HTTP/1.1\r\n\r\n", Err(Malformed::Trailer)),
            ("0\r\na: \0\r\n\r\n", Err(Malformed::Trailer)),
            (long_trailers.as_str(), Err(Malformed::Trailer)),
        ] {
            for piece in 1..=text.len().min(40) {
                assert_eq!(chunks(text.as_bytes(), piece), expected, "{text:?} in pieces of {piece}");
            }
        }
    }

    /// Where Pingora's parser takes a body to end, without trailers; `None` when it is not whole.
    fn end_by_the_parser(mut bytes: &[u8]) -> Option<usize> {
        let all = bytes.len();
        loop {
            let (at, size) = match httparse::parse_chunk_size(bytes) {
                Ok(httparse::Status::Complete(found)) => found,
                _ => return None,
            };
            let size = usize::try_from(size).ok()?;
            bytes = bytes.get(at..)?;
            if size == 0 {
                return Some(all - bytes.len());
            }
            bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
        }
    }

    fn bytes(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(words), 0..24).prop_map(|words| words.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn heads_read_the_same_in_any_pieces_and_hold_no_other_line_end(
            bytes in bytes(&["\r\n", "\r\n", "\r\n\r\n", "\r", "\n", "\0", "GET / HTTP/1.1", "Host: h", "Content-Length: 5", "x", " "]),
            piece in 1_usize..9,
        ) {
            let whole = end(&bytes, bytes.len().max(1));
            prop_assert_eq!(end(&bytes, piece), whole);
            if let Ok(Some(end)) = whole {
                let head = std::str::from_utf8(&bytes[..end]).expect("text");
                prop_assert!(head.ends_with("\r\n\r\n") || head == "\r\n\r\n");
                prop_assert!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']), "{:?}", head);
                prop_assert!(!head[..end - 4].trim_start_matches("\r\n").contains("\r\n\r\n"), "it ends before: {:?}", head);
            }
        }

        #[test]
        fn a_chunked_body_ends_where_the_parser_that_reads_it_ends_it(
            bytes in bytes(&["0\r\n", "5\r\nabcde\r\n", "1;x=y\r\nz\r\n", "\r\n", "\r", "\n", "0", "a", ";", " ", "\t", "A: b\r\n", "2\r\n\r\n\r\n"]),
            piece in 1_usize..9,
        ) {
            let whole = chunks(&bytes, bytes.len().max(1));
            prop_assert_eq!(chunks(&bytes, piece), whole);
            if whole == Ok(true) {
                let last = end_by_the_parser(&bytes).expect("the parser takes what is taken here");
                let mut scan = ChunkScan::new();
                scan.look(&bytes[..last]).expect("it was taken");
                prop_assert_eq!(scan.at, At::TrailerStart);
                let end = last + scan.look(&bytes[last..]).expect("it was taken");
                prop_assert!(scan.is_over() && bytes[..end].ends_with(b"\r\n"));
            }
        }
    }
}
