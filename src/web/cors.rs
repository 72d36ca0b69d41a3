//! Cross-origin requests (Fetch, "CORS protocol"): preflights, which can never carry a session, and what a script of another
//! origin may read.

use super::http::{Request, Response, Upgrade, is_token};

/// How long browsers may remember an answer to a preflight: two hours, the longest that Chromium does.
const MAX_AGE_SECONDS: &str = "7200";

/// Longest list of header names that is repeated in an answer.
const MAX_HEADERS_BYTES: usize = 4 * 1024;

/// What is said of requests from pages of other origins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Preflights go to the application, as nobody's.
    pub forwards_preflights: bool,
    /// Origins whose preflights are answered here, as a browser writes them.
    pub origins: Vec<String>,
}

/// A request that asks whether another one may be sent. It has no body, and is to have no effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preflight<'a> {
    origin: &'a str,
    method: &'a str,
    headers: Option<&'a str>,
}

impl<'a> Preflight<'a> {
    /// `None` of what is none, or could be more than one: with a body, with an upgrade, with a line twice.
    pub(crate) fn of(request: &'a Request<'_>) -> Option<Self> {
        if request.method != "OPTIONS" || request.upgrade() != Upgrade::None {
            return None;
        }
        let has_body =
            request.header("transfer-encoding").next().is_some() || request.header("content-length").any(|length| length != b"0");
        if has_body {
            return None;
        }
        let origin = single(request, "origin")?;
        let method = single(request, "access-control-request-method").filter(|method| is_token(method))?;
        let headers = match single(request, "access-control-request-headers") {
            Some(headers) if is_list_of_names(headers) => Some(headers),
            Some(_) => return None,
            None if request.header("access-control-request-headers").next().is_some() => return None,
            None => None,
        };
        Some(Self { origin, method, headers })
    }
}

impl Cors {
    /// The answer to a preflight of an origin that is named.
    pub(crate) fn answer(&self, preflight: &Preflight<'_>) -> Option<Response> {
        let origin = self.named(preflight.origin)?;
        let response = allow(Response { status: 204, ..Response::default() }, origin)
            .with("access-control-allow-methods", preflight.method)
            .with("access-control-max-age", MAX_AGE_SECONDS)
            .with("vary", "origin, access-control-request-method, access-control-request-headers");
        Some(match preflight.headers {
            Some(headers) => response.with("access-control-allow-headers", headers),
            None => response,
        })
    }

    /// Lets a script of a named origin read an answer of ours.
    pub(crate) fn open(&self, request: &Request<'_>, response: Response) -> Response {
        match single(request, "origin").and_then(|origin| self.named(origin)) {
            Some(origin) => allow(response, origin).with("access-control-expose-headers", "www-authenticate"),
            None => response,
        }
    }

    fn named(&self, origin: &str) -> Option<&str> {
        self.origins.iter().find(|named| *named == origin).map(String::as_str)
    }
}

fn allow(response: Response, origin: &str) -> Response {
    response.with("access-control-allow-origin", origin).with("access-control-allow-credentials", "true")
}

fn single<'a>(request: &'a Request<'_>, name: &'static str) -> Option<&'a str> {
    let mut values = request.header(name);
    let value = values.next().filter(|_| values.next().is_none())?;
    std::str::from_utf8(value).ok()
}

fn is_list_of_names(text: &str) -> bool {
    text.len() <= MAX_HEADERS_BYTES && text.split(',').all(|name| is_token(name.trim_matches([' ', '\t'])))
}
