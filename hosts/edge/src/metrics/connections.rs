//! Connections of the public address, and those that were upgraded.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::client::shares::Full;

/// Which limit has refused a connection.
const LIMITS: [&str; 2] = ["client", "all"];

/// Why an upgraded connection has ended.
const ENDS: [&str; 3] = ["closed", "session_ended", "not_admitted"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabel {
    limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Of one listener.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    open: Gauge,
    accepted: Counter,
    refused: [Counter; LIMITS.len()],
}

impl Connections {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let (open, accepted) = (Gauge::default(), Counter::default());
        registry.register("connections_open", "Connections that are open", open.clone());
        registry.register("connections_accepted", "Connections that were accepted", accepted.clone());
        let family = Family::<LimitLabel, Counter>::default();
        let help = "Connections that were closed at once, by the limit that was reached: that of one client, or of all";
        registry.register("connections_refused", help, family.clone());
        Self { open, accepted, refused: LIMITS.map(|limit| family.get_or_create_owned(&LimitLabel { limit })) }
    }

    /// A connection was accepted; it is open until the result is dropped.
    pub fn accept(&self) -> OpenConnection {
        self.accepted.inc();
        self.open.inc();
        OpenConnection(self.open.clone())
    }

    /// A connection was refused.
    pub fn refuse(&self, full: Full) {
        match full {
            Full::Client => self.refused[0].inc(),
            Full::All => self.refused[1].inc(),
        };
    }
}

/// A connection that counts as open until this is dropped.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Why an upgraded connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeEnd {
    /// By the browser or the application, or by the end of the program.
    Closed,
    /// With its session.
    SessionEnded,
    /// A new configuration does not admit it.
    NotAdmitted,
}

/// WebSockets.
#[derive(Clone, Debug)]
pub struct Upgrades(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    open: Gauge,
    closed: [Counter; ENDS.len()],
}

impl Upgrades {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let open = Gauge::default();
        registry.register("upgrades_open", "Upgraded connections (WebSockets) that are open", open.clone());
        let family = Family::<ReasonLabel, Counter>::default();
        registry.register("upgrades_closed", "Upgraded connections that have ended, by reason", family.clone());
        let closed = ENDS.map(|reason| family.get_or_create_owned(&ReasonLabel { reason }));
        Self(Arc::new(Counters { open, closed }))
    }

    /// A connection was upgraded; it is open until the result is dropped, which asks `end` for the reason.
    pub fn open<F: Fn() -> UpgradeEnd>(&self, end: F) -> OpenUpgrade<F> {
        self.0.open.inc();
        OpenUpgrade { counters: Arc::clone(&self.0), end }
    }
}

/// An upgraded connection that counts as open until this is dropped.
pub struct OpenUpgrade<F: Fn() -> UpgradeEnd> {
    counters: Arc<Counters>,
    end: F,
}

impl<F: Fn() -> UpgradeEnd> Drop for OpenUpgrade<F> {
    fn drop(&mut self) {
        self.counters.open.dec();
        self.counters.closed[(self.end)() as usize].inc();
    }
}
