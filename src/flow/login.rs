//! The way to the provider: which one, its metadata, the authorization request.

mod initiation;

use jwt_simple::prelude::{Duration, HS256Key, MACLike as _, UnixTimeStamp, VerificationOptions};
use serde::{Deserialize, Serialize};

use super::{Flow, Visit, is_in_foreign_frame, looked_at, only_visited};
use crate::code::Code;
use crate::config::Config;
use crate::decision::{Level, Outcome};
use crate::error::Error;
use crate::flow::{Context, Progress};
use crate::limit::Counted;
use crate::oidc::authorization::{self, Asking, Offline, Prompt};
use crate::oidc::cache::{Lookup, Question};
use crate::oidc::error::{self as oidc, Endpoint};
use crate::oidc::issuer::ExpectedIssuer;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::provider::Provider;
use crate::pages;
use crate::session::{CookieJar, NewAttempt, Place, Wanted};
use crate::web::http::{OutboundError, OutboundResponse, Request, Response};
use crate::web::return_to::{self, NotSameOrigin, ReturnTo};
use crate::web::route;

/// `GET /.vestibule/login`, with `provider` (a name, or Streamlit's signed one), `return_to` and `prompt` (`select_account`); or with
/// `iss`, `target_link_uri` and `login_hint`, by which a provider or a portal starts a login (OIDC Core section 4), also by
/// `POST`.
pub(crate) fn begin(request: &Request<'_>, body: Option<&[u8]>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    visit.allow = "GET, HEAD, POST";
    only_visited(request)?;
    visit.shows_a_page(request);
    let config = context.config;
    if is_in_foreign_frame(request, config) {
        return Err(Error::NotVisited);
    }
    match request.method {
        "GET" | "HEAD" => {}
        "POST" => return initiation::begin(request, body, visit, config),
        _ => return Err(Error::MethodNotAllowed),
    }
    let (mut provider, mut iss, mut return_to, mut has_moved) = (None, None, None, false);
    for (name, value) in request.query_pairs() {
        match &*name {
            "provider" => provider = Some(value.into_owned()),
            ISS => iss = Some(value.into_owned()),
            "return_to" | TARGET_LINK_URI => return_to = Some(value.into_owned()),
            route::LOGIN_HINT => visit.login_hint = Some(value.into_owned()).filter(|hint| is_login_hint(hint)),
            MOVED => has_moved = true,
            route::PROMPT => visit.select_account = value == route::SELECT_ACCOUNT,
            _ => {}
        }
    }
    visit.return_to = match return_to {
        Some(value) => page_asked_for(&value, request, visit, config),
        None => {
            visit.keeps_fragment = false;
            page_before(request, config)
        }
    };
    if let (None, Some(iss)) = (&provider, iss) {
        provider = Some(provider_of(&iss, config)?.name.clone());
    }
    // The login's cookies belong to the public origin, where the provider sends the browser back to. A proxy in between may
    // write another `Host` than the browser did: then it moves once, and stays.
    if !has_moved && !config.public.has_authority(request.authority) {
        return Ok(move_to_public_origin(provider.as_deref(), visit, config));
    }
    match provider {
        None => choose_or_start(visit, context),
        // A provider's name in TOML may hold dots, so the name comes first.
        Some(name) => match config.provider(&name) {
            Some(provider) => start(provider, visit, context),
            None if name.contains('.') => match name_in_streamlits_token(&name, context) {
                Some(name) => start(config.provider(&name).ok_or(Error::UnknownProvider)?, visit, context),
                // Streamlit's own answer to a token that is expired or not its own.
                None => {
                    visit.note(
                        Level::Info,
                        Code::LoginProviderTokenInvalid,
                        "the provider token is malformed, has expired or was signed with another secret",
                    );
                    Ok(Progress::Done(Outcome::Respond(Response::redirect(&config.public.home(), request.method))))
                }
            },
            None => Err(Error::UnknownProvider),
        },
    }
}

/// The page that a login names, when it is one of the public origin. Another is an attempt to lead the user there: it is
/// dropped, and said.
fn page_asked_for(value: &str, request: &Request<'_>, visit: &mut Visit, config: &Config) -> Option<ReturnTo> {
    let is_too_long = value.len() > return_to::MAX_LENGTH;
    // A page is worth more than a place in it.
    let value = value.split_once('#').filter(|_| is_too_long).map_or(value, |(page, _)| page);
    let page = page_of_ours(value, request, config);
    visit.has_lost_its_page = is_too_long && page.is_err();
    if let Err(error) = &page {
        visit.note(Level::Warn, Code::LoginReturnToRefused, format!("return_to is {error}"));
    }
    page.ok()
}

/// The provider with this issuer: one that is for this issuer only, before one that is for many.
fn provider_of<'a>(iss: &str, config: &'a Config) -> Result<&'a Provider, Error> {
    let named = config.providers.iter().find(|provider| provider.expected_issuer == ExpectedIssuer::Exact(iss.to_owned()));
    let of_issuer = named.or_else(|| config.providers.iter().find(|provider| provider.expected_issuer.admits_metadata(iss)));
    of_issuer.ok_or(Error::UnknownProvider)
}

const ISS: &str = "iss";
const TARGET_LINK_URI: &str = "target_link_uri";

/// A name or an address that the person may log in with. It only fills in a field of the provider's page.
fn is_login_hint(hint: &str) -> bool {
    const MAX_CHARACTERS: usize = 255;
    !hint.is_empty() && hint.chars().count() <= MAX_CHARACTERS && !hint.chars().any(char::is_control)
}

/// Of a login that has been sent to the public origin.
const MOVED: &str = "moved";

/// The same login, there, by `GET`.
fn move_to_public_origin(provider: Option<&str>, visit: &Visit, config: &Config) -> Progress {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(provider.map(|name| ("provider", name)));
    query.extend_pairs(visit.return_to.as_ref().map(|page| ("return_to", page.as_str())));
    query.extend_pairs(visit.select_account.then_some((route::PROMPT, route::SELECT_ACCOUNT)));
    query.extend_pairs(visit.login_hint.as_ref().map(|hint| (route::LOGIN_HINT, hint)));
    query.append_pair(MOVED, "1");
    let location = format!("{}{}?{}", config.public.origin(), config.public.route(route::LOGIN), query.finish());
    Progress::Done(Outcome::Respond(Response::redirect(&location, visit.method)))
}

/// The page of ours that the browser comes from: Streamlit's `st.login()` does not say where the user is.
pub(super) fn page_before(request: &Request<'_>, config: &Config) -> Option<ReturnTo> {
    let mut referers = request.header("referer");
    let referer = referers.next().filter(|_| referers.next().is_none())?;
    page_of_ours(std::str::from_utf8(referer).ok()?, request, config).ok()
}

/// A page of the public origin, or the same page of the host that the request is for: the login moves from there to the public
/// origin, and so does the page.
fn page_of_ours(value: &str, request: &Request<'_>, config: &Config) -> Result<ReturnTo, NotSameOrigin> {
    let public = config.public.redirect_uri();
    let page = ReturnTo::parse(value, public);
    if page.is_ok() || config.public.has_authority(request.authority) {
        return page;
    }
    let here = ["https://", "http://"].into_iter().find_map(|scheme| value.strip_prefix(scheme)?.strip_prefix(request.authority));
    match here {
        // Only a path: `host.evil.example` is not `host`.
        Some(path) if path.starts_with('/') => ReturnTo::parse(path, public),
        _ => page,
    }
}

/// With one provider the login begins at once, or on a page that goes on by itself; with several the user chooses.
pub(crate) fn choose_or_start(visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let config = context.config;
    let choice = pages::Choice {
        return_to: visit.return_to.as_ref(),
        has_lost_its_page: visit.has_lost_its_page,
        select_account: visit.select_account,
        login_hint: visit.login_hint.as_deref(),
        jar: &visit.jar,
    };
    let page = match config.providers.as_slice() {
        [only] if begins_on_a_page(visit, config) => pages::on_the_way(config, visit.language, only, &choice, context.entropy),
        [only] => return start(only, visit, context),
        _ => pages::chooser(config, visit.language, &choice, context.entropy),
    };
    Ok(Progress::Done(Outcome::Respond(page)))
}

/// Whether a login with the only provider begins on a page that knows the fragment of its address: a redirect does not, and
/// the fragment does not survive a form on the provider's pages. By default only where a browser says that it shows the page:
/// other clients expect the redirect.
fn begins_on_a_page(visit: &Visit, config: &Config) -> bool {
    let is_missing = |page: &ReturnTo| visit.keeps_fragment && !page.as_str().contains('#');
    let by_default = |page| visit.is_document_navigation && is_missing(page);
    visit.return_to.as_ref().is_some_and(|page| config.keep_fragment.unwrap_or_else(|| by_default(page)))
}

/// Waits for the metadata of a provider that somebody wants to log in with.
#[derive(Debug)]
pub(crate) struct ExpectMetadata {
    provider: String,
    question: Question,
}

impl ExpectMetadata {
    pub(super) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let provider = context.config.provider(&self.provider).ok_or(Error::UnknownProvider)?;
        let metadata = receive_metadata(provider, self.question, answer, visit, context)?;
        authorize(provider, metadata, visit, context)
    }
}

/// Takes the answer to a metadata request into the cache, or serves what the cache has when there is none.
pub(super) fn receive_metadata(
    provider: &Provider,
    question: Question,
    answer: Result<OutboundResponse, OutboundError>,
    visit: &mut Visit,
    context: &mut Context<'_>,
) -> Result<ProviderMetadata, oidc::Error> {
    match ProviderMetadata::parse(answer, provider) {
        Ok(metadata) => {
            for ignored in &metadata.ignored {
                let message = format!("the metadata of provider `{}`: {ignored}; the login goes on without it", provider.name);
                visit.note(Level::Warn, Code::MetadataIgnored, message);
            }
            context.cache.store_metadata(&provider.name, question, metadata.clone(), context.now);
            Ok(metadata)
        }
        Err(error) => {
            // A provider that is down may be served from memory; one that suddenly is another issuer may not.
            let stale = context.cache.metadata_failed(&provider.name, question, error.failure(), context.now);
            if stale.is_some() {
                visit.note(Level::Warn, Code::MetadataStale, format!("{error}; using what it said earlier"));
            }
            stale.ok_or(error)
        }
    }
}

/// A provider without the endpoint that the configuration has asked for.
pub(super) fn lacks_userinfo(provider: &Provider, words: &str) -> oidc::Error {
    let name = &provider.name;
    let fault = format!(
        "{words}, and userinfo = true in [vestibule.provider.{name}] has Vestibule ask it: remove that setting, or have the provider \
         name an https URL as its userinfo_endpoint"
    );
    oidc::Error::Answer { provider: name.clone(), what: Endpoint::Metadata, fault }
}

/// A login with that provider, from its metadata on.
pub(super) fn start(provider: &Provider, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    if visit.only_looks {
        return Ok(looked_at());
    }
    context.record_provider(visit, provider);
    visit.provider = Some(provider.name.clone());
    match context.cache.metadata(&provider.name, context.now) {
        Lookup::Fresh(metadata) => authorize(provider, metadata, visit, context),
        Lookup::Paused(Some(metadata)) => {
            visit.note(Level::Warn, Code::MetadataStale, "it could not be fetched a moment ago; using what it said earlier");
            authorize(provider, metadata, visit, context)
        }
        Lookup::Paused(None) => Err(oidc::Error::Unreachable {
            provider: provider.name.clone(),
            what: Endpoint::Metadata,
            error: OutboundError::Unreachable("it failed a moment ago".into()),
        }
        .into()),
        Lookup::Fetch => {
            let question = context.cache.ask_for_metadata(&provider.name, context.now);
            let expect = ExpectMetadata { provider: provider.name.clone(), question };
            Ok(Progress::Fetch(ProviderMetadata::request(provider), Flow::Login(expect)))
        }
    }
}

fn authorize(provider: &Provider, metadata: ProviderMetadata, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let config = context.config;
    let Some(endpoint) = metadata.authorization_endpoint.clone() else {
        let fault = "there is no authorization_endpoint".to_owned();
        return Err(oidc::Error::Answer { provider: provider.name.clone(), what: Endpoint::Metadata, fault }.into());
    };
    // Rather now than when the person is back.
    if let Some(words) = &metadata.lacks_userinfo {
        return Err(lacks_userinfo(provider, words).into());
    }
    let return_to = destination(visit.return_to.take(), config);
    let asks_for_account = visit.select_account || provider.asks_for_account;
    let prompt = match (asks_for_account, visit.leave_prompt || !metadata.takes_account_prompt) {
        (true, false) => Prompt::SelectAccount,
        (true, true) => Prompt::Left,
        (false, _) => Prompt::Configured,
    };
    let has_optional_prompt = prompt == Prompt::SelectAccount;
    let offline = if config.sessions.refresh.is_some() { Offline::at(&metadata) } else { Offline::No };
    let (select_account, login_hint, is_second) = (visit.select_account, visit.login_hint.as_deref(), visit.is_second);
    let has_lost_its_page = visit.has_lost_its_page;
    let wanted =
        Wanted { provider, metadata, return_to: &return_to, has_lost_its_page, has_optional_prompt, select_account, login_hint, is_second };
    let (spent, turn) = (visit.spent.as_deref(), context.cache.turn(context.entropy));
    let place = Place { jar: &visit.jar, spent, turn, settings: &config.sessions, providers: &config.providers, now: context.now };
    let attempt = NewAttempt::start(wanted, place, context.entropy);
    let asking =
        Asking { state: attempt.state(), nonce: attempt.nonce(), code_verifier: attempt.code_verifier(), prompt, offline, login_hint };
    let location = authorization::request(&endpoint, provider, config.public.redirect_uri(), &asking);
    let mut cookies = visit.jar.writer();
    attempt.write(&mut cookies, context.entropy)?;
    let cookies = cookies.into_headers();
    visit.set_cookies = CookieJar::joined(std::mem::take(&mut visit.set_cookies), cookies);
    visit.note(Level::Info, Code::LoginStarted, format!("login with provider `{}` started", provider.name));
    let redirect = Response { counts_as: Some(Counted::LoginStart), ..Response::redirect(location.as_str(), visit.method) };
    Ok(Progress::Done(Outcome::Respond(redirect)))
}

/// Never one of our own routes, which would lead round in circles, or out again.
pub(super) fn destination(return_to: Option<ReturnTo>, config: &Config) -> ReturnTo {
    let ours = |path: &str| crate::web::route::Route::of(path, &config.public) != crate::web::route::Route::Application;
    return_to.filter(|page| !ours(page.path())).unwrap_or_else(|| config.public.home_page())
}

/// The claims of what `st.login("name")` makes.
#[derive(Serialize, Deserialize)]
struct ProviderToken {
    provider: String,
}

/// Streamlit's own word for a provider: a JWT, HS256 under the cookie secret, two minutes long.
fn name_in_streamlits_token(token: &str, context: &Context<'_>) -> Option<String> {
    let key = HS256Key::from_bytes(context.config.cookie_secret.expose().as_bytes());
    let options = VerificationOptions {
        time_tolerance: Some(Duration::from_secs(0)),
        artificial_time: Some(UnixTimeStamp::from_secs(context.now.as_secs())),
        max_token_length: Some(4096),
        ..VerificationOptions::default()
    };
    let claims = key.verify_token::<ProviderToken>(token, Some(options)).ok()?;
    // The library lets a token without `exp` live for ever.
    let expires_at = claims.expires_at?.as_secs();
    (context.now.as_secs() < expires_at).then_some(claims.custom.provider)
}
