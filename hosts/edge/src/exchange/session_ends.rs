//! What happens when sessions end: they are remembered, and what is open of them ends.
//!
//! 1. A session that a decision names ends with its exchanges ([`OpenExchanges::end`]).
//! 2. Which sessions are of an account, or of a provider's session, the filter knows: everything open is judged anew
//!    ([`crate::exchange::judge`]).
//! 3. What a store tells, of other nodes or of this one before a restart, ends in the same way.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vestibule_wasmtime::{EndedName, EndedWhat};

use crate::configuration::active::Current;
use crate::configuration::ended_sessions::EndedSessions;
use crate::exchange::open_exchanges::OpenExchanges;
use crate::store::{Entry, List, What};

/// Of more sessions than this that end at once, the filter is asked which are open: after an outage a store tells thousands.
const FEW: usize = 100;

/// Carries out what has ended, wherever that is known from.
#[derive(Clone)]
pub struct SessionEnds {
    known: Arc<EndedSessions>,
    open: Arc<OpenExchanges>,
    current: Current,
}

impl SessionEnds {
    pub(crate) fn new(known: Arc<EndedSessions>, open: Arc<OpenExchanges>, current: Current) -> Self {
        Self { known, open, current }
    }

    /// From now on no request is forwarded for what has ended.
    pub fn remember(&self, entries: &[EndedName]) {
        self.known.remember(entries);
    }

    /// Ends what is open of it. To be called after [`remember`](Self::remember): what is judged goes by that.
    pub fn end_open(&self, entries: &[EndedName]) {
        let mut has_many = false;
        for EndedName { name, what, .. } in entries {
            match what {
                EndedWhat::Session => self.open.end(name),
                EndedWhat::Account | EndedWhat::ProviderSession => has_many = true,
                EndedWhat::LogoutToken => {}
            }
        }
        if has_many {
            self.current.judge_again();
        }
    }

    /// Both, for what another node tells.
    pub fn end(&self, entries: &[EndedName]) {
        self.remember(entries);
        self.end_open(entries);
    }
}

impl List for SessionEnds {
    fn remember(&self, entries: &[Entry]) {
        let entries: Vec<_> = entries.iter().map(to_name).collect();
        // What this node has written comes back.
        let unknown: Vec<_> = self.known.unknown(&entries).into_iter().cloned().collect();
        self.known.remember(&unknown);
        if unknown.len() <= FEW {
            self.end_open(&unknown);
        } else {
            self.current.judge_again();
        }
    }

    fn all(&self) -> Vec<Entry> {
        self.known.all().iter().filter_map(to_entry).collect()
    }
}

fn to_name(entry: &Entry) -> EndedName {
    let what = match entry.what {
        What::Session => EndedWhat::Session,
        What::Account => EndedWhat::Account,
        What::ProviderSession => EndedWhat::ProviderSession,
        What::LogoutToken => EndedWhat::LogoutToken,
    };
    EndedName::new(URL_SAFE_NO_PAD.encode(entry.name), what, entry.at, entry.until)
}

/// For a store; `None` of what is no name, and ends nothing.
pub(crate) fn to_entry(ended: &EndedName) -> Option<Entry> {
    let what = match ended.what {
        EndedWhat::Session => What::Session,
        EndedWhat::Account => What::Account,
        EndedWhat::ProviderSession => What::ProviderSession,
        EndedWhat::LogoutToken => What::LogoutToken,
    };
    let name = URL_SAFE_NO_PAD.decode(&ended.name).ok()?.try_into().ok()?;
    Some(Entry { what, name, at: ended.at, until: ended.until })
}

/// What ends when this is dropped: after the response, however that went.
pub struct Ending {
    pub ends: SessionEnds,
    pub entries: Vec<EndedName>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.ends.end_open(&self.entries);
    }
}
