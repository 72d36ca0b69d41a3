//! What the core asks of a store beyond the node, as it asks the network: the shell carries it out, and resumes with the answer.
//!
//! A store opens nothing. It is asked for what may happen once only, and its answer can only refuse.

use super::ended::{NAME_BYTES, text};
use crate::time::UnixTime;

/// What is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreRequest {
    /// Answered by [`Claimed`].
    Claim(Claim),
}

/// Something that may happen once. Of those who claim the same name, on whatever node, the first one gets it.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// Random to whoever does not know what it is of: it is no secret, and opens nothing.
    pub name: [u8; NAME_BYTES],
    /// From when the claim may be forgotten: what it is of is over by then.
    pub until: UnixTime,
}

/// The answer to a [`Claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// This is the first one, as far as the host's memory or its store reaches.
    Granted,
    /// There was one before.
    Taken,
    /// The store cannot be asked, and as far as this node knows it is the first one.
    Unavailable,
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("name", &text(&self.name)).field("until", &self.until).finish()
    }
}
