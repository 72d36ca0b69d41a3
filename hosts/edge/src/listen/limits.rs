//! What connections may take: their number, and the time of what has to become whole.
//!
//! 1. There are as many connections as descriptors allow: each may need a second one, to the application. One client has an
//!    eighth of them, so that others find room while it holds all it may ([`crate::client::shares`]).
//! 2. The same numbers hold for requests in flight, which are counted by the client that trusted proxies tell. So a client
//!    behind a proxy has what it would have without, and so has one of HTTP/2, whose requests share a connection.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More takes memory: with TLS some 64 KiB for each, in and out.
const MAX_CONNECTIONS: usize = 8192;

/// One client's part of all.
pub const SHARES: usize = 8;

/// Files, the log, exchanges with providers, and the admin address.
const RESERVED_DESCRIPTORS: u64 = 256;

/// Fewer is a service that a handful of clients can fill.
const LOW_DESCRIPTORS: u64 = 4096;

/// The admin address is for a few monitors.
const ADMIN_CONNECTIONS: usize = 64;

/// Of the admin address, instead of those of the public one.
const ADMIN_HEAD: Duration = Duration::from_secs(5);
const ADMIN_IDLE: Duration = Duration::from_secs(10);

/// What connections may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections in all, and requests in flight in all.
    pub all: usize,
    /// Those of one client.
    pub each: usize,
    /// Connections from this machine, which count neither among those in all nor as one client's. 0: they count like others.
    pub local: usize,
    /// For a TLS handshake, from the connection's acceptance.
    pub handshake: Duration,
    /// For a request head, from its first byte; with HTTP/2 for a header block.
    pub head: Duration,
    /// For a connection without a request.
    pub idle: Duration,
}

impl ConnectionLimits {
    /// With this number of descriptors.
    pub fn with_descriptors(descriptors: u64) -> Self {
        let pairs = usize::try_from(descriptors.saturating_sub(RESERVED_DESCRIPTORS) / 2).unwrap_or(usize::MAX);
        Self::of(pairs.clamp(SHARES, MAX_CONNECTIONS))
    }

    /// For the admin address. Monitors send a request at once, and wait for the answer: who holds a connection without one keeps others
    /// out, and does not for long.
    pub fn admin() -> Self {
        Self { head: ADMIN_HEAD, idle: ADMIN_IDLE, local: ADMIN_CONNECTIONS, ..Self::of(ADMIN_CONNECTIONS) }
    }

    fn of(all: usize) -> Self {
        let (handshake, head, idle) = (Duration::from_secs(10), Duration::from_secs(15), Duration::from_secs(60));
        Self { all, each: all / SHARES, local: 0, handshake, head, idle }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self::of(MAX_CONNECTIONS)
    }
}

/// Raises the limit of descriptors to what the system lets this process have, and returns it.
pub fn raise_descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    // `None` is no limit.
    let descriptors = if raised.is_ok() { maximum } else { current }.unwrap_or(u64::MAX);
    if descriptors < LOW_DESCRIPTORS {
        tracing::warn!(
            code = "descriptors.low",
            descriptors,
            connections = ConnectionLimits::with_descriptors(descriptors).all,
            "few connections at once: raise the limit of open files (LimitNOFILE of systemd, --ulimit nofile of containers) to {LOW_DESCRIPTORS} or more"
        );
    }
    descriptors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_follow_the_descriptors() {
        for (descriptors, all, each) in
            [(0, 8, 1), (256, 8, 1), (1024, 384, 48), (4096, 1920, 240), (20_000, 8192, 1024), (u64::MAX, 8192, 1024)]
        {
            let limits = ConnectionLimits::with_descriptors(descriptors);
            assert_eq!((limits.all, limits.each), (all, each), "{descriptors}");
        }
    }

    #[test]
    fn a_connection_to_the_admin_address_without_a_request_ends_soon() {
        let limits = ConnectionLimits::admin();
        assert_eq!((limits.head.as_secs(), limits.idle.as_secs(), limits.all, limits.each, limits.local), (5, 10, 64, 8, 64));
    }

    #[test]
    fn the_limit_is_raised_to_the_hard_one() {
        let maximum = getrlimit(Resource::Nofile).maximum;
        assert_eq!(raise_descriptors(), maximum.unwrap_or(u64::MAX));
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }
}
