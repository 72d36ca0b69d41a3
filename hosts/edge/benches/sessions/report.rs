//! What was seen, and whether it is as promised.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::end::End;
use crate::site::Site;

/// So many faults are printed, and the others counted.
const MOST_PRINTED: usize = 20;

#[derive(Default)]
pub(crate) struct Report(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    logins: usize,
    visits: usize,
    /// Visits that found one node away, and went to the other.
    moved: usize,
    ends: BTreeMap<&'static str, usize>,
    /// Requests with the cookies of a session that had ended more than a second before.
    late: usize,
    /// How long the other node went on with a session that had ended, while the store was in reach.
    learned: Vec<Duration>,
    outages: Vec<(Option<Instant>, &'static str)>,
    faults: Vec<String>,
}

impl Report {
    fn see(&self, with: impl FnOnce(&mut Seen)) {
        with(&mut self.0.lock().expect("nothing panics here"));
    }

    pub(crate) fn login(&self) {
        self.see(|seen| seen.logins += 1);
    }

    pub(crate) fn visit(&self, moved: bool) {
        self.see(|seen| {
            seen.visits += 1;
            seen.moved += usize::from(moved);
        });
    }

    pub(crate) fn end(&self, end: End) {
        let name = match end {
            End::Logout => "logouts",
            End::Everywhere => "logouts everywhere",
            End::BackChannel => "logout tokens",
            End::Command => "ends by command",
        };
        self.see(|seen| *seen.ends.entry(name).or_default() += 1);
    }

    pub(crate) fn late(&self) {
        self.see(|seen| seen.late += 1);
    }

    pub(crate) fn learned(&self, after: Duration) {
        self.see(|seen| seen.learned.push(after));
    }

    pub(crate) fn outage(&self, what: &'static str) {
        self.see(|seen| seen.outages.push((Some(Instant::now()), what)));
    }

    pub(crate) fn fault(&self, fault: String) {
        self.see(|seen| seen.faults.push(fault));
    }

    /// Whether everything was as promised.
    pub(crate) fn print(&self, site: &Site) -> bool {
        let mut seen = self.0.lock().expect("nothing panics here");
        let refreshes = site.provider.requests("/token").saturating_sub(seen.logins);
        println!("      {} logins, {} visits ({} moved to the other node), {refreshes} refreshes", seen.logins, seen.visits, seen.moved);
        println!("      {:?}; {} requests with their cookies later", seen.ends, seen.late);
        seen.learned.sort();
        let at = |percent: usize| seen.learned.get(seen.learned.len() * percent / 100).or(seen.learned.last()).copied().unwrap_or_default();
        println!("      the other node refused after {:.1?} (median), {:.1?} (99 of 100), {:.1?} (all)", at(50), at(99), at(100));
        println!("      {}", seen.outages.iter().map(|(_, what)| *what).collect::<Vec<_>>().join("; "));
        for fault in seen.faults.iter().take(MOST_PRINTED) {
            println!("error: {fault}");
        }
        if seen.faults.len() > MOST_PRINTED {
            println!("error: and {} more", seen.faults.len() - MOST_PRINTED);
        }
        if refreshes == 0 || seen.late == 0 {
            println!("error: this run has proved nothing: no refresh, or no request of a session that has ended; give it more seconds");
            return false;
        }
        seen.faults.is_empty()
    }
}
