//! Series follow the configuration, and nothing else.

use prometheus_client::encoding::text::encode;
use proptest::prelude::*;
use vestibule_wasmtime::{Forward, Outcome, Response};

use super::*;

const URL: &str = "https://op.example/.well-known/openid-configuration";

fn countable(providers: &[&str], rules: usize) -> Countable {
    let providers = providers.iter().map(|name| ((*name).to_owned(), URL.to_owned())).collect();
    Countable { providers, rules, answers_proxies: false }
}

fn registered() -> (Registry, Configured) {
    let mut registry = Registry::default();
    let configured = Configured::registered(&mut registry);
    (registry, configured)
}

fn text(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).expect("a text");
    text
}

fn decision(outcome: Outcome, rule: Option<u32>) -> Decision {
    let mut decision = Decision::new(outcome);
    decision.rule = rule;
    decision
}

#[test]
fn a_rule_counts_by_its_number_and_those_beyond_the_bound_together() {
    let (registry, configured) = registered();
    let counts = configured.counts(&countable(&[], MAX_RULES_APART + 10));
    for rule in [None, Some(1), Some(1000), Some(1001), Some(1010), Some(u32::MAX)] {
        counts.decided(&decision(Outcome::Forward(Forward::default()), rule));
    }
    counts.decided(&decision(Outcome::NeedBody(1), Some(1)));
    counts.decided(&decision(Outcome::Respond(Response::new(302, vec![])), Some(2)));
    let text = text(&registry);
    for (rule, outcome, count) in
        [("none", "admitted", 1), ("1", "admitted", 1), ("1000", "admitted", 1), ("others", "admitted", 3), ("2", "answered", 1)]
    {
        let series = format!("rule_decisions_total{{rule=\"{rule}\",outcome=\"{outcome}\"}} {count}\n");
        assert!(text.contains(&series), "{series}");
    }
    assert_eq!(text.matches("rule_decisions_total{").count(), (MAX_RULES_APART + 2) * RULINGS.len());
}

#[test]
fn to_a_proxy_that_asks_a_pass_is_an_admission() {
    let (registry, configured) = registered();
    let counts = configured.counts(&Countable { answers_proxies: true, ..countable(&[], 1) });
    counts.decided(&decision(Outcome::Respond(Response::new(200, vec![])), Some(1)));
    counts.decided(&decision(Outcome::Respond(Response::new(401, vec![])), Some(1)));
    let text = text(&registry);
    assert!(text.contains("rule_decisions_total{rule=\"1\",outcome=\"admitted\"} 1\n"));
    assert!(text.contains("rule_decisions_total{rule=\"1\",outcome=\"answered\"} 1\n"));
}

#[test]
fn series_follow_the_configuration_in_force() {
    let (registry, configured) = registered();
    let before = configured.counts(&countable(&["google", "entra"], 2));
    before.decided(&decision(Outcome::Forward(Forward::default()), Some(1)));
    let after = configured.counts(&countable(&["google"], 1));
    assert!(text(&registry).contains("entra"), "a configuration that is being loaded removes nothing");
    configured.retain(&after);
    let now = text(&registry);
    assert!(!now.contains("entra") && !now.contains("rule=\"2\""), "{now}");
    assert!(now.contains("provider=\"google\"") && now.contains("provider=\"none\"") && now.contains("rule=\"none\""));
    assert!(now.contains("rule_decisions_total{rule=\"1\",outcome=\"admitted\"} 1\n"), "what stays goes on");
    // What is under way by the old one is counted for nobody.
    before.decided(&decision(Outcome::Forward(Forward::default()), Some(2)));
    assert_eq!(text(&registry), now);
    configured.retain(&configured.counts(&countable(&["google", "entra"], 2)));
    assert!(text(&registry).contains("provider=\"entra\""));
}

#[test]
fn failures_have_the_names_of_their_order() {
    assert_eq!(FAILURES.len(), ProviderFailure::ALL.len() + 1);
    assert_eq!(KINDS.map(|(kind, _)| kind), ProviderRequest::ALL);
    for (failure, name) in ProviderFailure::ALL.iter().zip(FAILURES) {
        assert_eq!(format!("{failure:?}").to_lowercase(), name.replace('_', ""));
    }
}

proptest! {
    /// Whatever a component says: no event, no rule and no provider makes a series.
    #[test]
    fn decisions_make_no_series(rule in any::<Option<u32>>(), status in 100_u16..600) {
        let (registry, configured) = registered();
        let counts = configured.counts(&countable(&["google"], 3));
        let series = |text: String| text.lines().map(|line| line.rsplit_once(' ').map_or("", |(name, _)| name).to_owned()).collect::<Vec<_>>();
        let before = series(text(&registry)).len();
        counts.decided(&decision(Outcome::Respond(Response::new(status, vec![])), rule));
        prop_assert_eq!(series(text(&registry)).len(), before);
    }

    /// Names of providers are the operator's, and any text.
    #[test]
    fn a_provider_may_have_any_name(name in "\\PC{0,20}[\"\\\\\n]?") {
        let (registry, configured) = registered();
        let _ = configured.counts(&countable(&[&name], 0));
        for line in text(&registry).lines().filter(|line| line.starts_with("events_total{")) {
            let quotes = line.replace("\\\\", "").replace("\\\"", "").matches('"').count();
            prop_assert_eq!(quotes, 4, "{}", line);
        }
    }
}
