//! Redis is killed twice and started again, and a node once.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::report::Report;
use crate::site::Site;

/// For how long Redis is away, and a node.
const REDIS_AWAY: Duration = Duration::from_secs(5);
const NODE_AWAY: Duration = Duration::from_secs(3);

/// Longer than the pause between two tries of a node to connect again.
const NOTICED: Duration = Duration::from_secs(1);

/// Returns when `duration` is over.
pub(crate) async fn play(site: &Site, report: &Report, duration: Duration) {
    let began = tokio::time::Instant::now();
    let at = |percent: u32| sleep_until(began + duration * percent / 100);
    at(20).await;
    redis_is_away(site, report).await;
    at(45).await;
    site.serving[1].lock().await.as_mut().expect("it runs").kill().await;
    report.outage("the second node was killed");
    tokio::time::sleep(NODE_AWAY).await;
    site.start_node(1).await;
    report.outage("the second node answers again");
    at(70).await;
    redis_is_away(site, report).await;
    at(100).await;
}

async fn redis_is_away(site: &Site, report: &Report) {
    let mut redis = site.redis.lock().await;
    let outages = || site.unreachable.lock().expect("nothing panics here");
    outages().push((Instant::now(), None));
    redis.kill();
    report.outage("Redis was killed");
    tokio::time::sleep(REDIS_AWAY).await;
    redis.start_again().await;
    outages().last_mut().expect("the one above").1 = Some(Instant::now() + NOTICED);
    report.outage("Redis answers again");
}
