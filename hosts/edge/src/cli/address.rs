//! Addresses on the command line: what is none is refused with one that is.

use std::net::{IpAddr, SocketAddr};

use url::Url;

use crate::cli::health::DEFAULT_ADMIN_PORT;
use crate::cli::serve::DEFAULT_PORT;

/// Host and port, to listen on.
///
/// # Errors
/// What to write instead.
pub fn listen(text: &str) -> Result<String, String> {
    host_and_port(text, DEFAULT_PORT)
}

/// The same of the admin address.
///
/// # Errors
/// What to write instead.
pub fn admin(text: &str) -> Result<String, String> {
    host_and_port(text, DEFAULT_ADMIN_PORT)
}

/// The address of an application, `http://` or `https://`. What is wrong in a URL is told when it is used.
///
/// # Errors
/// What to write instead.
pub fn upstream(text: &str) -> Result<String, String> {
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let near = host_and_port(text, 80).unwrap_or_else(|_| suggestion(text, 8080));
    Err(format!("it has no scheme; write http://{near}"))
}

fn host_and_port(text: &str, port: u16) -> Result<String, String> {
    let is_name_and_port = || {
        let (host, port) = text.rsplit_once(':')?;
        let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || ":/[]@".contains(c));
        (is_host && port.parse::<u16>().is_ok()).then_some(())
    };
    if text.parse::<SocketAddr>().is_ok() || is_name_and_port().is_some() {
        return Ok(text.to_owned());
    }
    Err(format!("it needs a host and a port; write {}", suggestion(text, port)))
}

/// What may be meant.
fn suggestion(text: &str, port: u16) -> String {
    let text = text.trim();
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        return format!("127.0.0.1:{port}");
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return SocketAddr::new(ip, port).to_string();
    }
    let url = Url::parse(text).ok().filter(Url::has_host).or_else(|| Url::parse(&format!("http://{text}")).ok());
    match url.as_ref().and_then(Url::host_str) {
        Some(host) => format!("{host}:{}", url.as_ref().and_then(Url::port).unwrap_or(port)),
        None => format!("127.0.0.1:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_refused_with_one_that_is() {
        for (wrong, instead) in [
            ("8501", "127.0.0.1:8501"),
            ("9000", "127.0.0.1:9000"),
            (":9000", "127.0.0.1:9000"),
            ("0.0.0.0", "0.0.0.0:8501"),
            ("::1", "[::1]:8501"),
            ("[::1]", "[::1]:8501"),
            ("localhost", "localhost:8501"),
            ("http://localhost:9000", "localhost:9000"),
            ("localhost:9000/", "localhost:9000"),
            ("localhost:99999", "127.0.0.1:8501"),
            ("", "127.0.0.1:8501"),
        ] {
            let told = listen(wrong).expect_err(wrong);
            assert_eq!(told, format!("it needs a host and a port; write {instead}"), "{wrong}");
            assert!(listen(instead).is_ok(), "{instead}");
        }
        assert_eq!(admin("localhost").expect_err("no port"), "it needs a host and a port; write localhost:9180");
    }

    #[test]
    fn an_address_is_taken_as_it_is() {
        for good in ["127.0.0.1:0", "0.0.0.0:8501", "[::1]:8501", "localhost:8501", "vestibule_1:80", "app.internal:443"] {
            assert_eq!((listen(good).as_deref(), admin(good).as_deref()), (Ok(good), Ok(good)));
        }
    }

    #[test]
    fn an_application_has_a_scheme() {
        assert!(upstream("http://127.0.0.1:8080").is_ok() && upstream("https://app.internal").is_ok());
        for (wrong, instead) in [
            ("8080", "http://127.0.0.1:8080"),
            ("localhost:8601", "http://localhost:8601"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("app.internal", "http://app.internal:8080"),
        ] {
            assert_eq!(upstream(wrong).expect_err(wrong), format!("it has no scheme; write {instead}"));
        }
    }
}
