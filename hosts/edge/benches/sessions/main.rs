//! Five thousand sessions on two nodes of `vestibule serve` and one Redis, while Redis is killed twice and a node once: logins,
//! refreshes, and logouts of every kind. Fails if the application answers a request of a session more than a second after its
//! end while the store is in reach, or if a session is lost. `make load-sessions` runs it.

#![expect(clippy::expect_used, reason = "a step that fails ends the run, and says which one it was")]
#![expect(clippy::print_stdout, reason = "what was measured")]

mod answer;
mod end;
mod outages;
#[allow(dead_code, reason = "this program uses its part of it")]
#[path = "../../tests/store/redis.rs"]
mod redis;
mod report;
mod serving;
mod site;
mod visitor;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::report::Report;
use crate::site::Site;
use crate::visitor::Visitor;

/// What the module of Redis has of the tests' module of this name.
mod node {
    use std::time::Duration;

    pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
}

/// People who visit at the same time. Each has a part of the sessions.
const VISITING: usize = 64;

/// What is asked of both nodes in a second, or less if they are not so fast.
const VISITS_EACH_SECOND: u32 = 400;

#[tokio::main]
async fn main() -> ExitCode {
    let number = |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (seconds, sessions) = (number("SECONDS_OF_LOAD", 300), number("SESSIONS", 5000));
    vestibule_edge::listen::limits::raise_descriptors();
    let (site, report) = (Arc::new(Site::start(sessions).await), Arc::new(Report::default()));

    let started = Instant::now();
    let mut visitors: Vec<_> = (0..VISITING).map(|first| Visitor::all(first, VISITING, sessions, &site, &report)).collect();
    futures::future::join_all(visitors.iter_mut().map(Visitor::log_in_all)).await;
    println!("      {sessions} logins in {:.0?}; now {seconds} seconds of visits", started.elapsed());

    let duration = Duration::from_secs(seconds as u64);
    let until = Instant::now() + duration;
    let pause = Duration::from_secs(VISITING as u64) / VISITS_EACH_SECOND;
    let visits: Vec<_> = visitors.into_iter().map(|visitor| tokio::spawn(visitor.visit_until(until, pause))).collect();
    outages::play(&site, &report, duration).await;
    for visit in visits {
        visit.await.expect("a visitor does not panic");
    }
    if report.print(&site) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
