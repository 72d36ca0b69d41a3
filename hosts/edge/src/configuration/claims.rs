//! Which login attempts are used: in the memory of this process, and with a store in Redis on all nodes.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use vestibule_wasmtime::{Claimed, Claiming, Claims, ProcessClaims};

use crate::store::Keeper;

/// One for a node, whatever is reloaded.
#[derive(Default)]
pub struct NodeClaims {
    here: ProcessClaims,
    /// Not its own: the keeper knows, by way of what is open, the filters that ask this.
    store: OnceLock<Weak<Keeper>>,
}

impl NodeClaims {
    /// From now on the other nodes of this store are asked as well. Has an effect once.
    pub fn share(&self, store: &Arc<Keeper>) {
        // A second store would be another node's.
        let _ = self.store.set(Arc::downgrade(store));
    }
}

impl Claims for NodeClaims {
    fn claim(&self, name: [u8; 16], until: u64) -> Claiming<'_> {
        // First: it decides among the requests of this node, also when the store does not answer.
        if !self.here.take(name, until) {
            return Box::pin(std::future::ready(Claimed::Taken));
        }
        match self.store.get().and_then(Weak::upgrade) {
            Some(store) => Box::pin(async move { store.claim(name, until).await }),
            None => Box::pin(std::future::ready(Claimed::Granted)),
        }
    }
}

impl fmt::Debug for NodeClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeClaims").finish_non_exhaustive()
    }
}
