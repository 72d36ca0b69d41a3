//! Who decides on requests: the component, or a script in tests.

use async_trait::async_trait;
use vestibule_wasmtime::{Decision, Filter, FilterError, RequestHead};

/// Decides on one request.
#[async_trait]
pub trait Decider: Send + Sync {
    /// Decides on `head`; `body` is given only after the decision `need-body`.
    ///
    /// # Errors
    /// [`Undecided`] when there is no decision. The request must then not be forwarded.
    async fn decide(&self, head: RequestHead, body: Option<Vec<u8>>) -> Result<Decision, Undecided>;
}

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
pub enum Undecided {
    /// More requests wait for the filter than it takes.
    #[error("the filter has more requests in flight than it takes: {0}")]
    Overloaded(String),
    /// The component trapped, missed its deadline or broke its contract.
    #[error("the filter failed: {0}")]
    Failed(String),
}

#[async_trait]
impl Decider for Filter {
    async fn decide(&self, head: RequestHead, body: Option<Vec<u8>>) -> Result<Decision, Undecided> {
        Filter::decide(self, head, body).await.map_err(|error| match error {
            FilterError::Overloaded => Undecided::Overloaded(error.to_string()),
            FilterError::TimedOut | FilterError::Trapped | FilterError::Unavailable => Undecided::Failed(error.to_string()),
        })
    }
}
