//! The authorization request and response (RFC 6749 section 4.1, OIDC Core section 3.1.2, RFC 7636, RFC 9207).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::error::{Error, ReportedError};
use super::metadata::{OFFLINE_ACCESS, ProviderMetadata};
use crate::oidc::provider::Provider;
use crate::secret::Secret;

/// Longest accepted parameter. Entra's codes have about 1,800 bytes.
const MAX_PARAMETER_BYTES: usize = 8 * 1024;

/// Longest words about an error, in characters: the log has 300 of them, and says that there were more.
const MAX_TOLD_CHARACTERS: usize = 400;

/// What of an authorization request differs from login to login.
pub struct Asking<'a> {
    pub state: &'a Secret,
    pub nonce: &'a Secret,
    pub code_verifier: &'a Secret,
    pub prompt: Prompt,
    pub offline: Offline,
    /// Unless one is configured: any page may have led here.
    pub login_hint: Option<&'a str>,
}

/// How a refresh token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offline {
    /// Not at all, or as `scope` says.
    No,
    /// By the scope `offline_access` (OIDC Core section 11).
    Scope,
    /// By `access_type=offline`, Google's parameter.
    AccessType,
}

impl Offline {
    /// What the provider of this metadata takes.
    pub fn at(metadata: &ProviderMetadata) -> Self {
        if metadata.issuer == GOOGLE {
            Self::AccessType
        } else if metadata.lists_offline_access {
            Self::Scope
        } else {
            Self::No
        }
    }
}

const ACCESS_TYPE: &str = "access_type";
const GOOGLE: &str = "https://accounts.google.com";

/// `prompt` (OIDC Core section 3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// What is configured, if anything.
    Configured,
    /// The provider shall ask which account to use, whatever is configured.
    SelectAccount,
    /// Not `select_account`, which the provider does not know; what is configured, if anything.
    Left,
}

/// Where to send the browser: Streamlit's parameters in Streamlit's order, and PKCE always.
pub fn request(endpoint: &Url, provider: &Provider, redirect_uri: &Url, asking: &Asking<'_>) -> Url {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(asking.code_verifier.expose().as_bytes()));
    let has_hint = provider.authorize_params.iter().any(|(name, _)| name == "login_hint");
    let adds_scope = asking.offline == Offline::Scope && !provider.scope.split(' ').any(|word| word == OFFLINE_ACCESS);
    let scope = if adds_scope { format!("{} {OFFLINE_ACCESS}", provider.scope) } else { provider.scope.clone() };
    let has_access_type = provider.authorize_params.iter().any(|(name, _)| name == ACCESS_TYPE);
    let adds_access_type = asking.offline == Offline::AccessType && !has_access_type;
    let mut url = endpoint.clone();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &provider.client_id)
        .append_pair("redirect_uri", redirect_uri.as_str())
        .append_pair("scope", &scope)
        .append_pair("state", asking.state.expose())
        .append_pair("nonce", asking.nonce.expose())
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .extend_pairs(provider.authorize_params.iter().filter(|(name, _)| match name.as_str() {
            "prompt" => asking.prompt != Prompt::SelectAccount,
            _ => true,
        }))
        .extend_pairs(adds_access_type.then_some((ACCESS_TYPE, "offline")))
        .extend_pairs(asking.login_hint.filter(|_| !has_hint).map(|hint| ("login_hint", hint)))
        .extend_pairs((asking.prompt == Prompt::SelectAccount).then_some(("prompt", "select_account")));
    url
}

/// An authorization code. Worth a login, so it is never shown.
#[derive(Clone, Debug)]
pub struct AuthorizationCode(pub(super) Secret);

/// What a visit of `redirect_uri` is.
#[derive(Debug)]
pub enum Callback {
    Response(AuthorizationResponse),
    /// An error that does not say which login it is about, and its `iss`.
    ErrorWithoutState(ReportedError, Option<String>),
    /// The end of a logout: providers send the browser here after it, with the `state` that we gave them, with another, or with
    /// nothing.
    Landing,
}

/// What came back to `redirect_uri`. The result is inaccessible until the state and the issuer have been matched.
#[derive(Debug)]
pub struct AuthorizationResponse {
    state: String,
    iss: Option<String>,
    result: Result<AuthorizationCode, ReportedError>,
}

impl Callback {
    /// Reads the query (or form) of the callback; `is_logging_out`: this browser was sent to a provider to log out, and is not
    /// back. Nothing in the query proves that: anybody can write it.
    ///
    /// # Errors
    /// [`Error::AuthorizationResponse`] when a parameter comes twice (RFC 6749 section 3.1), is missing, empty or too
    /// long (`error_description` and `error_uri` are cut), and when the response both succeeds and fails, or does neither.
    pub fn parse(pairs: url::form_urlencoded::Parse<'_>, is_logging_out: bool) -> Result<Self, Error> {
        let [mut code, mut state, mut iss, mut error, mut description, mut uri, mut jwt] = [const { None::<String> }; 7];
        for (name, value) in pairs {
            let slot = match &*name {
                "code" => &mut code,
                "state" => &mut state,
                "iss" => &mut iss,
                "error" => &mut error,
                "error_description" => &mut description,
                "error_uri" => &mut uri,
                "response" => &mut jwt,
                // `session_state`, `scope`, `hd` and what else providers add.
                _ => continue,
            };
            // What is told about an error is not what goes on with it: of a long one, the beginning counts.
            let value = if is_told(&name) { beginning(value) } else { value };
            if value.len() > MAX_PARAMETER_BYTES {
                return Err(Error::AuthorizationResponse("a parameter is too long"));
            }
            if slot.replace(value.into_owned()).is_some() {
                return Err(Error::AuthorizationResponse("a parameter comes twice"));
            }
        }
        let state = state.filter(|state| !state.is_empty());
        let result = match (code, error) {
            (Some(code), None) if !code.is_empty() => Ok(AuthorizationCode(Secret::new(code))),
            (None, Some(error)) => Err(ReportedError::new(&error, description.as_deref(), uri.as_deref())),
            (Some(_), Some(_)) => return Err(Error::AuthorizationResponse("it holds a code and an error")),
            (Some(_), None) => return Err(Error::AuthorizationResponse("the code is empty")),
            (None, None) if jwt.is_some() => {
                return Err(Error::AuthorizationResponse(
                    "it is a JWT, which was not requested (response_mode): set the provider to `query`",
                ));
            }
            (None, None) if is_logging_out => return Ok(Self::Landing),
            (None, None) if state.as_deref().is_some_and(is_of_logout) => {
                return Err(Error::AuthorizationResponse("it is the end of a logout, and this browser has none under way"));
            }
            (None, None) => return Err(Error::AuthorizationResponse("it holds neither a code nor an error")),
        };
        match (state, result) {
            (Some(state), result) => Ok(Self::Response(AuthorizationResponse { state, iss, result })),
            (None, Err(reported)) => Ok(Self::ErrorWithoutState(reported, iss)),
            (None, Ok(_)) => Err(Error::AuthorizationResponse("there is no state")),
        }
    }
}

/// The `state` of a callback, whatever else is wrong with it: there once, or the same each time; or within the response that is a
/// JWT (JARM section 2.1), of which nothing is proven.
pub fn state_of(pairs: url::form_urlencoded::Parse<'_>) -> Option<String> {
    let (mut states, mut jwt) = (vec![], None);
    for (name, value) in pairs {
        match &*name {
            "state" if !value.is_empty() && states.len() < 2 && !states.contains(&value) => states.push(value),
            "response" => jwt = Some(value),
            _ => {}
        }
    }
    match (states.pop(), states.is_empty()) {
        (Some(state), true) => Some(state.into_owned()),
        (Some(_), false) => None,
        (None, _) => {
            let payload = URL_SAFE_NO_PAD.decode(jwt?.split('.').nth(1)?).ok()?;
            let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
            claims.get("state")?.as_str().map(str::to_owned)
        }
    }
}

/// Whether a parameter is words for people.
fn is_told(name: &str) -> bool {
    matches!(name, "error_description" | "error_uri")
}

/// As much of such words as is told. The log has fewer characters.
fn beginning(words: Cow<'_, str>) -> Cow<'_, str> {
    let end = words.char_indices().nth(MAX_TOLD_CHARACTERS).map(|(end, _)| end);
    match end.and_then(|end| words.get(..end)) {
        Some(beginning) => Cow::Owned(beginning.to_owned()),
        None => words,
    }
}

/// The parameters of a form that a callback by `GET` has as well, as long as they may be there.
pub fn handed_on(form: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let known = |name: &str| ["code", "state", "iss", "error", "error_description", "error_uri"].contains(&name);
    let pairs = url::form_urlencoded::parse(form).filter(move |(name, _)| known(name));
    pairs.map(|(name, value)| if is_told(&name) { (name, beginning(value)) } else { (name, value) })
}

/// What the `state` of a logout begins with, so that the log tells its end from a login that went wrong.
pub const LOGOUT_STATE: &str = "logout.";

fn is_of_logout(state: &str) -> bool {
    state.starts_with(LOGOUT_STATE)
}

impl AuthorizationResponse {
    pub fn state(&self) -> &str {
        &self.state
    }

    pub(crate) fn iss(&self) -> Option<&str> {
        self.iss.as_deref()
    }

    /// Whether it brings a code, for whatever login.
    pub(crate) fn has_code(&self) -> bool {
        self.result.is_ok()
    }

    /// The code, or the error that the provider reported.
    pub(crate) fn into_code(self) -> Result<AuthorizationCode, Error> {
        self.result.map_err(Error::ProviderReported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Callback, Error> {
        Callback::parse(url::form_urlencoded::parse(query.as_bytes()), false)
    }

    fn reported(query: &str) -> String {
        match parse(query).unwrap() {
            Callback::Response(response) => response.into_code().unwrap_err().to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_success_failure_and_nothing() {
        let Callback::Response(success) = parse("code=c&state=s&session_state=x&iss=https%3A%2F%2Fop").unwrap() else {
            panic!("no response");
        };
        assert_eq!((success.state(), success.iss()), ("s", Some("https://op")));
        assert!(success.into_code().is_ok());
        for query in ["", "state=logout.abc&lc=1033", "state=another", "state=", "foo=bar"] {
            let after_logout = Callback::parse(url::form_urlencoded::parse(query.as_bytes()), true);
            assert!(matches!(after_logout.unwrap(), Callback::Landing), "{query}");
        }
        assert_eq!(reported("error=access_denied&state=s"), "the provider reports the error `access_denied`");
        assert_eq!(reported("error=%0aforged&state=s"), "the provider reports the error `(unreadable)`");
        assert!(matches!(parse("error=access_denied").unwrap(), Callback::ErrorWithoutState(..)));
        assert!(matches!(parse("error=access_denied&state=").unwrap(), Callback::ErrorWithoutState(..)));
    }

    #[test]
    fn what_a_provider_says_of_an_error_is_told_within_bounds() {
        let query = "state=s&error=invalid_request&error_description=AADSTS50011%3A+%22x%22%0d%0aforged+line%1b%5b31m%e2%80%aeX&error_uri=https%3A%2F%2Fop";
        let expected =
            "the provider reports the error `invalid_request`, \"AADSTS50011: 'x'\r\nforged line\u{1b}[31m\u{202e}X\", see https://op";
        assert_eq!(reported(query), expected, "an event has no line ends and no marks of direction: filter.rs");
        let long = reported(&format!("state=s&error=e&error_description={}", "%C3%A4".repeat(1000)));
        assert_eq!(long.chars().filter(|c| *c == 'ä').count(), 300);
    }

    #[test]
    fn refuses_what_is_ambiguous() {
        for (query, why) in [
            ("code=c", "there is no state"),
            ("code=c&state=", "there is no state"),
            ("code=&state=s", "the code is empty"),
            ("code=c&code=c&state=s", "a parameter comes twice"),
            ("code=c&state=s&state=s", "a parameter comes twice"),
            ("code=c&state=s&iss=a&iss=b", "a parameter comes twice"),
            ("error=e&state=s&error_description=a&error_description=b", "a parameter comes twice"),
            ("code=c&error=e&state=s", "it holds a code and an error"),
            ("", "it holds neither a code nor an error"),
            ("state=", "it holds neither a code nor an error"),
            ("state=s", "it holds neither a code nor an error"),
            ("state=logout.x", "it is the end of a logout, and this browser has none under way"),
            ("state=logout.&lc=1033", "it is the end of a logout, and this browser has none under way"),
            ("foo=bar", "it holds neither a code nor an error"),
            ("iss=https%3A%2F%2Fop&session_state=x", "it holds neither a code nor an error"),
            ("response=a.b.c", "it is a JWT, which was not requested (response_mode): set the provider to `query`"),
        ] {
            assert_eq!(parse(query).unwrap_err(), Error::AuthorizationResponse(why), "{query}");
        }
        let long = format!("state=s&code={}", "c".repeat(MAX_PARAMETER_BYTES + 1));
        assert_eq!(parse(&long).unwrap_err(), Error::AuthorizationResponse("a parameter is too long"));
    }
}
