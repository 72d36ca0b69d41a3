//! Where a person goes after login or logout: always a page of the same origin.
//!
//! The rules, in order. A value that breaks one is refused as a whole, nothing is repaired:
//!
//! 1. At most [`MAX_LENGTH`] bytes; no control character, space or backslash anywhere, for browsers drop or turn some of
//!    them (`/%09/evil` is harmless as written, `/<TAB>/evil` is not).
//! 2. Either it begins with exactly one `/`, or it is an absolute URL of the public origin.
//! 3. It is resolved against the public origin by the WHATWG URL parser, the one that browsers implement; the result
//!    must have that origin, and no user name or password.
//! 4. What is kept is that parser's path, query and fragment, and it must not begin with `//`, which is what
//!    `/.//evil.example` becomes.

use url::Url;

/// Longest accepted value, in bytes: what servers take in a request line, with room for the rest of it.
pub const MAX_LENGTH: usize = 6 * 1024;

/// Path, query and fragment of a page of the public origin. There is no other way to make one than [`ReturnTo::parse`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct ReturnTo(String);

/// The value does not name a page of the public origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a page of this site")]
pub struct NotSameOrigin;

impl ReturnTo {
    /// Parses by the rules of this module. `public` is any URL of the public origin.
    pub fn parse(value: &str, public: &Url) -> Result<Self, NotSameOrigin> {
        let suspicious = |byte: u8| byte <= b' ' || byte == 0x7f || byte == b'\\';
        if value.len() > MAX_LENGTH || value.bytes().any(suspicious) {
            return Err(NotSameOrigin);
        }
        let url = if value.starts_with('/') {
            if value.starts_with("//") {
                return Err(NotSameOrigin);
            }
            public.join(value)
        } else {
            // `https:/evil` and `https:evil` would be repaired by the URL parser: ask for the written form.
            if !value.starts_with("https://") && !value.starts_with("http://") {
                return Err(NotSameOrigin);
            }
            Url::parse(value)
        }
        .map_err(|_| NotSameOrigin)?;

        let plain = url.username().is_empty() && url.password().is_none();
        if url.origin() != public.origin() || !plain {
            return Err(NotSameOrigin);
        }
        let kept = &url[url::Position::BeforePath..];
        if kept.starts_with("//") || !kept.starts_with('/') || kept.len() > MAX_LENGTH {
            return Err(NotSameOrigin);
        }
        Ok(Self(kept.to_owned()))
    }

    /// The first page of the application. `redirect_uri` ends in `/oauth2callback`, so its sibling `./` is that page.
    pub(crate) fn home(redirect_uri: &Url) -> Self {
        let home = redirect_uri.join("./").unwrap_or_else(|_| redirect_uri.clone());
        Self(home.path().to_owned())
    }

    /// Fit for a `Location` header and, escaped, for a link.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without query and fragment.
    pub fn path(&self) -> &str {
        self.0.split(['?', '#']).next().unwrap_or("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public() -> Url {
        Url::parse("https://app.example.com/base/oauth2callback").unwrap()
    }

    #[test]
    fn keeps_pages_of_this_origin() {
        for (value, kept) in [
            ("/", "/"),
            ("/reports?year=2026&x=a%20b#top", "/reports?year=2026&x=a%20b#top"),
            ("/%09/evil", "/%09/evil"),
            ("/%5cevil", "/%5cevil"),
            ("/a/../b", "/b"),
            ("/grüße", "/gr%C3%BC%C3%9Fe"),
            ("https://app.example.com/x", "/x"),
            ("https://app.example.com:443/x", "/x"),
        ] {
            assert_eq!(ReturnTo::parse(value, &public()).map(|r| r.0), Ok(kept.to_owned()), "{value}");
        }
    }

    #[test]
    fn a_page_may_be_as_long_as_it_is_kept() {
        let longest = format!("/{}", "a".repeat(MAX_LENGTH - 1));
        assert_eq!(ReturnTo::parse(&longest, &public()).map(|r| r.0), Ok(longest));
        // One that is short as it is written, and not as it is kept.
        assert_eq!(ReturnTo::parse(&format!("/{}", "\u{e9}".repeat(MAX_LENGTH / 3)), &public()), Err(NotSameOrigin));
        let local = Url::parse("http://localhost:8501/oauth2callback").unwrap();
        assert_eq!(ReturnTo::parse("http://localhost:8501/x", &local).map(|r| r.0), Ok("/x".to_owned()));
    }

    #[test]
    fn refuses_everything_else() {
        let long = format!("/{}", "a".repeat(MAX_LENGTH));
        for value in [
            "",
            "x",
            "//evil",
            "///evil",
            "/\\evil.example",
            "\\/evil",
            "\\\\evil",
            "/\t/evil",
            "/\n/evil",
            "/\r\nSet-Cookie: a",
            " /x",
            "/x y",
            "https:/evil",
            "https:evil",
            "http:\\\\evil",
            "https://evil.example/",
            "https://badapp.example.com/",
            "https://app.example.com.evil/",
            "https://app.example.com@evil/",
            "https://evil@app.example.com/",
            "http://app.example.com/",
            "https://app.example.com:8443/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/.//evil.example",
            "/..//evil.example",
            "/x/..//evil.example",
            "/%2e//evil.example",
            "/\0",
            "/\u{7f}",
            "?x",
            "#x",
            "https://",
            "https:///evil",
            // The URL parser would repair these.
            "https:app.example.com/x",
            "https:/app.example.com/x",
            "HTTPS:app.example.com/x",
            "/x\\y",
            "//app.example.com/x",
            "https://:password@app.example.com/x",
            &format!("/{}x", "./".repeat(MAX_LENGTH)),
            &long,
        ] {
            assert_eq!(ReturnTo::parse(value, &public()), Err(NotSameOrigin), "{value:?}");
        }
    }
}
