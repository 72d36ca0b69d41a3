//! What `refresh`, `revalidate` and `on_outage` come to beside the other settings: one that can have no effect is told, since it promises
//! a protection that is not there.

use super::section::Section;
use crate::session::{ExposeTokens, Lifetime, OnOutage, RefreshSettings};

/// Judges the settings of `[vestibule.session]`. `exposed`: the tokens that the application receives; `None` where that is faulty.
pub(super) fn check(session: &Section<'_>, refresh: &RefreshSettings, lifetime: &Lifetime, exposed: Option<ExposeTokens>) {
    let Some(exposed) = exposed else { return };
    if ["refresh", "revalidate", "max_age", "on_outage"].iter().any(|name| session.is_key_faulty(name)) {
        return;
    }
    let is_exposed = exposed.id || exposed.access;
    let warning = |name: &str, problem: &str, remedy: &str| session.findings.warning(session.at(), &session.key(name), problem, remedy);
    let Some(interval) = refresh.revalidate else {
        if is_exposed {
            return;
        }
        if session.has("on_outage") {
            let problem = "has no effect without `revalidate` or `expose_tokens`: Vestibule never needs the provider for a session";
            let remedy = "write revalidate = \"5m\" beside it, or remove it";
            session.findings.fatal(session.at(), &session.key("on_outage"), problem, remedy);
        } else {
            let problem = "has no effect without `revalidate` or `expose_tokens`: the refresh token is requested and never used";
            warning("refresh", problem, "write revalidate = \"5m\" beside it, or remove it");
        }
        return;
    };
    // A session is over at this very age.
    if interval >= lifetime.max_age {
        let problem = "has no effect: it is not shorter than `max_age`, so that the session ends first";
        warning("revalidate", problem, "make it shorter than max_age, \"5m\" for example");
    } else if refresh.on_outage == OnOutage::Refuse && !is_exposed && interval.saturating_mul(2) >= lifetime.max_age {
        let problem = "has no effect: the session ends before the account is unconfirmed for twice `revalidate`";
        warning("on_outage", problem, "make revalidate shorter than half of max_age");
    }
}
