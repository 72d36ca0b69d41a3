//! Configurations that were read again.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// Reloads, and how the last one went.
#[derive(Clone, Debug)]
pub struct Reloads {
    succeeded: Counter,
    failed: Counter,
    last_successful: Gauge,
    last: Gauge,
}

impl Reloads {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let family = Family::<Labels, Counter>::default();
        registry.register("configuration_reloads", "Reloads of the configuration, by outcome", family.clone());
        let (last_successful, last) = (Gauge::default(), Gauge::default());
        let help = "1 if the configuration that was read last is in use; 0 if it is broken, and the one before stays in use";
        registry.register("configuration_last_reload_successful", help, last_successful.clone());
        let help = "Unix time at which a configuration was read last, at the start included";
        registry.register_with_unit("configuration_last_reload_timestamp", help, Unit::Seconds, last.clone());
        let [succeeded, failed] = ["success", "failure"].map(|outcome| family.get_or_create_owned(&Labels { outcome }));
        Self { succeeded, failed, last_successful, last }
    }

    /// The first configuration is in use.
    pub fn started(&self) {
        self.last_successful.set(1);
        self.last.set(now());
    }

    /// A new configuration is in use.
    pub fn succeeded(&self) {
        self.started();
        self.succeeded.inc();
    }

    /// A new configuration is broken.
    pub fn failed(&self) {
        self.last_successful.set(0);
        self.last.set(now());
        self.failed.inc();
    }
}

/// In seconds since the Unix epoch; 0 by a clock before it.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|now| i64::try_from(now.as_secs()).ok()).unwrap_or(0)
}
