//! What happens when sessions end: they are remembered, and what is open of them ends.
//!
//! 1. A session that a decision names ends with its exchanges ([`OpenExchanges::end`]).
//! 2. Which sessions are of an account, or of a provider's session, the filter knows: everything open is judged anew
//!    ([`crate::exchange::judge`]).

use std::sync::Arc;

use vestibule_wasmtime::{EndedName, EndedWhat};

use crate::configuration::active::Current;
use crate::configuration::ended_sessions::EndedSessions;
use crate::exchange::open_exchanges::OpenExchanges;

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
