//! `upstream` and `listen`: where the application is, and where the host is reached.

use super::section::Section;
use super::setting::{Form, Setting};

pub(super) const UPSTREAM: Setting = Setting::new(
    "upstream",
    Form::Url,
    "The application: `http://` or `https://`, host and port, no path. `--upstream` overrides it.",
    "\"http://127.0.0.1:8080\"",
)
.pattern("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]+/?$");

pub(super) const LISTEN: Setting = Setting::new(
    "listen",
    Form::Text,
    "IP address or host name, and port, of `vestibule serve`. `--listen` overrides it.",
    "\"0.0.0.0:8501\"",
)
.or_said("`\"127.0.0.1:8501\"`")
.pattern(":[0-9]{1,5}$");

pub(super) fn read_upstream(section: &Section<'_>) -> Option<String> {
    let text = section.string("upstream")?;
    let parsed = url::Url::parse(&text.value).ok();
    let good = parsed.is_some_and(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if !good {
        let problem = format!("`{}` is not the address of a server", text.value);
        section.findings.fatal(text.at, &text.key, problem, "write scheme, host and port: \"http://127.0.0.1:8080\"");
    }
    good.then_some(text.value)
}

pub(super) fn read_listen(section: &Section<'_>) -> Option<String> {
    let text = section.string("listen")?;
    let good = text.value.parse::<std::net::SocketAddr>().is_ok() || is_name_and_port(&text.value);
    if !good {
        let problem = format!("`{}` is not an address and a port", text.value);
        // The port that is written without an address.
        let port = text.value.strip_prefix(':').unwrap_or(&text.value).parse::<u16>().unwrap_or(8501);
        let remedy = format!("write \"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for every interface");
        section.findings.fatal(text.at, &text.key, problem, remedy);
    }
    good.then_some(text.value)
}

/// `localhost:8501`, or another name, which is looked up when it is listened on.
fn is_name_and_port(text: &str) -> bool {
    let Some((name, port)) = text.split_once(':') else { return false };
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    // What looks like a number is an address, and a wrong one.
    let is_name = name.split('.').all(label) && !name.split('.').next_back().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    is_name && port.parse::<u16>().is_ok()
}
