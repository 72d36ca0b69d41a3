//! Refresh tokens. Each is for one use, and one that is used again ends all that came from the same login (RFC 9700
//! section 4.14.2).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::grant::CodeGrant;
use crate::opaque::opaque;

/// Everything handed out, for as long as the provider runs. Times are Unix seconds.
#[derive(Debug, Default)]
pub(crate) struct RefreshTokens {
    tokens: HashMap<String, RefreshToken>,
    /// The number of the next login.
    next: u64,
    /// Logins whose tokens are worth nothing any more.
    ended: HashSet<u64>,
}

#[derive(Debug)]
struct RefreshToken {
    login: u64,
    grant: CodeGrant,
    used_at: Option<u64>,
}

impl RefreshTokens {
    /// The first of a login.
    pub(crate) fn begin(&mut self, grant: &CodeGrant) -> String {
        let login = self.next;
        self.next += 1;
        // "The ID Token SHOULD NOT have a nonce Claim" (OpenID Connect Core section 12.2).
        self.issue(login, CodeGrant { nonce: None, ..grant.clone() })
    }

    /// What it was issued for, and the next one. A token that was used longer ago than `leeway` ends its login.
    pub(crate) fn redeem(&mut self, token: &str, client_id: &str, now: u64, leeway: Duration) -> Option<(CodeGrant, String)> {
        let known = self.tokens.get_mut(token).filter(|known| known.grant.client_id == client_id)?;
        let used_at = *known.used_at.get_or_insert(now);
        if now.saturating_sub(used_at) > leeway.as_secs() {
            self.ended.insert(known.login);
        }
        if self.ended.contains(&known.login) {
            return None;
        }
        let (login, grant) = (known.login, known.grant.clone());
        let next = self.issue(login, grant.clone());
        Some((grant, next))
    }

    /// Ends the login that a token is of (RFC 7009 section 2.1). One that is not known has ended already.
    pub(crate) fn revoke(&mut self, token: &str, client_id: &str) {
        if let Some(known) = self.tokens.get(token).filter(|known| known.grant.client_id == client_id) {
            self.ended.insert(known.login);
        }
    }

    fn issue(&mut self, login: u64, grant: CodeGrant) -> String {
        let token = opaque();
        self.tokens.insert(token.clone(), RefreshToken { login, grant, used_at: None });
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign_on::SignOn;

    const LEEWAY: Duration = Duration::from_secs(10);

    fn grant() -> CodeGrant {
        CodeGrant {
            client_id: "client".into(),
            redirect_uri: "http://localhost/".into(),
            code_challenge: "challenge".into(),
            scope: "openid offline_access".into(),
            nonce: Some("nonce".into()),
            sign_on: SignOn { sub: "alice".into(), authenticated_at: 0 },
        }
    }

    #[test]
    fn a_token_is_for_one_use_and_a_second_one_within_the_leeway() {
        let mut tokens = RefreshTokens::default();
        let (first, other) = (tokens.begin(&grant()), tokens.begin(&grant()));
        assert!(tokens.redeem(&first, "another client", 100, LEEWAY).is_none());
        let (granted, second) = tokens.redeem(&first, "client", 100, LEEWAY).expect("its first use");
        assert_eq!((granted.nonce, granted.sign_on.sub.as_str()), (None, "alice"));
        assert!(tokens.redeem(&first, "client", 110, LEEWAY).is_some());

        assert!(tokens.redeem(&first, "client", 111, LEEWAY).is_none());
        assert!(tokens.redeem(&second, "client", 111, LEEWAY).is_none(), "the login has ended");
        let (_, next) = tokens.redeem(&other, "client", 111, LEEWAY).expect("another login has not");
        tokens.revoke(&next, "another client");
        let (_, last) = tokens.redeem(&next, "client", 111, LEEWAY).expect("it is not that client's to revoke");
        tokens.revoke(&next, "client");
        assert!(tokens.redeem(&last, "client", 111, LEEWAY).is_none(), "revoked with its login");
    }
}
