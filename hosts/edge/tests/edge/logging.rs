//! The log of the running program, whose reader may stall: what that costs is lines, never requests.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{Duration, timeout};
use vestibule_dev_provider::{Options, Provider};

use crate::login::{secrets_toml, text};
use crate::program::Program;
use crate::raw::Wire;

/// A request that waits for the log never ends: this is for those that do not.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_reader_of_the_log_that_stalls_costs_lines_and_no_requests() {
    /// More lines than pipe and buffers hold, with paths of this length.
    const REQUESTS: usize = 4_000;
    const PATH_BYTES: usize = 1_000;

    let provider = Provider::start(Options::default()).await.expect("a provider");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("secrets.toml");
    fs::write(&config, secrets_toml(&provider, "http://127.0.0.1:1")).expect("written");
    let mut program = Program::start(&["serve", "--config", text(&config), "--listen", "127.0.0.1:0"], &[("VESTIBULE_LOG", "info")]);
    let listening = program.wait_for("listener.listening").await;
    let address = listening["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");

    // Nobody reads from here on.
    let mut wire = Wire::connect(address).await;
    for number in 0..REQUESTS {
        let request = format!("GET /{number:0PATH_BYTES$} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let (head, _) = timeout(PATIENCE, wire.exchange(&request)).await.expect("the log holds it up").expect("a response");
        assert_eq!(head.status(), 401);
    }

    // A reader wakes, and is told what it has missed, where it is missing.
    let mut numbers = Vec::new();
    let lost = loop {
        let line = timeout(PATIENCE, program.next_line()).await.expect("in time").expect("it runs");
        let entry: Value = serde_json::from_str(&line).expect("whole lines");
        match entry["code"].as_str() {
            Some("request") => numbers.push(entry["path"].as_str().expect("a path")[1..].parse::<usize>().expect("a number")),
            Some("log.lost") => break usize::try_from(entry["lost"].as_u64().expect("a number")).expect("few"),
            _ => {}
        }
    };
    assert!(numbers.iter().copied().eq(0..numbers.len()), "none is missing before");
    assert!(lost > 0 && numbers.len() + lost <= REQUESTS, "{} and {lost}", numbers.len());
    let mut found = numbers.len() + lost;
    while found < REQUESTS {
        // What came when there was room again.
        let entry = program.wait_for("request").await;
        assert_eq!(entry["path"].as_str().expect("a path")[1..].parse::<usize>().expect("a number"), found);
        found += 1;
    }
    let (head, _) = wire.exchange(&format!("GET /after HTTP/1.1\r\nHost: {address}\r\n\r\n")).await.expect("a response");
    assert_eq!(head.status(), 401);
    assert_eq!(program.wait_for("request").await["path"], "/after");
}

#[tokio::test]
async fn a_reader_of_the_log_that_stalls_does_not_hold_up_the_end() {
    let provider = Provider::start(Options::default()).await.expect("a provider");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("secrets.toml");
    fs::write(&config, secrets_toml(&provider, "http://127.0.0.1:1")).expect("written");
    let mut program = Program::start(&["serve", "--config", text(&config), "--listen", "127.0.0.1:0"], &[("VESTIBULE_LOG", "info")]);
    let listening = program.wait_for("listener.listening").await;
    let address = listening["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
    let mut wire = Wire::connect(address).await;
    for _ in 0..300 {
        let path = "x".repeat(1_000);
        wire.exchange(&format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n")).await.expect("a response");
    }
    program.signal(Signal::TERM);
    assert_eq!(timeout(PATIENCE, program.exit_code()).await.expect("an end"), Some(0));
}
