//! What is counted by rule and by provider: the series of one configuration at a time.
//!
//! A rule is its number and a provider its name, as both stand in the file. When another configuration comes into force, series
//! of numbers and names that it does not have are removed; those that it has go on. So a number can mean another rule from then on:
//! `vestibule_configuration_last_reload_timestamp_seconds` says when.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use vestibule::code::Code;
use vestibule_wasmtime::{Decision, Event, Observer, Outcome, ProviderExchange, ProviderFailure, ProviderRequest, Response};

/// Rules that have series of their own; further ones share `rule="others"`. A configuration may have 10,000 rules, and a scrape
/// should stay below a megabyte.
const MAX_RULES_APART: usize = 1000;

/// In place of a number or a name: no rule has decided, or no provider has a part.
const NONE: &str = "none";
const OTHERS: &str = "others";

const RULINGS: [&str; 3] = ["admitted", "denied", "answered"];

/// Why there is no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDecision {
    /// More requests wait for the filter than it takes.
    Overloaded,
    /// There was none in time.
    TimedOut,
    /// The instance trapped, or none could be made.
    Failed,
}

const UNDECIDED: [&str; 3] = ["overloaded", "timed_out", "failed"];

/// Errors of requests to providers, in the order of [`ProviderFailure::ALL`]; the last is an answer with a status from 400 on.
const FAILURES: [&str; 7] = ["not_allowed", "unreachable", "timed_out", "too_large", "protocol", "overloaded", "status"];
const STATUS: usize = FAILURES.len() - 1;

const KINDS: [(ProviderRequest, &str); 5] = [
    (ProviderRequest::Metadata, "metadata"),
    (ProviderRequest::Keys, "keys"),
    (ProviderRequest::Token, "token"),
    (ProviderRequest::Userinfo, "userinfo"),
    (ProviderRequest::Revocation, "revocation"),
];

/// Seconds: from a provider in the same network to the longest that one may take.
const BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The place of a code among [`Code::ALL`].
static CODES: LazyLock<HashMap<&'static str, usize>> =
    LazyLock::new(|| Code::ALL.iter().enumerate().map(|(index, code)| (code.as_str(), index)).collect());

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabels {
    rule: Arc<str>,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    code: &'static str,
    provider: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExchangeLabels {
    provider: Arc<str>,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    provider: Arc<str>,
    kind: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UndecidedLabels {
    reason: &'static str,
}

/// The families, of every configuration that there was.
#[derive(Debug)]
pub(super) struct Configured {
    rules: Family<RuleLabels, Counter>,
    events: Family<EventLabels, Counter>,
    latency: Family<ExchangeLabels, Histogram>,
    failures: Family<FailureLabels, Counter>,
    filter: FilterCounters,
    known: Mutex<Known>,
}

/// What has series.
#[derive(Debug, Default)]
struct Known {
    /// Numbers of rules.
    rules: BTreeSet<Arc<str>>,
    /// Names.
    providers: BTreeSet<Arc<str>>,
}

/// What is counted of filters, whatever their configuration.
#[derive(Clone, Debug)]
struct FilterCounters {
    undecided: [Counter; UNDECIDED.len()],
    live: Gauge,
    made: Counter,
    retired: Counter,
    traps: Counter,
    memory: Gauge,
}

/// The counters of one configuration. It is the [`Observer`] of its filter.
#[derive(Debug)]
pub struct Counts {
    /// By number, from 1; the first is of no rule, the last of those without series of their own.
    rules: Vec<[Counter; RULINGS.len()]>,
    numbers: BTreeSet<Arc<str>>,
    /// By name; each has a counter for each code.
    events: HashMap<Arc<str>, Vec<Counter>>,
    /// By metadata URL.
    exchanges: HashMap<String, Exchanges>,
    without_provider: (Vec<Counter>, Exchanges),
    filter: FilterCounters,
    answers_proxies: bool,
}

/// What is counted apart in a configuration.
#[derive(Clone, Debug, Default)]
pub struct Countable {
    /// Name and metadata URL of each provider.
    pub providers: Vec<(String, String)>,
    /// The number of rules.
    pub rules: usize,
    /// `mode = "authz"`.
    pub answers_proxies: bool,
}

/// Of one provider.
#[derive(Clone, Debug)]
struct Exchanges([(Histogram, [Counter; FAILURES.len()]); KINDS.len()]);

impl Configured {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let rules = Family::<RuleLabels, Counter>::default();
        registry.register("rule_decisions", "Decisions by number of the rule in the configuration, and by outcome", rules.clone());
        let events = Family::<EventLabels, Counter>::default();
        registry.register(
            "events",
            "Events of decisions, and of the revocations after them, by code (docs/log.md) and by name of the provider in the configuration",
            events.clone(),
        );
        let latency = Family::<ExchangeLabels, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        let help = "Duration of requests to providers that were answered, by provider and by what was asked for";
        registry.register_with_unit("provider_request_duration", help, Unit::Seconds, latency.clone());
        let failures = Family::<FailureLabels, Counter>::default();
        let help = "Requests to providers that failed or were answered with a status from 400 on, by provider, kind and reason";
        registry.register("provider_request_errors", help, failures.clone());
        Self { rules, events, latency, failures, filter: FilterCounters::registered(registry), known: Mutex::default() }
    }

    pub(super) fn counts(&self, countable: &Countable) -> Arc<Counts> {
        let &Countable { ref providers, rules, answers_proxies } = countable;
        let apart = rules.min(MAX_RULES_APART);
        let numbers: Vec<Arc<str>> = std::iter::once(NONE.into())
            .chain((1..=apart).map(|number| number.to_string().into()))
            .chain((rules > apart).then(|| OTHERS.into()))
            .collect();
        let rules =
            numbers.iter().map(|rule| RULINGS.map(|outcome| self.rules.get_or_create_owned(&RuleLabels { rule: rule.clone(), outcome })));
        let mut counts = Counts {
            rules: rules.collect(),
            numbers: numbers.into_iter().collect(),
            events: HashMap::new(),
            exchanges: HashMap::new(),
            without_provider: (self.events(&NONE.into()), self.exchanges(&NONE.into())),
            filter: self.filter.clone(),
            answers_proxies,
        };
        for (name, metadata_url) in providers {
            let name: Arc<str> = name.as_str().into();
            counts.events.insert(name.clone(), self.events(&name));
            // The library names the first of those with one URL.
            counts.exchanges.entry(metadata_url.clone()).or_insert_with(|| self.exchanges(&name));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.rules.extend(counts.numbers.iter().cloned());
        known.providers.extend(counts.events.keys().cloned());
        drop(known);
        Arc::new(counts)
    }

    /// Removes what these counts do not have.
    pub(super) fn retain(&self, counts: &Counts) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.rules.retain(|rule| {
            let stays = counts.numbers.contains(rule);
            if !stays {
                for outcome in RULINGS {
                    self.rules.remove(&RuleLabels { rule: rule.clone(), outcome });
                }
            }
            stays
        });
        known.providers.retain(|provider| {
            // The series of no provider are a name's as well, if one is called so.
            let stays = counts.events.contains_key(provider) || **provider == *NONE;
            if !stays {
                self.remove(provider);
            }
            stays
        });
    }

    fn remove(&self, provider: &Arc<str>) {
        for code in Code::ALL {
            self.events.remove(&EventLabels { code: code.as_str(), provider: provider.clone() });
        }
        for (_, kind) in KINDS {
            self.latency.remove(&ExchangeLabels { provider: provider.clone(), kind });
            for reason in FAILURES {
                self.failures.remove(&FailureLabels { provider: provider.clone(), kind, reason });
            }
        }
    }

    fn events(&self, provider: &Arc<str>) -> Vec<Counter> {
        let counter = |code: &Code| self.events.get_or_create_owned(&EventLabels { code: code.as_str(), provider: provider.clone() });
        Code::ALL.iter().map(counter).collect()
    }

    fn exchanges(&self, provider: &Arc<str>) -> Exchanges {
        Exchanges(KINDS.map(|(_, kind)| {
            let latency = self.latency.get_or_create_owned(&ExchangeLabels { provider: provider.clone(), kind });
            let failure = |reason| self.failures.get_or_create_owned(&FailureLabels { provider: provider.clone(), kind, reason });
            (latency, FAILURES.map(failure))
        }))
    }
}

impl FilterCounters {
    fn registered(registry: &mut Registry) -> Self {
        let family = Family::<UndecidedLabels, Counter>::default();
        registry.register("decision_failures", "Requests without a decision, which are never forwarded, by reason", family.clone());
        let (live, memory): (Gauge, Gauge) = Default::default();
        let [made, retired, traps] = [(); 3].map(|()| Counter::default());
        registry.register("instances", "Instances of the component that there are", live.clone());
        registry.register("instances_made", "Instances of the component that were made", made.clone());
        registry.register("instances_retired", "Instances that have ended: after a trap, or with their configuration", retired.clone());
        registry.register("instance_traps", "Instances that trapped, ran for too long or broke their contract", traps.clone());
        registry.register_with_unit("instance_memory", "Linear memory of all instances", Unit::Bytes, memory.clone());
        let undecided = UNDECIDED.map(|reason| family.get_or_create_owned(&UndecidedLabels { reason }));
        Self { undecided, live, made, retired, traps, memory }
    }
}

impl Counts {
    /// Of a host without a registry: counted, and shown to nobody.
    pub fn unregistered() -> Arc<Self> {
        Configured::registered(&mut Registry::default()).counts(&Countable::default())
    }

    /// A decision was taken. One that asks for the body is none yet.
    pub fn decided(&self, decision: &Decision) {
        let is_denied = || decision.events.iter().any(|event| event.code == Code::PolicyDenied.as_str());
        let ruling = match &decision.outcome {
            Outcome::Forward(_) => 0,
            // A proxy that asks forwards the request itself.
            Outcome::Respond(Response { status: 200..=299, .. }) if self.answers_proxies => 0,
            Outcome::Respond(_) if is_denied() => 1,
            Outcome::Respond(_) => 2,
            Outcome::NeedBody(_) => return,
        };
        let rule = decision.rule.and_then(|rule| usize::try_from(rule).ok()).unwrap_or(0);
        if let Some(counters) = self.rules.get(rule).or_else(|| self.rules.last()) {
            counters[ruling].inc();
        }
        decision.events.iter().for_each(|event| self.count(event));
    }

    fn count(&self, event: &Event) {
        let provider = event.provider.as_deref().and_then(|name| self.events.get(name));
        let counter = CODES.get(event.code.as_str()).and_then(|&code| provider.unwrap_or(&self.without_provider.0).get(code));
        if let Some(counter) = counter {
            counter.inc();
        }
    }

    /// There is no decision.
    pub fn undecided(&self, reason: NoDecision) {
        self.filter.undecided[reason as usize].inc();
    }
}

impl Observer for Counts {
    fn instance_made(&self) {
        self.filter.made.inc();
        self.filter.live.inc();
    }

    fn instance_retired(&self) {
        self.filter.retired.inc();
        self.filter.live.dec();
    }

    fn instance_trapped(&self) {
        self.filter.traps.inc();
    }

    fn memory_grown(&self, bytes: usize) {
        self.filter.memory.inc_by(super::number(bytes));
    }

    fn memory_freed(&self, bytes: usize) {
        self.filter.memory.dec_by(super::number(bytes));
    }

    fn event_afterwards(&self, event: &Event) {
        self.count(event);
    }

    fn provider_asked(&self, exchange: &ProviderExchange<'_>) {
        let exchanges = exchange.metadata_url.and_then(|url| self.exchanges.get(url)).unwrap_or(&self.without_provider.1);
        let Some(kind) = KINDS.iter().position(|(kind, _)| *kind == exchange.kind) else { return };
        let (latency, failures) = &exchanges.0[kind];
        let failed = match exchange.result {
            Ok(status) => {
                latency.observe(exchange.duration.as_secs_f64());
                (status >= 400).then_some(STATUS)
            }
            Err(failure) => ProviderFailure::ALL.iter().position(|known| *known == failure),
        };
        if let Some(failed) = failed {
            failures[failed].inc();
        }
    }
}

#[cfg(test)]
mod tests;
