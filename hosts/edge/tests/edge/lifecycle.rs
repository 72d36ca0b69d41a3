//! The end: nothing in flight is lost, nothing is waited for in vain.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::application::Application;
use crate::raw::Wire;
use crate::scripted::{GRACE, Script, ScriptedEdge};

#[tokio::test]
async fn a_request_in_flight_is_finished_and_no_other_is_taken() {
    let app = Application::start().await;
    let mut edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let address = edge.address;
    let mut idle = Wire::connect(address).await;
    idle.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
    let mut busy = Wire::connect(address).await;
    busy.stream.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("sent");
    busy.read_until("first").await.expect("the first bytes");

    edge.stop();
    assert!(idle.read_head().await.is_none(), "an idle connection is closed at once");
    assert!(TcpStream::connect(address).await.is_err(), "no new connection is taken");
    app.controls.release.notify_one();
    busy.read_until("last").await.expect("the last bytes");
    edge.ended().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_peer_that_vanishes_is_noticed() {
    /// The third kind of timer in `/proc/net/tcp` that a connection may have running.
    const KEEPALIVE_TIMER: &str = "02:";

    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    peer.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
    let ends = [edge.address.port(), peer.stream.local_addr().expect("an address").port()].map(|port| format!(":{port:04X}"));
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the system's connections");
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row[1].ends_with(&ends[0]) && row[2].ends_with(&ends[1])).expect("the connection");
    assert!(row[5].starts_with(KEEPALIVE_TIMER), "{row:?}");
}

#[tokio::test]
async fn an_edge_without_requests_ends_at_once() {
    let mut edge = ScriptedEdge::start(Script::alice(), "http://127.0.0.1:1").await;
    let since = Instant::now();
    edge.stop();
    edge.ended().await;
    assert!(since.elapsed() < GRACE / 2, "it waited for its grace: {:?}", since.elapsed());
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_after_the_grace() {
    let app = Application::start().await;
    let mut edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let url = format!("ws://{}/ws", edge.address);
    let (_socket, _) = tokio_tungstenite::connect_async(url).await.expect("an upgrade");
    let since = Instant::now();
    edge.stop();
    edge.ended().await;
    let took = since.elapsed();
    assert!((GRACE..GRACE + Duration::from_secs(3)).contains(&took), "{took:?}");
}
