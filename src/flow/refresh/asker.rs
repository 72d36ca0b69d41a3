//! The requests to the provider in one refresh: metadata where it is not known, the tokens, keys, userinfo.

use super::renewal::{Cause, Renewal, Then};
use crate::code::Code;
use crate::decision::Level;
use crate::flow::{Context, Visit, login};
use crate::oidc::cache::{Lookup, Question};
use crate::oidc::error::{self as oidc, Endpoint, Rejected, Rejection};
use crate::oidc::id_token::{IdTokenVerifier, Identity, Occasion, VerifiedIdToken};
use crate::oidc::jwks::KeySet;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::provider::Provider;
use crate::oidc::refresh::{self, RefreshResponse, Refused};
use crate::oidc::token::{self, CredentialForm};
use crate::oidc::userinfo::{self, SignedUserinfo, UserinfoVerifier};
use crate::session::{RefreshToken, Session};
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};

/// What has been tried in this refresh: each is tried once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Course {
    credentials: CredentialForm,
    has_changed_credentials: bool,
    has_asked_for_keys: bool,
    /// The keys are older ones, since those of now cannot be had from where they were.
    keys_are_gone: bool,
    pub(super) has_renewed_metadata: bool,
}

impl Course {
    pub(super) fn new(credentials: CredentialForm) -> Self {
        Self { credentials, ..Self::default() }
    }
}

#[derive(Debug)]
pub(super) enum Awaited {
    Metadata(Question),
    Tokens(ProviderMetadata),
    Keys(Issued, Question),
    Userinfo(Issued, VerifiedIdToken),
    UserinfoKeys(Issued, VerifiedIdToken, SignedUserinfo, Question),
    Renewal(Renewal, Question),
}

/// A token response, and the metadata that it was asked for with.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) metadata: ProviderMetadata,
    pub(super) tokens: RefreshResponse,
}

pub(super) enum Next {
    Ask(OutboundRequest, Box<Awaited>),
    Over(End),
}

/// What a refresh comes to.
pub(super) enum End {
    Refreshed(RefreshResponse, Learned),
    Disowned,
    /// Tokens that are not for this session.
    Rejected(Rejection),
    Failed(oidc::Error),
}

/// Of the account.
pub(super) enum Learned {
    /// The provider has issued tokens, and said nothing else.
    NothingElse,
    Claims(Identity),
    /// It was asked, and its answer could not be had.
    Unknown(oidc::Error),
}

/// One step of a refresh.
pub(super) struct Asker<'a> {
    pub(super) provider: &'a Provider,
    pub(super) session: &'a Session<'a>,
    pub(super) token: &'a RefreshToken,
    pub(super) course: &'a mut Course,
}

impl Asker<'_> {
    pub(super) fn next(
        &mut self,
        awaited: Awaited,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Next {
        match awaited {
            Awaited::Metadata(question) => match login::receive_metadata(self.provider, question, answer, visit, context) {
                Ok(metadata) => self.ask_for_tokens(metadata),
                Err(error) => Next::Over(End::Failed(error)),
            },
            Awaited::Tokens(metadata) => self.receive_tokens(metadata, answer, visit, context),
            Awaited::Keys(issued, question) => match self.receive_keys(question, answer, &issued.metadata, context) {
                Ok(keys) => self.verify(issued, &keys, visit, context),
                Err(error) => self.failed(issued, Then::Keys, error, visit, context),
            },
            Awaited::Userinfo(issued, proof) => match userinfo::parse(answer, &issued.tokens.access_token, &proof, self.provider) {
                Ok(userinfo::Response::Told(told)) => learned(issued, userinfo::complete(proof, told)),
                Ok(userinfo::Response::Signed(response)) => self.with_userinfo_keys(issued, proof, response, visit, context),
                // The provider does not tell about this account any more.
                Err(oidc::Error::Status { status: 401 | 403, .. }) => Next::Over(End::Disowned),
                Err(error) => self.failed(issued, |tokens| Then::Userinfo(tokens, proof), error, visit, context),
            },
            Awaited::UserinfoKeys(issued, proof, response, question) => {
                match self.receive_keys(question, answer, &issued.metadata, context) {
                    Ok(keys) => self.verify_userinfo(issued, proof, response, &keys, visit, context),
                    Err(error) => self.failed(issued, |tokens| Then::UserinfoKeys(tokens, proof, response), error, visit, context),
                }
            }
            Awaited::Renewal(renewal, question) => self.receive_newer_metadata(renewal, question, answer, visit, context),
        }
    }

    /// Tokens are there, and what is asked for beside them is not.
    fn failed(
        &mut self,
        issued: Issued,
        then: impl FnOnce(RefreshResponse) -> Then,
        error: oidc::Error,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Next {
        if !error.is_gone() {
            return unknown(issued, error);
        }
        let Issued { metadata: known, tokens } = issued;
        self.renew(Renewal { known, then: then(tokens), cause: Cause::Failed(error) }, visit, context)
    }

    pub(super) fn ask_for_tokens(&self, metadata: ProviderMetadata) -> Next {
        let request = refresh::request(&self.token.0, &metadata, self.provider, self.course.credentials);
        Next::Ask(request, Box::new(Awaited::Tokens(metadata)))
    }

    fn receive_tokens(
        &mut self,
        metadata: ProviderMetadata,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Next {
        if token::is_invalid_client(&answer)
            && !self.course.has_changed_credentials
            && let Some(credentials) = self.course.credentials.other(metadata.client_authentication, self.provider)
        {
            *self.course = Course { credentials, has_changed_credentials: true, ..*self.course };
            return self.ask_for_tokens(metadata);
        }
        let tokens = match RefreshResponse::parse(answer, self.provider, &self.token.0) {
            Ok(tokens) => tokens,
            Err(Refused::Disowned) => return Next::Over(End::Disowned),
            Err(Refused::Failed(error)) => {
                let is_gone = error.is_gone();
                let renewal = Renewal { known: metadata, then: Then::Tokens, cause: Cause::Failed(error) };
                return if is_gone { self.renew(renewal, visit, context) } else { self.over(renewal.then, renewal.cause, context) };
            }
        };
        if self.course.has_changed_credentials {
            context.cache.habits_mut(&self.provider.name).credentials = self.course.credentials;
            let message = format!("provider `{}` reads client credentials in HTTP Basic {}", self.provider.name, self.course.credentials);
            visit.note(Level::Info, Code::TokenCredentialForm, message);
        }
        let issued = Issued { metadata, tokens };
        if issued.tokens.id_token.is_none() {
            return Next::Over(End::Refreshed(issued.tokens, Learned::NothingElse));
        }
        self.with_keys(issued, visit, context)
    }

    /// Takes the keys that are known, or asks for them.
    pub(super) fn with_keys(&mut self, issued: Issued, visit: &mut Visit, context: &mut Context<'_>) -> Next {
        match self.known_keys(&issued.metadata, context) {
            Ok(Some(keys)) => self.verify(issued, &keys, visit, context),
            Ok(None) => self.ask_for_keys(issued, context),
            Err(error) => self.failed(issued, Then::Keys, error, visit, context),
        }
    }

    /// The same for a signed userinfo response.
    pub(super) fn with_userinfo_keys(
        &mut self,
        issued: Issued,
        proof: VerifiedIdToken,
        response: SignedUserinfo,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Next {
        match self.known_keys(&issued.metadata, context) {
            Ok(Some(keys)) => self.verify_userinfo(issued, proof, response, &keys, visit, context),
            Ok(None) => self.ask_for_userinfo_keys(issued, proof, response, context),
            Err(error) => self.failed(issued, |tokens| Then::UserinfoKeys(tokens, proof, response), error, visit, context),
        }
    }

    /// The keys that are known; `None` when they have to be asked for.
    fn known_keys(&mut self, metadata: &ProviderMetadata, context: &Context<'_>) -> Result<Option<KeySet>, oidc::Error> {
        self.course.keys_are_gone = false;
        match context.cache.keys(&metadata.issuer, &metadata.jwks_uri, context.now) {
            Lookup::Fresh(keys) => Ok(Some(keys)),
            Lookup::Paused(Some(keys)) => {
                self.course.keys_are_gone = true;
                Ok(Some(keys))
            }
            Lookup::Fetch => Ok(None),
            Lookup::Paused(None) => {
                let error = OutboundError::Unreachable("it failed a moment ago".into());
                Err(oidc::Error::Unreachable { provider: self.provider.name.clone(), what: Endpoint::Keys, error })
            }
        }
    }

    fn ask_for_keys(&mut self, issued: Issued, context: &mut Context<'_>) -> Next {
        self.course.has_asked_for_keys = true;
        let question = context.cache.ask_for_keys(&issued.metadata.issuer, &issued.metadata.jwks_uri, context.now);
        Next::Ask(KeySet::request(&issued.metadata.jwks_uri), Box::new(Awaited::Keys(issued, question)))
    }

    fn ask_for_userinfo_keys(
        &mut self,
        issued: Issued,
        proof: VerifiedIdToken,
        response: SignedUserinfo,
        context: &mut Context<'_>,
    ) -> Next {
        self.course.has_asked_for_keys = true;
        let question = context.cache.ask_for_keys(&issued.metadata.issuer, &issued.metadata.jwks_uri, context.now);
        Next::Ask(KeySet::request(&issued.metadata.jwks_uri), Box::new(Awaited::UserinfoKeys(issued, proof, response, question)))
    }

    fn receive_keys(
        &mut self,
        question: Question,
        answer: Result<OutboundResponse, OutboundError>,
        metadata: &ProviderMetadata,
        context: &mut Context<'_>,
    ) -> Result<KeySet, oidc::Error> {
        match KeySet::parse(answer, self.provider) {
            Ok(keys) => {
                context.cache.store_keys(&metadata.issuer, &metadata.jwks_uri, question, keys.clone(), context.now);
                Ok(keys)
            }
            Err(error) => {
                let is_gone = error.is_gone();
                let known = context.cache.keys_failed(&metadata.issuer, &metadata.jwks_uri, question, error.failure(), context.now);
                self.course.keys_are_gone = known.is_some() && is_gone;
                known.ok_or(error)
            }
        }
    }

    fn verify(&mut self, issued: Issued, keys: &KeySet, visit: &mut Visit, context: &mut Context<'_>) -> Next {
        let Issued { metadata, tokens } = &issued;
        let Some(id_token) = &tokens.id_token else { return Next::Over(End::Refreshed(issued.tokens, Learned::NothingElse)) };
        let verifier = IdTokenVerifier {
            provider: self.provider,
            issuer: &metadata.issuer,
            algorithms: metadata.signing_algorithms.as_deref(),
            requested_at: self.session.requested_at(),
            keys,
            occasion: Occasion::Refresh { login: self.session.claims().whole() },
            access_token: &tokens.access_token,
        };
        match verifier.verify(id_token, context.now) {
            Ok(proof) => self.ask_for_userinfo(issued, proof),
            Err(rejection) if self.may_ask_for_keys(rejection.reason, metadata, context) => {
                visit.note(Level::Info, Code::KeysRefetch, format!("the ID token does not fit the keys that are known: {rejection}"));
                self.ask_for_keys(issued, context)
            }
            Err(rejection) if self.course.keys_are_gone && is_about_keys(rejection.reason) => {
                let Issued { metadata: known, tokens } = issued;
                self.renew(Renewal { known, then: Then::Keys(tokens), cause: Cause::Rejected(rejection) }, visit, context)
            }
            Err(rejection) => Next::Over(End::Rejected(rejection)),
        }
    }

    /// Where that is configured, and the provider has such an endpoint.
    pub(super) fn ask_for_userinfo(&self, issued: Issued, proof: VerifiedIdToken) -> Next {
        match issued.metadata.userinfo_endpoint.as_ref().filter(|_| self.provider.userinfo) {
            Some(endpoint) => {
                Next::Ask(userinfo::request(endpoint, &issued.tokens.access_token), Box::new(Awaited::Userinfo(issued, proof)))
            }
            None => learned(issued, proof.into_identity()),
        }
    }

    fn verify_userinfo(
        &mut self,
        issued: Issued,
        proof: VerifiedIdToken,
        response: SignedUserinfo,
        keys: &KeySet,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Next {
        let verifier = UserinfoVerifier { provider: self.provider, metadata: &issued.metadata, keys, token: &proof };
        match verifier.verify(&response, context.now) {
            Ok(told) => learned(issued, userinfo::complete(proof, told)),
            Err(rejection) if self.may_ask_for_keys(rejection.reason, &issued.metadata, context) => {
                self.ask_for_userinfo_keys(issued, proof, response, context)
            }
            Err(rejection) if self.course.keys_are_gone && is_about_keys(rejection.reason) => {
                let cause = Cause::Failed(userinfo::rejected(&rejection, self.provider));
                let Issued { metadata: known, tokens } = issued;
                self.renew(Renewal { known, then: Then::UserinfoKeys(tokens, proof, response), cause }, visit, context)
            }
            Err(rejection) => unknown(issued, userinfo::rejected(&rejection, self.provider)),
        }
    }

    fn may_ask_for_keys(&self, reason: Rejected, metadata: &ProviderMetadata, context: &mut Context<'_>) -> bool {
        is_about_keys(reason)
            && !self.course.has_asked_for_keys
            && context.cache.may_refetch_keys(&metadata.issuer, &metadata.jwks_uri, context.now)
    }
}

/// Whether other keys can cure it.
fn is_about_keys(reason: Rejected) -> bool {
    matches!(reason, Rejected::UnknownKey | Rejected::Signature)
}

fn learned(issued: Issued, identity: Identity) -> Next {
    Next::Over(End::Refreshed(issued.tokens, Learned::Claims(identity)))
}

fn unknown(issued: Issued, error: oidc::Error) -> Next {
    Next::Over(End::Refreshed(issued.tokens, Learned::Unknown(error)))
}
