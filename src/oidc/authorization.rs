//! The authorization request and response (RFC 6749 section 4.1, OIDC Core section 3.1.2, RFC 7636, RFC 9207).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::error::Error;
use crate::oidc::provider::Provider;
use crate::secret::Secret;

/// Longest accepted parameter. Entra's codes have about 1,800 bytes.
const MAX_PARAMETER_BYTES: usize = 8 * 1024;

/// Where to send the browser: Streamlit's parameters in Streamlit's order, and PKCE always. `select_account`: the
/// provider shall ask which account to use, whatever is configured (`prompt`, OIDC Core section 3.1.2.1).
pub fn request(
    endpoint: &Url,
    provider: &Provider,
    redirect_uri: &Url,
    state: &Secret,
    nonce: &Secret,
    code_verifier: &Secret,
    select_account: bool,
) -> Url {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(code_verifier.expose().as_bytes()));
    let mut url = endpoint.clone();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &provider.client_id)
        .append_pair("redirect_uri", redirect_uri.as_str())
        .append_pair("scope", &provider.scope)
        .append_pair("state", state.expose())
        .append_pair("nonce", nonce.expose())
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .extend_pairs(provider.authorize_params.iter().filter(|(name, _)| !(select_account && name == "prompt")))
        .extend_pairs(select_account.then_some(("prompt", "select_account")));
    url
}

/// An authorization code. Worth a login, so it is never shown.
#[derive(Clone, Debug)]
pub struct AuthorizationCode(pub(super) Secret);

/// What came back to `redirect_uri`. The result is inaccessible until the state and the issuer have been matched.
#[derive(Debug)]
pub struct AuthorizationResponse {
    state: String,
    iss: Option<String>,
    result: Result<AuthorizationCode, String>,
}

impl AuthorizationResponse {
    /// Reads the query (or form) of the callback. `None`: it has no parameter of a response, as after a logout.
    ///
    /// # Errors
    /// [`Error::AuthorizationResponse`] when a parameter comes twice (RFC 6749 section 3.1), is missing, empty or too
    /// long, or when the response both succeeds and fails.
    pub fn parse(pairs: url::form_urlencoded::Parse<'_>) -> Result<Option<Self>, Error> {
        let [mut code, mut state, mut iss, mut error] = [const { None::<String> }; 4];
        for (name, value) in pairs {
            let slot = match &*name {
                "code" => &mut code,
                "state" => &mut state,
                "iss" => &mut iss,
                "error" => &mut error,
                // `session_state`, `scope`, `hd` and what else providers add. `error_description` is text from outside.
                _ => continue,
            };
            if value.len() > MAX_PARAMETER_BYTES {
                return Err(Error::AuthorizationResponse("a parameter is too long"));
            }
            if slot.replace(value.into_owned()).is_some() {
                return Err(Error::AuthorizationResponse("a parameter comes twice"));
            }
        }
        if code.is_none() && error.is_none() {
            // The landing after a logout has nothing, or the `state` of the logout.
            return Ok(None);
        }
        let state = state.filter(|state| !state.is_empty()).ok_or(Error::AuthorizationResponse("there is no state"))?;
        let result = match (code, error) {
            (Some(code), None) if !code.is_empty() => Ok(AuthorizationCode(Secret::new(code))),
            (None, Some(error)) => Err(error),
            (Some(_), Some(_)) => return Err(Error::AuthorizationResponse("it holds a code and an error")),
            _ => return Err(Error::AuthorizationResponse("the code is empty")),
        };
        Ok(Some(Self { state, iss, result }))
    }

    pub fn state(&self) -> &str {
        &self.state
    }

    pub(crate) fn iss(&self) -> Option<&str> {
        self.iss.as_deref()
    }

    /// The code, or the error that the provider reported.
    pub(crate) fn into_code(self) -> Result<AuthorizationCode, Error> {
        self.result.map_err(|error| match error.as_str() {
            "access_denied" => Error::AccessDenied,
            // RFC 6749 section 4.1.2.1 allows these characters; anything else is not an error code but an attempt.
            code if code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') => {
                Error::ProviderReported(code.to_owned())
            }
            _ => Error::ProviderReported("(unreadable)".into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Option<AuthorizationResponse>, Error> {
        AuthorizationResponse::parse(url::form_urlencoded::parse(query.as_bytes()))
    }

    #[test]
    fn reads_success_failure_and_nothing() {
        let success = parse("code=c&state=s&session_state=x&iss=https%3A%2F%2Fop").unwrap().unwrap();
        assert_eq!((success.state(), success.iss()), ("s", Some("https://op")));
        assert!(success.into_code().is_ok());
        assert!(parse("").unwrap().is_none());
        assert!(parse("state=after-logout").unwrap().is_none());
        assert_eq!(parse("error=access_denied&state=s").unwrap().unwrap().into_code().unwrap_err(), Error::AccessDenied);
        let strange = parse("error=%3Cscript%3E&state=s").unwrap().unwrap().into_code().unwrap_err();
        assert_eq!(strange, Error::ProviderReported("(unreadable)".into()));
    }

    #[test]
    fn refuses_what_is_ambiguous() {
        for (query, why) in [
            ("code=c", "there is no state"),
            ("code=c&state=", "there is no state"),
            ("error=access_denied", "there is no state"),
            ("code=&state=s", "the code is empty"),
            ("code=c&code=c&state=s", "a parameter comes twice"),
            ("code=c&state=s&state=s", "a parameter comes twice"),
            ("code=c&state=s&iss=a&iss=b", "a parameter comes twice"),
            ("code=c&error=e&state=s", "it holds a code and an error"),
        ] {
            assert_eq!(parse(query).unwrap_err(), Error::AuthorizationResponse(why), "{query}");
        }
        let long = format!("state=s&code={}", "c".repeat(MAX_PARAMETER_BYTES + 1));
        assert_eq!(parse(&long).unwrap_err(), Error::AuthorizationResponse("a parameter is too long"));
    }
}
