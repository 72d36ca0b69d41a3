//! `redirect_uri`, and with it the public origin.

use url::Url;

use super::section::Section;
use super::setting::{Form, Setting};
use crate::web::origin::{PublicOrigin, is_confidential};
use crate::web::route_prefix::RoutePrefix;

/// The last segment that Streamlit's `redirect_uri` must have.
pub(super) const CALLBACK: &str = "/oauth2callback";

pub(super) const SETTING: Setting = Setting::new(
    "redirect_uri",
    Form::Url,
    "The public address of the application, with `/oauth2callback` at its end.",
    "\"https://app.example.com/oauth2callback\"",
)
.required()
.pattern("^[Hh][Tt][Tt][Pp][Ss]?://.+/oauth2callback$");

pub(super) fn read(auth: &Section<'_>, port: Option<u16>, prefix: RoutePrefix) -> Option<PublicOrigin> {
    if !auth.has("redirect_uri") {
        let remedy = format!("write the application's public address with {CALLBACK}: \"http://localhost:8501{CALLBACK}\"");
        auth.findings.fatal(auth.at(), &auth.key("redirect_uri"), "is missing", remedy);
    }
    let text = auth.string("redirect_uri")?;
    let fatal = |problem: &str, remedy: String| auth.findings.fatal(text.at, &text.key, problem, remedy);
    let mut written = text.value.clone();
    if written.contains("{port}") {
        let Some(port) = port else {
            fatal("holds {port}, and this host does not know its port", "write the port itself".into());
            return None;
        };
        written = written.replace("{port}", &port.to_string());
    }
    let example = format!("write \"https://app.example.com{CALLBACK}\" for example");
    let Ok(url) = Url::parse(&written) else {
        fatal("is not a URL", example);
        return None;
    };
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() || !url.username().is_empty() || url.password().is_some() {
        fatal("is not the address of a web application", example);
        return None;
    }
    if !is_confidential(&url) {
        fatal("is plain http on a host that is not this machine: anyone on the network path can read the login", "write https://".into());
        return None;
    }
    let base_path = match url.path().strip_suffix(CALLBACK) {
        Some(base) if url.query().is_none() && url.fragment().is_none() => base.to_owned(),
        _ => {
            fatal(&format!("does not end in {CALLBACK}"), example);
            return None;
        }
    };
    if base_path.contains("//") || base_path.contains('%') {
        fatal("has a path that servers may read in more than one way", "use plain path segments".into());
        return None;
    }
    if !text.value.contains("{port}") && url.as_str() != written {
        warn_of_spelling(auth, &text.key, text.at, &url);
    }
    Some(PublicOrigin::new(url, base_path, prefix))
}

/// A URL that is sent to the provider in another spelling than it is written in.
pub(super) fn warn_of_spelling(section: &Section<'_>, key: &str, at: Option<usize>, url: &Url) {
    let (problem, remedy) = if section.findings.is_hidden(key) {
        let remedy = "write scheme and host in small letters, and no port that the scheme has anyway; see that the provider has the same";
        ("is sent to the provider in another spelling".to_owned(), remedy.to_owned())
    } else {
        (format!("is sent to the provider as {url}"), format!("write {url} here, and see that the provider has the same"))
    };
    section.findings.warning(at, key, problem, remedy);
}
