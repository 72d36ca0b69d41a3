//! One instance of the component with its configuration loaded.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::Accessor;

use crate::bindings;
use crate::bindings::exports::vestibule::filter::request_filter::{Guest, Progress};
use crate::bindings::vestibule::filter::types;
use crate::component::FilterComponent;
use crate::configuration::{Configuration, Reference, Summary};
use crate::decision::{Decision, Event};
use crate::error::{ComponentError, FilterError, LoadError};
use crate::event_log;
use crate::host_state::{HostState, enter};
use crate::options::FilterOptions;
use crate::outbound::Outbound;
use crate::request_head::RequestHead;

/// Guest code's time to parse a configuration, far beyond what it needs.
const LOAD_CPU_BUDGET: Duration = Duration::from_secs(5);

/// One instance. A [`crate::Filter`] keeps several and is what an embedder wants; an instance by itself is for
/// measurements and tests. It reaches no provider.
pub struct Instance {
    pub(crate) store: Store<HostState>,
    pub(crate) bindings: bindings::Filter,
}

impl Instance {
    /// Makes an instance and gives it its configuration. `cpu_budget` is how long guest code may run from one entry
    /// to the next; see [`crate::FilterOptions`].
    ///
    /// # Errors
    /// When no instance can be made, the component traps, or the configuration has faults.
    pub async fn load(
        component: &FilterComponent,
        configuration: &Configuration,
        cpu_budget: Duration,
    ) -> Result<(Instance, Summary), LoadError> {
        Instance::load_as(component, configuration.clone().into(), cpu_budget).await
    }

    /// [`Instance::load`] of the very configuration that another instance has loaded: its warnings are not looked for. For the pool,
    /// which loads one configuration, and for measurements.
    ///
    /// # Errors
    /// As [`Instance::load`].
    #[doc(hidden)]
    pub async fn load_again(
        component: &FilterComponent,
        configuration: &Configuration,
        cpu_budget: Duration,
    ) -> Result<Instance, LoadError> {
        let configuration = types::Configuration { was_checked: true, ..configuration.clone().into() };
        Instance::load_as(component, configuration, cpu_budget).await.map(|(instance, _)| instance)
    }

    async fn load_as(
        component: &FilterComponent,
        configuration: types::Configuration,
        cpu_budget: Duration,
    ) -> Result<(Instance, Summary), LoadError> {
        let mut instance = Instance::new(component, cpu_budget).await?;
        let loaded =
            instance.bindings.vestibule_filter_request_filter().call_load(&mut instance.store, &configuration).await.map_err(failed)?;
        match loaded {
            Ok(summary) => Ok((instance, summary.into())),
            Err(faults) => Err(LoadError::Faults(faults.into_iter().map(Into::into).collect())),
        }
    }

    /// Decides on one request, alone on this instance. After an error the instance is of no use.
    ///
    /// # Errors
    /// When the component traps. There is no deadline but the CPU budget.
    pub async fn decide(&mut self, head: RequestHead, body: Option<Vec<u8>>) -> Result<Decision, FilterError> {
        let guest = self.bindings.vestibule_filter_request_filter();
        let decided = self.store.run_concurrent(async |accessor| {
            let Decided { decision, afterwards } = decide(accessor, guest, head, body).await?;
            if let Some(afterwards) = afterwards {
                finish(accessor, guest, afterwards).await?;
            }
            Ok(decision)
        });
        decided.await.flatten().map_err(|error| {
            log_trap(&error);
            FilterError::Trapped
        })
    }

    /// From now on the guest may reach what `outbound` allows, and is told of sessions what the host knows; the observer is told
    /// of the instance.
    pub(crate) fn connect(&mut self, outbound: Arc<Outbound>, options: &FilterOptions) {
        let state = self.store.data_mut();
        (state.outbound, state.ended, state.claims) = (Some(outbound), options.ended.clone(), options.claims.clone());
        state.memory.observe(options.observer.as_ref());
    }

    /// Without configuration, with time enough to load one.
    async fn new(component: &FilterComponent, cpu_budget: Duration) -> Result<Instance, ComponentError> {
        let runtime = component.runtime();
        let state = HostState::new(runtime.memory_limit(), LOAD_CPU_BUDGET, runtime.clock().clone());
        let mut store = Store::new(runtime.engine(), state);
        store.limiter(|state| &mut state.memory);
        enter(&mut store);
        let bindings = component.linked().instantiate_async(&mut store).await.map_err(failed)?;
        store.data_mut().set_cpu_budget(cpu_budget);
        Ok(Instance { store, bindings })
    }
}

impl FilterComponent {
    /// What a configuration text refers to outside itself; see [`crate::ConfigurationFile`].
    ///
    /// # Errors
    /// When no instance can be made, or the component traps.
    pub async fn references(&self, toml: &str) -> Result<Vec<Reference>, ComponentError> {
        let mut instance = Instance::new(self, LOAD_CPU_BUDGET).await?;
        instance
            .bindings
            .vestibule_filter_request_filter()
            .call_references(&mut instance.store, toml)
            .await
            .map_err(failed)
            .map(|references| references.into_iter().map(Reference::from).collect())
    }
}

/// A decision, and what is to be done after it.
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    pub(crate) afterwards: Option<Afterwards>,
}

/// The number by which an instance knows what nobody waits for.
pub(crate) struct Afterwards(u32);

/// Starts one decision on an instance whose event loop is running, and waits for it. Any number may be waiting.
pub(crate) async fn decide(
    accessor: &Accessor<HostState>,
    guest: &Guest,
    head: RequestHead,
    body: Option<Vec<u8>>,
) -> wasmtime::Result<Decided> {
    accessor.with(|access| enter(access));
    let decision = match guest.call_decide(accessor, head.into(), body).await? {
        Progress::Decided(decision) => decision,
        Progress::Pending(pending) => {
            accessor.with(|access| enter(access));
            guest.call_finish(accessor, pending).await?
        }
    };
    let afterwards = decision.afterwards.map(Afterwards);
    Ok(Decided { decision: Decision::read(decision)?, afterwards })
}

/// Does what nobody waits for, and logs what comes of it.
pub(crate) async fn finish(accessor: &Accessor<HostState>, guest: &Guest, Afterwards(number): Afterwards) -> wasmtime::Result<Vec<Event>> {
    accessor.with(|access| enter(access));
    let done = guest.call_finish(accessor, number).await?;
    let events = Decision::read(done)?.events;
    events.iter().for_each(event_log::log);
    Ok(events)
}

pub(crate) fn log_trap(error: &wasmtime::Error) {
    tracing::error!(
        code = "instance.trapped",
        "the filter's instance failed and is replaced; requests that were in flight on it are answered with 500: {error:#}"
    );
}

fn failed(error: wasmtime::Error) -> ComponentError {
    let reason = format!("{error:#}");
    if reason.contains(NOT_RESERVED) { ComponentError::NoAddressSpace(reason) } else { ComponentError::Failed(reason) }
}

/// What Wasmtime says of a mapping that it does not get.
const NOT_RESERVED: &str = "failed to reserve";
