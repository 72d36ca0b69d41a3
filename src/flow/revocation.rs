//! The tokens of a session whose user logs out are revoked at the provider (RFC 7009), once the user has the answer.
//!
//! 1. What is revoked is at hand: the refresh token of the browser's cookies, or else the access token that the application received.
//!    What ends a session without its cookies (another browser's logout everywhere, a provider, an operator) revokes nothing.
//! 2. The user waits for none of it. A failure is logged, and is not tried again: the session is over here all the same.

use super::{Context, Visit};
use crate::code::Code;
use crate::decision::{Afterwards, Event, Level};
use crate::oidc::cache::Lookup;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::provider::Provider;
use crate::oidc::revocation::{Awaited, Revocable, Revocation};
use crate::oidc::token;
use crate::session::{ExposeTokens, RefreshToken, Session};
use crate::web::http::{OutboundError, OutboundResponse};

/// What of this session's tokens is to be revoked.
pub(super) fn of_session(session: &Session<'_>, visit: &Visit, context: &Context<'_>) -> Option<Revocable> {
    if let Some(RefreshToken(token)) = RefreshToken::open(&visit.jar, session, &context.config.sessions) {
        return Some(Revocable::refresh_token(token));
    }
    let tokens = context.tokens(visit, session, ExposeTokens::ACCESS)?;
    tokens.access_token.map(Revocable::access_token)
}

/// Has a token revoked after the answer to this visit. `metadata`: where the visit knows it.
pub(super) fn begin(
    revocable: Option<Revocable>,
    provider: &Provider,
    metadata: Option<&ProviderMetadata>,
    visit: &mut Visit,
    context: &mut Context<'_>,
) {
    let Some(revocable) = revocable else { return };
    let revocation = |revocable, awaited, visit: &Visit| {
        let (provider, subject) = (provider.name.clone(), visit.subject.clone());
        Revocation { provider, revocable, subject, awaited }
    };
    let known = match metadata {
        Some(metadata) => metadata.clone(),
        None => match context.cache.metadata(&provider.name, context.now) {
            Lookup::Fresh(metadata) | Lookup::Paused(Some(metadata)) => metadata,
            Lookup::Fetch => {
                let question = context.cache.ask_for_metadata(&provider.name, context.now);
                let revocation = revocation(revocable, Awaited::Metadata(question), visit);
                visit.afterwards = Some(Afterwards { request: ProviderMetadata::request(provider), revocation });
                return;
            }
            Lookup::Paused(None) => {
                let message = format!("the {} is not revoked: the metadata could not be fetched a moment ago", revocable.name());
                visit.note(Level::Warn, Code::LogoutNotRevoked, message);
                return;
            }
        },
    };
    let credentials = context.cache.habits(&provider.name).credentials;
    if let Some(request) = revocable.request(&known, provider, credentials) {
        let awaited = Awaited::Answer { metadata: Box::new(known), credentials, has_changed_credentials: false };
        visit.afterwards = Some(Afterwards { request, revocation: revocation(revocable, awaited, visit) });
    }
}

/// With an answer of the provider: what there is to say, and what is to be sent next.
pub(crate) fn go_on(
    revocation: Revocation,
    answer: Result<OutboundResponse, OutboundError>,
    context: &mut Context<'_>,
) -> (Vec<Event>, Option<Afterwards>) {
    let Revocation { provider: name, revocable, subject, awaited } = revocation;
    let event = |level, code, message: String| {
        let event = Event { provider: Some(name.clone()), subject: subject.clone(), ..Event::new(level, code, message) };
        (vec![event], None)
    };
    let not_revoked = |level, why: &dyn std::fmt::Display| {
        event(level, Code::LogoutNotRevoked, format!("the {} of a session that was logged out is not revoked: {why}", revocable.name()))
    };
    let Some(provider) = context.config.provider(&name) else { return not_revoked(Level::Warn, &"the provider is not configured") };
    let (metadata, credentials, has_changed_credentials) = match awaited {
        Awaited::Metadata(question) => {
            let metadata = match ProviderMetadata::parse(answer, provider) {
                Ok(metadata) => {
                    context.cache.store_metadata(&provider.name, question, metadata.clone(), context.now);
                    metadata
                }
                Err(error) => match context.cache.metadata_failed(&provider.name, question, error.failure(), context.now) {
                    Some(stale) => stale,
                    None => return not_revoked(Level::Warn, &error),
                },
            };
            (Box::new(metadata), context.cache.habits(&provider.name).credentials, false)
        }
        Awaited::Answer { metadata, credentials, has_changed_credentials } => {
            let other = credentials.other(metadata.client_authentication, provider);
            match other.filter(|_| token::is_invalid_client(&answer) && !has_changed_credentials) {
                Some(other) => (metadata, other, true),
                None => {
                    // A provider may have access tokens that nothing but time ends (RFC 7009 section 2.2.1).
                    let is_unsupported = token::error_code(&answer).is_some_and(|code| code == "unsupported_token_type");
                    return match revocable.parse(answer, provider) {
                        Ok(()) => {
                            let message = format!("the {} of a session that was logged out is revoked", revocable.name());
                            event(Level::Info, Code::LogoutRevoked, message)
                        }
                        Err(error) if is_unsupported => not_revoked(Level::Info, &error),
                        Err(error) => not_revoked(Level::Warn, &error),
                    };
                }
            }
        }
    };
    let Some(request) = revocable.request(&metadata, provider, credentials) else { return (vec![], None) };
    let awaited = Awaited::Answer { metadata, credentials, has_changed_credentials };
    (vec![], Some(Afterwards { request, revocation: Revocation { provider: name.clone(), revocable, subject: subject.clone(), awaited } }))
}
