//! What requests are served with: who decides, what is in force, and how a changed configuration comes into force.

pub mod active;
pub mod claims;
pub mod decider;
pub mod ended_sessions;
pub mod native;
pub mod public_address;
pub mod reload;
pub mod rotation;
pub mod watch;
