//! What the host knows of sessions beyond their cookies.

use std::fmt::Debug;

/// Remembers which sessions have ended before their time. Asked for every request that brings a session, on the thread that
/// decides: the answer comes from memory, and quickly.
pub trait Ended: Debug + Send + Sync {
    /// Whether the first of `names` has ended at any time, or one of the others at or after `began_at`, in seconds since the
    /// Unix epoch. The first is that of the session, which [`crate::Forward::session`] and [`crate::Decision::ended_sessions`] give in base64url; then that of its
    /// account, then that of the provider's session where there is one.
    fn ended(&self, names: &[[u8; 16]], began_at: u64) -> bool;
}
