//! What is counted, for `/metrics` on the admin address.
//!
//! 1. No value of a label comes from a client. Each is of a closed set: of this program, or of the configuration in force (numbers of
//!    rules, names of providers).
//! 2. A request costs an atomic increment or two. Families are looked up when the program starts or a configuration is loaded,
//!    and the counters kept; nothing is formatted, allocated or locked for a request that is forwarded.
//! 3. Every series of a set is there from the beginning, with 0: the first event is an increase.
//! 4. Names and units are those of OpenMetrics and of Prometheus' naming practice. docs/metrics.md has the table, and a test compares
//!    it with this registry.

mod configured;
mod connections;
#[cfg(test)]
mod page;
mod process;
mod reloads;
mod requests;
mod store;

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use vestibule_wasmtime::PoolState;

pub use configured::{Countable, Counts, NoDecision};
pub use connections::{Connections, OpenConnection, OpenUpgrade, UpgradeEnd, Upgrades};
pub use reloads::Reloads;
pub use requests::{Outcome, Requests};
pub use store::StoreCounts;

use configured::Configured;
use process::Process;

/// Before the names of all that is this program's own.
const PREFIX: &str = "vestibule";

/// The content type of [`Metrics::text`] (OpenMetrics 1.0.0, "Protocol Negotiation").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted, of one running program.
#[derive(Debug)]
pub struct Metrics {
    pub requests: Requests,
    pub connections: Connections,
    pub upgrades: Upgrades,
    pub reloads: Reloads,
    pub store: StoreCounts,
    configured: Configured,
    instances_in_use: Gauge,
    instances_limit: Gauge,
    waiting: Gauge,
    registry: Registry,
}

impl Metrics {
    /// With `certificate_not_after`, in seconds since the Unix epoch, of the certificate that is served, if one is.
    pub fn new(certificate_not_after: Option<i64>) -> Arc<Self> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::started_now()));
        let own = registry.sub_registry_with_prefix(PREFIX);
        own.register("build", "The version of the program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let requests = Requests::registered(own);
        let configured = Configured::registered(own);
        let [instances_in_use, instances_limit, waiting] = [(); 3].map(|()| Gauge::default());
        own.register(
            "instances_in_use",
            "Instances of the component that decide at this moment, or are being made",
            instances_in_use.clone(),
        );
        own.register("instances_limit", "Instances that there may be", instances_limit.clone());
        own.register("decisions_waiting", "Requests that wait for an instance", waiting.clone());
        let connections = Connections::registered(own);
        let upgrades = Upgrades::registered(own);
        let reloads = Reloads::registered(own);
        let store = StoreCounts::registered(own);
        if let Some(not_after) = certificate_not_after {
            let gauge: Gauge = Gauge::default();
            gauge.set(not_after);
            let help = "Unix time after which the certificate that is served is invalid; absent without TLS";
            own.register_with_unit("tls_certificate_not_after_timestamp", help, Unit::Seconds, gauge);
        }
        Arc::new(Self { requests, connections, upgrades, reloads, store, configured, instances_in_use, instances_limit, waiting, registry })
    }

    /// The counters of a configuration that is being loaded.
    pub fn counts(&self, countable: &Countable) -> Arc<Counts> {
        self.configured.counts(countable)
    }

    /// From now on this configuration is in force: series of rules and providers that it does not have are removed.
    pub fn in_force(&self, counts: &Counts) {
        self.configured.retain(counts);
    }

    /// All of them in OpenMetrics' text, with the pool as it is now.
    ///
    /// # Errors
    /// The client library's, which has none for a text in memory.
    pub fn text(&self, pool: Option<PoolState>) -> Result<String, fmt::Error> {
        if let Some(PoolState { in_use, limit, waiting, .. }) = pool {
            self.instances_in_use.set(number(in_use));
            self.instances_limit.set(number(limit));
            self.waiting.set(number(waiting));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// A count as a gauge has it.
fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
