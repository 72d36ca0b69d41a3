//! Authorization codes, access tokens and refresh tokens.

use std::collections::HashMap;
use std::time::Duration;

use crate::opaque::opaque;
use crate::sign_on::SignOn;

/// RFC 6749 section 4.1.2 recommends ten minutes at most; a browser on the same machine needs a second.
const CODE_LIFETIME: Duration = Duration::from_secs(60);

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
    refresh_tokens: HashMap<String, Refresh>,
}

/// A refresh token, known by its first use as well.
#[derive(Debug)]
struct Refresh {
    grant: CodeGrant,
    /// What is revoked together: the tokens of one login.
    family: String,
    is_used: bool,
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

    pub(crate) fn issue_access_token(&mut self, code: &str, grant: AccessGrant, now: u64, lifetime: Duration) -> String {
        self.access_tokens.retain(|_, (_, expires_at)| now < *expires_at);
        let token = opaque();
        self.access_tokens.insert(token.clone(), (grant, now.saturating_add(lifetime.as_secs())));
        if let Some(code) = self.codes.get_mut(code) {
            code.access_token = Some(token.clone());
        }
        token
    }

    /// The first refresh token of a login.
    pub(crate) fn begin_refresh_tokens(&mut self, grant: CodeGrant) -> String {
        self.issue_refresh_token(grant, opaque())
    }

    fn issue_refresh_token(&mut self, grant: CodeGrant, family: String) -> String {
        let token = opaque();
        self.refresh_tokens.insert(token.clone(), Refresh { grant, family, is_used: false });
        token
    }

    /// Uses a refresh token of this client: the grant, and the next token. A second use revokes what belongs together.
    pub(crate) fn refresh(&mut self, token: &str, client_id: &str) -> Option<(CodeGrant, String)> {
        let known = self.refresh_tokens.get_mut(token).filter(|known| known.grant.client_id == client_id)?;
        let (grant, family) = (known.grant.clone(), known.family.clone());
        if std::mem::replace(&mut known.is_used, true) {
            self.refresh_tokens.retain(|_, other| other.family != family);
            return None;
        }
        let next = self.issue_refresh_token(grant.clone(), family);
        Some((grant, next))
    }

    /// Revokes a token of this client, and for a refresh token what belongs together with it.
    pub(crate) fn revoke(&mut self, token: &str, client_id: &str) {
        if let Some(known) = self.refresh_tokens.get(token).filter(|known| known.grant.client_id == client_id) {
            let family = known.family.clone();
            self.refresh_tokens.retain(|_, other| other.family != family);
        }
        self.access_tokens.remove(token);
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
    fn a_code_is_worth_one_grant_within_its_minute() {
        let mut grants = Grants::default();
        let code = grants.issue_code(grant(), 100);
        assert!(grants.redeem(&code, 159).is_some());
        assert!(grants.redeem(&code, 159).is_none());

        let late = grants.issue_code(grant(), 100);
        assert!(grants.redeem(&late, 160).is_none());
    }

    #[test]
    fn a_refresh_token_is_for_one_use_and_ends_with_its_login() {
        let mut grants = Grants::default();
        let first = grants.begin_refresh_tokens(grant());
        assert!(grants.refresh(&first, "another").is_none());
        let (_, second) = grants.refresh(&first, "client").unwrap();
        let (_, third) = grants.refresh(&second, "client").unwrap();
        assert!(grants.refresh(&first, "client").is_none(), "used twice");
        assert!(grants.refresh(&third, "client").is_none(), "revoked with it");

        let of_another_login = grants.begin_refresh_tokens(grant());
        grants.revoke(&of_another_login, "another");
        let (_, next) = grants.refresh(&of_another_login, "client").unwrap();
        grants.revoke(&next, "client");
        assert!(grants.refresh(&next, "client").is_none());
    }

    #[test]
    fn using_a_code_again_revokes_what_it_gave() {
        let mut grants = Grants::default();
        let code = grants.issue_code(grant(), 100);
        grants.redeem(&code, 100);
        let access = AccessGrant { sub: "alice".into(), scope: "openid".into() };
        let token = grants.issue_access_token(&code, access, 100, Duration::from_secs(10));
        assert!(grants.access(&token, 109).is_some());
        assert!(grants.access(&token, 110).is_none(), "expired");
        grants.redeem(&code, 101);
        assert!(grants.access(&token, 101).is_none(), "revoked");
    }
}
