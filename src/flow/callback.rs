//! The way back from the provider: the login attempt, the tokens, the keys, the session.

use super::{Flow, Visit, looked_at, only_visited};
use crate::account::Account;
use crate::code::Code;
use crate::config::Config;
use crate::decision::{Level, Outcome};
use crate::error::Error;
use crate::flow::{Context, Progress};
use crate::identity::headers;
use crate::limit::Counted;
use crate::oidc::authorization::AuthorizationResponse;
use crate::oidc::cache::Lookup;
use crate::oidc::error::{self as oidc, Endpoint, Rejected};
use crate::oidc::grant::AuthorizationGrant;
use crate::oidc::id_token::{IdTokenVerifier, Identity, VerifiedIdToken};
use crate::oidc::jwks::KeySet;
use crate::oidc::provider::Provider;
use crate::oidc::token::{self, TokenResponse};
use crate::oidc::userinfo;
use crate::pages;
use crate::policy::Login;
use crate::session::{LoginAttempt, Session, Tokens};
use crate::web::http::{OutboundError, OutboundResponse, Request, Response};
use crate::web::return_to::ReturnTo;

/// What a provider posts with `response_mode=form_post`: a code and a state.
const MAX_FORM_BYTES: u32 = 32 * 1024;

/// `GET` (or `POST`, with `response_mode=form_post`) on `redirect_uri`.
pub(crate) fn begin(request: &Request<'_>, body: Option<&[u8]>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    visit.allow = "GET, HEAD, POST";
    only_visited(request)?;
    visit.is_navigation = true;
    visit.refusal_counts_as = Some(Counted::BadCallback).filter(|_| ["GET", "POST"].contains(&request.method));
    let config = context.config;
    match (request.method, body) {
        ("GET", _) => {}
        // Looked at, not visited: the code is kept for the visit.
        ("HEAD", _) => return Ok(looked_at()),
        ("POST", None) => return Ok(Progress::Done(Outcome::NeedBody(MAX_FORM_BYTES))),
        // A cross-site POST brings no `SameSite=Lax` cookie along, a cross-site GET does: hand the form on as one.
        ("POST", Some(form)) => return Ok(Progress::Done(Outcome::Respond(form_as_query(form, config)?))),
        _ => return Err(Error::MethodNotAllowed),
    }
    let Some(response) = AuthorizationResponse::parse(request.query_pairs())? else {
        return Ok(Progress::Done(Outcome::Respond(landing(visit, context))));
    };
    let attempt = match LoginAttempt::find(&visit.jar, response.state(), &config.sessions, &config.providers, context.now) {
        Ok(attempt) => attempt,
        Err(error) => {
            if context.session(context.sealed(visit).as_ref()).is_none() {
                return Err(error);
            }
            // The Back button onto a callback that has done its work: the user is logged in, so take them in.
            visit.note(Level::Info, Code::CallbackAlreadyLoggedIn, "a used or foreign callback was visited by a logged-in user");
            return Ok(Progress::Done(Outcome::Respond(Response::redirect(&config.public.home(), request.method))));
        }
    };
    visit.return_to = ReturnTo::parse(attempt.return_to(), config.public.redirect_uri()).ok();
    // Spent from here on, whatever comes of it.
    visit.may_repeat = false;
    let mut cookies = visit.jar.writer();
    cookies.delete_attempt(attempt.id());
    visit.set_cookies = cookies.into_headers();

    let grant = attempt.redeem(response)?;
    let provider = config.provider(&grant.provider).ok_or(Error::UnknownProvider)?;
    let request = token::request(&grant, provider, config.public.redirect_uri());
    Ok(Progress::Fetch(request, Flow::Tokens(Box::new(ExpectTokens { grant }))))
}

/// Waits for the token response.
#[derive(Debug)]
pub(crate) struct ExpectTokens {
    grant: AuthorizationGrant,
}

impl ExpectTokens {
    pub(super) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let provider = context.config.provider(&self.grant.provider).ok_or(Error::UnknownProvider)?;
        let tokens = TokenResponse::parse(answer, provider)?;
        let metadata = &self.grant.metadata;
        match context.cache.keys(&metadata.issuer, &metadata.jwks_uri, context.now) {
            Lookup::Fresh(keys) => verify(self.grant, tokens, &keys, Refetch::Once, visit, context),
            Lookup::Paused(Some(keys)) => {
                note_stale_keys(visit);
                verify(self.grant, tokens, &keys, Refetch::No, visit, context)
            }
            Lookup::Paused(None) => Err(oidc::Error::Unreachable {
                provider: provider.name.clone(),
                what: Endpoint::Keys,
                error: OutboundError::Unreachable("it failed a moment ago".into()),
            }
            .into()),
            Lookup::Fetch => Ok(fetch_keys(self.grant, tokens)),
        }
    }
}

/// Waits for the provider's keys.
#[derive(Debug)]
pub(crate) struct ExpectKeys {
    grant: AuthorizationGrant,
    tokens: TokenResponse,
}

impl ExpectKeys {
    pub(super) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let provider = context.config.provider(&self.grant.provider).ok_or(Error::UnknownProvider)?;
        let metadata = &self.grant.metadata;
        let keys = match KeySet::parse(answer, provider) {
            Ok(keys) => {
                context.cache.store_keys(&metadata.issuer, &metadata.jwks_uri, keys.clone(), context.now);
                keys
            }
            Err(error) => {
                let stale = context.cache.keys_failed(&metadata.issuer, &metadata.jwks_uri, error.failure(), context.now);
                let stale = stale.ok_or(error)?;
                note_stale_keys(visit);
                stale
            }
        };
        verify(self.grant, self.tokens, &keys, Refetch::No, visit, context)
    }
}

/// Waits for the userinfo response.
#[derive(Debug)]
pub(crate) struct ExpectUserinfo {
    grant: AuthorizationGrant,
    tokens: TokenResponse,
    proof: VerifiedIdToken,
}

impl ExpectUserinfo {
    pub(super) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let provider = context.config.provider(&self.grant.provider).ok_or(Error::UnknownProvider)?;
        let identity = userinfo::complete(self.proof, answer, provider)?;
        establish(&self.grant, self.tokens, identity, provider, visit, context)
    }
}

fn note_stale_keys(visit: &mut Visit) {
    visit.note(Level::Warn, Code::KeysStale, "the key set cannot be fetched; using the one known before");
}

/// Whether a token with an unknown `kid` is worth asking for the keys: once for a login, and not after they were asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refetch {
    Once,
    No,
}

fn fetch_keys(grant: AuthorizationGrant, tokens: TokenResponse) -> Progress {
    let request = KeySet::request(&grant.metadata.jwks_uri);
    Progress::Fetch(request, Flow::Keys(Box::new(ExpectKeys { grant, tokens })))
}

fn verify(
    grant: AuthorizationGrant,
    tokens: TokenResponse,
    keys: &KeySet,
    refetch: Refetch,
    visit: &mut Visit,
    context: &mut Context<'_>,
) -> Result<Progress, Error> {
    let provider = context.config.provider(&grant.provider).ok_or(Error::UnknownProvider)?;
    let metadata = &grant.metadata;
    let verifier = IdTokenVerifier {
        provider,
        issuer: &metadata.issuer,
        algorithms: metadata.signing_algorithms.as_deref(),
        requested_at: grant.started_at,
        keys,
        nonce: &grant.nonce,
        access_token: &tokens.access_token,
    };
    let proof = match verifier.verify(&tokens.id_token, context.now) {
        Ok(proof) => proof,
        Err(Rejected::UnknownKey)
            if refetch == Refetch::Once && context.cache.may_refetch_keys(&metadata.issuer, &metadata.jwks_uri, context.now) =>
        {
            visit.note(Level::Info, Code::KeysRefetch, "the ID token names a key that is not known yet");
            return Ok(fetch_keys(grant, tokens));
        }
        Err(reason) => return Err(oidc::Error::IdToken { provider: provider.name.clone(), reason }.into()),
    };
    if !provider.userinfo {
        return establish(&grant, tokens, proof.into_identity(), provider, visit, context);
    }
    let Some(endpoint) = &metadata.userinfo_endpoint else {
        let fault = "there is no userinfo_endpoint, and the configuration wants it to be asked".to_owned();
        return Err(oidc::Error::Answer { provider: provider.name.clone(), what: Endpoint::Metadata, fault }.into());
    };
    let request = userinfo::request(endpoint, &tokens.access_token);
    Ok(Progress::Fetch(request, Flow::Userinfo(Box::new(ExpectUserinfo { grant, tokens, proof }))))
}

fn establish(
    grant: &AuthorizationGrant,
    tokens: TokenResponse,
    identity: Identity,
    provider: &Provider,
    visit: &mut Visit,
    context: &mut Context<'_>,
) -> Result<Progress, Error> {
    let config = context.config;
    let session = Session::establish(identity, provider, &config.sessions, context.now, context.entropy);
    let replaced = context.session(context.sealed(visit).as_ref()).map(|replaced| replaced.handle());
    let mut cookies = visit.jar.writer();
    session.write(&mut cookies, &config.sessions, context.now, context.entropy)?;

    let mut hint_lost = None;
    let exposed = config.sessions.expose_tokens;
    let wants_hint = grant.metadata.end_session_endpoint.is_some();
    let id_token = (exposed.id || wants_hint).then_some(tokens.id_token);
    let access_token = exposed.access.then_some(tokens.access_token);
    if id_token.is_some() || access_token.is_some() {
        let stored =
            Tokens::new(&session, id_token, access_token).write(&session, &mut cookies, &config.sessions, context.now, context.entropy);
        match stored {
            Err(error) if exposed.id || exposed.access => return Err(error),
            // Only the hint for the logout is lost; the provider will ask instead.
            Err(error) => hint_lost = Some(error),
            Ok(()) => {}
        }
    } else {
        cookies.delete_tokens();
    }
    visit.set_cookies.append(&mut cookies.into_headers());
    visit.ended_sessions.extend(replaced);
    if let Some(error) = hint_lost {
        visit.note(Level::Warn, Code::SessionNoLogoutHint, error.to_string());
    }
    context.name(visit, session.claims());
    let account = Account { provider, claims: session.claims() };
    for header in headers::left_out(&account, &config.identity) {
        visit.note(Level::Warn, Code::IdentityHeaderTooLong, format!("the application does not get {header}: its value is too long"));
    }
    if headers::groups_are_withheld(&account, &config.identity) {
        let message = "the provider does not tell the groups of this person, there are too many; the application gets none";
        visit.note(Level::Warn, Code::IdentityGroupsWithheld, message);
    }
    visit.note(Level::Info, Code::LoginSucceeded, format!("login with provider `{}` succeeded", provider.name));

    let return_to = ReturnTo::parse(&grant.return_to, config.public.redirect_uri()).ok();
    let page = super::login::destination(return_to, config);
    Ok(Progress::Done(Outcome::Respond(Response::redirect(page.as_str(), visit.method))))
}

/// The callback without a response: where providers send the browser after a logout, and nothing else.
fn landing(visit: &mut Visit, context: &mut Context<'_>) -> Response {
    let config = context.config;
    let is_logged_in = context.session(context.sealed(visit).as_ref()).is_some();
    if is_logged_in { Response::redirect(&config.public.home(), visit.method) } else { after_logout(visit, context) }
}

/// Where a logout ends: the configured page; else the first page of an application that can be seen without a login;
/// else a page of ours, for the first page of any other application would start the next login.
pub(super) fn after_logout(visit: &Visit, context: &mut Context<'_>) -> Response {
    let config = context.config;
    match (&config.after_logout, config.admission.login) {
        (Some(page), _) => Response::redirect(page.as_str(), visit.method),
        (None, Login::Optional) => Response::redirect(&config.public.home(), visit.method),
        (None, Login::Required) => pages::signed_out(config, context.entropy),
    }
}

fn form_as_query(form: &[u8], config: &Config) -> Result<Response, Error> {
    // A form that is no response is not handed on, and one that is too long does not become a long address.
    AuthorizationResponse::parse(url::form_urlencoded::parse(form))?;
    let mut url = config.public.redirect_uri().clone();
    let known = |name: &str| ["code", "state", "iss", "error"].contains(&name);
    url.query_pairs_mut().extend_pairs(url::form_urlencoded::parse(form).filter(|(name, _)| known(name)));
    Ok(Response::redirect(&url[url::Position::BeforePath..], "POST"))
}
