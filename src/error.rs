//! Everything that can go wrong with a request, and what the browser sees of it.
//!
//! Errors are attributed: to the browser, to the person, to the provider or to the configuration. An error has a stable
//! code for operators; [`Error::explanation`] is the one place where it becomes words for a person.

use crate::audit::AuditEvent;
use crate::code::Code;
use crate::language::{Notice, Texts, Told};
use crate::oidc::error as oidc;
use crate::policy::Denied;
use crate::web::http::Malformed;

/// Why a request did not get what it asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the request is malformed: {0}")]
    Malformed(Malformed),
    #[error("the method is not allowed here")]
    MethodNotAllowed,
    #[error("this can only be visited, not fetched")]
    NotVisited,
    #[error("a page of another origin may not send this request with a session")]
    ForeignOrigin,
    #[error("not logged in")]
    LoginRequired,
    #[error("the proxy's question lacks {0}, or has it twice: configure the proxy as the examples show")]
    Question(&'static str),
    #[error(
        "the proxy asks about a route of Vestibule's own: have it send login, callback, refresh, user and the four routes of logout here"
    )]
    RouteAsked,
    #[error("servers can take a header for one that clients must not send, and the proxy cannot remove it under this name")]
    LookalikeHeader,
    #[error("an upgrade to something else than `websocket` alone was asked for")]
    ForeignUpgrade,
    #[error("the decision changes a header that no answer to a proxy carries: this application needs mode = \"proxy\"")]
    EditNotCarried,
    #[error(
        "there is no application behind this service: have the proxy send it login, callback, refresh, user and the four routes \
         of logout, and ask about the rest"
    )]
    NotARoute,
    #[error("the path is reserved for Vestibule's own routes, and is not one of them")]
    ReservedPath,
    #[error("{0}")]
    Denied(Denied),
    #[error("no provider of that name is configured")]
    UnknownProvider,
    #[error("a login that another site starts is malformed: {0}")]
    LoginInitiation(&'static str),

    #[error("no login with this state was started in this browser, or it was used or has expired")]
    UnknownState,
    #[error("the login was used before: its callback has come with the cookie of the same login attempt, to this node or another")]
    AttemptUsed,
    #[error("the account, or its session at the provider, was logged out everywhere while this login was under way, or a moment before it")]
    LoginEnded,
    #[error(transparent)]
    Oidc(#[from] oidc::Error),
    #[error("the session cannot be refreshed: {0}")]
    Unrefreshed(oidc::Error),
    #[error("a script asks for a refresh, and vestibule.session.refresh is not \"auto\"")]
    RefreshOff,
    #[error("the session has no refresh token")]
    NoRefreshToken,
    #[error("the provider does not accept the refresh token: it has expired, was revoked, or another node has used it")]
    RefreshRefused,
    /// In seconds.
    #[error("a script asks for a refresh, and the provider's last answer is less than a minute old")]
    RefreshTooSoon { retry_after: u64 },

    #[error("{what} makes the session {bytes} bytes large, over the limit of {limit}")]
    SessionTooLarge { what: String, bytes: usize, limit: usize },
    #[error(
        "the claim `{what}` makes the request to Streamlit {bytes} bytes large, over the limit of {limit}; \
         name claims that the application can do without in vestibule.streamlit.drop_claims"
    )]
    StreamlitTooLarge { what: String, bytes: usize, limit: usize },
    #[error("a logout everywhere cannot be carried out: this host does not remember which sessions have ended")]
    NotRemembered,
    #[error("no configuration is loaded")]
    NotLoaded,
    #[error("the host wants to finish a decision that has not begun, or has been finished")]
    NotPending,
}

/// Not as a source: the message has it.
impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// What a person reads.
#[derive(Debug)]
pub struct Explanation {
    pub title: &'static str,
    pub happened: String,
    /// What of the request is to blame: of a closed set, none of the client's text.
    pub construct: Option<String>,
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
            Error::LoginInitiation(_) => Code::LoginMalformed,
            Error::UnknownState => Code::CallbackUnknownState,
            Error::AttemptUsed => Code::CallbackUsed,
            Error::LoginEnded => Code::LoginEnded,
            Error::Oidc(error) => error.code(),
            Error::Unrefreshed(_) => Code::SessionRefreshFailed,
            Error::RefreshOff => Code::RefreshOff,
            Error::NoRefreshToken => Code::RefreshNoToken,
            Error::RefreshRefused => Code::RefreshRefused,
            Error::RefreshTooSoon { .. } => Code::RefreshTooSoon,
            Error::SessionTooLarge { .. } => Code::SessionTooLarge,
            Error::StreamlitTooLarge { .. } => Code::StreamlitTooLarge,
            Error::NotRemembered => Code::LogoutNotRemembered,
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

    /// What the audit takes it for; `None` for what is no affair of the audit's.
    pub fn audit_event(&self) -> Option<AuditEvent> {
        match self {
            Error::Denied(_) | Error::NotVisited | Error::ForeignOrigin => Some(AuditEvent::Refused),
            Error::UnknownProvider | Error::LoginInitiation(_) | Error::UnknownState => Some(AuditEvent::LoginFailed),
            Error::AttemptUsed | Error::LoginEnded | Error::Oidc(_) | Error::SessionTooLarge { .. } => Some(AuditEvent::LoginFailed),
            Error::Malformed(_) | Error::MethodNotAllowed | Error::LoginRequired | Error::NotARoute | Error::ReservedPath => None,
            Error::Question(_) | Error::RouteAsked | Error::LookalikeHeader | Error::ForeignUpgrade | Error::EditNotCarried => None,
            Error::RefreshOff | Error::NoRefreshToken | Error::RefreshRefused | Error::RefreshTooSoon { .. } => None,
            Error::StreamlitTooLarge { .. } | Error::Unrefreshed(_) | Error::NotRemembered | Error::NotLoaded | Error::NotPending => None,
        }
    }

    pub fn status(&self) -> u16 {
        match self {
            Error::Malformed(Malformed::HeadersTooLarge) => 431,
            Error::Malformed(_) | Error::UnknownState | Error::AttemptUsed | Error::LoginInitiation(_) => 400,
            Error::Question(_) | Error::LookalikeHeader | Error::ForeignUpgrade => 400,
            Error::MethodNotAllowed => 405,
            Error::LoginRequired => 401,
            Error::UnknownProvider | Error::NotARoute | Error::ReservedPath | Error::RefreshOff => 404,
            Error::NoRefreshToken | Error::RefreshRefused => 409,
            Error::RefreshTooSoon { .. } => 429,
            Error::Denied(_) | Error::NotVisited | Error::ForeignOrigin | Error::LoginEnded => 403,
            Error::Oidc(error) => error.status(),
            Error::Unrefreshed(_) => 503,
            Error::SessionTooLarge { .. } | Error::StreamlitTooLarge { .. } => 500,
            Error::NotLoaded | Error::NotPending | Error::RouteAsked | Error::EditNotCarried => 500,
            Error::NotRemembered => 501,
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

    /// In the words of a language. The same for everybody who could have caused it on purpose: no value of the request or of a
    /// token is in it, but for the name of an account, told to who is logged in with it.
    pub fn explanation(&self, texts: &'static Texts) -> Explanation {
        let explain = |told: &Told, offer_login| {
            let Told { title, happened, advice } = *told;
            Explanation { title, happened: happened.to_owned(), construct: None, advice, offer_login }
        };
        match self {
            Error::Malformed(malformed) => {
                let construct = malformed.construct().map(|construct| texts.malformed_by.with((texts.construct)(construct)));
                Explanation { construct, ..explain(&texts.malformed, false) }
            }
            Error::LookalikeHeader | Error::ForeignUpgrade => explain(&texts.malformed, false),
            Error::MethodNotAllowed => explain(&texts.method_not_allowed, false),
            Error::NotVisited | Error::ForeignOrigin => explain(&texts.not_visited, false),
            Error::LoginRequired => explain(&texts.login_required, true),
            Error::NotARoute | Error::ReservedPath | Error::RefreshOff => explain(&texts.not_a_page, false),
            Error::NoRefreshToken | Error::RefreshRefused => explain(&texts.not_refreshable, true),
            Error::RefreshTooSoon { .. } => explain(&texts.refreshed_too_soon, false),
            Error::Denied(Denied { account: Some(account), .. }) => {
                let Notice { title, text } = texts.account_denied;
                Explanation { title, happened: texts.denied_as.with(account), construct: None, advice: text, offer_login: false }
            }
            Error::Denied(_) => explain(&texts.everybody_denied, false),
            Error::UnknownProvider => explain(&texts.unknown_provider, true),
            Error::LoginInitiation(_) => explain(&texts.login_initiation, true),
            Error::Oidc(oidc::Error::IssuerParameter { .. }) => explain(&texts.another_issuer, true),
            Error::Oidc(oidc::Error::AuthorizationResponse(_)) => explain(&texts.not_an_answer, true),
            Error::UnknownState => explain(&texts.unknown_state, true),
            Error::AttemptUsed => explain(&texts.attempt_used, true),
            Error::LoginEnded => explain(&texts.login_ended, true),
            Error::Oidc(oidc::Error::ProviderReported(reported)) => {
                let told = match reported.kind() {
                    "access_denied" => &texts.cancelled,
                    "consent_required" => &texts.consent_required,
                    "login_required" => &texts.provider_login_required,
                    "interaction_required" | "account_selection_required" => &texts.interaction_required,
                    "temporarily_unavailable" | "server_error" => &texts.provider_in_trouble,
                    _ => &texts.provider_refused,
                };
                explain(told, true)
            }
            Error::Oidc(oidc::Error::Unreachable { .. }) => explain(&texts.provider_unreachable, true),
            Error::Oidc(error @ oidc::Error::Status { .. }) if error.status() == 503 => explain(&texts.provider_in_trouble, true),
            Error::Oidc(oidc::Error::Status { .. } | oidc::Error::Answer { .. } | oidc::Error::IdToken { .. }) => {
                explain(&texts.answer_unacceptable, true)
            }
            Error::Unrefreshed(oidc::Error::Unreachable { .. }) => explain(&texts.provider_unreachable, true),
            Error::Unrefreshed(_) => explain(&texts.provider_in_trouble, true),
            Error::SessionTooLarge { .. } | Error::StreamlitTooLarge { .. } => explain(&texts.session_too_large, false),
            Error::NotRemembered => explain(&texts.not_remembered, false),
            Error::NotLoaded | Error::NotPending | Error::Question(_) | Error::RouteAsked | Error::EditNotCarried => {
                explain(&texts.not_set_up, false)
            }
        }
    }
}
