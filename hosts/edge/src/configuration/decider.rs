//! Who decides on requests: the component, or a script in tests.

use async_trait::async_trait;
use vestibule_wasmtime::{Decision, Filter, FilterError, PoolState, RequestHead};

use crate::metrics::NoDecision;

/// Decides on one request.
#[async_trait]
pub trait Decider: Send + Sync {
    /// Decides on `head`; `body` is given only after the decision `need-body`.
    ///
    /// # Errors
    /// [`Undecided`] when there is no decision. The request must then not be forwarded.
    async fn decide(&self, head: RequestHead, body: Option<Vec<u8>>) -> Result<Decision, Undecided>;

    /// How busy its instances are; `None` of one that has none.
    fn pool(&self) -> Option<PoolState> {
        None
    }
}

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
pub enum Undecided {
    /// More requests wait for the filter than it takes.
    #[error("the filter has more requests in flight than it takes: {0}")]
    Overloaded(String),
    /// There was no decision in time.
    #[error("the filter took too long: {0}")]
    TimedOut(String),
    /// The component trapped or broke its contract.
    #[error("the filter failed: {0}")]
    Failed(String),
}

impl Undecided {
    /// What it counts as.
    pub fn reason(&self) -> NoDecision {
        match self {
            Self::Overloaded(_) => NoDecision::Overloaded,
            Self::TimedOut(_) => NoDecision::TimedOut,
            Self::Failed(_) => NoDecision::Failed,
        }
    }
}

#[async_trait]
impl Decider for Filter {
    fn pool(&self) -> Option<PoolState> {
        Some(Filter::pool(self))
    }

    async fn decide(&self, head: RequestHead, body: Option<Vec<u8>>) -> Result<Decision, Undecided> {
        Filter::decide(self, head, body).await.map_err(|error| match error {
            FilterError::Overloaded => Undecided::Overloaded(error.to_string()),
            FilterError::TimedOut => Undecided::TimedOut(error.to_string()),
            FilterError::Trapped | FilterError::Unavailable => Undecided::Failed(error.to_string()),
        })
    }
}
