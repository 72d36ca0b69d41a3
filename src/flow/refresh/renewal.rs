//! A refresh whose endpoint has gone: the provider may have moved it, and tells so in its metadata, which is asked for again. How
//! often is that of logins (`oidc::cache`).

use super::asker::{Asker, Awaited, End, Issued, Learned, Next};
use crate::code::Code;
use crate::decision::Level;
use crate::flow::{Context, Visit};
use crate::oidc::cache::{Lookup, Question};
use crate::oidc::error::{self as oidc, Endpoint, Failure, Rejection};
use crate::oidc::id_token::VerifiedIdToken;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::refresh::RefreshResponse;
use crate::oidc::userinfo::SignedUserinfo;
use crate::web::http::{OutboundError, OutboundResponse};

/// What goes on with newer metadata.
#[derive(Debug)]
pub(super) struct Renewal {
    pub(super) known: ProviderMetadata,
    pub(super) then: Then,
    pub(super) cause: Cause,
}

#[derive(Debug)]
pub(super) enum Then {
    Tokens,
    Keys(RefreshResponse),
    Userinfo(RefreshResponse, VerifiedIdToken),
    UserinfoKeys(RefreshResponse, VerifiedIdToken, SignedUserinfo),
}

/// What stands where nothing has moved.
#[derive(Debug)]
pub(super) enum Cause {
    Failed(oidc::Error),
    Rejected(Rejection),
}

impl Cause {
    fn words(&self) -> String {
        match self {
            Self::Failed(error) => error.to_string(),
            Self::Rejected(rejection) => format!("the ID token does not fit the keys that are known: {rejection}"),
        }
    }
}

impl Renewal {
    /// A refresh token that has been sent to an endpoint is not sent there again.
    fn has_moved(&self, metadata: &ProviderMetadata) -> bool {
        let known = &self.known;
        match self.then {
            Then::Tokens => metadata.token_endpoint != known.token_endpoint,
            Then::Keys(_) | Then::UserinfoKeys(..) => metadata.jwks_uri != known.jwks_uri,
            Then::Userinfo(..) => metadata.userinfo_endpoint.is_some() && metadata.userinfo_endpoint != known.userinfo_endpoint,
        }
    }
}

impl Asker<'_> {
    /// Asks for the metadata again, once in a refresh; else the cause stands.
    pub(super) fn renew(&mut self, renewal: Renewal, visit: &mut Visit, context: &mut Context<'_>) -> Next {
        let name = &self.provider.name;
        if self.course.has_renewed_metadata {
            return self.over(renewal.then, renewal.cause, context);
        }
        self.course.has_renewed_metadata = true;
        // A login, or another refresh, has found out already.
        if let Lookup::Fresh(newer) = context.cache.metadata(name, context.now)
            && renewal.has_moved(&newer)
        {
            return self.go_on(renewal, newer, visit, context);
        }
        if !context.cache.may_refetch_metadata(name, context.now) {
            return self.over(renewal.then, renewal.cause, context);
        }
        visit.note(Level::Warn, Code::MetadataRefetch, format!("{}; asking for the metadata again", renewal.cause.words()));
        let question = context.cache.ask_for_metadata(name, context.now);
        Next::Ask(ProviderMetadata::request(self.provider), Box::new(Awaited::Renewal(renewal, question)))
    }

    pub(super) fn receive_newer_metadata(
        &mut self,
        renewal: Renewal,
        question: Question,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Next {
        match ProviderMetadata::parse(answer, self.provider) {
            Ok(metadata) => {
                context.cache.store_metadata(&self.provider.name, question, metadata.clone(), context.now);
                self.go_on(renewal, metadata, visit, context)
            }
            Err(error) => {
                context.cache.metadata_failed(&self.provider.name, question, error.failure(), context.now);
                // What the provider says of itself now is the news; that it says nothing is none.
                let is_news = error.failure() == Failure::Unacceptable;
                self.over(renewal.then, if is_news { Cause::Failed(error) } else { renewal.cause }, context)
            }
        }
    }

    fn go_on(&mut self, renewal: Renewal, metadata: ProviderMetadata, visit: &mut Visit, context: &mut Context<'_>) -> Next {
        let known = &renewal.known.issuer;
        // The tokens are of the issuer that was asked.
        if metadata.issuer != *known {
            let fault = format!("its issuer was `{}`, and is now `{}`", oidc::shown(known), oidc::shown(&metadata.issuer));
            let error = oidc::Error::Answer { provider: self.provider.name.clone(), what: Endpoint::Metadata, fault };
            return self.over(renewal.then, Cause::Failed(error), context);
        }
        if !renewal.has_moved(&metadata) {
            return self.over(renewal.then, renewal.cause, context);
        }
        match renewal.then {
            Then::Tokens => self.ask_for_tokens(metadata),
            Then::Keys(tokens) => self.with_keys(Issued { metadata, tokens }, visit, context),
            Then::Userinfo(tokens, proof) => self.ask_for_userinfo(Issued { metadata, tokens }, proof),
            Then::UserinfoKeys(tokens, proof, response) => {
                self.with_userinfo_keys(Issued { metadata, tokens }, proof, response, visit, context)
            }
        }
    }

    /// Nothing has moved.
    pub(super) fn over(&self, then: Then, cause: Cause, context: &mut Context<'_>) -> Next {
        Next::Over(match (then, cause) {
            (_, Cause::Rejected(rejection)) => End::Rejected(rejection),
            (Then::Tokens, Cause::Failed(error)) => {
                if error.failure() == Failure::Unavailable || error.is_gone() {
                    context.cache.refresh_failed(&self.provider.name, context.now);
                }
                End::Failed(error)
            }
            (Then::Keys(tokens) | Then::Userinfo(tokens, _) | Then::UserinfoKeys(tokens, ..), Cause::Failed(error)) => {
                End::Refreshed(tokens, Learned::Unknown(error))
            }
        })
    }
}
