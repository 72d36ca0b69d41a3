//! What rules see of a request: the one reading that they are compared with, and the liberal one beside it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::spelling::{self, Folded, has_escape, is_plain};
use crate::web::http::{Malformed, Request};
use crate::web::proxy_headers;

/// More than any application's paths have; a comparison takes as many steps as path and pattern have pairs of segments.
pub const MAX_SEGMENTS: usize = 128;

/// Longer than the names that file systems have (255 bytes each, 4,096 a path): to bring it to one form costs far more
/// than anything else that is done with a path.
const MAX_FOLDED_BYTES: usize = 4096;

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

    /// Whether the reading of step 8 is this one.
    pub(super) fn is_plain(&self) -> bool {
        self.method.bytes().all(|b| !b.is_ascii_lowercase()) && self.segments.iter().all(|segment| is_plain(segment))
    }

    /// The reading of step 8.
    ///
    /// # Errors
    /// [`Malformed::Ambiguous`] when there is a server that takes it for a path that none can have here, [`Malformed::Path`]
    /// when it is longer than it is worth reading.
    pub(super) fn liberal(&self) -> Result<Target<'_>, Malformed> {
        if self.is_plain() {
            let segments = self.segments.iter().map(|segment| Cow::Borrowed(segment.as_ref())).collect();
            return Ok(Target { method: Cow::Borrowed(&self.method), host: self.host.clone(), segments, is_liberal: true });
        }
        if self.segments.iter().filter(|segment| !segment.is_ascii()).map(|segment| segment.len()).sum::<usize>() > MAX_FOLDED_BYTES {
            return Err(Malformed::Path);
        }
        let method = self.method.to_ascii_uppercase();
        let method = if method == "HEAD" { "GET".to_owned() } else { method };
        let segments = spelling::liberal(self.segments.iter().map(AsRef::as_ref)).map_err(|_| Malformed::Ambiguous)?;
        if segments.len() > MAX_SEGMENTS {
            return Err(Malformed::Path);
        }
        let segments = segments.into_iter().map(Cow::Owned).collect();
        Ok(Target { method: Cow::Owned(method), host: self.host.clone(), segments, is_liberal: true })
    }
}

impl Target<'_> {
    /// Further readings, where a segment has an encoded separator in it: servers split in one of the ways of
    /// [`spelling::splittings`], and read what they have split exactly or liberally.
    ///
    /// # Errors
    /// As [`Target::liberal`]; [`Malformed::Ambiguous`] also where the path begins with two separators, one of them encoded (what
    /// follows is a host to some), and where it has a `?`, `#` or `;` as well: some servers drop what is behind it before they
    /// split, some after, and some never.
    pub(super) fn further(&self) -> Result<Vec<Target<'_>>, Malformed> {
        if !self.segments.iter().any(|segment| segment.contains(['/', '\\'])) {
            return Ok(vec![]);
        }
        let folded = Folded::new(self.segments.iter().map(AsRef::as_ref)).map_err(|_| Malformed::Ambiguous)?;
        if folded.has_end() || self.segments.first().is_some_and(|segment| segment.starts_with(['/', '\\'])) {
            return Err(Malformed::Ambiguous);
        }
        let is_too_long = self.segments.iter().map(|segment| segment.split(['/', '\\']).count()).sum::<usize>() > MAX_SEGMENTS;
        if is_too_long {
            return Err(Malformed::Path);
        }
        let exact = spelling::splittings(self.segments.iter().map(|segment| segment.as_ref().to_owned()).collect());
        let liberal = folded.splittings().map_err(|_| Malformed::Ambiguous)?;
        // Folding makes more of some characters.
        if liberal.iter().any(|segments| segments.len() > MAX_SEGMENTS) {
            return Err(Malformed::Path);
        }
        let method = self.method.to_ascii_uppercase();
        let liberal_method = if method == "HEAD" { "GET".to_owned() } else { method };
        let reading = |segments: Vec<String>, method: &str, is_liberal| Target {
            method: Cow::Owned(method.to_owned()),
            host: self.host.clone(),
            segments: segments.into_iter().map(Cow::Owned).collect(),
            is_liberal,
        };
        let exact = exact.into_iter().map(|segments| reading(segments, &self.method, false));
        let liberal = liberal.into_iter().map(|segments| reading(segments, &liberal_method, true));
        Ok(exact.chain(liberal).collect())
    }
}

/// Whether a request asks to be taken for one of another method, in any spelling that a server could fold into such a
/// header's name.
pub(super) fn overrides_method(request: &Request<'_>) -> bool {
    request.headers.iter().any(|(name, _)| proxy_headers::overrides_method(name))
}

fn segment(written: &str) -> Result<Cow<'_, str>, Malformed> {
    if written.is_empty() {
        return Err(Malformed::Path);
    }
    let decoded = percent_decode_str(written).decode_utf8().map_err(|_| Malformed::Path)?;
    if matches!(decoded, Cow::Owned(_)) && has_escape(&decoded) {
        return Err(Malformed::Path);
    }
    Ok(decoded)
}

/// The host that step 3 compares.
pub(super) fn host(authority: &str) -> Result<String, Malformed> {
    let url = url::Url::parse(&format!("http://{authority}/")).map_err(|_| Malformed::Authority)?;
    let host = url.host_str().ok_or(Malformed::Authority)?;
    let host = host.strip_suffix('.').unwrap_or(host);
    // `admin.example..` is `admin.example` to who drops every dot at the end.
    if host.split('.').any(str::is_empty) {
        return Err(Malformed::Authority);
    }
    Ok(host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::http::RequestHead;

    fn segments(path: &str) -> Result<Vec<String>, Malformed> {
        let head = RequestHead::get(path, "app.example");
        let target = Target::parse(&Request::parse(&head).unwrap(), false)?;
        Ok(target.segments.into_iter().map(Cow::into_owned).collect())
    }

    fn liberal_segments(path: &str) -> Result<Vec<String>, Malformed> {
        let head = RequestHead::get(path, "app.example");
        let target = Target::parse(&Request::parse(&head).unwrap(), false).unwrap();
        let liberal = target.liberal()?;
        assert!(liberal.is_liberal && (!target.is_plain() || liberal.segments == target.segments), "{path}");
        Ok(liberal.segments.into_iter().map(Cow::into_owned).collect())
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
            ("/%25g1/%251g", &["%g1", "%1g"]),
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
        let is_plain = |path: &str| {
            let head = RequestHead::get(path, "app.example");
            Target::parse(&Request::parse(&head).unwrap(), false).unwrap().is_plain()
        };
        for path in ["/", "/app", "/app/x.y/", "/.well-known/a", "/%61pp", "/a%20b"] {
            assert!(is_plain(path) && liberal_segments(path) == segments(path), "{path}");
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
            ("/.../app", &["app"]),
            ("/%C3%A9", &["e\u{301}"]),
            ("/a%EF%BC%8Fb", &["a", "b"]),
        ] {
            assert!(!is_plain(path), "{path}");
            assert_eq!(liberal_segments(path).unwrap(), expected, "{path}");
        }
        for path in ["/a/%2e%2e%20/b", "/a/%EF%BC%8E%EF%BC%8E/b", "/%EF%BC%8541dmin"] {
            assert_eq!(liberal_segments(path), Err(Malformed::Ambiguous), "{path}");
        }
        let accents = |count: usize| format!("/x/{}/{}", "%C3%A9".repeat(count / 4), "%C3%A9".repeat(count / 4));
        assert!(liberal_segments(&accents(MAX_FOLDED_BYTES)).is_ok());
        assert_eq!(liberal_segments(&(accents(MAX_FOLDED_BYTES) + "e%CC%81")), Err(Malformed::Path));
        assert!(liberal_segments(&format!("/{}", "X".repeat(MAX_FOLDED_BYTES + 1))).is_ok());
        let slashes = |count: usize| format!("/{}", "a%EF%BC%8F".repeat(count));
        assert_eq!(liberal_segments(&slashes(MAX_SEGMENTS)).unwrap().len(), MAX_SEGMENTS);
        assert_eq!(liberal_segments(&format!("{}b", slashes(MAX_SEGMENTS))), Err(Malformed::Path));
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
            (target.method.to_string(), target.is_plain(), target.liberal().unwrap().method.to_string())
        };
        assert_eq!(method("HEAD"), ("GET".into(), true, "GET".into()));
        assert_eq!(method("X-9"), ("X-9".into(), true, "X-9".into()));
        assert_eq!(method("delete"), ("delete".into(), false, "DELETE".into()));
        assert_eq!(method("head"), ("head".into(), false, "GET".into()));
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
            ("%E2%84%AAey.example", Ok("key.example")),
            ("B%C3%BCcher.example", Ok("xn--bcher-kva.example")),
            ("XN--BCHER-kva.example", Ok("xn--bcher-kva.example")),
            ("app.example..", Err(Malformed::Authority)),
            ("app..example", Err(Malformed::Authority)),
            (".app.example", Err(Malformed::Authority)),
            (".", Err(Malformed::Authority)),
            ("app.example:99999", Err(Malformed::Authority)),
            ("a:b:c", Err(Malformed::Authority)),
        ] {
            assert_eq!(host(authority).as_deref().map_err(|&error| error), expected, "{authority}");
        }
    }
}
