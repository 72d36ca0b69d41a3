//! Instances and the requests that wait for one.
//!
//! A request takes a parked instance and runs on it **in the caller's own task**: a decision that needs no provider is
//! over within that one poll, with no hop to another task and back. A decision that waits for a provider goes on, with
//! its instance, in a task of its own; that task then takes further requests from the queue onto the same instance.
//!
//! ```text
//! decide ── parked instance? ── yes ── poll once ── ready ── park the instance
//!                │                         └── pending ── own task: drive until nothing is in flight, then park
//!                └── no ── queue (bounded) ── taken by a driving task, or by the next instance about to be parked
//! ```
//!
//! One lock covers the parked instances and the queue, so that no request can be queued while an instance is parked. It is
//! never held across an `await`.
//!
//! A trap answers the requests in flight on that instance with an error, and the instance is replaced. A decision whose
//! caller has gone is driven to its end, because a call cannot be taken out of an instance; one that does not end within
//! `decision_timeout` after that costs the instance.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;
use tokio::time::timeout;
use wasmtime::component::Accessor;

use crate::bindings::exports::vestibule::filter::request_filter::Guest;
use crate::component::FilterComponent;
use crate::configuration::Configuration;
use crate::decision::Decision;
use crate::error::{FilterError, LoadError};
use crate::host_state::HostState;
use crate::instance::{self, Decided, Instance};
use crate::options::FilterOptions;
use crate::outbound::Outbound;
use crate::request_head::RequestHead;

pub(crate) struct Pool {
    component: FilterComponent,
    configuration: Configuration,
    outbound: Arc<Outbound>,
    options: FilterOptions,
    state: Mutex<State>,
    /// Wakes one driving task when the queue got a request.
    queued: Notify,
}

/// How busy a filter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolState {
    /// Instances that have a decision in flight, or are being made for one.
    pub in_use: usize,
    /// Instances that there may be ([`FilterOptions::instances`]).
    pub limit: usize,
    /// Requests that wait for an instance.
    pub waiting: usize,
}

struct State {
    /// Loaded instances at the back, used last in first out: the warmest one answers.
    parked: VecDeque<Slot>,
    queue: VecDeque<Job>,
}

/// The right to have one instance; vacant until first needed, and after a trap.
enum Slot {
    Loaded(Instance),
    Vacant,
}

struct Job {
    head: RequestHead,
    body: Option<Vec<u8>>,
    answer: DecisionSender,
}

/// Dropped without an answer when the instance traps.
type DecisionSender = oneshot::Sender<Result<Decision, FilterError>>;

enum Dispatched {
    Run(Slot, Job),
    Queued,
    Overloaded,
}

impl Pool {
    pub(crate) fn new(
        component: FilterComponent,
        configuration: Configuration,
        outbound: Arc<Outbound>,
        options: FilterOptions,
        mut first: Instance,
    ) -> Pool {
        first.connect(Arc::clone(&outbound), &options);
        let mut parked: VecDeque<Slot> = (1..options.instances).map(|_| Slot::Vacant).collect();
        parked.push_back(Slot::Loaded(first));
        Pool {
            component,
            configuration,
            outbound,
            options,
            state: Mutex::new(State { parked, queue: VecDeque::new() }),
            queued: Notify::new(),
        }
    }

    pub(crate) async fn decide(self: &Arc<Self>, head: RequestHead, body: Option<Vec<u8>>) -> Result<Decision, FilterError> {
        let (answer, mut answered) = oneshot::channel();
        match self.dispatch(Job { head, body, answer }) {
            Dispatched::Run(slot, job) => {
                let mut driving = Box::pin(drive(Arc::clone(self), slot, job));
                let over = poll_fn(|cx| Poll::Ready(driving.as_mut().poll(cx).is_ready())).await;
                if !over {
                    tokio::spawn(driving);
                }
                match answered.try_recv() {
                    Ok(result) => return result,
                    Err(TryRecvError::Closed) => return Err(FilterError::Trapped),
                    Err(TryRecvError::Empty) => {}
                }
            }
            Dispatched::Queued => {}
            Dispatched::Overloaded => return Err(FilterError::Overloaded),
        }
        match timeout(self.options.decision_timeout, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(FilterError::Trapped),
            Err(_) => Err(FilterError::TimedOut),
        }
    }

    fn dispatch(&self, job: Job) -> Dispatched {
        let mut state = self.state();
        if let Some(slot) = state.parked.pop_back() {
            return Dispatched::Run(slot, job);
        }
        if state.queue.len() >= self.options.queue {
            return Dispatched::Overloaded;
        }
        state.queue.push_back(job);
        drop(state);
        self.queued.notify_one();
        Dispatched::Queued
    }

    /// Parks the slot, unless there is a request for it.
    fn park(&self, slot: Slot) -> Option<(Slot, Job)> {
        let mut state = self.state();
        if let Some(job) = state.next_job() {
            return Some((slot, job));
        }
        state.park(slot);
        None
    }

    /// The next request of the queue, when there is one. May be dropped at any time without losing one.
    async fn next_job(&self) -> Job {
        loop {
            // A driving task with a full queue and fast decisions would never return to the scheduler.
            consume_budget().await;
            let queued = self.queued.notified();
            if let Some(job) = self.state().next_job() {
                return job;
            }
            queued.await;
        }
    }

    async fn instantiate(&self) -> Result<Instance, LoadError> {
        let mut instance = Instance::load_again(&self.component, &self.configuration, self.options.cpu_budget).await?;
        instance.connect(Arc::clone(&self.outbound), &self.options);
        Ok(instance)
    }

    pub(crate) fn now(&self) -> PoolState {
        let state = self.state();
        let limit = self.options.instances;
        PoolState { in_use: limit.saturating_sub(state.parked.len()), limit, waiting: state.queue.len() }
    }

    fn trapped(&self, trap: &wasmtime::Error) {
        instance::log_trap(trap);
        if let Some(observer) = &self.options.observer {
            observer.instance_trapped();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; if it did, the two queues would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn park(&mut self, slot: Slot) {
        match slot {
            Slot::Loaded(_) => self.parked.push_back(slot),
            Slot::Vacant => self.parked.push_front(slot),
        }
    }

    /// Passes over requests whose caller has given up.
    fn next_job(&mut self) -> Option<Job> {
        loop {
            let job = self.queue.pop_front()?;
            if !job.answer.is_closed() {
                return Some(job);
            }
        }
    }
}

/// Serves requests on one slot, beginning with `job`, until none is in flight on it and none is queued.
async fn drive(pool: Arc<Pool>, slot: Slot, job: Job) {
    let mut seat = Seat { pool: Arc::clone(&pool), slot, parked: false };
    let mut next = Some(job);
    while let Some(job) = next {
        seat.slot = serve(&pool, seat.take(), job).await;
        next = match pool.park(seat.take()) {
            Some((slot, job)) => {
                seat.slot = slot;
                // The caller whose task this runs in may have its answer by now; let it go.
                yield_now().await;
                Some(job)
            }
            None => {
                seat.parked = true;
                None
            }
        };
    }
}

/// Gives the slot back whatever happens: a driving task that is dropped midway leaves a vacant one.
struct Seat {
    pool: Arc<Pool>,
    slot: Slot,
    parked: bool,
}

impl Seat {
    fn take(&mut self) -> Slot {
        mem::replace(&mut self.slot, Slot::Vacant)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.parked {
            let slot = self.take();
            self.pool.state().park(slot);
        }
    }
}

/// Runs `first` and whatever the queue gives meanwhile, up to the limit in flight, until nothing is in flight.
async fn serve(pool: &Pool, slot: Slot, first: Job) -> Slot {
    let mut instance = match slot {
        Slot::Loaded(instance) => instance,
        Slot::Vacant => match pool.instantiate().await {
            Ok(instance) => instance,
            Err(error) => {
                tracing::error!(code = "instance.not_made", "no instance of the filter: {error}");
                // A caller that has gone away needs no answer.
                let _ = first.answer.send(Err(FilterError::Unavailable));
                return Slot::Vacant;
            }
        },
    };
    let guest = instance.bindings.vestibule_filter_request_filter();
    let end = instance.store.run_concurrent(async |accessor| serve_loaded(pool, accessor, guest, first).await).await;
    match end {
        Ok(InstanceEnd::Reusable) => Slot::Loaded(instance),
        Ok(InstanceEnd::Unusable) => Slot::Vacant,
        Err(trap) => {
            pool.trapped(&trap);
            Slot::Vacant
        }
    }
}

enum InstanceEnd {
    Reusable,
    Unusable,
}

async fn serve_loaded(pool: &Pool, accessor: &Accessor<HostState>, guest: &Guest, first: Job) -> InstanceEnd {
    let mut calls = FuturesUnordered::new();
    calls.push(call(pool, accessor, guest, first));
    let mut end = InstanceEnd::Reusable;
    while !calls.is_empty() {
        let takes_more = matches!(end, InstanceEnd::Reusable) && calls.len() < pool.options.in_flight_per_instance;
        tokio::select! {
            biased;
            Some(ended) = calls.next() => if let CallEnd::Broken = ended {
                end = InstanceEnd::Unusable;
            },
            job = pool.next_job(), if takes_more => calls.push(call(pool, accessor, guest, job)),
        }
    }
    end
}

/// For what nobody waits for: more than the component's own requests take until they are given up.
const AFTERWARDS_LIMIT: Duration = Duration::from_secs(60);

enum CallEnd {
    Answered,
    /// The guest gave no valid answer, or none in time: the instance takes no further requests.
    Broken,
}

/// One decision. When its caller is gone (deadline, closed connection) the guest still gets `decision_timeout` to come to an end,
/// since a call cannot be taken out of an instance.
async fn call(pool: &Pool, accessor: &Accessor<HostState>, guest: &Guest, job: Job) -> CallEnd {
    let grace = pool.options.decision_timeout;
    let Job { head, body, mut answer } = job;
    let mut decision = Box::pin(instance::decide(accessor, guest, head, body));
    let decided = tokio::select! {
        biased;
        decided = &mut decision => decided,
        () = answer.closed() => match timeout(grace, decision).await {
            Ok(decided) => decided,
            Err(_) => {
                tracing::error!(
                    code = "instance.stuck",
                    "a decision does not come to an end; its instance is replaced when its other requests are through"
                );
                return CallEnd::Broken;
            }
        },
    };
    let Decided { decision, afterwards } = match decided {
        Ok(decided) => decided,
        Err(error) => {
            pool.trapped(&error);
            // A caller that has gone away needs no answer.
            let _ = answer.send(Err(FilterError::Trapped));
            return CallEnd::Broken;
        }
    };
    let _ = answer.send(Ok(decision));
    let Some(afterwards) = afterwards else { return CallEnd::Answered };
    match timeout(AFTERWARDS_LIMIT, instance::finish(accessor, guest, afterwards)).await {
        Ok(Ok(events)) => {
            if let Some(observer) = &pool.options.observer {
                events.iter().for_each(|event| observer.event_afterwards(event));
            }
            CallEnd::Answered
        }
        Ok(Err(error)) => {
            pool.trapped(&error);
            CallEnd::Broken
        }
        Err(_) => {
            tracing::error!(
                code = "instance.stuck",
                "the revocation after a response does not end; its instance is replaced when its other requests are through"
            );
            CallEnd::Broken
        }
    }
}
