//! What the login costs: requests in a second and the 99th percentile of their durations, beside the same host without it.

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use url::Url;

use crate::application::SAME_PAGE;
use crate::browser::Browser;
use crate::shape::Shape;
use crate::site::{Kind, Ports, Site};

/// Both take turns this often; the best round of each counts, for the machine is not ours alone.
const ROUNDS: usize = 3;

/// Of wrk: threads, connections, seconds of a round.
const LOAD: [&str; 4] = ["-t2", "-c32", "-d3s", "--latency"];

/// One round.
struct Round {
    requests: f64,
    /// As wrk writes it.
    percentile: String,
}

/// Prints a table, a line for each shape.
///
/// # Errors
/// A shape does not start, or wrk is not there.
#[expect(clippy::print_stdout, reason = "the result is what was asked for")]
pub async fn run(shapes: &[Box<dyn Shape>]) -> Result<()> {
    println!("| host | requests/s | p99 | without the login | p99 | ratio |\n| --- | --- | --- | --- | --- | --- |");
    for shape in shapes {
        let site = Site::start(shape.as_ref(), Kind::Required, Ports::default()).await?;
        let browser = Browser::new()?;
        let url = site.url(SAME_PAGE)?;
        browser.log_in(&url, "alice").await?;
        let cookies = browser.cookies(&url);
        let plain = Site::start_plain(shape.as_ref()).await?;
        let plain_url = plain.url(SAME_PAGE)?;
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            without.push(load(&plain_url, &cookies).await?);
            with.push(load(&url, &cookies).await?);
        }
        let (with, without) = (best(with)?, best(without)?);
        let ratio = with.requests / without.requests;
        let Round { requests, percentile } = with;
        println!("| {} | {requests:.0} | {percentile} | {:.0} | {} | {ratio:.2} |", shape.title(), without.requests, without.percentile);
    }
    Ok(())
}

async fn load(url: &Url, cookies: &str) -> Result<Round> {
    let mut wrk = Command::new("wrk");
    wrk.args(LOAD).args(["-H", &format!("Cookie: {cookies}"), "-H", "Accept: application/json", url.as_str()]);
    let output = wrk.output().await.context("wrk cannot be started; run `make bench-hosts`, which installs it")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && !said.contains("Non-2xx"), "wrk has failed, or was refused:\n{said}");
    let after = |label: &str| said.lines().find_map(|line| Some(line.trim().strip_prefix(label)?.trim().to_owned()));
    let requests = after("Requests/sec:").and_then(|number| number.parse().ok()).with_context(|| format!("no result in:\n{said}"))?;
    Ok(Round { requests, percentile: after("99%").unwrap_or_default() })
}

fn best(rounds: Vec<Round>) -> Result<Round> {
    rounds.into_iter().max_by(|a, b| a.requests.total_cmp(&b.requests)).context("there was no round")
}
