//! Authorization codes and access tokens.

use std::collections::HashMap;
use std::time::Duration;

use crate::opaque::opaque;
use crate::sign_on::SignOn;

/// What RFC 6749 section 4.1.2 recommends at most: tests have hundreds of codes before they use the first.
const CODE_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// What an authorization code stands for.
#[derive(Debug, Clone)]
pub(crate) struct CodeGrant {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) code_challenge: String,
    pub(crate) scope: String,
    pub(crate) nonce: Option<String>,
    pub(crate) sign_on: SignOn,
}

/// What an access token allows.
#[derive(Debug, Clone)]
pub(crate) struct AccessGrant {
    pub(crate) sub: String,
    pub(crate) scope: String,
}

/// Everything handed out that is still worth something. Times are Unix seconds.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    codes: HashMap<String, Code>,
    access_tokens: HashMap<String, (AccessGrant, u64)>,
}

#[derive(Debug)]
struct Code {
    grant: Option<CodeGrant>,
    access_token: Option<String>,
    expires_at: u64,
}

impl Grants {
    pub(crate) fn issue_code(&mut self, grant: CodeGrant, now: u64) -> String {
        self.codes.retain(|_, code| now < code.expires_at);
        let code = opaque();
        let expires_at = now.saturating_add(CODE_LIFETIME.as_secs());
        self.codes.insert(code.clone(), Code { grant: Some(grant), access_token: None, expires_at });
        code
    }

    /// Gives the grant once. A code that comes a second time also revokes the access token that it got the first time
    /// (RFC 6749 section 4.1.2).
    pub(crate) fn redeem(&mut self, code: &str, now: u64) -> Option<CodeGrant> {
        let known = self.codes.get_mut(code).filter(|known| now < known.expires_at)?;
        let grant = known.grant.take();
        if grant.is_none()
            && let Some(token) = known.access_token.take()
        {
            self.access_tokens.remove(&token);
        }
        grant
    }

    pub(crate) fn issue_access_token(&mut self, code: Option<&str>, grant: AccessGrant, now: u64, lifetime: Duration) -> String {
        self.access_tokens.retain(|_, (_, expires_at)| now < *expires_at);
        let token = opaque();
        self.access_tokens.insert(token.clone(), (grant, now.saturating_add(lifetime.as_secs())));
        if let Some(code) = code.and_then(|code| self.codes.get_mut(code)) {
            code.access_token = Some(token.clone());
        }
        token
    }

    pub(crate) fn revoke(&mut self, access_token: &str) {
        self.access_tokens.remove(access_token);
    }

    pub(crate) fn access(&self, token: &str, now: u64) -> Option<&AccessGrant> {
        self.access_tokens.get(token).filter(|(_, expires_at)| now < *expires_at).map(|(grant, _)| grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> CodeGrant {
        CodeGrant {
            client_id: "client".into(),
            redirect_uri: "http://localhost/".into(),
            code_challenge: "challenge".into(),
            scope: "openid".into(),
            nonce: None,
            sign_on: SignOn { sub: "alice".into(), authenticated_at: 0 },
        }
    }

    #[test]
    fn a_code_is_worth_one_grant_within_its_lifetime() {
        let mut grants = Grants::default();
        let code = grants.issue_code(grant(), 100);
        assert!(grants.redeem(&code, 699).is_some());
        assert!(grants.redeem(&code, 699).is_none());

        let late = grants.issue_code(grant(), 100);
        assert!(grants.redeem(&late, 700).is_none());
    }

    #[test]
    fn using_a_code_again_revokes_what_it_gave() {
        let mut grants = Grants::default();
        let code = grants.issue_code(grant(), 100);
        grants.redeem(&code, 100);
        let access = AccessGrant { sub: "alice".into(), scope: "openid".into() };
        let token = grants.issue_access_token(Some(&code), access, 100, Duration::from_secs(10));
        assert!(grants.access(&token, 109).is_some());
        assert!(grants.access(&token, 110).is_none(), "expired");
        grants.redeem(&code, 101);
        assert!(grants.access(&token, 101).is_none(), "revoked");
    }
}
