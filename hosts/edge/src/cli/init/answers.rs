//! What `vestibule init` has to know, each answer parsed.

use url::Url;
use vestibule::web::origin::is_confidential;

use crate::cli::init::arguments::App;
use crate::cli::init::provider::Kind;

/// Everything that the file is made of.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) client: Client,
    /// Ends in `/oauth2callback`.
    pub(super) redirect_uri: String,
    pub(super) app: App,
    pub(super) upstream: String,
    pub(super) who: Who,
}

/// The application as the provider knows it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) kind: Kind,
    pub(super) issuer: Url,
    /// Of ZITADEL.
    pub(super) project: Option<String>,
    /// Of Amazon Cognito.
    pub(super) logout_url: Option<String>,
    pub(super) id: String,
    pub(super) secret: ClientSecret,
}

/// Where the client secret is.
#[derive(Clone)]
pub(super) enum ClientSecret {
    /// In the file.
    Written(String),
    Environment(String),
    File(String),
}

/// Without the secret.
impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Written(_) => f.write_str("Written(…)"),
            Self::Environment(name) => write!(f, "Environment({name})"),
            Self::File(path) => write!(f, "File({path})"),
        }
    }
}

/// Who may enter.
#[derive(Debug, Clone)]
pub(super) enum Who {
    EmailDomain(Vec<String>),
    Email(Vec<String>),
    Group { claim: Option<String>, names: Vec<String> },
    Everybody,
}

/// The public address, as the redirect URI.
///
/// # Errors
/// What is wrong with it.
pub(super) fn redirect_uri(text: &str) -> Result<String, String> {
    const CALLBACK: &str = "/oauth2callback";
    let url = Url::parse(text.trim()).map_err(|_| format!("`{text}` is not a URL; write https://app.example.com for example"))?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() || !is_plain {
        return Err(format!("`{text}` is not the address of an application; write scheme, host and path only: https://app.example.com"));
    }
    if !is_confidential(&url) {
        return Err(format!("`{text}` is plain http, and not on this machine, so that others could read the login; write https://"));
    }
    let base = url.as_str().trim_end_matches('/');
    Ok(format!("{}{CALLBACK}", base.strip_suffix(CALLBACK).unwrap_or(base)))
}

/// The application's own address.
///
/// # Errors
/// What is wrong with it.
pub(super) fn upstream(text: &str) -> Result<String, String> {
    let url = Url::parse(text.trim()).ok().filter(|url| {
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        ["http", "https"].contains(&url.scheme()) && url.has_host() && is_bare
    });
    let url = url.ok_or_else(|| format!("`{text}` is not the address of a server; write http://127.0.0.1:8080 for example"))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// One line of visible characters.
///
/// # Errors
/// It is none.
pub(super) fn line(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("it is empty, or has more than one line".to_owned());
    }
    Ok(text.to_owned())
}

/// Values with commas between them.
///
/// # Errors
/// There is none.
pub(super) fn list(text: &str) -> Result<Vec<String>, String> {
    text.split(',').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_its_redirect_uri() {
        for (text, uri) in [
            ("https://app.example.com", "https://app.example.com/oauth2callback"),
            ("https://App.example.com/", "https://app.example.com/oauth2callback"),
            ("https://app.example.com/base/", "https://app.example.com/base/oauth2callback"),
            ("https://app.example.com/oauth2callback", "https://app.example.com/oauth2callback"),
            ("http://localhost:8501", "http://localhost:8501/oauth2callback"),
        ] {
            assert_eq!(redirect_uri(text).as_deref(), Ok(uri));
        }
        for wrong in ["", "app.example.com", "http://app.example.com", "https://app.example.com/?a", "https://u@app.example.com", "data:a"]
        {
            assert!(redirect_uri(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_upstream_is_a_server() {
        assert_eq!(upstream("http://127.0.0.1:8080/").as_deref(), Ok("http://127.0.0.1:8080"));
        for wrong in ["", "127.0.0.1:8080", "http://127.0.0.1:8080/a", "ftp://127.0.0.1", "http://127.0.0.1/?a"] {
            assert!(upstream(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_has_values() {
        assert_eq!(list("a, b").as_deref(), Ok(["a".to_owned(), "b".to_owned()].as_slice()));
        assert!(list("").is_err() && list("a,,b").is_err() && line("a\nb").is_err());
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert!(!format!("{:?}", ClientSecret::Written("s3cret".into())).contains("s3cret"));
    }
}
