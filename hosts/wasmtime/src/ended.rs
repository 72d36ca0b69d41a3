//! What the host knows of sessions beyond their cookies.

use std::fmt::Debug;

/// Remembers what has ended before its time: every [`crate::EndedName`] of every decision, until it may be forgotten. Asked for
/// every request that brings a session, on the thread that decides: the answer comes from memory, and quickly. The filter then
/// also accepts logouts that only such a memory can carry out, which come from a provider.
pub trait Ended: Debug + Send + Sync {
    /// Whether the first of `names` has ended at any time, or one of the others at or after `began_at`, in seconds since the
    /// Unix epoch. The first is that of the session, which [`crate::Forward::session`] gives in base64url; then that of its
    /// account, then that of the provider's session. The name of a logout token comes alone.
    fn ended(&self, names: &[[u8; 16]], began_at: u64) -> bool;
}
