//! A provider that issues refresh tokens, each for one use, and revokes what belongs together when one is used twice.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What it does with refresh tokens, and what it has issued.
pub(crate) struct RefreshTokens {
    /// Whether a token is for one use (RFC 9700 section 4.14.2).
    pub rotates: bool,
    /// Whether an answer has an ID token.
    pub has_id_token: bool,
    /// `expires_in` of every answer.
    pub expires_in: Value,
    /// Changes the claims of an ID token that a refresh brings.
    pub edit_claims: super::Edit<Map<String, Value>>,
    /// Changes the answer to a refresh.
    pub edit_answer: super::Edit<Value>,
    /// Requests that have been answered with tokens.
    pub refreshed: usize,
    issued: BTreeMap<String, Grant>,
    families: Vec<Family>,
}

struct Grant {
    family: usize,
    is_used: bool,
}

struct Family {
    claims: Map<String, Value>,
    is_revoked: bool,
}

impl Default for RefreshTokens {
    fn default() -> Self {
        Self {
            rotates: true,
            has_id_token: true,
            expires_in: json!(300),
            edit_claims: None,
            edit_answer: None,
            refreshed: 0,
            issued: BTreeMap::new(),
            families: vec![],
        }
    }
}

impl RefreshTokens {
    /// With this `expires_in`.
    pub(crate) fn lasting(expires_in: Value) -> Self {
        Self { expires_in, ..Self::default() }
    }

    /// The first of a login whose ID token has these claims.
    pub(super) fn begin(&mut self, claims: Map<String, Value>) -> String {
        self.families.push(Family { claims, is_revoked: false });
        self.issue(self.families.len() - 1)
    }

    fn issue(&mut self, family: usize) -> String {
        let token = format!("refresh-token-{}", self.issued.len());
        self.issued.insert(token.clone(), Grant { family, is_used: false });
        token
    }

    /// Uses a token: the next one, and the claims of the login. `None`: `invalid_grant`.
    pub(super) fn spend(&mut self, token: &str) -> Option<(Option<String>, Map<String, Value>)> {
        let grant = self.issued.get_mut(token)?;
        let family = grant.family;
        if self.rotates && std::mem::replace(&mut grant.is_used, true) {
            self.families[family].is_revoked = true;
        }
        if self.families[family].is_revoked {
            return None;
        }
        self.refreshed += 1;
        let next = self.rotates.then(|| self.issue(family));
        Some((next, self.families[family].claims.clone()))
    }

    /// Logs everybody out.
    pub(crate) fn revoke_all(&mut self) {
        self.families.iter_mut().for_each(|family| family.is_revoked = true);
    }

    pub(crate) fn is_any_revoked(&self) -> bool {
        self.families.iter().any(|family| family.is_revoked)
    }
}
