//! What rules see of a request: as it is written, and as servers read it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::reading::{self, Reading};
use super::spelling::{Unclear, has_escape, is_plain};
use crate::web::construct::{Construct, Obstacle};
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
    pub(super) method: &'a str,
    /// Only where a rule names hosts.
    pub(super) host: Option<String>,
    /// Decoded.
    pub(super) segments: Vec<Cow<'a, str>>,
}

impl<'a> Target<'a> {
    /// Reads a request by steps 2 to 6 of [`crate::policy`].
    pub(super) fn parse(request: &Request<'a>, with_host: bool) -> Result<Self, Malformed> {
        let method = if request.method == "HEAD" { "GET" } else { request.method };
        let host = if with_host { Some(host(request.authority)?) } else { None };
        let path = request.path.strip_prefix('/').ok_or(Malformed::Target)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        // `//` is a path of one empty segment, not one that ends in `/`.
        let segments = match (path, request.path) {
            ("", "/") => vec![],
            _ => {
                let read = |(index, written)| segment(written).map_err(|construct| Malformed::Path(Obstacle::at(construct, index)));
                path.split('/').take(MAX_SEGMENTS + 1).enumerate().map(read).collect::<Result<Vec<_>, _>>()?
            }
        };
        if segments.len() > MAX_SEGMENTS {
            return Err(Malformed::Path(Obstacle::whole(Construct::TooLong)));
        }
        Ok(Self { method, host, segments })
    }

    /// Whether every server reads it as it is written.
    pub(super) fn is_plain(&self) -> bool {
        self.method.bytes().all(|b| !b.is_ascii_lowercase()) && self.segments.iter().all(|segment| is_plain(segment))
    }

    /// The path as servers read it; first as it is written.
    ///
    /// # Errors
    /// [`Malformed::Ambiguous`] when there is a server that takes it for a path that none can have here, or too many ways to read
    /// it; [`Malformed::Path`] when it is longer than it is worth reading.
    pub(super) fn readings(&self) -> Result<Vec<Reading<'_>>, Malformed> {
        if self.segments.iter().filter(|segment| !segment.is_ascii()).map(|segment| segment.len()).sum::<usize>() > MAX_FOLDED_BYTES {
            return Err(Malformed::Path(Obstacle::whole(Construct::TooLong)));
        }
        reading::readings(&self.segments).map_err(|Unclear(construct)| {
            let first = reading::first_unclear(&self.segments);
            Malformed::Ambiguous(first.map_or_else(|| Obstacle::whole(construct), |(index, construct)| Obstacle::at(construct, index)))
        })
    }

    /// The method as a server takes it that has no regard to case.
    pub(super) fn folded_method(&self) -> Cow<'_, str> {
        if self.method.bytes().all(|b| !b.is_ascii_lowercase()) {
            return Cow::Borrowed(self.method);
        }
        let method = self.method.to_ascii_uppercase();
        if method == "HEAD" { Cow::Borrowed("GET") } else { Cow::Owned(method) }
    }
}

/// Whether a request asks to be taken for one of another method, in any spelling that a server could fold into such a
/// header's name.
pub(super) fn overrides_method(request: &Request<'_>) -> bool {
    request.headers.iter().any(|(name, _)| proxy_headers::overrides_method(name))
}

fn segment(written: &str) -> Result<Cow<'_, str>, Construct> {
    if written.is_empty() {
        return Err(Construct::EmptySegment);
    }
    let decoded = percent_decode_str(written).decode_utf8().map_err(|_| Construct::NotUtf8)?;
    if matches!(decoded, Cow::Owned(_)) && has_escape(&decoded) {
        return Err(Construct::EscapedTwice);
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
    use super::super::reading::Name;
    use super::*;
    use crate::web::http::RequestHead;

    fn segments(path: &str) -> Result<Vec<String>, Malformed> {
        let head = RequestHead::get(path, "app.example");
        let target = Target::parse(&Request::parse(&head).unwrap(), false)?;
        Ok(target.segments.into_iter().map(Cow::into_owned).collect())
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
        for (path, construct, segment) in [
            ("//", Construct::EmptySegment, 1),
            ("//app", Construct::EmptySegment, 1),
            ("/a//b", Construct::EmptySegment, 2),
            ("/a//", Construct::EmptySegment, 2),
            ("///", Construct::EmptySegment, 1),
            ("/%2561pp", Construct::EscapedTwice, 1),
            ("/public/%252e%252e/app", Construct::EscapedTwice, 2),
            ("/a%252fb", Construct::EscapedTwice, 1),
            ("/a%25%32%66b", Construct::EscapedTwice, 1),
            ("/%c0%af", Construct::NotUtf8, 1),
            ("/public/%c0%ae%c0%ae/app", Construct::NotUtf8, 2),
            ("/%ff", Construct::NotUtf8, 1),
            ("/%ed%a0%80", Construct::NotUtf8, 1),
        ] {
            assert_eq!(segments(path), Err(Malformed::Path(Obstacle { construct, segment: Some(segment) })), "{path}");
        }
        let too_long = Err(Malformed::Path(Obstacle::whole(Construct::TooLong)));
        assert_eq!(segments(&"/a".repeat(MAX_SEGMENTS)).unwrap().len(), MAX_SEGMENTS);
        assert_eq!(segments(&"/a".repeat(MAX_SEGMENTS + 1)), too_long);
    }

    #[test]
    fn what_has_one_reading_is_plain_and_what_is_too_long_is_not_read() {
        let target = |path: &str, read: &dyn Fn(&Target<'_>)| {
            let head = RequestHead::get(path, "app.example");
            read(&Target::parse(&Request::parse(&head).unwrap(), false).unwrap());
        };
        for path in ["/", "/app", "/app/x.y/", "/.well-known/a", "/%61pp", "/a%20b"] {
            target(path, &|target| {
                let [reading] = &target.readings().unwrap()[..] else { panic!("{path}") };
                let is_as_written = |name: &Name<'_>| name.written == Some(&*name.canonical);
                assert!(target.is_plain() && reading.names.iter().all(is_as_written), "{path}");
            });
        }
        for path in
            ["/App", "/app;x", "/app%3fx/y", "/app./x%20", "/%C5%BFtaff", "/%20/app", "/.../app", "/%C3%A9", "/a%EF%BC%8Fb", "/a%2Fb"]
        {
            target(path, &|target| assert!(!target.is_plain() && target.readings().is_ok(), "{path}"));
        }
        for path in ["/a/%2e%2e%20/b", "/a/%EF%BC%8E%EF%BC%8E/b", "/%EF%BC%8541dmin"] {
            target(path, &|target| assert!(matches!(target.readings(), Err(Malformed::Ambiguous(_))), "{path}"));
        }
        let accents = |count: usize| format!("/x/{}/{}", "%C3%A9".repeat(count / 4), "%C3%A9".repeat(count / 4));
        target(&accents(MAX_FOLDED_BYTES), &|target| assert!(target.readings().is_ok()));
        target(&(accents(MAX_FOLDED_BYTES) + "e%CC%81"), &|target| assert!(matches!(target.readings(), Err(Malformed::Path(_)))));
        target(&format!("/{}", "X".repeat(MAX_FOLDED_BYTES + 1)), &|target| assert!(target.readings().is_ok()));
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
            (target.method.to_owned(), target.is_plain(), target.folded_method().into_owned())
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
