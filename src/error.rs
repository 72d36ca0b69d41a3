//! Everything that can go wrong with a request, and what the browser sees of it.
//!
//! Errors are attributed: to the browser, to the person, to the provider or to the configuration. An error has a stable
//! code for operators; [`Error::explanation`] is the one place where it becomes words for a person.

use crate::code::Code;
use crate::oidc::error as oidc;
use crate::policy::Denied;
use crate::web::http::Malformed;

/// Why a request did not get what it asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the request is malformed: {0}")]
    Malformed(#[from] Malformed),
    #[error("the method is not allowed here")]
    MethodNotAllowed,
    #[error("this can only be visited, not fetched")]
    NotVisited,
    #[error("an upgrade was asked for by a page of another origin")]
    ForeignOrigin,
    #[error("not logged in")]
    LoginRequired,
    #[error("the proxy's question lacks {0}, or has it twice: configure the proxy as the examples show")]
    Question(&'static str),
    #[error("the proxy asks about a route of Vestibule's own: have it send login, callback, logout and user here")]
    RouteAsked,
    #[error("servers can take a header for one that clients must not send, and the proxy cannot remove it under this name")]
    LookalikeHeader,
    #[error("an upgrade to something else than `websocket` alone was asked for")]
    ForeignUpgrade,
    #[error("the decision changes a header that no answer to a proxy carries: this application needs mode = \"proxy\"")]
    EditNotCarried,
    #[error("there is no application behind this service: have the proxy send it login, callback, logout and user, and ask about the rest")]
    NotARoute,
    #[error("the path is below the one that is kept for routes of Vestibule's own, and is none of them")]
    ReservedPath,
    #[error("{0}")]
    Denied(Denied),
    #[error("no provider of that name is configured")]
    UnknownProvider,

    #[error("no login with this state was started in this browser, or it was used or has expired")]
    UnknownState,
    #[error(transparent)]
    Oidc(#[from] oidc::Error),

    #[error("{what} makes the session {bytes} bytes large, over the limit of {limit}")]
    SessionTooLarge { what: String, bytes: usize, limit: usize },
    #[error(
        "the claim `{what}` makes the request to Streamlit {bytes} bytes large, over the limit of {limit}; \
         name claims that the application can do without in vestibule.streamlit.drop_claims"
    )]
    StreamlitTooLarge { what: String, bytes: usize, limit: usize },
    #[error("no configuration is loaded")]
    NotLoaded,
    #[error("the host wants to finish a decision that has not begun, or has been finished")]
    NotPending,
}

/// What a person reads.
#[derive(Debug)]
pub struct Explanation {
    pub title: &'static str,
    pub happened: String,
    pub advice: &'static str,
    /// Whether another login is of use.
    pub offer_login: bool,
}

impl Error {
    /// Stable: operators search and alert on it.
    pub fn code(&self) -> Code {
        match self {
            Error::Malformed(_) => Code::RequestMalformed,
            Error::MethodNotAllowed => Code::RequestMethodNotAllowed,
            Error::NotVisited => Code::RequestNotVisited,
            Error::ForeignOrigin => Code::RequestForeignOrigin,
            Error::LoginRequired => Code::RequestLoginRequired,
            Error::Question(_) => Code::AuthzMalformedQuestion,
            Error::RouteAsked => Code::AuthzRouteAsked,
            Error::LookalikeHeader => Code::AuthzLookalikeHeader,
            Error::ForeignUpgrade => Code::AuthzForeignUpgrade,
            Error::EditNotCarried => Code::AuthzEditNotCarried,
            Error::NotARoute => Code::AuthzNotARoute,
            Error::ReservedPath => Code::RequestReservedPath,
            Error::Denied(_) => Code::PolicyDenied,
            Error::UnknownProvider => Code::LoginUnknownProvider,
            Error::UnknownState => Code::CallbackUnknownState,
            Error::Oidc(error) => error.code(),
            Error::SessionTooLarge { .. } => Code::SessionTooLarge,
            Error::StreamlitTooLarge { .. } => Code::StreamlitTooLarge,
            Error::NotLoaded => Code::FilterNotLoaded,
            Error::NotPending => Code::FilterNotPending,
        }
    }

    /// Number of the rule that has refused, from 1.
    pub fn rule(&self) -> Option<u32> {
        match self {
            Error::Denied(Denied { rule, .. }) => rule.and_then(|rule| u32::try_from(rule.number).ok()),
            _ => None,
        }
    }

    pub fn status(&self) -> u16 {
        match self {
            Error::Malformed(Malformed::HeadersTooLarge) => 431,
            Error::Malformed(_) | Error::UnknownState => 400,
            Error::Question(_) | Error::LookalikeHeader | Error::ForeignUpgrade => 400,
            Error::MethodNotAllowed => 405,
            Error::LoginRequired => 401,
            Error::UnknownProvider | Error::NotARoute | Error::ReservedPath => 404,
            Error::Denied(_) | Error::NotVisited | Error::ForeignOrigin => 403,
            Error::Oidc(error) => error.status(),
            Error::SessionTooLarge { .. } | Error::StreamlitTooLarge { .. } => 500,
            Error::NotLoaded | Error::NotPending | Error::RouteAsked | Error::EditNotCarried => 500,
        }
    }

    /// Whether another attempt helps without the person doing anything else.
    pub fn is_temporary(&self) -> bool {
        self.status() == 503
    }

    /// Whether somebody may have meant to do harm.
    pub fn is_suspicious(&self) -> bool {
        matches!(self, Error::Oidc(oidc::Error::IssuerParameter { .. }))
    }

    /// Whether it is an operator's business rather than a person's at the browser.
    pub fn is_operators(&self) -> bool {
        self.status() >= 500 || matches!(self, Error::Question(_))
    }

    /// The same for everybody who could have caused it on purpose: no value of the request or of a token is in it, but
    /// for the name of an account, told to who is logged in with it.
    pub fn explanation(&self) -> Explanation {
        const AGAIN: &str = "Please log in again.";
        const LATER: &str = "Please try again in a minute. If it stays like this, tell whoever runs this application.";
        const AGAIN_OR_TELL: &str =
            "Please try again; if it happens again, tell whoever runs this application, and give them the reference number.";
        const OPERATOR: &str = "Please tell whoever runs this application, and give them the reference number.";
        let explain =
            |title, happened: &str, advice, offer_login| Explanation { title, happened: happened.to_owned(), advice, offer_login };
        match self {
            Error::Malformed(_) | Error::LookalikeHeader | Error::ForeignUpgrade => explain(
                "This request cannot be understood",
                "The address or a header of the request is not in the form that the web agreed on.",
                "Check the address, or go back to the application.",
                false,
            ),
            Error::MethodNotAllowed => explain(
                "This does not work here",
                "This page can be visited, but nothing can be sent to it.",
                "Go back to the application.",
                false,
            ),
            Error::NotVisited | Error::ForeignOrigin => explain(
                "This does not work here",
                "This address is made to be visited from this application, not to be fetched by another page.",
                "Go back to the application.",
                false,
            ),
            Error::LoginRequired => explain(
                "Please log in",
                "You are not logged in, or your login has ended. What you sent was not passed on.",
                "Log in, then do it again.",
                true,
            ),
            Error::NotARoute | Error::ReservedPath => {
                explain("There is nothing here", "No page has this address.", "Go back to the application.", false)
            }
            Error::Denied(Denied { account: Some(account), .. }) => explain(
                "This account has no access",
                &format!("You are logged in as {account}, and this account may not see this page."),
                "Use another account, or ask whoever runs this application for access.",
                false,
            ),
            Error::Denied(_) => {
                explain("There is no access to this", "Nobody may see this page, whoever they are.", "Go back to the application.", false)
            }
            Error::UnknownProvider => {
                explain("There is no such login", "The link names a way to log in that this application does not have.", AGAIN, true)
            }
            Error::Oidc(oidc::Error::IssuerParameter { .. }) => explain(
                "This login was stopped",
                "The answer came from another provider than the one you were sent to. Nobody was logged in.",
                "Please log in again. If it happens again, tell whoever runs this application, and give them the reference number.",
                true,
            ),
            Error::Oidc(oidc::Error::AuthorizationResponse(_)) => explain(
                "The login failed",
                "What came back from the provider is no answer to a login, so you were not logged in.",
                AGAIN_OR_TELL,
                true,
            ),
            Error::UnknownState => explain(
                "This login cannot be finished",
                "It was not started in this browser, or it has already been used, or it took too long.",
                AGAIN,
                true,
            ),
            Error::Oidc(oidc::Error::ProviderReported(reported)) => {
                let (title, happened, advice) = match reported.error.as_str() {
                    "access_denied" => (
                        "You were not logged in",
                        "The login was cancelled, or the provider did not give this application access to your account.",
                        "You can try again, or choose another account.",
                    ),
                    "consent_required" => (
                        "You were not logged in",
                        "The provider needs your consent to tell this application who you are, and did not get it.",
                        "Log in again and agree, or ask whoever runs this application to have it agreed to for everybody.",
                    ),
                    "login_required" => {
                        ("You were not logged in", "You have no login with the provider now, and it did not ask for one.", AGAIN)
                    }
                    "interaction_required" | "account_selection_required" => (
                        "You were not logged in",
                        "The provider needs something more from you before it can log you in, such as a second factor or a choice of account.",
                        "Log in again, and follow the provider's pages to their end.",
                    ),
                    "temporarily_unavailable" | "server_error" => {
                        ("The login is not available now", "The provider that checks logins has trouble of its own.", LATER)
                    }
                    _ => ("The login failed", "The provider could not log you in.", AGAIN_OR_TELL),
                };
                explain(title, happened, advice, true)
            }
            Error::Oidc(oidc::Error::Unreachable { .. }) => {
                explain("The login is not available now", "The provider that checks logins cannot be reached.", LATER, true)
            }
            Error::Oidc(error @ oidc::Error::Status { .. }) if error.status() == 503 => {
                explain("The login is not available now", "The provider that checks logins has trouble of its own.", LATER, true)
            }
            Error::Oidc(oidc::Error::Status { .. } | oidc::Error::Answer { .. } | oidc::Error::IdToken { .. }) => {
                explain("The login failed", "The provider's answer could not be accepted, so you were not logged in.", AGAIN_OR_TELL, true)
            }
            Error::SessionTooLarge { .. } | Error::StreamlitTooLarge { .. } => explain(
                "The login does not fit",
                "The provider says more about you than a browser can keep (often a very long list of groups).",
                OPERATOR,
                false,
            ),
            Error::NotLoaded | Error::NotPending | Error::Question(_) | Error::RouteAsked | Error::EditNotCarried => {
                explain("The login is not set up", "This application's login has no working configuration.", OPERATOR, false)
            }
        }
    }
}
