//! What the userinfo endpoint adds to a login: told as it is, or in a signed response, whose keys are those of ID tokens.

use super::{Course, Renewal, Then, ask_for_keys, establish, known_keys, later_keys, may_refetch, received_keys, renew};
use crate::code::Code;
use crate::decision::Level;
use crate::error::Error;
use crate::flow::{Context, Flow, Progress, Visit, login};
use crate::oidc::cache::Question;
use crate::oidc::grant::AuthorizationGrant;
use crate::oidc::id_token::VerifiedIdToken;
use crate::oidc::jwks::KeySet;
use crate::oidc::provider::Provider;
use crate::oidc::token::TokenResponse;
use crate::oidc::userinfo::{self, Response, SignedUserinfo, UserinfoVerifier};
use crate::web::http::{OutboundError, OutboundResponse};

/// Waits for the userinfo response.
#[derive(Debug)]
pub(crate) struct ExpectUserinfo {
    grant: AuthorizationGrant,
    course: Course,
    tokens: TokenResponse,
    proof: VerifiedIdToken,
}

pub(super) fn fetch(
    grant: AuthorizationGrant,
    course: Course,
    tokens: TokenResponse,
    proof: VerifiedIdToken,
    provider: &Provider,
) -> Result<Progress, Error> {
    let Some(endpoint) = &grant.metadata.userinfo_endpoint else {
        return Err(login::lacks_userinfo(provider, "there is no userinfo_endpoint that can be used").into());
    };
    let request = userinfo::request(endpoint, &tokens.access_token);
    Ok(Progress::Fetch(request, Flow::Userinfo(Box::new(ExpectUserinfo { grant, course, tokens, proof }))))
}

impl ExpectUserinfo {
    pub(in crate::flow) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let provider = context.config.provider(&self.grant.provider).ok_or(Error::UnknownProvider)?;
        let Self { grant, mut course, tokens, proof } = self;
        let response = match userinfo::parse(answer, &tokens.access_token, &proof, provider) {
            Ok(Response::Told(told)) => return establish(&grant, tokens, userinfo::complete(proof, told), provider, visit, context),
            Ok(Response::Signed(response)) => response,
            Err(error) => return renew(Renewal { grant, course, then: Then::Userinfo(tokens, proof), cause: error }, visit, context),
        };
        let keys = known_keys(&grant, &mut course, visit, context)?;
        let unverified = Unverified { grant, course, tokens, proof, response };
        match keys {
            Some(keys) => unverified.verify(&keys, provider, visit, context),
            None => Ok(unverified.fetch(context)),
        }
    }
}

/// Waits for the provider's keys, with a signed response.
#[derive(Debug)]
pub(crate) struct ExpectUserinfoKeys {
    unverified: Unverified,
    question: Question,
}

/// A signed response, and all that it is verified for.
#[derive(Debug)]
struct Unverified {
    grant: AuthorizationGrant,
    course: Course,
    tokens: TokenResponse,
    proof: VerifiedIdToken,
    response: SignedUserinfo,
}

impl ExpectUserinfoKeys {
    pub(in crate::flow) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let Self { mut unverified, question } = self;
        let provider = context.config.provider(&unverified.grant.provider).ok_or(Error::UnknownProvider)?;
        let keys = received_keys(question, answer, &unverified.grant, &mut unverified.course, provider, visit, context)?;
        unverified.verify(&keys, provider, visit, context)
    }
}

impl Unverified {
    fn fetch(mut self, context: &mut Context<'_>) -> Progress {
        self.course = self.course.asking_for_keys();
        let (request, question) = ask_for_keys(&self.grant, context);
        Progress::Fetch(request, Flow::UserinfoKeys(Box::new(ExpectUserinfoKeys { unverified: self, question })))
    }

    fn verify(mut self, keys: &KeySet, provider: &Provider, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
        let metadata = &self.grant.metadata;
        let verifier = UserinfoVerifier { provider, metadata, keys, token: &self.proof };
        match verifier.verify(&self.response, context.now) {
            Ok(told) => establish(&self.grant, self.tokens, userinfo::complete(self.proof, told), provider, visit, context),
            Err(rejection) if let Some(keys) = later_keys(rejection.reason, &mut self.course, metadata, context) => {
                self.verify(&keys, provider, visit, context)
            }
            Err(rejection) if may_refetch(&rejection, self.course.keys, metadata, context) => {
                let message = format!("the userinfo response does not fit the keys that are known: {rejection}");
                visit.note(Level::Info, Code::KeysRefetch, message);
                Ok(self.fetch(context))
            }
            Err(rejection) => Err(userinfo::rejected(&rejection, provider).into()),
        }
    }
}
