//! What rules see of a request: the one reading that they are compared with, and the liberal one beside it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::http::{Malformed, Request};

/// More than any application's paths have; a comparison takes as many steps as path and pattern have pairs of segments.
pub const MAX_SEGMENTS: usize = 128;

/// Headers by which frameworks take a request for one of another method, as [`crate::http`] folds names.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// A request, as far as rules look at it.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) method: Cow<'a, str>,
    /// Only where a rule names hosts.
    pub(super) host: Option<String>,
    pub(super) segments: Vec<Cow<'a, str>>,
    pub(super) is_liberal: bool,
}

impl<'a> Target<'a> {
    /// Reads a request by steps 2 to 6 of [`crate::policy`].
    pub(super) fn parse(request: &Request<'a>, with_host: bool) -> Result<Self, Malformed> {
        let method = if request.method == "HEAD" { "GET" } else { request.method };
        let host = if with_host { Some(host(request.authority)?) } else { None };
        let path = request.path.strip_prefix('/').ok_or(Malformed::Path)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        // `//` is a path of one empty segment, not one that ends in `/`.
        let segments = match (path, request.path) {
            ("", "/") => vec![],
            _ => path.split('/').take(MAX_SEGMENTS + 1).map(segment).collect::<Result<Vec<_>, _>>()?,
        };
        if segments.len() > MAX_SEGMENTS {
            return Err(Malformed::Path);
        }
        Ok(Self { method: Cow::Borrowed(method), host, segments, is_liberal: false })
    }

    /// The reading of step 8; `None` when it is the same.
    pub(super) fn liberal(&self) -> Option<Self> {
        let method = self.method.to_ascii_uppercase();
        let method = if method == "HEAD" { "GET".to_owned() } else { method };
        if self.method == method && self.segments.iter().all(|segment| is_plain(segment)) {
            return None;
        }
        let mut segments: Vec<Cow<'a, str>> = vec![];
        for segment in &self.segments {
            let end = segment.find(['?', '#']);
            segments.push(Cow::Owned(liberal(&segment[..end.unwrap_or(segment.len())])));
            if end.is_some() {
                break;
            }
        }
        // What is left of `/;x/app` to who drops parameters and merges slashes.
        segments.retain(|segment| !segment.is_empty());
        Some(Self { method: Cow::Owned(method), host: self.host.clone(), segments, is_liberal: true })
    }
}

/// A segment as the most liberal server reads it.
pub(super) fn liberal(segment: &str) -> String {
    let name = segment.split(';').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    // Both ways: `ſ` is `S` in capitals, and the Kelvin sign is `k` in small letters.
    name.to_uppercase().to_lowercase()
}

/// Whether [`liberal`] leaves a segment as it is.
fn is_plain(segment: &str) -> bool {
    let plain = |b: u8| b.is_ascii() && !b.is_ascii_uppercase() && !matches!(b, b';' | b'?' | b'#');
    segment.bytes().all(plain) && !segment.ends_with(['.', ' '])
}

/// Whether a request asks to be taken for one of another method, in any spelling that a server could fold into such a
/// header's name.
pub(super) fn overrides_method(request: &Request<'_>) -> bool {
    let fold = |b: u8| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'-' };
    request.headers.iter().any(|(name, _)| METHOD_OVERRIDES.iter().any(|known| name.bytes().map(fold).eq(known.bytes())))
}

fn segment(written: &str) -> Result<Cow<'_, str>, Malformed> {
    if written.is_empty() {
        return Err(Malformed::Path);
    }
    let decoded = percent_decode_str(written).decode_utf8().map_err(|_| Malformed::Path)?;
    let is_escape = |window: &[u8]| window[0] == b'%' && window[1].is_ascii_hexdigit() && window[2].is_ascii_hexdigit();
    if matches!(decoded, Cow::Owned(_)) && decoded.as_bytes().windows(3).any(is_escape) {
        return Err(Malformed::Path);
    }
    Ok(decoded)
}

fn host(authority: &str) -> Result<String, Malformed> {
    let url = url::Url::parse(&format!("http://{authority}/")).map_err(|_| Malformed::Authority)?;
    let host = url.host_str().ok_or(Malformed::Authority)?;
    Ok(host.strip_suffix('.').unwrap_or(host).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::RequestHead;

    fn segments(path: &str) -> Result<Vec<String>, Malformed> {
        let head = RequestHead::get(path, "app.example");
        let target = Target::parse(&Request::parse(&head).unwrap(), false)?;
        Ok(target.segments.into_iter().map(Cow::into_owned).collect())
    }

    fn liberal_segments(path: &str) -> Option<Vec<String>> {
        let head = RequestHead::get(path, "app.example");
        let target = Target::parse(&Request::parse(&head).unwrap(), false).unwrap();
        target.liberal().map(|target| target.segments.into_iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn a_path_is_cut_into_decoded_segments() {
        for (path, expected) in [
            ("/", &[][..]),
            ("/app", &["app"]),
            ("/app/", &["app"]),
            ("/%61%70p/%7Ex", &["app", "~x"]),
            ("/a%20b/caf%C3%A9", &["a b", "café"]),
            ("/a;x=1/100%25", &["a;x=1", "100%"]),
            ("/a?b=/c", &["a"]),
        ] {
            assert_eq!(segments(path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        for path in [
            "//",
            "//app",
            "/a//b",
            "/a//",
            "///",
            "/%2561pp",
            "/public/%252e%252e/app",
            "/a%252fb",
            "/a%25%32%66b",
            "/%c0%af",
            "/public/%c0%ae%c0%ae/app",
            "/%ff",
            "/%ed%a0%80",
        ] {
            assert_eq!(segments(path), Err(Malformed::Path), "{path}");
        }
        assert_eq!(segments(&"/a".repeat(MAX_SEGMENTS)).unwrap().len(), MAX_SEGMENTS);
        assert_eq!(segments(&"/a".repeat(MAX_SEGMENTS + 1)), Err(Malformed::Path));
    }

    #[test]
    fn the_liberal_reading_is_that_of_the_most_liberal_server() {
        for path in ["/", "/app", "/app/x.y/", "/.well-known/a", "/%61pp", "/a%20b"] {
            assert_eq!(liberal_segments(path), None, "{path}");
        }
        for (path, expected) in [
            ("/App", &["app"][..]),
            ("/app;jsessionid=1/x", &["app", "x"]),
            ("/app%3Bx/y", &["app", "y"]),
            ("/;x/app", &["app"]),
            ("/app%3fx/y", &["app"]),
            ("/app%23/y", &["app"]),
            ("/app./x%20", &["app", "x"]),
            ("/%C5%BFtaff", &["staff"]),
            ("/%E2%84%AAey", &["key"]),
            ("/%20/app", &["app"]),
        ] {
            assert_eq!(liberal_segments(path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn methods_have_one_meaning() {
        let overrides = |name: &str| overrides_method(&Request::parse(&RequestHead::get("/", "a").with(name, "DELETE")).unwrap());
        for name in ["X-HTTP-Method-Override", "x_http_method_override", "X-HTTP-Method", "X.Method.Override"] {
            assert!(overrides(name), "{name}");
        }
        assert!(!overrides("X-HTTP-Methods"));
        let method = |method: &str| {
            let head = RequestHead { method: method.into(), ..RequestHead::get("/", "a") };
            let target = Target::parse(&Request::parse(&head).unwrap(), false).unwrap();
            (target.method.to_string(), target.liberal().map(|target| target.method.to_string()))
        };
        assert_eq!(method("HEAD"), ("GET".into(), None));
        assert_eq!(method("delete"), ("delete".into(), Some("DELETE".into())));
        assert_eq!(method("head"), ("head".into(), Some("GET".into())));
    }

    #[test]
    fn hosts_have_one_spelling() {
        for (authority, expected) in [
            ("app.example", Ok("app.example")),
            ("APP.example:8443", Ok("app.example")),
            ("app.example.", Ok("app.example")),
            ("app%2eexample", Ok("app.example")),
            ("[::1]:80", Ok("[::1]")),
            ("127.1", Ok("127.0.0.1")),
            ("app.example:99999", Err(Malformed::Authority)),
            ("a:b:c", Err(Malformed::Authority)),
        ] {
            assert_eq!(host(authority).as_deref().map_err(|&error| error), expected, "{authority}");
        }
    }
}
