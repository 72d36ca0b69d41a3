//! The filter: a loaded configuration and the instances that decide by it.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::bindings::{Configuration, Decision, Fault, RequestHead, Summary};
use crate::component::{ComponentError, FilterComponent};
use crate::instance::Instance;
use crate::outbound::{Outbound, OutboundError, OutboundOptions};
use crate::pool::Pool;

/// Limits of one [`Filter`].
#[derive(Clone, Debug)]
pub struct FilterOptions {
    /// Instances at most; they are made when first needed. Default: two per processor.
    pub instances: usize,
    /// Decisions in flight on one instance at most. Half of those of all instances may wait for a provider at the same
    /// time: the others are for decisions that need none. Default: 64.
    pub in_flight_per_instance: usize,
    /// Requests that may wait for an instance; one more is [`FilterError::Overloaded`]. Default: 1024.
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
}

impl Default for FilterOptions {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        FilterOptions {
            instances: 2 * processors,
            in_flight_per_instance: 64,
            queue: 1024,
            decision_timeout: Duration::from_secs(30),
            cpu_budget: Duration::from_millis(500),
            outbound: OutboundOptions::default(),
        }
    }
}

/// A configuration could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Every fault found, warnings included; one line each when displayed.
    #[error("{}", Lines(.0))]
    Faults(Vec<Fault>),
    /// The component failed.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The client for providers cannot be set up.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
}

/// There is no decision. The request must not reach the application: answer it with status 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// All instances are busy and the queue is full.
    #[error("the filter has too many requests waiting; raise `queue` or `instances`, or look for a slow provider")]
    Overloaded,
    /// `decision_timeout` is over.
    #[error("the filter gave no decision in time; look for a slow provider")]
    TimedOut,
    /// The instance trapped while it had this request; the log has the reason.
    #[error("the filter failed on this request; the log line `instance.trapped` says why")]
    Trapped,
    /// No instance could be made; the log has the reason.
    #[error("no instance of the filter could be made; the log line `instance.not_made` says why")]
    Unavailable,
}

/// Decides on requests. Cheap to clone. Dropping the last clone lets the decisions in flight come to their end.
#[derive(Clone)]
pub struct Filter {
    pool: Arc<Pool>,
    summary: Arc<Summary>,
}

impl Filter {
    /// Loads the configuration into a first instance.
    ///
    /// # Errors
    /// [`LoadError::Faults`] when the configuration has faults; otherwise when the component fails or the outbound
    /// client cannot be set up.
    pub async fn load(component: &FilterComponent, configuration: Configuration, options: FilterOptions) -> Result<Filter, LoadError> {
        let (instance, summary) = Instance::load(component, &configuration, options.cpu_budget).await?;
        let max_exchanges = (options.instances.saturating_mul(options.in_flight_per_instance) / 2).max(1);
        let outbound = Arc::new(Outbound::new(&options.outbound, max_exchanges, &summary.metadata_urls, &summary.internal_hosts)?);
        let pool = Pool::new(component.clone(), configuration, outbound, options, instance);
        Ok(Filter { pool: Arc::new(pool), summary: Arc::new(summary) })
    }

    /// What the component says of the configuration.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Decides on one request. `body` only after [`crate::Outcome::NeedBody`]. Must be called within a Tokio runtime with
    /// time and IO enabled. Dropping the future gives the answer up, not the decision.
    ///
    /// # Errors
    /// When there is no decision: answer the request with status 500, never forward it.
    pub async fn decide(&self, head: RequestHead, body: Option<Vec<u8>>) -> Result<Decision, FilterError> {
        self.pool.decide(head, body).await
    }
}

struct Lines<'a>(&'a [Fault]);

impl Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}
