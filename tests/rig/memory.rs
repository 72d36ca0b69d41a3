//! What a host remembers of what has ended.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vestibule::session::{Claim, Claimed, Ended, EndedName, EndedWhat, StoreRequest};
use vestibule::time::UnixTime;

/// Remembers what decisions tell, if it is one that does.
#[derive(Default)]
pub(crate) struct Memory {
    pub remembers: bool,
    once: BTreeMap<Vec<u8>, UnixTime>,
    since: BTreeMap<Vec<u8>, UnixTime>,
}

impl Memory {
    /// Of a host that remembers.
    pub(crate) fn of_everything() -> Self {
        Self { remembers: true, ..Self::default() }
    }

    pub(crate) fn remember(&mut self, entries: &[EndedName]) {
        for EndedName { name, what, at, until } in entries {
            assert!(at <= until, "{what:?} is forgotten at once");
            let name = URL_SAFE_NO_PAD.decode(name).unwrap();
            assert_eq!(name.len(), 16);
            let kind = match what {
                EndedWhat::Session | EndedWhat::LogoutToken => &mut self.once,
                EndedWhat::Account | EndedWhat::ProviderSession => &mut self.since,
            };
            let known = kind.entry(name).or_insert(*at);
            *known = (*known).max(*at);
        }
    }
}

/// What the nodes of a host share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    /// Claims nothing, and says so.
    pub is_out_of_reach: bool,
    /// Of a host that keeps no claims.
    pub grants_all: bool,
    used: BTreeSet<[u8; 16]>,
    /// Every claim that was asked for.
    pub claims: Vec<Claim>,
}

impl Store {
    pub(crate) fn answer(&mut self, request: StoreRequest) -> Claimed {
        let StoreRequest::Claim(claim) = request;
        self.claims.push(claim.clone());
        match () {
            () if self.grants_all => Claimed::Granted,
            () if self.is_out_of_reach => Claimed::Unavailable,
            () if self.used.insert(claim.name) => Claimed::Granted,
            () => Claimed::Taken,
        }
    }
}

impl Ended for Memory {
    fn ended(&self, names: &[u8], began_at: UnixTime) -> bool {
        let mut names = names.chunks(16);
        self.remembers
            && (names.next().is_some_and(|session| self.once.contains_key(session))
                || names.any(|name| self.since.get(name).is_some_and(|at| *at >= began_at)))
    }

    fn remembers(&self) -> bool {
        self.remembers
    }
}
