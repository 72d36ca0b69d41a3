//! The clients (relying parties) that the provider knows, and how they prove who they are.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;
use url::{Host, Url, form_urlencoded};

use crate::parameters::Parameters;

/// A registered client.
#[derive(Clone)]
pub struct Client {
    pub client_id: String,
    /// `None`: a public client, which authenticates with PKCE alone.
    pub client_secret: Option<String>,
    /// Where authorization responses may go.
    pub redirect_uris: AllowedUris,
    /// Where the browser may go after a logout.
    pub post_logout_redirect_uris: AllowedUris,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret.as_ref().map(|_| "redacted"))
            .field("redirect_uris", &self.redirect_uris)
            .field("post_logout_redirect_uris", &self.post_logout_redirect_uris)
            .finish()
    }
}

/// The addresses a client has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedUris {
    /// One of these, character for character (OpenID Connect Core section 3.1.2.1).
    Exactly(Vec<String>),
    /// Any http(s) address on 127.0.0.0/8, `[::1]` or `localhost`: for demos whose port is not known beforehand.
    AnyLoopback,
}

impl AllowedUris {
    /// The address as a URL if the client may use it.
    pub(crate) fn matching(&self, uri: &str) -> Option<Url> {
        let url = Url::parse(uri).ok()?;
        let allowed = match self {
            Self::Exactly(registered) => registered.iter().any(|candidate| candidate == uri),
            Self::AnyLoopback => {
                matches!(url.scheme(), "http" | "https") && url.fragment().is_none() && url.username().is_empty() && is_loopback(&url)
            }
        };
        allowed.then_some(url)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// Why a client is not who it says. One kind for an unknown id and a wrong secret, so that neither can be probed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("no client_id; authenticate with client_secret_basic, client_secret_post or, as a public client, client_id alone")]
    Missing,
    #[error("the Authorization header is not Basic with form-encoded client_id and client_secret (RFC 6749 section 2.3.1)")]
    Malformed,
    #[error("more than one client authentication in a request; use one (RFC 6749 section 2.3)")]
    Several,
    #[error("client_id or client_secret is wrong, or a secret was left out, or a public client sent one")]
    Wrong,
}

/// Authenticates a token request by whichever method it uses.
pub(crate) fn authenticate<'a>(clients: &'a [Client], headers: &HeaderMap, parameters: &Parameters) -> Result<&'a Client, ClientError> {
    let credentials = match headers.get(header::AUTHORIZATION) {
        Some(_) if parameters.value("client_secret").is_some() => return Err(ClientError::Several),
        Some(value) => {
            let credentials = value.to_str().ok().and_then(Credentials::from_basic).ok_or(ClientError::Malformed)?;
            if parameters.value("client_id").is_some_and(|id| id != credentials.client_id) {
                return Err(ClientError::Several);
            }
            credentials
        }
        None => Credentials {
            client_id: parameters.owned("client_id").ok_or(ClientError::Missing)?,
            client_secret: parameters.owned("client_secret"),
        },
    };
    clients.iter().find(|client| credentials.fit(client)).ok_or(ClientError::Wrong)
}

struct Credentials {
    client_id: String,
    client_secret: Option<String>,
}

impl Credentials {
    fn from_basic(header: &str) -> Option<Self> {
        let (scheme, encoded) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (client_id, client_secret) = text.split_once(':')?;
        // RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined, so that a colon, a plus or a
        // percent sign in them survives.
        Some(Self { client_id: form_decoded(client_id), client_secret: Some(form_decoded(client_secret)) })
    }

    fn fit(&self, client: &Client) -> bool {
        self.client_id == client.client_id
            && match (&self.client_secret, &client.client_secret) {
                (Some(sent), Some(known)) => bool::from(sent.as_bytes().ct_eq(known.as_bytes())),
                // An empty Basic password is how a public client writes "no secret".
                (Some(sent), None) => sent.is_empty(),
                (None, known) => known.is_none(),
            }
    }
}

fn form_decoded(text: &str) -> String {
    // A bare value has no `=` or `&` left in it once encoded; the parser sees it as a name without a value.
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_only() {
        for (uri, allowed) in [
            ("http://127.0.0.1:8501/oauth2callback", true),
            ("http://localhost/", true),
            ("https://[::1]:1/x?y=z", true),
            ("http://127.0.0.1.example.com/", false),
            ("http://localhost.example.com/", false),
            ("http://user@localhost/", false),
            ("http://localhost/#fragment", false),
            ("javascript://localhost/%0aalert(1)", false),
            ("/relative", false),
        ] {
            assert_eq!(AllowedUris::AnyLoopback.matching(uri).is_some(), allowed, "{uri}");
        }
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        let header = format!("Basic {}", STANDARD.encode("a%3Ab:p%2Bq+r%25"));
        let credentials = Credentials::from_basic(&header).expect("well-formed");
        assert_eq!(credentials.client_id, "a:b");
        assert_eq!(credentials.client_secret.as_deref(), Some("p+q r%"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let client = Client {
            client_id: "id".into(),
            client_secret: Some("hush".into()),
            redirect_uris: AllowedUris::AnyLoopback,
            post_logout_redirect_uris: AllowedUris::AnyLoopback,
        };
        assert!(!format!("{client:?}").contains("hush"));
    }
}
