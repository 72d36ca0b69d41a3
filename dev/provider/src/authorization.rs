//! Authorization requests and responses (OpenID Connect Core section 3.1.2, RFC 7636, RFC 9207).

use url::Url;

use crate::client::Client;
use crate::parameters::{Parameters, Repeated};
use crate::sign_on::SignOn;

/// A request that may be answered: client, address and every rule of the code flow are checked.
#[derive(Debug)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client_id: String,
    pub(crate) code_challenge: String,
    pub(crate) scope: String,
    pub(crate) nonce: Option<String>,
    pub(crate) login_hint: Option<String>,
    pub(crate) return_address: ReturnAddress,
    prompt: Prompt,
    /// Seconds.
    max_age: Option<u64>,
}

/// Where the answer goes.
#[derive(Debug, Clone)]
pub(crate) struct ReturnAddress {
    /// As the client wrote it: the token request must repeat it.
    pub(crate) redirect_uri: String,
    url: Url,
    state: Option<String>,
}

/// A request that is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Shown to the person: without a registered address the answer must go nowhere else (RFC 6749 section 4.1.2.1).
    Page(AddressError),
    /// Sent back to the client.
    Redirect(Box<ReturnAddress>, AuthorizationError),
}

/// The client or its address is not known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error(transparent)]
    Repeated(#[from] Repeated),
    #[error("The request has no client_id. The application has to send the one it is registered with.")]
    NoClient,
    #[error("No client {0:?} is registered here. Check client_id in the configuration of the application.")]
    UnknownClient(String),
    #[error("The request has no redirect_uri. The application has to send one that it is registered with.")]
    NoRedirectUri,
    #[error(
        "The redirect_uri {0:?} is not registered for this client. It has to be the same, character for character, \
         in the configuration of the application and here."
    )]
    UnregisteredRedirectUri(String),
}

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthorizationError {
    #[error("request objects are not supported; send plain parameters")]
    RequestObject,
    #[error("request_uri is not supported; send plain parameters")]
    RequestUri,
    #[error("response_type is missing; send response_type=code")]
    NoResponseType,
    #[error("this response_type is not supported; send response_type=code")]
    ResponseType,
    #[error("this response_mode is not supported; leave it out or send response_mode=query")]
    ResponseMode,
    #[error("the scope has no openid")]
    Scope,
    #[error("PKCE is required; send code_challenge and code_challenge_method=S256")]
    NoPkce,
    #[error("code_challenge_method has to be S256, and code_challenge 43 base64url characters")]
    Pkce,
    #[error("prompt is none, login, consent or select_account, and none stands alone")]
    Prompt,
    #[error("max_age is a number of seconds")]
    MaxAge,
    #[error("nobody is signed on here, and prompt=none forbids to ask")]
    LoginRequired,
    #[error("the person chose Deny")]
    AccessDenied,
}

impl AuthorizationError {
    fn code(&self) -> &'static str {
        match self {
            Self::RequestObject => "request_not_supported",
            Self::RequestUri => "request_uri_not_supported",
            Self::ResponseType => "unsupported_response_type",
            Self::Scope => "invalid_scope",
            Self::LoginRequired => "login_required",
            Self::AccessDenied => "access_denied",
            Self::NoResponseType | Self::ResponseMode | Self::NoPkce | Self::Pkce | Self::Prompt | Self::MaxAge => "invalid_request",
        }
    }
}

/// What to do with the person in front of the browser.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Interaction {
    /// Signed on already, and that will do.
    Continue(SignOn),
    Ask,
    /// Would have to ask, but must not.
    Forbidden,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prompt {
    /// No `prompt`, or nothing that forces a page.
    WhenNeeded,
    Never,
    Always,
}

impl AuthorizationRequest {
    /// # Errors
    /// [`Refusal`]: a page while the return address is not proven, a redirect from then on.
    pub(crate) fn parse(parameters: &Parameters, clients: &[Client]) -> Result<Self, Refusal> {
        let (client, return_address) = ReturnAddress::parse(parameters, clients).map_err(Refusal::Page)?;
        Self::parse_rest(parameters, client, &return_address).map_err(|error| Refusal::Redirect(Box::new(return_address), error))
    }

    fn parse_rest(parameters: &Parameters, client: &Client, return_address: &ReturnAddress) -> Result<Self, AuthorizationError> {
        if parameters.value("request").is_some() {
            return Err(AuthorizationError::RequestObject);
        }
        if parameters.value("request_uri").is_some() {
            return Err(AuthorizationError::RequestUri);
        }
        match parameters.value("response_type") {
            Some("code") => {}
            Some(_) => return Err(AuthorizationError::ResponseType),
            None => return Err(AuthorizationError::NoResponseType),
        }
        if parameters.value("response_mode").is_some_and(|mode| mode != "query") {
            return Err(AuthorizationError::ResponseMode);
        }
        let scope = parameters.value("scope").unwrap_or_default();
        if !scope.split(' ').any(|value| value == "openid") {
            return Err(AuthorizationError::Scope);
        }
        Ok(Self {
            client_id: client.client_id.clone(),
            code_challenge: code_challenge(parameters)?.to_owned(),
            scope: scope.to_owned(),
            nonce: parameters.owned("nonce"),
            login_hint: parameters.owned("login_hint"),
            return_address: return_address.clone(),
            prompt: Prompt::parse(parameters.value("prompt"))?,
            max_age: match parameters.value("max_age") {
                Some(seconds) => Some(seconds.parse().map_err(|_| AuthorizationError::MaxAge)?),
                None => None,
            },
        })
    }

    /// Whether the person must be asked. `hinted` says whether the sign-on is of the person that `login_hint` means.
    pub(crate) fn interaction(&self, current: Option<&SignOn>, hinted: bool, now: u64) -> Interaction {
        let fresh = |sign_on: &&SignOn| self.max_age.is_none_or(|max_age| now.saturating_sub(sign_on.authenticated_at) <= max_age);
        match (self.prompt, current.filter(fresh).filter(|_| hinted)) {
            (Prompt::WhenNeeded | Prompt::Never, Some(sign_on)) => Interaction::Continue(sign_on.clone()),
            (Prompt::Never, None) => Interaction::Forbidden,
            (Prompt::WhenNeeded | Prompt::Always, _) => Interaction::Ask,
        }
    }
}

impl ReturnAddress {
    fn parse<'a>(parameters: &Parameters, clients: &'a [Client]) -> Result<(&'a Client, Self), AddressError> {
        let client_id = parameters.value("client_id").ok_or(AddressError::NoClient)?;
        let client =
            clients.iter().find(|client| client.client_id == client_id).ok_or_else(|| AddressError::UnknownClient(client_id.to_owned()))?;
        let redirect_uri = parameters.value("redirect_uri").ok_or(AddressError::NoRedirectUri)?;
        let url =
            client.redirect_uris.matching(redirect_uri).ok_or_else(|| AddressError::UnregisteredRedirectUri(redirect_uri.to_owned()))?;
        Ok((client, Self { redirect_uri: redirect_uri.to_owned(), url, state: parameters.owned("state") }))
    }

    /// The authorization response with a code.
    pub(crate) fn with_code(&self, code: &str, issuer: Option<&str>) -> Url {
        self.with(&[("code", code)], issuer)
    }

    /// The error response (RFC 6749 section 4.1.2.1).
    pub(crate) fn with_error(&self, error: &AuthorizationError, issuer: Option<&str>) -> Url {
        self.with(&[("error", error.code()), ("error_description", &error.to_string())], issuer)
    }

    fn with(&self, answer: &[(&str, &str)], issuer: Option<&str>) -> Url {
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .extend_pairs(answer)
            .extend_pairs(self.state.as_ref().map(|state| ("state", state)))
            .extend_pairs(issuer.map(|issuer| ("iss", issuer)));
        url
    }
}

impl Prompt {
    fn parse(prompt: Option<&str>) -> Result<Self, AuthorizationError> {
        let Some(prompt) = prompt else { return Ok(Self::WhenNeeded) };
        if prompt == "none" {
            return Ok(Self::Never);
        }
        // Each of them means the same page here: it signs on, selects an account and asks for consent in one.
        let known = prompt.split(' ').all(|value| matches!(value, "login" | "consent" | "select_account"));
        if known { Ok(Self::Always) } else { Err(AuthorizationError::Prompt) }
    }
}

fn code_challenge(parameters: &Parameters) -> Result<&str, AuthorizationError> {
    let challenge = parameters.value("code_challenge").ok_or(AuthorizationError::NoPkce)?;
    // RFC 7636 section 4.3: a missing method means "plain", which protects from nobody who sees the request.
    let base64url = challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if parameters.value("code_challenge_method") != Some("S256") || challenge.len() != 43 || !base64url {
        return Err(AuthorizationError::Pkce);
    }
    Ok(challenge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::AllowedUris;

    const GOOD: &str = "client_id=app&redirect_uri=http%3A%2F%2Flocalhost%2Fcb&response_type=code&scope=openid\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&state=s";

    fn parse(query: &str) -> Result<AuthorizationRequest, Refusal> {
        let clients = [Client {
            client_id: "app".into(),
            client_secret: None,
            redirect_uris: AllowedUris::Exactly(vec!["http://localhost/cb".into()]),
            post_logout_redirect_uris: AllowedUris::AnyLoopback,
        }];
        AuthorizationRequest::parse(&Parameters::parse(query.as_bytes()).expect("no repetition"), &clients)
    }

    #[test]
    fn each_missing_or_wrong_parameter_has_its_error() {
        for (from, to, expected) in [
            ("response_type=code", "response_type=id_token", AuthorizationError::ResponseType),
            ("response_type=code", "response_type=", AuthorizationError::NoResponseType),
            ("scope=openid", "scope=profile", AuthorizationError::Scope),
            ("S256", "plain", AuthorizationError::Pkce),
            ("code_challenge=", "x=", AuthorizationError::NoPkce),
            ("code_challenge=E9", "code_challenge=", AuthorizationError::Pkce),
            ("state=s", "prompt=none+login", AuthorizationError::Prompt),
            ("state=s", "max_age=-1", AuthorizationError::MaxAge),
            ("state=s", "response_mode=fragment", AuthorizationError::ResponseMode),
            ("state=s", "request=e30", AuthorizationError::RequestObject),
            ("state=s", "request_uri=http://x/", AuthorizationError::RequestUri),
        ] {
            match parse(&GOOD.replacen(from, to, 1)) {
                Err(Refusal::Redirect(_, error)) => assert_eq!(error, expected, "{to}"),
                other => panic!("{to}: {other:?}"),
            }
        }
    }

    #[test]
    fn without_a_registered_address_there_is_no_redirect() {
        for (from, to) in [
            ("client_id=app", "client_id=other"),
            ("client_id=app", "client_id="),
            ("redirect_uri=http%3A%2F%2Flocalhost%2Fcb", "redirect_uri="),
            ("%2Fcb", "%2Fcb%2F"),
            ("%2Fcb", "%2FCB"),
        ] {
            assert!(matches!(parse(&GOOD.replacen(from, to, 1)), Err(Refusal::Page(_))), "{to}");
        }
    }

    #[test]
    fn prompt_and_max_age_decide_about_the_page() {
        let alice = SignOn { sub: "alice".into(), authenticated_at: 100 };
        for (extra, current, expected) in [
            ("", None, Interaction::Ask),
            ("", Some(&alice), Interaction::Continue(alice.clone())),
            ("&prompt=select_account", Some(&alice), Interaction::Ask),
            ("&prompt=login+consent", Some(&alice), Interaction::Ask),
            ("&prompt=none", Some(&alice), Interaction::Continue(alice.clone())),
            ("&prompt=none", None, Interaction::Forbidden),
            ("&max_age=10", Some(&alice), Interaction::Continue(alice.clone())),
            ("&max_age=9", Some(&alice), Interaction::Ask),
            ("&max_age=9&prompt=none", Some(&alice), Interaction::Forbidden),
        ] {
            let request = parse(&format!("{GOOD}{extra}")).expect("a good request");
            assert_eq!(request.interaction(current, true, 110), expected, "{extra}");
        }
        let request = parse(GOOD).expect("a good request");
        assert_eq!(request.interaction(Some(&alice), false, 110), Interaction::Ask, "the hint means somebody else");
    }
}
