//! The filter: a loaded configuration and the instances that decide by it.

use std::sync::Arc;

use crate::component::FilterComponent;
use crate::configuration::{Configuration, Summary};
use crate::decision::Decision;
use crate::error::{FilterError, LoadError};
use crate::instance::Instance;
use crate::options::FilterOptions;
use crate::outbound::Outbound;
use crate::pool::{Pool, PoolState};
use crate::provider_answer::{self, ProviderAnswer, ProviderError};
use crate::request_head::RequestHead;

/// Decides on requests. Cheap to clone. Dropping the last clone lets the decisions in flight come to their end.
#[derive(Clone)]
pub struct Filter {
    pool: Arc<Pool>,
    summary: Arc<Summary>,
    outbound: Arc<Outbound>,
}

impl Filter {
    /// Loads the configuration into a first instance.
    ///
    /// # Errors
    /// [`LoadError::Faults`] when the configuration has faults; otherwise when the component fails or the outbound
    /// client cannot be set up.
    pub async fn load(component: &FilterComponent, configuration: Configuration, mut options: FilterOptions) -> Result<Filter, LoadError> {
        let (instance, summary) = match Instance::load(component, &configuration, options.cpu_budget).await {
            Ok(_) if !configuration.unread.is_empty() => return Err(LoadError::Faults(configuration.told(Vec::new()))),
            Err(LoadError::Faults(faults)) => return Err(LoadError::Faults(configuration.told(faults))),
            loaded => loaded?,
        };
        let outbound = Outbound::new(&options.outbound, options.most_waiting(), &summary.metadata_urls, &summary.internal_hosts)?;
        let outbound = Arc::new(outbound.observed_by(options.observer.clone()).sharing(Arc::clone(component.shared_answers())));
        options.claims.get_or_insert_with(|| Arc::clone(component.claims()) as _);
        let pool = Pool::new(component.clone(), configuration, Arc::clone(&outbound), options, instance);
        Ok(Filter { pool: Arc::new(pool), summary: Arc::new(summary), outbound })
    }

    /// What the component says of the configuration.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// How busy the filter is at this moment.
    pub fn pool(&self) -> PoolState {
        self.pool.now()
    }

    /// Decides on one request. `body` only after [`crate::Outcome::NeedBody`]. Must be called within a Tokio runtime with
    /// time and IO enabled. Dropping the future gives the answer up, not the decision.
    ///
    /// # Errors
    /// When there is no decision: answer the request with status 500, never forward it.
    pub async fn decide(&self, head: RequestHead, body: Option<Vec<u8>>) -> Result<Decision, FilterError> {
        self.pool.decide(head, body).await
    }

    /// Asks a provider for a JSON document of at most so many bytes, under the rules that hold for the component: metadata
    /// that the configuration names, and what such metadata names. For checks, not for logins.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn ask_provider(&self, url: &str, max_response_bytes: u32) -> Result<ProviderAnswer, ProviderError> {
        Ok(self.outbound.send(provider_answer::request(url, max_response_bytes)).await?.into())
    }
}
