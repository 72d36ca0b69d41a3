//! From a proxy's question to the request that it is about.

use super::{Authz, Proxy};
use crate::error::Error;
use crate::session::is_joined_by_commas;
use crate::web::field_lines::FieldLines;
use crate::web::http::{Malformed, RequestHead};
use crate::web::origin::PublicOrigin;
use crate::web::route;

/// What a request to the service is.
#[derive(Debug)]
pub(crate) enum Asked {
    /// This request, which the proxy has sent here.
    Directly(RequestHead),
    /// A question, about this request.
    About(RequestHead),
    /// The same, of nginx, which knows the answer and wants the response that the browser is to get.
    ForTheRefusal(RequestHead),
}

impl Asked {
    fn directly(head: &RequestHead) -> Self {
        Self::Directly(RequestHead { headers: upgrade_restored(head.headers.clone()), ..head.clone() })
    }
}

/// The headers that a question is put in.
#[derive(Clone, Copy)]
struct Form {
    method: &'static str,
    target: &'static str,
    /// `None`: `Host` is the original one.
    host: Option<&'static str>,
}

const FORWARDED: Form = Form { method: "X-Forwarded-Method", target: "X-Forwarded-Uri", host: Some("X-Forwarded-Host") };
const ORIGINAL: Form = Form { method: "X-Original-Method", target: "X-Original-URI", host: None };

impl Authz {
    /// Tells questions from requests, by the path.
    ///
    /// # Errors
    /// [`Error::Question`] when a question is not in the form of the configured proxy.
    pub(crate) fn read(&self, head: &RequestHead, public: &PublicOrigin) -> Result<Asked, Error> {
        let check = public.route(route::CHECK);
        if self.proxy == Proxy::Envoy {
            return match head.path_with_query.strip_prefix(check.as_str()) {
                Some(rest) => behind_prefix(head, rest),
                None => Ok(Asked::directly(head)),
            };
        }
        // The original query may stand behind it (Caddy): the form has it as well.
        let path = head.path();
        match self.proxy {
            Proxy::Nginx if path == check => ORIGINAL.read(head).map(Asked::About),
            Proxy::Nginx if path == public.route(route::REFUSAL) => ORIGINAL.read(head).map(Asked::ForTheRefusal),
            Proxy::Traefik | Proxy::Caddy if path == check => FORWARDED.read(head).map(Asked::About),
            _ => Ok(Asked::directly(head)),
        }
    }
}

/// Envoy's way: the request itself, with a prefix before its path.
fn behind_prefix(head: &RequestHead, rest: &str) -> Result<Asked, Error> {
    match rest.bytes().next() {
        // Envoy joins several lines of HTTP/1.1 by commas.
        Some(b'/') if head.headers.values("cookie").any(is_joined_by_commas) => Err(Malformed::Header.into()),
        Some(b'/') => {
            let original = RequestHead { path_with_query: rest.to_owned(), ..head.clone() };
            Ok(Asked::About(RequestHead { headers: upgrade_restored(original.headers.clone()), ..original }))
        }
        None | Some(b'?') => Err(Error::Question("the original path behind the path of questions")),
        Some(_) => Ok(Asked::directly(head)),
    }
}

impl Form {
    fn read(self, head: &RequestHead) -> Result<RequestHead, Error> {
        let method = only(head, self.method)?;
        let path_with_query = only(head, self.target)?;
        let host = only(head, self.host.unwrap_or("Host"))?;
        let of_question = [Some(self.method), Some(self.target), self.host, Some("Host")];
        let is_of_question = |name: &str| of_question.iter().flatten().any(|other| other.eq_ignore_ascii_case(name));
        let headers = head.headers.iter().filter(|(name, _)| !is_of_question(name));
        let headers = [("host", host.as_bytes())].into_iter().chain(headers).collect();
        let mut original = head.clone();
        original.method = method;
        original.path_with_query = path_with_query;
        original.authority = None;
        original.headers = upgrade_restored(headers);
        Ok(original)
    }
}

/// The value of a header that must be there once.
fn only(head: &RequestHead, name: &'static str) -> Result<String, Error> {
    let mut values = head.headers.values(name);
    match (values.next(), values.next()) {
        (Some(value), None) => String::from_utf8(value.to_vec()).map_err(|_| Error::Question(name)),
        _ => Err(Error::Question(name)),
    }
}

/// `Upgrade` ends at the proxy (RFC 9110 section 7.8), and the rules for WebSockets need it. What a browser sends along
/// with it, and lets no page set, goes on: RFC 6455 section 4.1 asks for both.
fn upgrade_restored(mut headers: FieldLines) -> FieldLines {
    let has = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    if !has("upgrade") && (has("sec-websocket-key") || has("sec-websocket-version")) {
        headers.push("upgrade", "websocket");
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Source};

    fn read(proxy: Proxy, head: &RequestHead) -> Result<Asked, Error> {
        let toml = "[auth]\nredirect_uri = \"https://app.example/base/oauth2callback\"\nclient_id = \"a\"\nclient_secret = \"b\"\n\
                    cookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\n\
                    server_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n";
        let config = Config::parse(&Source::new("secrets.toml", toml)).unwrap();
        Authz { proxy }.read(head, &config.public)
    }

    fn about(proxy: Proxy, head: &RequestHead) -> RequestHead {
        match read(proxy, head) {
            Ok(Asked::About(original)) => original,
            other => panic!("{other:?}"),
        }
    }

    fn values<'a>(head: &'a RequestHead, name: &'a str) -> Vec<&'a str> {
        head.headers.values(name).map(|value| std::str::from_utf8(value).unwrap()).collect()
    }

    fn forwarded() -> RequestHead {
        RequestHead::get("/base/.vestibule/check", "vestibule:8502")
            .with("X-Forwarded-Method", "POST")
            .with("X-Forwarded-Uri", "/reports?x=%2F")
            .with("X-Forwarded-Host", "app.example")
            .with("cookie", "a=1")
    }

    fn original() -> RequestHead {
        RequestHead::get("/base/.vestibule/check", "app.example").with("X-Original-Method", "POST").with("X-Original-URI", "/reports?x=%2F")
    }

    #[test]
    fn each_proxys_form_is_the_request_that_it_is_about() {
        let envoy = RequestHead { method: "POST".into(), ..RequestHead::get("/base/.vestibule/check/reports?x=%2F", "app.example") };
        let of_caddy = RequestHead { path_with_query: "/base/.vestibule/check?x=%2F".into(), ..forwarded() };
        for (proxy, head) in [(Proxy::Envoy, envoy), (Proxy::Traefik, forwarded()), (Proxy::Caddy, of_caddy), (Proxy::Nginx, original())] {
            let request = about(proxy, &head);
            assert_eq!((request.method.as_str(), request.path_with_query.as_str()), ("POST", "/reports?x=%2F"), "{proxy:?}");
            assert_eq!(values(&request, "host"), ["app.example"], "{proxy:?}");
            for name in ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host", "x-original-method", "x-original-uri"] {
                assert!(values(&request, name).is_empty(), "{name} of {proxy:?}");
            }
        }
        assert_eq!(values(&about(Proxy::Traefik, &forwarded()), "cookie"), ["a=1"]);
    }

    #[test]
    fn another_proxys_form_is_not_believed() {
        let both = original().with("X-Forwarded-Method", "GET").with("X-Forwarded-Uri", "/public").with("X-Forwarded-Host", "evil");
        let request = about(Proxy::Nginx, &both);
        assert_eq!((request.path_with_query.as_str(), values(&request, "host")), ("/reports?x=%2F", vec!["app.example"]));
        let envoy = RequestHead { path_with_query: "/base/.vestibule/check/reports".into(), ..both };
        let request = about(Proxy::Envoy, &envoy);
        assert_eq!((request.method.as_str(), request.path_with_query.as_str()), ("GET", "/reports"));
    }

    #[test]
    fn cookie_lines_that_a_proxy_has_joined_are_refused_where_one_of_ours_is_behind_a_comma() {
        let envoy = |cookie: &str| RequestHead::get("/base/.vestibule/check/reports", "app.example").with("cookie", cookie);
        for cookie in ["a=1,__Host-vestibule_session_abcdef=1~x", "a=1; b=2, vestibule_tokens_abcdef=1~x", "a=1,b=2,vestibule_x"] {
            assert_eq!(read(Proxy::Envoy, &envoy(cookie)).err(), Some(Error::Malformed(Malformed::Header)), "{cookie}");
        }
        for cookie in ["a=1,2,3; b=vestibule", "__Host-vestibule_session_abcdef=1~x; a=1", "a=1; __Host-vestibule_session_abcdef=1~x"] {
            assert_eq!(values(&about(Proxy::Envoy, &envoy(cookie)), "cookie"), [cookie], "{cookie}");
        }
    }

    #[test]
    fn what_is_missing_or_there_twice_is_no_question() {
        for (proxy, whole) in [(Proxy::Traefik, forwarded()), (Proxy::Caddy, forwarded()), (Proxy::Nginx, original())] {
            let names: Vec<_> = whole.headers.iter().map(|(name, _)| name).filter(|name| name.starts_with("X-")).collect();
            for name in names {
                let without = |_: &RequestHead| {
                    let headers = whole.headers.iter().filter(|(given, _)| *given != name).collect();
                    RequestHead { headers, ..whole.clone() }
                };
                let mut bytes = without(&whole);
                bytes.headers.push(name, [0xff]);
                for head in [without(&whole), whole.clone().with(&name.to_lowercase(), "/other"), bytes] {
                    match read(proxy, &head) {
                        Err(Error::Question(missing)) => assert_eq!(missing, name, "{proxy:?}"),
                        other => panic!("{proxy:?} without {name}: {other:?}"),
                    }
                }
            }
        }
        for path in ["/base/.vestibule/check", "/base/.vestibule/check?x=1"] {
            let asked = read(Proxy::Envoy, &RequestHead::get(path, "app.example"));
            assert!(matches!(asked, Err(Error::Question("the original path behind the path of questions"))), "{path}: {asked:?}");
        }
    }

    #[test]
    fn other_paths_are_requests() {
        for proxy in [Proxy::Envoy, Proxy::Traefik, Proxy::Caddy, Proxy::Nginx] {
            for path in ["/", "/.vestibule/check", "/base/.vestibule/login", "/base/.vestibule/checks", "/base/.vestibule/check%2f"] {
                let asked = read(proxy, &RequestHead { path_with_query: path.into(), ..forwarded() });
                assert!(matches!(asked, Ok(Asked::Directly(_))), "{path} of {proxy:?}: {asked:?}");
            }
        }
        let asked = read(Proxy::Traefik, &RequestHead { path_with_query: "/base/.vestibule/check/x".into(), ..forwarded() });
        assert!(matches!(asked, Ok(Asked::Directly(_))), "{asked:?}");
    }

    #[test]
    fn a_websocket_is_known_by_what_goes_on() {
        assert!(values(&about(Proxy::Nginx, &original()), "upgrade").is_empty());
        for name in ["Sec-WebSocket-Key", "sec-websocket-version"] {
            assert_eq!(values(&about(Proxy::Nginx, &original().with(name, "13")), "upgrade"), ["websocket"], "{name}");
        }
        let kept = original().with("Upgrade", "h2c").with("sec-websocket-key", "x");
        assert_eq!(values(&about(Proxy::Nginx, &kept), "upgrade"), ["h2c"]);
    }
}
