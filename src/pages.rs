//! The pages a person may see of us: choose a provider, signed out, something went wrong.
//!
//! One template for all. It carries no external resource, and no script but one of a few lines where a link has a way back; it
//! is served with a content security policy that allows no other. Whatever comes from outside is escaped by the template engine.

mod log_keys;
mod onward;

use askama::Template;
use serde_json::{Value, json};

use crate::branding::Branding;
use crate::config::Config;
use crate::entropy::{self, Entropy};
use crate::error::{Error, Explanation};
use crate::language::{Language, Notice, Texts};
use crate::oidc::provider::Provider;
use crate::policy::Denied;
use crate::session::CookieJar;
use crate::web::embedding::Embedding;
use crate::web::http::{RequestHead, Response};
use crate::web::return_to::ReturnTo;
use crate::web::route;

pub use log_keys::LogKeys;
pub(crate) use onward::{by_itself, fits, lost_its_page, onward};

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    branding: &'a Branding,
    language: Language,
    texts: &'static Texts,
    title: &'a str,
    paragraphs: Vec<String>,
    actions: Vec<Action>,
    /// Something that the person has to confirm.
    form: Option<Form>,
    log_keys: LogKeys<'a>,
    script: Script,
    nonce: String,
}

/// A button that sends an empty form.
struct Form {
    action: String,
    label: &'static str,
}

/// What a page does by itself. A fragment (`#…`) is known to the browser alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    None,
    /// Puts the fragment of this page's address into the way back of its links.
    KeepFragment,
    /// Does so, and follows the first link. Without scripts, the browser follows the link as it is.
    GoOn,
}

impl Script {
    fn of(config: &Config, leads_back: bool) -> Self {
        if leads_back && config.keep_fragment != Some(false) { Self::KeepFragment } else { Self::None }
    }
}

struct Action {
    label: String,
    href: String,
    primary: bool,
    /// A letter to tell it by.
    mark: Option<String>,
    note: Option<&'static str>,
}

impl Action {
    fn new(label: impl Into<String>, href: String) -> Self {
        Self { label: label.into(), href, primary: false, mark: None, note: None }
    }

    /// The one that most people want.
    fn primary(label: impl Into<String>, href: String) -> Self {
        Self { primary: true, ..Self::new(label, href) }
    }
}

/// What is known of who chooses a provider.
pub(crate) struct Choice<'a> {
    pub(crate) return_to: Option<&'a ReturnTo>,
    /// That is not the page that they were on their way to, which was too long to be kept.
    pub(crate) has_lost_its_page: bool,
    /// They want to choose an account as well.
    pub(crate) select_account: bool,
    pub(crate) login_hint: Option<&'a str>,
    /// Knows which provider this browser used last.
    pub(crate) jar: &'a CookieJar,
}

impl Choice<'_> {
    /// The login with that provider.
    fn url(&self, config: &Config, provider: &Provider) -> String {
        let login = login_url(config, Some(&provider.name), self.return_to);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.select_account.then_some((route::PROMPT, route::SELECT_ACCOUNT)));
        query.extend_pairs(self.login_hint.map(|hint| (route::LOGIN_HINT, hint)));
        let query = query.finish();
        if query.is_empty() { login } else { format!("{login}&{query}") }
    }
}

/// Lets the user choose between the providers. The one that was used last comes first.
pub(crate) fn chooser(config: &Config, language: Language, choice: &Choice<'_>, entropy: &mut dyn Entropy) -> Response {
    let texts = language.texts();
    let action = |provider: &Provider| {
        let label = texts.log_in_with.with(&provider.title);
        let href = choice.url(config, provider);
        let note = choice.jar.was_last(&provider.name).then_some(texts.last_used);
        Action { mark: initial(&provider.title), note, ..Action::new(label, href) }
    };
    let mut actions: Vec<_> = config.providers.iter().map(action).collect();
    actions.sort_by_key(|action| action.note.is_none());
    let lost = choice.has_lost_its_page.then_some(texts.address_too_long.text);
    let page = Page {
        branding: &config.branding,
        language,
        texts,
        title: texts.log_in,
        paragraphs: std::iter::once(texts.choose).chain(lost).map(str::to_owned).collect(),
        actions,
        form: None,
        log_keys: LogKeys::default(),
        script: Script::of(config, choice.return_to.is_some()),
        nonce: entropy::token::<16>(entropy),
    };
    page.into_response(200, &config.embedding)
}

/// On the way to the only provider there is, by a page that knows the fragment of its address.
pub(crate) fn on_the_way(
    config: &Config,
    language: Language,
    provider: &Provider,
    choice: &Choice<'_>,
    entropy: &mut dyn Entropy,
) -> Response {
    let texts = language.texts();
    let page = Page {
        branding: &config.branding,
        language,
        texts,
        title: texts.log_in,
        paragraphs: vec![texts.on_the_way.into()],
        actions: vec![Action::primary(texts.log_in, choice.url(config, provider))],
        form: None,
        log_keys: LogKeys::default(),
        script: Script::GoOn,
        nonce: entropy::token::<16>(entropy),
    };
    page.into_response(200, &config.embedding)
}

/// What a title begins with, as a capital letter: a mark that needs no artwork of others.
fn initial(title: &str) -> Option<String> {
    let first = title.chars().find(|c| c.is_alphanumeric())?;
    let mut capital = first.to_uppercase();
    // One that has no single capital letter stays as it is.
    Some(capital.next().filter(|_| capital.next().is_none()).unwrap_or(first).to_string())
}

/// The end of a logout.
pub(crate) fn signed_out(config: &Config, language: Language, entropy: &mut dyn Entropy) -> Response {
    let texts = language.texts();
    let page = Page {
        branding: &config.branding,
        language,
        texts,
        title: texts.logged_out.title,
        paragraphs: vec![texts.logged_out.text.into()],
        actions: vec![Action::primary(texts.log_in, login_url(config, None, None))],
        form: None,
        log_keys: LogKeys::default(),
        script: Script::None,
        nonce: entropy::token::<16>(entropy),
    };
    page.into_response(200, &config.embedding)
}

/// Asks whether every session of the account shall end. `action`: where the answer is posted to.
pub(crate) fn log_out_everywhere(config: &Config, language: Language, action: String, entropy: &mut dyn Entropy) -> Response {
    let texts = language.texts();
    let page = Page {
        branding: &config.branding,
        language,
        texts,
        title: texts.everywhere.title,
        paragraphs: vec![texts.everywhere.text.into()],
        actions: vec![
            Action::new(texts.log_out_here, config.public.route(route::LOGOUT)),
            Action::new(texts.back_to_the_application, config.public.home()),
        ],
        form: Some(Form { action, label: texts.log_out_everywhere }),
        log_keys: LogKeys::default(),
        script: Script::None,
        nonce: entropy::token::<16>(entropy),
    };
    page.into_response(200, &config.embedding)
}

/// The pages that a person may have been on their way to.
#[derive(Clone, Copy)]
pub(crate) struct WaysBack<'a> {
    pub(crate) pages: &'a [&'a ReturnTo],
    /// Whether the fragment of the address that shows this may be that of the page.
    pub(crate) keep_fragment: bool,
    /// Whether there is one that is not known any more: it was too long to be kept.
    pub(crate) has_lost_one: bool,
}

/// An error in words, for a person.
pub(crate) fn error(
    error: &Error,
    config: &Config,
    language: Language,
    ways_back: WaysBack<'_>,
    log_keys: LogKeys<'_>,
    entropy: &mut dyn Entropy,
) -> Response {
    let texts = language.texts();
    let Explanation { title, happened, construct, advice, offer_login } = error.explanation(texts);
    let mut actions = vec![];
    let return_to = match ways_back.pages {
        [only] => Some(*only),
        _ => None,
    };
    let lost = (ways_back.has_lost_one && offer_login).then(|| texts.address_too_long.text.to_owned());
    let (login, login_for) = if error.is_temporary() { (texts.try_again, &texts.try_again_for) } else { (texts.log_in, &texts.log_in_for) };
    match ways_back.pages {
        _ if !offer_login => {}
        [] | [_] => actions.push(Action::primary(login, login_url(config, None, return_to))),
        several => actions.extend(several.iter().map(|page| {
            let label = login_for.with(&shortened(page.as_str()));
            Action::new(label, login_url(config, None, Some(page)))
        })),
    }
    if let Error::Denied(Denied { account: Some(_), .. }) = error {
        actions.push(Action::primary(texts.use_another_account, another_account_url(config, return_to)));
        actions.push(Action::new(texts.log_out, config.public.route(route::LOGOUT)));
    }
    actions.push(Action::new(texts.back_to_the_application, config.public.home()));
    let page = Page {
        branding: &config.branding,
        language,
        texts,
        title,
        paragraphs: [Some(happened), construct, Some(advice.to_owned()), lost].into_iter().flatten().collect(),
        actions,
        form: None,
        log_keys,
        script: Script::of(config, return_to.is_some() && ways_back.keep_fragment),
        nonce: entropy::token::<16>(entropy),
    };
    page.into_response(error.status(), &config.embedding)
}

/// An address as a person can tell it from others.
fn shortened(address: &str) -> String {
    const MAX_CHARACTERS: usize = 60;
    let mut rest = address.chars();
    let beginning: String = rest.by_ref().take(MAX_CHARACTERS).collect();
    if rest.next().is_some() { format!("{beginning}…") } else { beginning }
}

/// An error in JSON, for a program (RFC 9457). In English: what programs compare and log is one text.
pub(crate) fn problem(error: &Error, login: Option<&str>, log_keys: LogKeys<'_>) -> Response {
    let Explanation { title, happened, construct, .. } = error.explanation(Language::English.texts());
    let happened = [Some(happened), construct].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let mut problem =
        json!({ "type": "about:blank", "title": title, "status": error.status(), "detail": happened, "code": error.code().as_str() });
    if let Some(members) = problem.as_object_mut() {
        members.extend(login.map(|login| ("login".to_owned(), login.into())));
        log_keys.extend(members);
    }
    problem_document(error.status(), &problem)
}

/// That the session has ended, for a program that shows a person the text of a refusal as it is.
pub(crate) fn session_ended(language: Language) -> Response {
    let body = language.session_ended().as_bytes().to_vec();
    Response { status: Error::LoginRequired.status(), body, ..Response::default() }
        .with("content-type", "text/plain; charset=utf-8")
        .with("content-language", language.tag())
        .with("cache-control", "no-store")
        .with("x-content-type-options", "nosniff")
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
    /// It is not known whether the request's session has ended; again after this many seconds.
    StoreUnreachable {
        retry_after: u64,
    },
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
            HostFailure::Overloaded | HostFailure::StoreUnreachable { .. } => 503,
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
            HostFailure::StoreUnreachable { .. } => "host.store_unreachable",
            HostFailure::UpstreamUnreachable => "host.upstream_unreachable",
            HostFailure::UpstreamTimedOut => "host.upstream_timed_out",
            HostFailure::BodyTooLarge => "host.body_too_large",
            HostFailure::BodyTooSlow => "host.body_too_slow",
            HostFailure::TooManyRequests => "host.too_many_requests",
            HostFailure::TooManyLogins { .. } => "host.too_many_logins",
        }
    }

    fn words(self, texts: &Texts) -> &Notice {
        match self {
            HostFailure::Filter => &texts.filter_failed,
            HostFailure::Overloaded => &texts.overloaded,
            HostFailure::StoreUnreachable { .. } => &texts.store_unreachable,
            HostFailure::UpstreamUnreachable => &texts.upstream_unreachable,
            HostFailure::UpstreamTimedOut => &texts.upstream_timed_out,
            HostFailure::BodyTooLarge => &texts.body_too_large,
            HostFailure::BodyTooSlow => &texts.body_too_slow,
            HostFailure::TooManyRequests => &texts.too_many_requests,
            HostFailure::TooManyLogins { .. } => &texts.too_many_logins,
        }
    }
}

/// What pages show of a configuration, and who may have them in a frame, for a host's own pages. Those of the default are
/// plain, and nobody may.
#[derive(Clone, Debug, Default)]
pub struct Look {
    branding: Branding,
    embedding: Embedding,
}

impl Look {
    pub fn of(config: &Config) -> Self {
        Self { branding: config.branding.clone(), embedding: config.embedding.clone() }
    }
}

/// A host's own failure: as a page in the language of who looks at it ([`reader`]), else as a
/// problem document (RFC 9457). `nonce`: 16 random bytes or more, as base64url, fresh for every page.
pub fn host_failure(failure: HostFailure, reader: Option<Language>, look: &Look, log_keys: LogKeys<'_>, nonce: &str) -> Response {
    let response = match reader {
        Some(language) => failure_page(failure, language, look, log_keys, nonce),
        None => failure_problem(failure, log_keys),
    };
    match failure {
        HostFailure::Overloaded | HostFailure::TooManyRequests => response.with("retry-after", "1"),
        HostFailure::TooManyLogins { retry_after } | HostFailure::StoreUnreachable { retry_after } => {
            response.with("retry-after", &retry_after.to_string())
        }
        _ => response,
    }
}

/// Who looks at the answer to a request, for [`host_failure`]: a person who reads a language, or a program. The request need
/// not be one that can be decided on.
pub fn reader(head: &RequestHead) -> Option<Language> {
    head.is_navigation().then(|| Language::preferred(&head.headers))
}

fn failure_problem(failure: HostFailure, log_keys: LogKeys<'_>) -> Response {
    let Notice { title, text } = failure.words(Language::English.texts());
    let (status, code) = (failure.status(), failure.code());
    let mut problem = json!({ "type": "about:blank", "title": title, "status": status, "detail": text, "code": code });
    if let Some(members) = problem.as_object_mut() {
        log_keys.extend(members);
    }
    problem_document(status, &problem)
}

fn failure_page(failure: HostFailure, language: Language, look: &Look, log_keys: LogKeys<'_>, nonce: &str) -> Response {
    let texts = language.texts();
    let Notice { title, text } = failure.words(texts);
    // An empty reference is the page itself (RFC 3986 section 4.4).
    let again = Action::primary(texts.try_again, String::new());
    let actions = if failure == HostFailure::BodyTooLarge { vec![] } else { vec![again] };
    let paragraphs = vec![(*text).to_owned()];
    let Look { branding, embedding } = look;
    let (form, script, nonce) = (None, Script::None, nonce.to_owned());
    let page = Page { branding, language, texts, title, paragraphs, actions, form, log_keys, script, nonce };
    page.into_response(failure.status(), embedding)
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
    fn into_response(self, status: u16, embedding: &Embedding) -> Response {
        let images = if self.branding.logo.is_some() { "img-src data:; " } else { "" };
        let scripts = if self.script == Script::None { String::new() } else { format!("script-src 'nonce-{}'; ", self.nonce) };
        // A form of ours leads on to the provider, and from there to wherever that sends the browser: some browsers hold all of this
        // against the directive (CSP Level 3, section 6.4.1.1).
        let forms = if self.form.is_some() { "" } else { "form-action 'none'; " };
        // Without it, its `Origin` would be `null` (Fetch, "append a request `Origin` header").
        let referrer = if self.form.is_some() { "same-origin" } else { "no-referrer" };
        // What a form changes, no other page may have people click on.
        let ancestors = if self.form.is_some() { "'none'".to_owned() } else { embedding.frame_ancestors() };
        let policy = format!(
            "default-src 'none'; {images}{scripts}style-src 'nonce-{}'; base-uri 'none'; {forms}frame-ancestors {ancestors}",
            self.nonce
        );
        let may_be_framed = embedding.is_on() && self.form.is_none();
        // The template has no part that can fail; were there one, an empty page is better than half of one.
        let body = self.render().unwrap_or_default().into_bytes();
        let response = Response { status, body, ..Response::default() }
            .with("content-type", "text/html; charset=utf-8")
            .with("content-language", self.language.tag())
            .with("vary", "accept-language")
            .with("content-security-policy", &policy)
            .with("cache-control", "no-store")
            .with("referrer-policy", referrer)
            .with("x-content-type-options", "nosniff");
        // It has no form that names somebody.
        if may_be_framed { response } else { response.with("x-frame-options", "DENY") }
    }
}

#[cfg(test)]
mod tests;
