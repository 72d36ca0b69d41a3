//! The way out: here at once, and at the provider when it can be asked.

use std::time::Duration;

use url::Url;

use super::{Flow, Visit, callback, is_of_own_page, login, looked_at, only_get, only_visited, revocation};
use crate::audit::AuditEvent;
use crate::code::Code;
use crate::config::Config;
use crate::decision::{Level, Outcome};
use crate::entropy;
use crate::error::Error;
use crate::flow::{Context, Progress};
use crate::oidc::authorization::LOGOUT_STATE;
use crate::oidc::cache::{Lookup, Question};
use crate::oidc::end_session;
use crate::oidc::logout_url::{LogoutUrl, Values};
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::provider::Provider;
use crate::oidc::revocation::Revocable;
use crate::pages;
use crate::secret::Secret;
use crate::session::ExposeTokens;
use crate::web::http::{OutboundError, OutboundResponse, Request, Response};
use crate::web::return_to::ReturnTo;
use crate::web::route::Route;

/// The parameter of a logout that ends every session of the account.
const EVERYWHERE: &str = "everywhere";

/// How long a logout may take at the provider.
const RETURN: Duration = Duration::from_secs(10 * 60);

/// What ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    ThisSession,
    /// Every session of the account.
    Everywhere,
}

/// `GET /.vestibule/logout`, with `return_to` for a logout that ends here. With `everywhere`, `POST` from the page that asks.
pub(crate) fn begin(request: &Request<'_>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let everywhere = request.query_pairs().any(|(name, _)| name == EVERYWHERE);
    let extent = if everywhere { Extent::Everywhere } else { Extent::ThisSession };
    match extent {
        Extent::Everywhere if request.method == "POST" => {}
        _ => only_get(request)?,
    }
    only_visited(request)?;
    visit.shows_a_page(request);
    if visit.is_head {
        return Ok(looked_at());
    }
    let config = context.config;
    // Another site's page would end what the person has elsewhere.
    if request.method == "POST" && !is_of_own_page(request, config) {
        return Err(Error::ForeignOrigin);
    }
    let wanted = request.query_pairs().find(|(name, _)| name == "return_to").map(|(_, value)| value.into_owned());
    let wanted = wanted.and_then(|value| ReturnTo::parse(&value, config.public.redirect_uri()).ok());
    visit.return_to = wanted.map(|page| login::destination(Some(page), config));

    let sealed = context.sealed(visit);
    let session = context.session(sealed.as_ref());
    if extent == Extent::Everywhere && session.is_some() {
        if !context.ended.remembers() {
            return Err(Error::NotRemembered);
        }
        if request.method != "POST" {
            let page = pages::log_out_everywhere(config, visit.language, request.path_with_query(), context.entropy);
            return Ok(Progress::Done(Outcome::Respond(page)));
        }
    }
    let id_token = session.as_ref().and_then(|session| context.tokens(visit, session, ExposeTokens::ID)).and_then(|tokens| tokens.id_token);
    let revocable = session.as_ref().and_then(|session| revocation::of_session(session, visit, context));
    let mut cookies = visit.jar.writer();
    cookies.delete_session_and_tokens();
    visit.set_cookies = cookies.into_headers();

    let Some(session) = session else { return Ok(local(visit, context)) };
    visit.ended_sessions.push(session.end(context.now));
    if extent == Extent::Everywhere {
        visit.ended_sessions.push(session.end_account(context.now, &config.sessions.lifetime));
    }
    context.name(visit, session.claims());
    context.record_session(visit, &session);
    visit.audited_as = Some(AuditEvent::Logout);
    let Some(provider) = config.provider(session.provider()) else { return Ok(local(visit, context)) };
    visit.provider = Some(provider.name.clone());
    let (code, from) = match extent {
        Extent::ThisSession => (Code::Logout, "logout"),
        Extent::Everywhere => (Code::LogoutEverywhere, "logout everywhere"),
    };
    visit.note(Level::Info, code, format!("{from} from provider `{}`", provider.name));
    // Entra shows an account picker unless it is told whose session ends (its optional claim `login_hint`).
    let logout_hint = session.claims().text("login_hint").map(str::to_owned);
    let departure = Departure { provider: provider.name.clone(), id_token, logout_hint };
    if let Some(url) = &provider.logout_url {
        revocation::begin(revocable, provider, None, visit, context);
        return Ok(departure.log_out_by(url, provider, visit, context));
    }
    match context.cache.metadata(&provider.name, context.now) {
        Lookup::Fresh(metadata) | Lookup::Paused(Some(metadata)) => {
            revocation::begin(revocable, provider, Some(&metadata), visit, context);
            Ok(departure.log_out_at(provider, &metadata, visit, context))
        }
        Lookup::Paused(None) => {
            revocation::begin(revocable, provider, None, visit, context);
            Ok(local(visit, context))
        }
        Lookup::Fetch => {
            let question = context.cache.ask_for_metadata(&provider.name, context.now);
            let expect = ExpectMetadata { departure, revocable, question };
            Ok(Progress::Fetch(ProviderMetadata::request(provider), Flow::Logout(Box::new(expect))))
        }
    }
}

/// `GET /.vestibule/logged-out`: where a provider sends the browser after a logout, whatever it adds to the query. No login
/// starts here.
pub(crate) fn land(request: &Request<'_>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    only_get(request)?;
    only_visited(request)?;
    visit.shows_a_page(request);
    if visit.is_head {
        return Ok(looked_at());
    }
    Ok(Progress::Done(Outcome::Respond(callback::landing(visit, context))))
}

/// Waits for the metadata of the provider that the user logs out from.
#[derive(Debug)]
pub(crate) struct ExpectMetadata {
    departure: Departure,
    revocable: Option<Revocable>,
    question: Question,
}

/// What the provider is told of a logout.
#[derive(Debug)]
struct Departure {
    provider: String,
    id_token: Option<Secret>,
    logout_hint: Option<String>,
}

impl ExpectMetadata {
    pub(super) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let Self { departure, revocable, question } = self;
        let provider = context.config.provider(&departure.provider).ok_or(Error::UnknownProvider)?;
        match login::receive_metadata(provider, question, answer, visit, context) {
            Ok(metadata) => {
                revocation::begin(revocable, provider, Some(&metadata), visit, context);
                Ok(departure.log_out_at(provider, &metadata, visit, context))
            }
            Err(error) => {
                // The user wants out, so out they get; the provider's own session is the provider's.
                visit.note(Level::Warn, Code::LogoutLocalOnly, format!("{error}; logged out here only"));
                revocation::begin(revocable, provider, None, visit, context);
                Ok(local(visit, context))
            }
        }
    }
}

impl Departure {
    fn log_out_at(&self, provider: &Provider, metadata: &ProviderMetadata, visit: &mut Visit, context: &mut Context<'_>) -> Progress {
        let Some(endpoint) = &metadata.end_session_endpoint else { return local(visit, context) };
        let back = return_address(provider, context.config);
        expect_return(back, visit, context.config);
        let state = format!("{LOGOUT_STATE}{}", entropy::token::<16>(context.entropy));
        let location = end_session::request(endpoint, provider, back, self.id_token.as_ref(), self.logout_hint.as_deref(), &state);
        Progress::Done(Outcome::Respond(Response::redirect(location.as_str(), visit.method)))
    }

    /// The same at the address that the configuration has.
    fn log_out_by(&self, url: &LogoutUrl, provider: &Provider, visit: &mut Visit, context: &mut Context<'_>) -> Progress {
        let back = return_address(provider, context.config);
        let state = format!("{LOGOUT_STATE}{}", entropy::token::<16>(context.entropy));
        let values = Values {
            client_id: &provider.client_id,
            return_to: back.as_str(),
            id_token_hint: self.id_token.as_ref().map(Secret::expose),
            logout_hint: self.logout_hint.as_deref(),
            state: &state,
        };
        let Some(location) = url.with(&values) else { return local(visit, context) };
        expect_return(back, visit, context.config);
        Progress::Done(Outcome::Respond(Response::redirect(location.as_str(), visit.method)))
    }
}

/// Where the provider shall send the browser.
fn return_address<'a>(provider: &'a Provider, config: &'a Config) -> &'a Url {
    provider.post_logout_redirect_uri.as_ref().unwrap_or(config.public.redirect_uri())
}

/// Not every provider brings our `state` back, and what comes back to the callback must not pass for a login that went wrong.
fn expect_return(back: &Url, visit: &mut Visit, config: &Config) {
    if Route::of(back.path(), &config.public) != Route::Callback {
        return;
    }
    let mut cookies = visit.jar.writer();
    cookies.set_logging_out(RETURN.as_secs());
    visit.set_cookies.append(&mut cookies.into_headers());
}

fn local(visit: &Visit, context: &mut Context<'_>) -> Progress {
    let response = match &visit.return_to {
        Some(page) => Response::redirect(page.as_str(), visit.method),
        None => callback::after_logout(visit, context),
    };
    Progress::Done(Outcome::Respond(response))
}
