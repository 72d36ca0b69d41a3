//! Failures of this host, as a script's `fetch` gets them: a problem document with the code that a page would have.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use vestibule_edge::configuration::decider::Undecided;
use vestibule_edge::exchange::proxy::Patience;
use vestibule_edge::listen::limits::ConnectionLimits;
use vestibule_wasmtime::Outcome;

use crate::application::Application;
use crate::raw::{Head, Wire};
use crate::scripted::{Script, ScriptedEdge};

/// More than anything here takes.
const HANG: Duration = Duration::from_secs(30);

/// As browsers send the `fetch` of a page.
const FETCH: &str = "Accept: */*\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Site: same-origin\r\n";

fn is_problem(head: &Head, body: &str, status: u16, code: &str) {
    assert_eq!((head.status(), head.values("content-type")), (status, vec!["application/problem+json"]), "{body}");
    assert!(head.values("cache-control").concat().contains("no-store"), "{code}");
    let problem: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()), "{body}");
    for member in ["title", "detail", "reference"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {body}");
    }
}

async fn fetch(edge: &ScriptedEdge, request: &str) -> (Head, String) {
    let mut wire = Wire::connect(edge.address).await;
    timeout(HANG, wire.exchange(request)).await.expect("in time").expect("an answer")
}

#[tokio::test]
async fn a_filter_that_decides_nothing_is_a_problem_document() {
    let app = Application::start().await;
    let undecided = |path: &str| match path {
        "/overloaded" => Undecided::Overloaded("many".into()),
        "/late" => Undecided::TimedOut("long".into()),
        _ => Undecided::Failed("a trap".into()),
    };
    let edge = ScriptedEdge::start(Script::new(move |head, _| Err(undecided(head.path_with_query()))), &app.url()).await;
    for (path, status, code) in
        [("/overloaded", 503, "host.overloaded"), ("/late", 500, "host.filter_failed"), ("/failed", 500, "host.filter_failed")]
    {
        let (head, body) = fetch(&edge, &format!("GET {path} HTTP/1.1\r\nHost: h\r\n{FETCH}\r\n")).await;
        is_problem(&head, &body, status, code);
        assert_eq!(head.values("retry-after").len(), usize::from(status == 503));
    }
    assert_eq!(app.requests(), 0);
}

#[tokio::test]
async fn a_body_that_the_decision_waits_for_in_vain_is_a_problem_document() {
    let app = Application::start().await;
    let patience = Patience { body: Duration::from_millis(300), ..Patience::default() };
    let edge = ScriptedEdge::start_with_patience(Script::new(|_, _| Ok(Outcome::NeedBody(10))), &app.url(), patience).await;
    for (framing, status, code) in [
        ("Content-Length: 8\r\n\r\nabc", 408, "host.body_too_slow"),
        ("Transfer-Encoding: chunked\r\n\r\n8\r\nabc", 408, "host.body_too_slow"),
        ("Content-Length: 80\r\n\r\nabc", 413, "host.body_too_large"),
        ("Transfer-Encoding: chunked\r\n\r\nb\r\nabcdefghijk\r\n", 413, "host.body_too_large"),
    ] {
        let (head, body) = fetch(&edge, &format!("POST /form HTTP/1.1\r\nHost: h\r\n{FETCH}{framing}")).await;
        is_problem(&head, &body, status, code);
    }
}

#[tokio::test]
async fn a_forwarded_body_that_stalls_is_a_problem_document() {
    let app = Application::start().await;
    let patience = Patience { piece: Duration::from_millis(300), ..Patience::default() };
    let edge = ScriptedEdge::start_with_patience(Script::alice(), &app.url(), patience).await;
    let (head, body) = fetch(&edge, &format!("POST /hang HTTP/1.1\r\nHost: h\r\n{FETCH}Content-Length: 8\r\n\r\nabc")).await;
    is_problem(&head, &body, 408, "host.body_too_slow");
}

#[tokio::test]
async fn too_many_requests_in_flight_are_a_problem_document() {
    let app = Application::start().await;
    let limits = ConnectionLimits { all: 40, each: 2, ..ConnectionLimits::default() };
    let edge = ScriptedEdge::start_with_limits(Script::alice(), &app.url(), limits, &["127.0.0.1"]).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut wire = Wire::connect(edge.address).await;
        let request = b"GET /hang HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut wire.stream, request).await.expect("sent");
        timeout(HANG, app.controls.started.notified()).await.expect("it arrives");
        held.push(wire);
    }
    let (head, body) = fetch(&edge, &format!("GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n{FETCH}\r\n")).await;
    is_problem(&head, &body, 429, "host.too_many_requests");
    assert_eq!(head.values("retry-after"), ["1"]);
}
