//! What the provider shows to people.

use askama::Template;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::person::Person;

/// Nothing but our own stylesheet. `form-action` names schemes, not `'self'`: a browser applies it to the redirects
/// after the form as well, and those lead to the client and wherever the client goes from there.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; form-action http: https:; \
     base-uri 'none'; frame-ancestors 'none'";

/// The headers of every page.
const PAGE_HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
];

/// `/`: what this is.
#[derive(Template)]
#[template(path = "about.html")]
pub(crate) struct About<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) people: &'a [Person],
}

/// Who are you, and may the client know?
#[derive(Template)]
#[template(path = "consent.html")]
pub(crate) struct Consent<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) scope: &'a str,
    pub(crate) choices: Vec<Choice<'a>>,
    /// The authorization request again.
    pub(crate) query: String,
}

/// A button on the consent page.
pub(crate) struct Choice<'a> {
    pub(crate) person: &'a Person,
    /// This is whom `login_hint` means: the button has the focus.
    pub(crate) hinted: bool,
}

/// Shall we really sign out?
#[derive(Template)]
#[template(path = "sign_out.html")]
pub(crate) struct SignOut {
    /// The logout request again.
    pub(crate) query: String,
}

/// A heading and a sentence.
#[derive(Template)]
#[template(path = "message.html")]
pub(crate) struct Message {
    pub(crate) heading: &'static str,
    pub(crate) text: String,
}

/// A page with its headers.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, PAGE_HEADERS, Html(html)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, PAGE_HEADERS, error.to_string()).into_response(),
    }
}

/// A request that cannot be answered otherwise.
pub(crate) fn refused(error: &impl std::fmt::Display) -> Response {
    page(StatusCode::BAD_REQUEST, &Message { heading: "This request cannot be answered", text: error.to_string() })
}

/// The stylesheet of all pages.
pub(crate) async fn stylesheet() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, include_str!("../templates/style.css")).into_response()
}
