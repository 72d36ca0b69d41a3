//! Bodies: streamed both ways, and read ahead only where the filter asks for them.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use vestibule_edge::exchange::proxy::Patience;
use vestibule_wasmtime::Outcome;

use crate::application::Application;
use crate::raw::{Head, Wire};
use crate::scripted::{Script, ScriptedEdge, alice, answer};

/// Longer than anything here takes: a test that reaches it has hung.
const HANG: Duration = Duration::from_secs(60);
/// Larger than every buffer on the way.
const LARGE: usize = 24 * 1024 * 1024;

#[tokio::test]
async fn the_first_bytes_of_a_response_arrive_before_its_last() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    peer.stream.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("sent");
    peer.read_until("first").await.expect("the first bytes, while the application holds the rest back");
    app.controls.release.notify_one();
    peer.read_until("last").await.expect("the last bytes");
}

#[tokio::test]
async fn the_first_bytes_of_a_large_upload_arrive_before_its_last() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    let head = format!("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: {LARGE}\r\n\r\n");
    peer.stream.write_all(head.as_bytes()).await.expect("sent");
    peer.stream.write_all(b"x").await.expect("sent");
    app.controls.started.notified().await;
    peer.stream.write_all(&vec![b'x'; LARGE - 1]).await.expect("sent");
    let head = peer.read_head().await.expect("a response");
    assert_eq!(peer.read_body(&head).await.expect("a count"), LARGE.to_string());
}

/// Asks for bodies of at most 10 bytes of POST requests.
fn reader() -> Script {
    Script::new(|head, body| {
        Ok(match (head.method(), body) {
            ("POST", None) => Outcome::NeedBody(10),
            ("POST", Some(body)) if body == b"answer" => answer(200, "read"),
            _ => Outcome::Forward(alice()),
        })
    })
}

async fn post(body: &str, more: &str) -> (Head, String, usize) {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(reader(), &app.url()).await;
    let request = format!("POST /x HTTP/1.1\r\nHost: h\r\n{more}\r\n{body}");
    let (head, body) = Wire::connect(edge.address).await.exchange(&request).await.expect("a response");
    (head, body, app.requests())
}

#[tokio::test]
async fn the_filter_gets_the_body_that_it_asks_for() {
    let (head, body, requests) = post("answer", "Content-Length: 6\r\n").await;
    assert_eq!((head.status(), body.as_str(), requests), (200, "read", 0));
}

#[tokio::test]
async fn a_body_that_was_read_is_forwarded_all_the_same() {
    let (head, body, requests) = post("forward", "Content-Length: 7\r\n").await;
    assert_eq!((head.status(), requests), (200, 1));
    assert_eq!(Head::echoed(body).content_length(), 7);
}

#[tokio::test]
async fn a_peer_that_waits_to_be_asked_for_its_body_is_asked() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(reader(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    let head = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n";
    peer.stream.write_all(head.as_bytes()).await.expect("sent");
    assert_eq!(peer.read_head().await.expect("an invitation").status(), 100);
    let (head, body) = peer.exchange("forward").await.expect("a response");
    assert_eq!(head.status(), 200);
    assert!(Head::echoed(body).values("expect").is_empty(), "nobody is left to answer it");
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    for (body, framing) in [("12345678901", "Content-Length: 11\r\n"), ("b\r\n12345678901\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n")]
    {
        let (head, _, requests) = post(body, framing).await;
        assert_eq!((head.status(), requests), (413, 0), "{framing}");
    }
}

#[tokio::test]
async fn the_page_for_a_body_over_the_limit_arrives_before_the_connection_ends() {
    let edge = ScriptedEdge::start(reader(), "http://127.0.0.1:1").await;
    let mut peer = Wire::connect(edge.address).await;
    let body = vec![b'x'; 500_000];
    let head = format!("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
    peer.stream.write_all(head.as_bytes()).await.expect("sent");
    let head = peer.read_head().await.expect("a page");
    assert_eq!((head.status(), head.values("connection")), (413, vec!["close"]));
    // As a browser does, which reads when it has sent all.
    for piece in body.chunks(50_000) {
        peer.stream.write_all(piece).await.expect("the connection is not reset");
    }
    peer.read_body(&head).await.expect("the whole page");
}

#[tokio::test]
async fn a_body_that_the_filter_waits_for_in_vain_is_408() {
    let patience = Patience { body: Duration::from_millis(100), ..Patience::default() };
    let edge = ScriptedEdge::start_with_patience(reader(), "http://127.0.0.1:1", patience).await;
    let request = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\nfor";
    let (head, _) = Wire::connect(edge.address).await.exchange(request).await.expect("a response");
    assert_eq!(head.status(), 408);
}

#[tokio::test]
async fn a_peer_that_does_not_take_its_response_is_let_go() {
    let app = Application::start().await;
    let patience = Patience { write: Duration::from_millis(100), ..Patience::default() };
    let edge = ScriptedEdge::start_with_patience(Script::alice(), &app.url(), patience).await;
    let mut peer = Wire::connect(edge.address).await;
    peer.stream.write_all(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("sent");
    tokio::time::timeout(HANG, app.controls.cut_off.notified()).await.expect("the application is let go too");
    drop(peer);
}

#[tokio::test]
async fn a_filter_that_never_has_enough_is_500() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::new(|_, _| Ok(Outcome::NeedBody(10))), &app.url()).await;
    let request = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";
    let (head, _) = Wire::connect(edge.address).await.exchange(request).await.expect("a page");
    assert_eq!((head.status(), app.requests()), (500, 0));
}
