//! A logout that a provider tells of, without a browser (OpenID Connect Back-Channel Logout 1.0).
//!
//! 1. Nothing ends without a signature of the provider that the token names, by a key that was fetched from where its metadata
//!    says. Nobody is asked about a token whose issuer or audience is none of the configuration.
//! 2. A token counts once. What it ends began before it was issued, so one that is sent twice at the same time ends no more.
//! 3. With `sid`, this session of the provider's ends; without, every one of `sub` (section 2.7).
//! 4. Success is told only where the host remembers what has ended: on any other, cookies go on.

use serde_json::json;

use super::{Context, Flow, Progress, Visit, login};
use crate::audit::AuditEvent;
use crate::code::Code;
use crate::decision::{Level, Outcome};
use crate::error::Error;
use crate::limit::Counted;
use crate::oidc::cache::{Lookup, Question};
use crate::oidc::error::{Rejected, Rejection};
use crate::oidc::jwks::KeySet;
use crate::oidc::logout_token::{LogoutToken, Unverified};
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::provider::Provider;
use crate::session::{EndedName, is_spent};
use crate::web::http::{OutboundError, OutboundResponse, Request, Response};

/// Logout tokens have some hundred bytes.
const MAX_FORM_BYTES: u32 = 64 * 1024;

/// `POST /.vestibule/backchannel-logout` with `logout_token` (section 2.5).
pub(crate) fn begin(request: &Request<'_>, body: Option<&[u8]>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    visit.allow = "POST";
    // A program sends it, whatever it says that it accepts.
    visit.is_navigation = false;
    if request.method != "POST" {
        return Err(Error::MethodNotAllowed);
    }
    if visit.only_looks {
        return Err(Error::NotVisited);
    }
    if !context.ended.remembers() {
        let message = "a logout by a provider cannot be carried out: this host does not remember which sessions have ended";
        visit.note(Level::Error, Code::LogoutNotRemembered, message);
        return Ok(refused(501, "not_supported", "this host does not remember which sessions have ended", None));
    }
    if !request.is_form() {
        return Ok(malformed(415, "what was posted is not application/x-www-form-urlencoded", visit));
    }
    let Some(form) = body else { return Ok(Progress::Done(Outcome::NeedBody(MAX_FORM_BYTES))) };
    let mut tokens = url::form_urlencoded::parse(form).filter(|(name, _)| name == "logout_token").map(|(_, token)| token);
    let (Some(token), None) = (tokens.next(), tokens.next()) else {
        return Ok(malformed(400, "there is not one parameter logout_token", visit));
    };
    let read = Unverified::parse(token.trim()).and_then(|token| token.providers(&context.config.providers).map(|found| (token, found)));
    match read {
        Ok((token, providers)) => Ok(Notice { token, providers, has_renewed_metadata: false }.next(Unverifiable::Nobody, visit, context)),
        Err(rejection) => Ok(rejected(&rejection, Some(Counted::BadLogoutToken), visit)),
    }
}

/// A token, and the providers that it may be from and that have not been tried.
#[derive(Debug)]
struct Notice {
    token: Unverified,
    providers: Vec<String>,
    /// For the provider that is being tried, because its keys have gone from where they were.
    has_renewed_metadata: bool,
}

/// Why a token cannot be verified by one provider.
#[derive(Debug)]
enum Unverifiable {
    Nobody,
    Rejected(Rejection),
    /// The provider has signed it.
    Unfit(Rejection),
    NoAnswer(String),
}

impl Notice {
    /// Tries the next provider; refuses the token for this reason when there is none.
    fn next(mut self, otherwise: Unverifiable, visit: &mut Visit, context: &mut Context<'_>) -> Progress {
        let Some(provider) = self.providers.pop().and_then(|name| context.config.provider(&name)) else {
            return match otherwise {
                Unverifiable::Rejected(rejection) => rejected(&rejection, Some(Counted::BadLogoutToken), visit),
                Unverifiable::Unfit(rejection) => rejected(&rejection, None, visit),
                Unverifiable::Nobody => unverifiable("no provider is left that it may be from", visit),
                Unverifiable::NoAnswer(why) => unverifiable(&why, visit),
            };
        };
        visit.provider = Some(provider.name.clone());
        context.record_provider(visit, provider);
        self.has_renewed_metadata = false;
        match context.cache.metadata(&provider.name, context.now) {
            Lookup::Fresh(metadata) | Lookup::Paused(Some(metadata)) => self.with_metadata(provider, metadata, visit, context),
            Lookup::Paused(None) => self.next(failed_a_moment_ago(provider), visit, context),
            Lookup::Fetch => {
                let question = context.cache.ask_for_metadata(&provider.name, context.now);
                let expect = ExpectMetadata { notice: self, provider: provider.name.clone(), question, instead: None };
                Progress::Fetch(ProviderMetadata::request(provider), Flow::LogoutMetadata(Box::new(expect)))
            }
        }
    }

    fn with_metadata(self, provider: &Provider, metadata: ProviderMetadata, visit: &mut Visit, context: &mut Context<'_>) -> Progress {
        if !self.token.is_of(&metadata) {
            let rejection = Rejected::Issuer.because("the metadata of its provider names another issuer");
            return self.next(Unverifiable::Rejected(rejection), visit, context);
        }
        match context.cache.keys(&metadata.issuer, &metadata.jwks_uri, context.now) {
            Lookup::Fresh(keys) => self.verify(provider, metadata, &keys, Keys::Known, visit, context),
            Lookup::Paused(Some(keys)) => self.verify(provider, metadata, &keys, Keys::Gone, visit, context),
            Lookup::Paused(None) => self.renew(provider, metadata, failed_a_moment_ago(provider), visit, context),
            Lookup::Fetch => self.fetch_keys(provider, metadata, context),
        }
    }

    /// Where the keys cannot be had from where they were, they may have moved: asks for the metadata again, as a login does.
    fn renew(
        mut self,
        provider: &Provider,
        metadata: ProviderMetadata,
        otherwise: Unverifiable,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Progress {
        if self.has_renewed_metadata {
            return self.next(otherwise, visit, context);
        }
        self.has_renewed_metadata = true;
        // A login, or another token, has found out already.
        if let Lookup::Fresh(newer) = context.cache.metadata(&provider.name, context.now)
            && newer.jwks_uri != metadata.jwks_uri
        {
            return self.with_metadata(provider, newer, visit, context);
        }
        if !context.cache.may_refetch_metadata_for_logout(&provider.name, context.now) {
            return self.next(otherwise, visit, context);
        }
        let message = format!("the keys of provider `{}` for a logout token cannot be had; asking for the metadata again", provider.name);
        visit.note(Level::Warn, Code::MetadataRefetch, message);
        let question = context.cache.ask_for_metadata(&provider.name, context.now);
        let instead = Some(Instead { metadata, otherwise });
        let expect = ExpectMetadata { notice: self, provider: provider.name.clone(), question, instead };
        Progress::Fetch(ProviderMetadata::request(provider), Flow::LogoutMetadata(Box::new(expect)))
    }

    fn fetch_keys(self, provider: &Provider, metadata: ProviderMetadata, context: &mut Context<'_>) -> Progress {
        let question = context.cache.ask_for_keys(&metadata.issuer, &metadata.jwks_uri, context.now);
        let request = KeySet::request(&metadata.jwks_uri);
        let expect = ExpectKeys { notice: self, provider: provider.name.clone(), metadata, question };
        Progress::Fetch(request, Flow::LogoutKeys(Box::new(expect)))
    }

    fn verify(
        self,
        provider: &Provider,
        metadata: ProviderMetadata,
        keys: &KeySet,
        known: Keys,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Progress {
        let rejection = match self.token.verify(&metadata, keys) {
            Ok(signed) => match signed.matched(provider, context.now) {
                Ok(token) => return accept(token, provider, visit, context),
                // It may be for another client of the same issuer.
                Err(rejection) => return self.next(Unverifiable::Unfit(rejection), visit, context),
            },
            Err(rejection) => rejection,
        };
        let (issuer, uri) = (&metadata.issuer, &metadata.jwks_uri);
        let is_curable = matches!(rejection.reason, Rejected::UnknownKey | Rejected::Signature);
        match known {
            Keys::Known if is_curable && context.cache.may_refetch_keys_for_logout(issuer, uri, context.now) => {
                visit.note(Level::Info, Code::KeysRefetch, format!("the logout token does not fit the keys that are known: {rejection}"));
                self.fetch_keys(provider, metadata, context)
            }
            // Another question has been answered meanwhile, and later.
            Keys::Answered(question) if is_curable && let Some(keys) = context.cache.later_keys(issuer, uri, question, context.now) => {
                self.verify(provider, metadata, &keys, Keys::Settled, visit, context)
            }
            Keys::Gone if is_curable => self.renew(provider, metadata, Unverifiable::Rejected(rejection), visit, context),
            _ => self.next(Unverifiable::Rejected(rejection), visit, context),
        }
    }
}

/// How the keys were come by.
#[derive(Clone, Copy)]
enum Keys {
    /// They were known, and may be older than the token.
    Known,
    /// They were asked for with this token.
    Answered(Question),
    /// They are not asked for any more.
    Settled,
    /// They are older ones, since those of now cannot be had from where they were.
    Gone,
}

/// Waits for the metadata of a provider that a logout token may be from.
#[derive(Debug)]
pub(crate) struct ExpectMetadata {
    notice: Notice,
    provider: String,
    question: Question,
    /// What is known already, where newer metadata is asked for.
    instead: Option<Instead>,
}

#[derive(Debug)]
struct Instead {
    metadata: ProviderMetadata,
    /// What stands where the keys have not moved.
    otherwise: Unverifiable,
}

impl ExpectMetadata {
    pub(super) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let Self { notice, provider, question, instead } = self;
        let provider = context.config.provider(&provider).ok_or(Error::UnknownProvider)?;
        let received = login::receive_metadata(provider, question, answer, visit, context);
        Ok(match (received, instead) {
            (Ok(metadata), Some(instead)) if metadata.jwks_uri == instead.metadata.jwks_uri => {
                notice.next(instead.otherwise, visit, context)
            }
            (Ok(metadata), _) => notice.with_metadata(provider, metadata, visit, context),
            (Err(error), _) => notice.next(Unverifiable::NoAnswer(error.to_string()), visit, context),
        })
    }
}

/// Waits for the keys of the provider that a logout token is from.
#[derive(Debug)]
pub(crate) struct ExpectKeys {
    notice: Notice,
    provider: String,
    metadata: ProviderMetadata,
    question: Question,
}

impl ExpectKeys {
    pub(super) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let Self { notice, provider, metadata, question } = self;
        let provider = context.config.provider(&provider).ok_or(Error::UnknownProvider)?;
        let (issuer, uri) = (&metadata.issuer, &metadata.jwks_uri);
        let (keys, known) = match KeySet::parse(answer, provider) {
            Ok(keys) => {
                context.cache.store_keys(issuer, uri, question, keys.clone(), context.now);
                (keys, Keys::Answered(question))
            }
            Err(error) => {
                let is_gone = error.is_gone();
                match context.cache.keys_failed(issuer, uri, question, error.failure(), context.now) {
                    Some(keys) => (keys, if is_gone { Keys::Gone } else { Keys::Settled }),
                    None if is_gone => {
                        return Ok(notice.renew(provider, metadata, Unverifiable::NoAnswer(error.to_string()), visit, context));
                    }
                    None => return Ok(notice.next(Unverifiable::NoAnswer(error.to_string()), visit, context)),
                }
            }
        };
        Ok(notice.verify(provider, metadata, &keys, known, visit, context))
    }
}

/// The provider has signed the token, and it fits.
fn accept(token: LogoutToken, provider: &Provider, visit: &mut Visit, context: &mut Context<'_>) -> Progress {
    if is_spent(context.ended, &token.issuer, &token.jti) {
        return rejected(&Rejected::Spent.into(), None, visit);
    }
    let LogoutToken { issuer, sub, sid, jti, logged_out_at, expires_at } = token;
    let lifetime = &context.config.sessions.lifetime;
    visit.ended_sessions.push(EndedName::logout_token(&issuer, &jti, context.now, expires_at));
    match (&sid, &sub) {
        (Some(sid), sub) => {
            visit.ended_sessions.push(EndedName::provider_session(&issuer, sid, logged_out_at, lifetime));
            // Of a session whose ID token had no `sid`, nobody can tell that it is another one.
            let unnamed = sub.as_ref().map(|sub| EndedName::unnamed_sessions(&issuer, sub, logged_out_at, lifetime));
            visit.ended_sessions.extend(unnamed);
        }
        (None, Some(sub)) => visit.ended_sessions.push(EndedName::account(&issuer, sub, logged_out_at, lifetime)),
        (None, None) => {}
    }
    let what = if sid.is_some() { "one session of a user" } else { "every session of a user" };
    visit.note(Level::Info, Code::LogoutByProvider, format!("provider `{}` has logged out {what}", provider.name));
    visit.audited_as = Some(AuditEvent::Logout);
    if context.config.log_subjects {
        visit.subject.clone_from(&sub);
        if context.config.audit.is_some() {
            visit.person.subject = sub;
        }
    }
    Progress::Done(Outcome::Respond(Response { status: 200, ..Response::default() }.with("cache-control", "no-store")))
}

fn failed_a_moment_ago(provider: &Provider) -> Unverifiable {
    Unverifiable::NoAnswer(format!("provider `{}` failed a moment ago", provider.name))
}

fn malformed(status: u16, description: &'static str, visit: &mut Visit) -> Progress {
    visit.note(Level::Warn, Code::LogoutMalformed, description);
    refused(status, "invalid_request", description, Some(Counted::BadLogoutToken))
}

fn rejected(rejection: &Rejection, counts_as: Option<Counted>, visit: &mut Visit) -> Progress {
    visit.note(Level::Warn, rejection.reason.code_of_logout(), format!("a logout token is rejected: {rejection}"));
    // Nothing of the token's or of the configuration's.
    refused(400, "invalid_request", &format!("the logout token is rejected: {}", rejection.reason), counts_as)
}

fn unverifiable(why: &str, visit: &mut Visit) -> Progress {
    visit.note(Level::Error, Code::LogoutUnverifiable, format!("a logout token cannot be verified: {why}"));
    refused(400, "temporarily_unavailable", "the provider's metadata or keys cannot be had now", Some(Counted::BadLogoutToken))
}

/// Section 2.8.
fn refused(status: u16, error: &str, description: &str, counts_as: Option<Counted>) -> Progress {
    let body = json!({ "error": error, "error_description": description }).to_string().into_bytes();
    let response = Response { status, body, counts_as, ..Response::default() };
    Progress::Done(Outcome::Respond(response.with("content-type", "application/json").with("cache-control", "no-store")))
}
