//! The pages a person may see of us: choose a provider, signed out, something went wrong.
//!
//! One template for all. It carries no script and no external resource, and is served with a content security policy
//! that allows none; whatever comes from outside is escaped by the template engine.

use askama::Template;
use serde_json::{Value, json};

use crate::config::Config;
use crate::entropy::{self, Entropy};
use crate::error::{Error, Explanation};
use crate::oidc::provider::Provider;
use crate::policy::Denied;
use crate::web::http::Response;
use crate::web::return_to::ReturnTo;
use crate::web::route;

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    title: &'a str,
    paragraphs: Vec<String>,
    actions: Vec<Action>,
    reference: Option<&'a str>,
    nonce: String,
}

struct Action {
    label: String,
    href: String,
    primary: bool,
}

/// Lets the user choose between the providers.
pub(crate) fn chooser(config: &Config, return_to: Option<&ReturnTo>, select_account: bool, entropy: &mut dyn Entropy) -> Response {
    let selecting = if select_account { format!("&{}={}", route::PROMPT, route::SELECT_ACCOUNT) } else { String::new() };
    let action = |provider: &Provider| Action {
        label: format!("Log in with {}", provider.title),
        href: format!("{}{selecting}", login_url(config, Some(&provider.name), return_to)),
        primary: false,
    };
    let page = Page {
        title: "Log in",
        paragraphs: vec!["Choose how you want to log in.".into()],
        actions: config.providers.iter().map(action).collect(),
        reference: None,
        nonce: entropy::token::<16>(entropy),
    };
    page.into_response(200)
}

/// The end of a logout.
pub(crate) fn signed_out(config: &Config, entropy: &mut dyn Entropy) -> Response {
    let page = Page {
        title: "You are logged out",
        paragraphs: vec!["You can close this page, or log in again.".into()],
        actions: vec![Action { label: "Log in".into(), href: login_url(config, None, None), primary: true }],
        reference: None,
        nonce: entropy::token::<16>(entropy),
    };
    page.into_response(200)
}

/// An error in words, for a person: `ways_back` are the pages that they may have been on their way to.
pub(crate) fn error(error: &Error, config: &Config, ways_back: &[&ReturnTo], reference: &str, entropy: &mut dyn Entropy) -> Response {
    let Explanation { title, happened, advice, offer_login } = error.explanation();
    let mut actions = vec![];
    let return_to = match ways_back {
        [only] => Some(*only),
        _ => None,
    };
    let login = if error.is_temporary() { "Try again" } else { "Log in" };
    match ways_back {
        _ if !offer_login => {}
        [] | [_] => actions.push(Action { label: login.into(), href: login_url(config, None, return_to), primary: true }),
        several => actions.extend(several.iter().map(|page| Action {
            label: format!("{login} for {}", shortened(page.as_str())),
            href: login_url(config, None, Some(page)),
            primary: false,
        })),
    }
    if let Error::Denied(Denied { account: Some(_), .. }) = error {
        let href = another_account_url(config, return_to);
        actions.push(Action { label: "Use another account".into(), href, primary: true });
        actions.push(Action { label: "Log out".into(), href: config.public.route(route::LOGOUT), primary: false });
    }
    actions.push(Action { label: "Back to the application".into(), href: config.public.home(), primary: false });
    let page = Page {
        title,
        paragraphs: vec![happened, advice.to_owned()],
        actions,
        reference: Some(reference),
        nonce: entropy::token::<16>(entropy),
    };
    page.into_response(error.status())
}

/// An address as a person can tell it from others.
fn shortened(address: &str) -> String {
    const MAX_CHARACTERS: usize = 60;
    let mut rest = address.chars();
    let beginning: String = rest.by_ref().take(MAX_CHARACTERS).collect();
    if rest.next().is_some() { format!("{beginning}…") } else { beginning }
}

/// An error in JSON, for a program (RFC 9457).
pub(crate) fn problem(error: &Error, login: Option<&str>, reference: Option<&str>) -> Response {
    let Explanation { title, happened, .. } = error.explanation();
    let mut problem =
        json!({ "type": "about:blank", "title": title, "status": error.status(), "detail": happened, "code": error.code().as_str() });
    if let (Some(login), Some(members)) = (login, problem.as_object_mut()) {
        members.insert("login".into(), login.into());
    }
    if let (Some(reference), Some(members)) = (reference, problem.as_object_mut()) {
        members.insert("reference".into(), reference.into());
    }
    problem_document(error.status(), &problem)
}

fn problem_document(status: u16, problem: &Value) -> Response {
    let response = Response { status, body: problem.to_string().into_bytes(), ..Response::default() };
    response.with("content-type", "application/problem+json").with("cache-control", "no-store").with("x-content-type-options", "nosniff")
}

/// What can go wrong in a host, outside the filter's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFailure {
    /// The filter trapped or missed its deadline.
    Filter,
    /// There are more requests than instances can take.
    Overloaded,
    /// The application does not answer.
    UpstreamUnreachable,
    UpstreamTimedOut,
    /// Longer than the filter asked for.
    BodyTooLarge,
    /// The client sends it too slowly.
    BodyTooSlow,
    /// The client has as many requests in flight as one may have.
    TooManyRequests,
    /// The client has none left of what is counted ([`crate::limit`]); again after this many seconds.
    TooManyLogins {
        retry_after: u64,
    },
}

impl HostFailure {
    pub fn status(self) -> u16 {
        match self {
            HostFailure::Filter => 500,
            HostFailure::Overloaded => 503,
            HostFailure::UpstreamUnreachable => 502,
            HostFailure::UpstreamTimedOut => 504,
            HostFailure::BodyTooLarge => 413,
            HostFailure::BodyTooSlow => 408,
            HostFailure::TooManyRequests => 429,
            HostFailure::TooManyLogins { .. } => 429,
        }
    }

    /// Of the problem document. Stable: scripts look at it.
    pub fn code(self) -> &'static str {
        match self {
            HostFailure::Filter => "host.filter_failed",
            HostFailure::Overloaded => "host.overloaded",
            HostFailure::UpstreamUnreachable => "host.upstream_unreachable",
            HostFailure::UpstreamTimedOut => "host.upstream_timed_out",
            HostFailure::BodyTooLarge => "host.body_too_large",
            HostFailure::BodyTooSlow => "host.body_too_slow",
            HostFailure::TooManyRequests => "host.too_many_requests",
            HostFailure::TooManyLogins { .. } => "host.too_many_logins",
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            HostFailure::Filter => ("Something went wrong", "The login failed to decide about this request, so it was not passed on."),
            HostFailure::Overloaded => ("Too busy", "There are more requests than can be answered now. Please try again in a moment."),
            HostFailure::UpstreamUnreachable => {
                ("The application is not available", "It cannot be reached now. Please try again in a minute.")
            }
            HostFailure::UpstreamTimedOut => ("The application does not answer", "It took too long. Please try again in a minute."),
            HostFailure::TooManyLogins { .. } => (
                "Too many logins",
                "There were more logins from your network than are allowed in a minute. Nothing is lost: please try again in a moment.",
            ),
            HostFailure::BodyTooLarge => ("Too much was sent", "What was sent is larger than what is accepted here."),
            HostFailure::BodyTooSlow => ("The request took too long", "What was sent did not arrive in time, so it was not passed on."),
            HostFailure::TooManyRequests => {
                ("Too many requests", "There are more requests from your network at once than are allowed. Please try again in a moment.")
            }
        }
    }
}

/// A host's own failure: as a page where somebody looks at it (`is_page`, see [`RequestHead::is_navigation`]), else as a problem
/// document (RFC 9457). `nonce`: 16 random bytes or more, as base64url, fresh for every page.
///
/// [`RequestHead::is_navigation`]: crate::web::http::RequestHead::is_navigation
pub fn host_failure(failure: HostFailure, is_page: bool, reference: &str, nonce: &str) -> Response {
    let response = if is_page { failure_page(failure, reference, nonce) } else { failure_problem(failure, reference) };
    match failure {
        HostFailure::Overloaded | HostFailure::TooManyRequests => response.with("retry-after", "1"),
        HostFailure::TooManyLogins { retry_after } => response.with("retry-after", &retry_after.to_string()),
        _ => response,
    }
}

fn failure_problem(failure: HostFailure, reference: &str) -> Response {
    let (title, happened) = failure.words();
    let (status, code) = (failure.status(), failure.code());
    problem_document(
        status,
        &json!({ "type": "about:blank", "title": title, "status": status, "detail": happened, "code": code, "reference": reference }),
    )
}

fn failure_page(failure: HostFailure, reference: &str, nonce: &str) -> Response {
    let (title, happened) = failure.words();
    // An empty reference is the page itself (RFC 3986 section 4.4).
    let again = Action { label: "Try again".into(), href: String::new(), primary: true };
    let actions = if failure == HostFailure::BodyTooLarge { vec![] } else { vec![again] };
    let page = Page { title, paragraphs: vec![happened.to_owned()], actions, reference: Some(reference), nonce: nonce.to_owned() };
    page.into_response(failure.status())
}

/// What a 401 says of the way in (RFC 9110 section 11.6.1): by a cookie, which the login sets. No browser has a dialog of
/// its own for it.
pub(crate) fn challenge(config: &Config) -> String {
    format!("Cookie realm=\"{}\", form-action=\"{}\"", config.public.origin(), login_url(config, None, None))
}

/// Our login route with its parameters.
pub(crate) fn login_url(config: &Config, provider: Option<&str>, return_to: Option<&ReturnTo>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(provider) = provider {
        query.append_pair("provider", provider);
    }
    if let Some(return_to) = return_to {
        query.append_pair("return_to", return_to.as_str());
    }
    let query = query.finish();
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{}{separator}{query}", config.public.route(route::LOGIN))
}

/// The same for somebody who is logged in with another account than they want.
pub(crate) fn another_account_url(config: &Config, return_to: Option<&ReturnTo>) -> String {
    let login = login_url(config, None, return_to);
    let separator = if login.contains('?') { '&' } else { '?' };
    format!("{login}{separator}{}={}", route::PROMPT, route::SELECT_ACCOUNT)
}

impl Page<'_> {
    fn into_response(self, status: u16) -> Response {
        let policy =
            format!("default-src 'none'; style-src 'nonce-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", self.nonce);
        // The template has no part that can fail; were there one, an empty page is better than half of one.
        let body = self.render().unwrap_or_default().into_bytes();
        Response { status, body, ..Response::default() }
            .with("content-type", "text/html; charset=utf-8")
            .with("content-security-policy", &policy)
            .with("cache-control", "no-store")
            .with("referrer-policy", "no-referrer")
            .with("x-content-type-options", "nosniff")
            .with("x-frame-options", "DENY")
    }
}
