//! WebSocket through the edge: let through, decided on, and ended with the session.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use vestibule_wasmtime::Outcome;

use crate::application::Application;
use crate::raw::{Head, Wire};
use crate::scripted::{Script, ScriptedEdge, alice, answer};

/// More than any test may take to see a connection end.
const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(edge: &ScriptedEdge) -> tungstenite::Result<WebSocketStream<MaybeTlsStream<TcpStream>>> {
    tokio_tungstenite::connect_async(format!("ws://{}/ws", edge.address)).await.map(|(socket, _)| socket)
}

#[tokio::test]
async fn messages_pass_both_ways() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut socket = connect(&edge).await.expect("an upgrade");
    for text in ["hello", &"x".repeat(200_000)] {
        socket.send(Message::text(text)).await.expect("sent");
        assert_eq!(socket.next().await.expect("an echo").expect("a message"), Message::text(text));
    }
}

#[tokio::test]
async fn an_upgrade_is_decided_like_any_request() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::new(|_, _| Ok(answer(401, "log in"))), &app.url()).await;
    let error = connect(&edge).await.expect_err("not logged in");
    let tungstenite::Error::Http(response) = error else { panic!("{error}") };
    assert_eq!((response.status(), app.connections()), (tungstenite::http::StatusCode::UNAUTHORIZED, 0));
}

#[tokio::test]
async fn an_upgraded_connection_ends_with_its_session() {
    let app = Application::start().await;
    let script = Script::new(|_, _| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let mut forward = alice();
        forward.expires_at = Some(now + 2);
        Ok(Outcome::Forward(forward))
    });
    let edge = ScriptedEdge::start(script, &app.url()).await;
    let mut socket = connect(&edge).await.expect("an upgrade");
    socket.send(Message::text("hello")).await.expect("sent");
    socket.next().await.expect("an echo").expect("a message");
    let end = tokio::time::timeout(PATIENCE, socket.next()).await.expect("an end").expect("a message").expect("no failure");
    assert!(end.is_close(), "{end}");
}

#[tokio::test]
async fn an_upgrade_that_is_not_answered_fails() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start_impatient(Script::alice(), &app.url()).await;
    let upgrade = "GET /hang HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let (head, _) = Wire::connect(edge.address).await.exchange(upgrade).await.expect("a page");
    assert!(head.status() >= 500, "{}", head.text);
}

#[tokio::test]
async fn an_upgraded_connection_may_be_silent() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start_impatient(Script::alice(), &app.url()).await;
    let mut socket = connect(&edge).await.expect("an upgrade");
    // Time has to pass here: that it passes is what is tested.
    tokio::time::sleep(Duration::from_millis(600)).await;
    socket.send(Message::text("hello")).await.expect("sent");
    assert_eq!(socket.next().await.expect("an echo").expect("a message"), Message::text("hello"));
}

#[tokio::test]
async fn an_upgraded_connection_does_not_keep_the_decider_of_an_old_configuration() {
    let app = Application::start().await;
    let held = Arc::new(());
    let script = Script::new({
        let held = held.clone();
        move |_, _| {
            assert_eq!(*held, ());
            Ok(Outcome::Forward(alice()))
        }
    });
    let edge = ScriptedEdge::start(script, &app.url()).await;
    let mut socket = connect(&edge).await.expect("an upgrade");
    assert_eq!(Arc::strong_count(&held), 2);
    edge.replace(Script::alice(), &app.url());
    assert_eq!(Arc::strong_count(&held), 1, "the open connection keeps it");
    socket.send(Message::text("hello")).await.expect("sent");
    assert_eq!(socket.next().await.expect("an echo").expect("a message"), Message::text("hello"));
}

/// The bytes after a refused upgrade are a request like any other: nothing may be smuggled past the filter.
#[tokio::test]
async fn a_request_after_a_refused_upgrade_is_decided() {
    let app = Application::start().await;
    let script = Script::new(|head, _| Ok(if head.path_with_query() == "/open" { Outcome::Forward(alice()) } else { answer(401, "") }));
    let edge = ScriptedEdge::start(script, &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    let upgrade = "GET /open HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let (head, _) = peer.exchange(upgrade).await.expect("a refusal of the application");
    assert_eq!(head.status(), 200);
    // Or the edge has closed the connection: then there is no second request either.
    if let Some((head, _)) = peer.exchange("GET /closed HTTP/1.1\r\nHost: h\r\n\r\n").await {
        assert_eq!(head.status(), 401);
    }

    let smuggled = format!("{upgrade}GET /closed HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut peer = Wire::connect(edge.address).await;
    peer.exchange(&smuggled).await.expect("a response to the first");
    if let Some(head) = peer.read_head().await {
        assert_eq!(head.status(), 401);
    }
    assert_eq!(app.requests(), 2, "only the upgrades have arrived");
}

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a2V5\r\n";

/// RFC 9110 sections 7.8 and 15.2.2.
#[tokio::test]
async fn another_protocol_than_the_one_that_was_asked_for_is_502() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    for (path, headers) in [
        ("/unasked-upgrade", ""),
        ("/unasked-upgrade", "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
        ("/unasked-upgrade", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n"),
        ("/other-upgrade", ""),
        ("/other-upgrade", WEBSOCKET),
        ("/two-upgrades", WEBSOCKET),
        ("/nameless-upgrade", WEBSOCKET),
    ] {
        for version in ["1.1", "1.0"] {
            let request = format!("GET {path} HTTP/{version}\r\nHost: h\r\n{headers}\r\n");
            let mut peer = Wire::connect(edge.address).await;
            let (head, body) = tokio::time::timeout(PATIENCE, peer.exchange(&request)).await.expect("in time").expect("a page");
            assert_eq!(head.status(), 502, "{request:?}: {}", head.text);
            assert!(!body.contains("NOT-HTTP"), "{request:?}: {body}");
            // The application's connection serves nobody else.
            let (head, body) = Wire::connect(edge.address).await.exchange("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
            assert_eq!((head.status(), Head::echoed(body).target()), (200, "/a"), "{request:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_single_upgrade_to_websocket_is_no_upgrade() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    for headers in [
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade\r\nUpgrade:\r\n",
        "Connection: Upgrade\r\n",
    ] {
        let request = format!("GET /a HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        let (head, body) = Wire::connect(edge.address).await.exchange(&request).await.expect("a response");
        let received = Head::echoed(body);
        assert_eq!(head.status(), 200, "{headers:?}");
        assert!(received.values("connection").is_empty() && received.values("upgrade").is_empty(), "{headers:?}: {}", received.text);
    }
}

#[tokio::test]
async fn what_comes_early_on_an_upgraded_connection_is_passed_on() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    // A message `hi`, masked with zeros.
    let request = [format!("GET /ws HTTP/1.1\r\nHost: h\r\n{WEBSOCKET}\r\n").as_bytes(), b"\x81\x82\0\0\0\0hi"].concat();
    peer.stream.write_all(&request).await.expect("sent");
    assert_eq!(tokio::time::timeout(PATIENCE, peer.read_head()).await.expect("in time").expect("an upgrade").status(), 101);
    tokio::time::timeout(PATIENCE, peer.read_until("\u{2}hi")).await.expect("in time").expect("an echo");
    peer.stream.write_all(b"\x81\x83\0\0\0\0you").await.expect("sent");
    tokio::time::timeout(PATIENCE, peer.read_until("\u{3}you")).await.expect("in time").expect("an echo");
}

/// A peer that asks for an upgrade, sends one message, and nothing more.
#[tokio::test]
async fn what_comes_before_the_end_of_an_upgraded_connection_reaches_the_application() {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let edge = ScriptedEdge::start(Script::alice(), &format!("http://{}", socket.local_addr().expect("an address"))).await;
    for round in 0..200 {
        let mut peer = Wire::connect(edge.address).await;
        let request = [format!("GET /ws HTTP/1.1\r\nHost: h\r\n{WEBSOCKET}\r\n").as_bytes(), b"\x81\x82\0\0\0\0hi"].concat();
        peer.stream.write_all(&request).await.expect("sent");
        peer.stream.shutdown().await.expect("sent");
        let application = async {
            let mut wire = Wire::new(socket.accept().await.expect("a connection").0);
            wire.read_head().await.expect("a request");
            // Sometimes the end is known before the answer.
            tokio::time::sleep(Duration::from_millis(round % 4)).await;
            let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
            wire.stream.write_all(answer.as_bytes()).await.expect("sent");
            let message = wire.read_until("hi").await;
            let mut rest = Vec::new();
            let _ = wire.stream.read_to_end(&mut rest).await;
            message
        };
        let message = tokio::time::timeout(PATIENCE, application).await.unwrap_or_else(|_| panic!("round {round} hangs"));
        assert!(message.is_some(), "round {round} has lost the message");
        let mut answered = Vec::new();
        let _ =
            tokio::time::timeout(PATIENCE, peer.stream.read_to_end(&mut answered)).await.unwrap_or_else(|_| panic!("round {round} hangs"));
        assert!(answered.starts_with(b"HTTP/1.1 101 "), "round {round}: {:?}", String::from_utf8_lossy(&answered));
    }
}
