//! What an embedder sets of a filter.

use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use crate::claims::Claims;
use crate::ended::Ended;
use crate::observer::Observer;
use crate::outbound::OutboundOptions;

/// Limits of one [`crate::Filter`].
#[derive(Clone, Debug)]
pub struct FilterOptions {
    /// Instances at most; they are made when first needed. Default: four per processor, and at least eight.
    pub instances: usize,
    /// Decisions in flight on one instance at most. Half of those of all instances may wait for providers at the same time, and three
    /// quarters of that half for one of them: the others are for decisions that need none. Default: 128, so that at least 384 logins
    /// wait for one provider, which may have changed its keys. What waits takes memory of the instance
    /// ([`RuntimeOptions::memory_limit`](crate::RuntimeOptions::memory_limit)), and what gets one answer at the same time goes on within
    /// one `cpu_budget`.
    pub in_flight_per_instance: usize,
    /// Requests that may wait for an instance; one more is [`crate::FilterError::Overloaded`]. Default: 1024.
    pub queue: usize,
    /// From asking for a decision to having it, waiting for providers included. Default: 30 s, room for three
    /// exchanges of a login with a slow provider.
    pub decision_timeout: Duration,
    /// How long guest code may run from one entry to the next before it traps; a whole decision takes
    /// microseconds. Counted in ticks of 10 ms of wall-clock time. Until it traps, guest code that does not end
    /// holds the thread that it runs on. Default: 500 ms.
    pub cpu_budget: Duration,
    /// How providers are reached.
    pub outbound: OutboundOptions,
    /// Which sessions have ended before their time. Default: none; a session then ends by its cookies alone.
    pub ended: Option<Arc<dyn Ended>>,
    /// Which login attempts are used. Default: [`ProcessClaims`](crate::ProcessClaims), shared by the filters of one component, so that
    /// a reload forgets nothing. A server of several nodes shares them.
    pub claims: Option<Arc<dyn Claims>>,
    /// Who is told of instances and of requests to providers. Default: nobody.
    pub observer: Option<Arc<dyn Observer>>,
}

/// Asked once: the system answers from six files.
static PROCESSORS: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));

impl FilterOptions {
    /// Decisions that may wait for providers at the same time, all together.
    pub(crate) fn most_waiting(&self) -> usize {
        (self.instances.saturating_mul(self.in_flight_per_instance) / 2).max(1)
    }
}

impl Default for FilterOptions {
    fn default() -> Self {
        FilterOptions {
            instances: (4 * *PROCESSORS).max(8),
            in_flight_per_instance: 128,
            queue: 1024,
            decision_timeout: Duration::from_secs(30),
            cpu_budget: Duration::from_millis(500),
            outbound: OutboundOptions::default(),
            ended: None,
            claims: None,
            observer: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::RuntimeOptions;

    /// What docs/serve.md says, on a machine of any size; and each of them may get the largest key set at the same time.
    #[test]
    fn hundreds_of_logins_may_wait_for_one_provider() {
        const KEY_SET_BYTES: usize = 256 * 1024;
        let options = FilterOptions::default();
        assert!(options.instances >= 8 && options.most_waiting() / 4 * 3 >= 384);
        assert!(options.in_flight_per_instance * KEY_SET_BYTES <= RuntimeOptions::default().memory_limit / 2);
    }
}
