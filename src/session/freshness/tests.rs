//! Settings against what they come to: one that never has an effect is told, and one that can have an effect is not.

use proptest::prelude::*;

use super::*;
use crate::config::{Config, Source};

const CONFIG: &str = r#"[auth]
redirect_uri = "https://app.example/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
client_id = "shop"
client_secret = "q7Rz8fKw2mQLbXeR4tY9uVn3"
server_metadata_url = "https://op.example/.well-known/openid-configuration"
"#;

const START: UnixTime = UnixTime::from_secs(1_700_000_000);

/// `refresh = "auto"` with these beside it.
#[derive(Clone, Debug)]
struct Written {
    /// In seconds.
    revalidate: Option<u64>,
    on_outage: Option<&'static str>,
    /// In seconds.
    max_age: u64,
    exposed: &'static str,
}

impl Written {
    fn toml(&self) -> String {
        let Self { revalidate, on_outage, max_age, exposed } = self;
        let revalidate = revalidate.map(|interval| format!("revalidate = \"{interval}s\"\n")).unwrap_or_default();
        let on_outage = on_outage.map(|word| format!("on_outage = \"{word}\"\n")).unwrap_or_default();
        format!(
            "{CONFIG}expose_tokens = {exposed}\n[vestibule.session]\nrefresh = \"auto\"\nmax_age = \"{max_age}s\"\n{revalidate}{on_outage}"
        )
    }

    /// Key and severity of what is told of the settings.
    fn told(&self) -> Vec<(String, bool)> {
        let faults = match Config::parse(&Source::new("secrets.toml", &self.toml())) {
            Ok(config) => config.warnings,
            Err(faults) => faults,
        };
        let told = faults.into_iter().filter_map(|fault| Some((fault.key.strip_prefix("vestibule.session.")?.to_owned(), fault.fatal)));
        told.collect()
    }

    /// Whether the provider is ever asked, ever because of `revalidate`, and ever needed before a request goes on.
    fn effects(&self) -> [bool; 3] {
        let settings = RefreshSettings { revalidate: self.revalidate.map(Duration::from_secs), on_outage: OnOutage::Refuse };
        let exposed = ExposeTokens { id: self.exposed.contains("id"), access: self.exposed.contains("access") };
        let fresh = |lifetime| Freshness::new(FreshTokens { lifetime, issued_at: START });
        let (short, unknown) = (fresh(Some(Duration::from_secs(1))), fresh(None));
        let interval = self.revalidate.unwrap_or(0);
        let times = [0, 10, interval, 2 * interval, self.max_age - 1].into_iter().filter(|secs| *secs < self.max_age);
        let times: Vec<_> = times.map(|secs| START.after(Duration::from_secs(secs))).collect();
        [
            times.iter().any(|now| short.due(&settings, exposed, *now) != Due::No),
            times.iter().any(|now| unknown.due(&settings, exposed, *now) == Due::Validation),
            times.iter().any(|now| short.is_overdue(&settings, exposed, *now)),
        ]
    }
}

fn written() -> impl Strategy<Value = Written> {
    let revalidate = proptest::option::of(10u64..200);
    let on_outage = proptest::option::of(prop::sample::select(vec!["continue", "refuse"]));
    let exposed = prop::sample::select(vec!["[]", "\"id\"", "\"access\"", "[\"id\", \"access\"]"]);
    (revalidate, on_outage, 20u64..200, exposed).prop_map(|(revalidate, on_outage, max_age, exposed)| Written {
        revalidate,
        on_outage,
        max_age,
        exposed,
    })
}

proptest! {
    #[test]
    fn a_setting_is_told_exactly_when_it_never_has_an_effect(written in written()) {
        let [asks, validates, refuses] = written.effects();
        let key = |name: &str, is_fatal| vec![(name.to_owned(), is_fatal)];
        let expected = if !asks && written.revalidate.is_none() {
            if written.on_outage.is_some() { key("on_outage", true) } else { key("refresh", false) }
        } else if written.revalidate.is_some() && !validates {
            key("revalidate", false)
        } else if written.on_outage == Some("refuse") && !refuses {
            key("on_outage", false)
        } else {
            vec![]
        };
        prop_assert_eq!(written.told(), expected);
    }
}

#[test]
fn a_provider_that_is_never_needed_is_told() {
    let written = Written { revalidate: None, on_outage: None, max_age: 3600, exposed: "[]" };
    let told = Written::told;
    assert_eq!(told(&written), [("refresh".to_owned(), false)]);
    assert_eq!(told(&Written { on_outage: Some("refuse"), ..written.clone() }), [("on_outage".to_owned(), true)]);
    assert_eq!(told(&Written { revalidate: Some(400 * 86_400), ..written.clone() }), [("revalidate".to_owned(), false)]);
    for (revalidate, is_told) in [(1799, false), (1800, true), (3599, true)] {
        let told = told(&Written { revalidate: Some(revalidate), on_outage: Some("refuse"), ..written.clone() });
        assert_eq!(told.contains(&("on_outage".to_owned(), false)), is_told, "{revalidate}");
    }
    // A fault has no consequence that is told as well.
    let toml = written.toml();
    for (faulty, key) in [
        (toml.replace("refresh = \"auto\"", "refresh = \"on\""), "vestibule.session.refresh"),
        (toml.replace("expose_tokens = []", "expose_tokens = 7"), "auth.expose_tokens"),
        (toml.replace("max_age = \"3600s\"", "max_age = 7\nrevalidate = \"5m\""), "vestibule.session.max_age"),
        (format!("{toml}revalidate = \"1s\"\n"), "vestibule.session.revalidate"),
    ] {
        let faults = Config::parse(&Source::new("secrets.toml", &faulty)).expect_err("it is faulty");
        assert_eq!(faults.into_iter().map(|fault| fault.key).collect::<Vec<_>>(), [key], "{faulty}");
    }
}
