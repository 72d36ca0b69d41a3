//! A logo within a page, as a `data:` URI (RFC 2397).
//!
//! It stands in `<img>`, where browsers run no script of an SVG and load nothing that it names (SVG 2 section 2.7, "secure
//! animated mode"). It is decoded, looked at and encoded again: what stands on the page is base64 in any case.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Largest logo, in bytes: enough for one of 256 pixels, and every page carries it.
pub(crate) const MAX_LOGO_BYTES: usize = 16 * 1024;

/// A logo, ready to stand on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    uri: String,
}

/// Why a text is no logo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotALogo {
    #[error("is not a data: URI")]
    NotData,
    #[error("is not of the type PNG, SVG, WebP or JPEG")]
    Type,
    #[error("is not in the encoding that it names")]
    Encoding,
    #[error("is not an image of the type that it names")]
    Content,
    #[error("is an SVG without xmlns=\"http://www.w3.org/2000/svg\", which browsers do not show")]
    Namespace,
    #[error("is larger than 16 KiB")]
    TooLarge,
}

#[derive(Clone, Copy)]
enum Kind {
    Png,
    Jpeg,
    WebP,
    Svg,
}

impl Logo {
    /// A `data:` URI, in base64 or, for an SVG, percent-encoded.
    pub(crate) fn parse(uri: &str) -> Result<Self, NotALogo> {
        // Longer than any that is small enough: each byte takes three characters at most.
        if uri.len() > 4 * MAX_LOGO_BYTES {
            return Err(NotALogo::TooLarge);
        }
        let text = uri.trim();
        let rest = text.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).map(|_| &text[5..]).ok_or(NotALogo::NotData)?;
        let (head, data) = rest.split_once(',').ok_or(NotALogo::NotData)?;
        let mut parts = head.split(';').map(|part| part.trim().to_ascii_lowercase());
        let kind = parts.next().and_then(|media_type| Kind::of(&media_type)).ok_or(NotALogo::Type)?;
        let bytes = if parts.any(|part| part == "base64") {
            let packed: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            STANDARD.decode(packed).map_err(|_| NotALogo::Encoding)?
        } else {
            percent_encoding::percent_decode_str(data).collect()
        };
        Self::of(kind, &bytes)
    }

    /// What a file holds: an SVG, or such a URI. Hosts read text only.
    pub(crate) fn from_file(text: &str) -> Result<Self, NotALogo> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with('<') { Self::of(Kind::Svg, text.as_bytes()) } else { Self::parse(text) }
    }

    /// For the attribute `src`.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    fn of(kind: Kind, bytes: &[u8]) -> Result<Self, NotALogo> {
        if bytes.len() > MAX_LOGO_BYTES {
            return Err(NotALogo::TooLarge);
        }
        if !kind.is_kind_of(bytes) {
            return Err(NotALogo::Content);
        }
        if matches!(kind, Kind::Svg) && memchr::memmem::find(bytes, b"http://www.w3.org/2000/svg").is_none() {
            return Err(NotALogo::Namespace);
        }
        Ok(Self { uri: format!("data:{};base64,{}", kind.media_type(), STANDARD.encode(bytes)) })
    }
}

impl Kind {
    fn of(media_type: &str) -> Option<Self> {
        [Self::Png, Self::Jpeg, Self::WebP, Self::Svg].into_iter().find(|kind| kind.media_type() == media_type)
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
            Self::Svg => "image/svg+xml",
        }
    }

    /// By how such a file begins (WHATWG MIME Sniffing section 6.1).
    fn is_kind_of(self, bytes: &[u8]) -> bool {
        match self {
            Self::Png => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
            Self::Jpeg => bytes.starts_with(b"\xff\xd8\xff"),
            Self::WebP => bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
            Self::Svg => std::str::from_utf8(bytes).is_ok_and(|text| root(text).is_some_and(|root| root.starts_with("<svg"))),
        }
    }
}

/// From the first element of an XML document on. A document type with definitions of its own has none: they can expand to
/// more than any image.
fn root(text: &str) -> Option<&str> {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let end = if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<?") {
            "?>"
        } else if rest.starts_with("<!DOCTYPE") {
            ">"
        } else {
            return Some(rest);
        };
        let (skipped, behind) = rest.split_once(end)?;
        if end == ">" && skipped.contains('[') {
            return None;
        }
        rest = behind.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1 1\"><path d=\"M0 0\"/></svg>";

    fn base64(media_type: &str, bytes: &[u8]) -> String {
        format!("data:{media_type};base64,{}", STANDARD.encode(bytes))
    }

    #[test]
    fn images_of_four_types_are_logos() {
        for (media_type, bytes) in [
            ("image/png", &b"\x89PNG\r\n\x1a\n rest"[..]),
            ("image/jpeg", b"\xff\xd8\xff\xe0 rest"),
            ("image/webp", b"RIFF\0\0\0\0WEBP rest"),
            ("image/svg+xml", SVG.as_bytes()),
        ] {
            let uri = base64(media_type, bytes);
            assert_eq!(Logo::parse(&uri).unwrap().uri(), uri);
            assert_eq!(Logo::from_file(&format!("\u{feff}{uri}\n")).unwrap().uri(), uri);
            let wrapped = uri.replace("base64,", "base64,\n ").replacen("data:image", " DATA:Image", 1);
            assert_eq!(Logo::parse(&wrapped).unwrap().uri(), uri);
        }
        let svg = base64("image/svg+xml", SVG.as_bytes());
        let encoded = percent_encoding::utf8_percent_encode(SVG, percent_encoding::NON_ALPHANUMERIC);
        for head in ["", ";utf8", ";charset=utf-8"] {
            assert_eq!(Logo::parse(&format!("data:image/svg+xml{head},{encoded}")).unwrap().uri(), svg);
        }
        let prolog = format!("<?xml version=\"1.0\"?>\n<!-- made by > hand -->\n<!DOCTYPE svg PUBLIC \"a\" \"b\">\n{SVG}");
        assert_eq!(Logo::from_file(&prolog).unwrap().uri(), base64("image/svg+xml", prolog.as_bytes()));
    }

    #[test]
    fn anything_else_is_none() {
        let entities = format!("<!DOCTYPE svg [<!ENTITY a \"b\">]>{SVG}");
        for (text, reason) in [
            ("", NotALogo::NotData),
            ("https://example.com/logo.png", NotALogo::NotData),
            ("javascript:alert(1)", NotALogo::NotData),
            ("data:image/png;base64", NotALogo::NotData),
            ("data:;base64,AAAA", NotALogo::Type),
            ("data:text/html,<script>alert(1)</script>", NotALogo::Type),
            ("data:image/gif;base64,R0lGOD", NotALogo::Type),
            ("data:image/png;base64,****", NotALogo::Encoding),
            (&base64("image/png", SVG.as_bytes()), NotALogo::Content),
            (&base64("image/svg+xml", b"<html><svg/></html>"), NotALogo::Content),
            (&base64("image/svg+xml", entities.as_bytes()), NotALogo::Content),
            (&base64("image/svg+xml", b"<svg/>"), NotALogo::Namespace),
            (&base64("image/png", &[&b"\x89PNG\r\n\x1a\n"[..], &[0; MAX_LOGO_BYTES]].concat()), NotALogo::TooLarge),
            (&" ".repeat(1 << 20), NotALogo::TooLarge),
        ] {
            assert_eq!(Logo::parse(text), Err(reason), "{:.60}", text);
        }
        assert_eq!(Logo::from_file("\u{e9}\u{e9}\u{e9}"), Err(NotALogo::NotData));
        assert_eq!(Logo::from_file(&entities), Err(NotALogo::Content));
    }
}
