//! How many connections and requests there may be at once, in all and of one client.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use vestibule_edge::listen::limits::ConnectionLimits;

use crate::application::Application;
use crate::login::Site;
use crate::raw::Wire;
use crate::scripted::{Script, ScriptedEdge};

/// Far more than anything here takes, on a machine that compiles something else at the same time.
const HANG: Duration = Duration::from_secs(30);
/// What another client may wait for, while one holds all it may.
const PROMISED: Duration = Duration::from_secs(1);

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

/// Of sixteen connections one client has two.
async fn edge(app: &Application, trusted: &[&str]) -> ScriptedEdge {
    let limits = ConnectionLimits { all: 16, each: 2, ..ConnectionLimits::default() };
    ScriptedEdge::start_with_limits(Script::alice(), &app.url(), limits, trusted).await
}

async fn is_closed(wire: &mut Wire<TcpStream>) {
    assert!(timeout(HANG, wire.read_head()).await.expect("it is closed at once").is_none());
}

async fn is_served(wire: &mut Wire<TcpStream>) {
    let (head, _) = timeout(HANG, wire.exchange(REQUEST)).await.expect("in time").expect("a response");
    assert_eq!(head.status(), 200);
}

#[tokio::test]
async fn a_client_has_so_many_connections_and_others_have_theirs() {
    let app = Application::start().await;
    let edge = edge(&app, &[]).await;
    let mut held = [Wire::connect(edge.address).await, Wire::connect(edge.address).await];
    for held in &mut held {
        is_served(held).await;
    }
    for _ in 0..5 {
        is_closed(&mut Wire::connect(edge.address).await).await;
    }
    is_served(&mut Wire::connect_from("127.0.0.2", edge.address).await).await;
    is_served(&mut held[0]).await;
    // A connection that ends makes room.
    let [mut last, first] = held;
    drop(first);
    let again = async {
        while Wire::connect(edge.address).await.exchange(REQUEST).await.is_none() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(HANG, again).await.expect("there is room again");
    is_served(&mut last).await;
}

#[tokio::test]
async fn all_connections_are_limited_and_accepting_goes_on() {
    let app = Application::start().await;
    let edge = edge(&app, &[]).await;
    let mut held = Vec::new();
    for client in 1..=8 {
        for _ in 0..2 {
            let mut wire = Wire::connect_from(&format!("127.0.0.{client}"), edge.address).await;
            is_served(&mut wire).await;
            held.push(wire);
        }
    }
    is_closed(&mut Wire::connect_from("127.0.0.9", edge.address).await).await;
    held.truncate(14);
    let again = async {
        while Wire::connect_from("127.0.0.9", edge.address).await.exchange(REQUEST).await.is_none() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(HANG, again).await.expect("there is room again");
}

/// A request in flight for a client, through a proxy.
async fn in_flight(edge: &ScriptedEdge, app: &Application, client: &str) -> Wire<TcpStream> {
    let mut wire = Wire::connect(edge.address).await;
    wire.stream.write_all(format!("GET /hang HTTP/1.1\r\nHost: h\r\n{client}\r\n").as_bytes()).await.expect("sent");
    timeout(HANG, app.controls.started.notified()).await.expect("it arrives");
    wire
}

async fn status(edge: &ScriptedEdge, client: &str) -> u16 {
    let request = format!("GET /a HTTP/1.1\r\nHost: h\r\n{client}\r\n");
    let (head, _) = timeout(HANG, Wire::connect(edge.address).await.exchange(&request)).await.expect("in time").expect("a response");
    head.status()
}

#[tokio::test]
async fn behind_a_trusted_proxy_requests_are_counted_by_the_client_that_it_tells() {
    let app = Application::start().await;
    let edge = edge(&app, &["127.0.0.1"]).await;
    let mut held = Vec::new();
    for client in ["X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n"] {
        held.push(in_flight(&edge, &app, client).await);
    }
    for client in ["X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: 6.6.6.7, 192.0.2.1\r\n", "Forwarded: for=192.0.2.1\r\n"] {
        assert_eq!(status(&edge, client).await, 429, "{client}");
    }
    for client in ["X-Forwarded-For: 192.0.2.2\r\n", "X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n", "Forwarded: for=192.0.2.3\r\n"] {
        assert_eq!(status(&edge, client).await, 200, "{client}");
    }
    // One that does not tell is everybody.
    for _ in 0..4 {
        held.push(in_flight(&edge, &app, "").await);
    }
    assert_eq!(status(&edge, "").await, 200);
    app.controls.release.notify_waiters();
    for wire in &mut held {
        assert_eq!(timeout(HANG, wire.read_head()).await.expect("in time").expect("a response").status(), 200);
    }
    assert_eq!(status(&edge, "X-Forwarded-For: 192.0.2.1\r\n").await, 200);
}

#[tokio::test]
async fn who_is_no_trusted_proxy_is_one_client_whatever_it_tells() {
    let app = Application::start().await;
    let edge = edge(&app, &["127.0.0.2"]).await;
    let _held =
        [in_flight(&edge, &app, "X-Forwarded-For: 192.0.2.1\r\n").await, in_flight(&edge, &app, "X-Forwarded-For: 192.0.2.2\r\n").await];
    is_closed(&mut Wire::connect(edge.address).await).await;
    is_served(&mut Wire::connect_from("127.0.0.2", edge.address).await).await;
}

#[tokio::test]
async fn while_one_client_holds_all_it_may_another_is_served_within_a_second() {
    let mut site = Site::start_configured("", Application::start().await, "http", &["--admin", "127.0.0.1:0"], &[]).await;
    let admin = site.program.written.iter().find(|line| line.contains("admin.listening")).expect("an admin address").clone();
    let admin: Value = serde_json::from_str(&admin).expect("JSON");
    let admin = admin["address"].as_str().expect("an address").parse().expect("an address");

    // More than the default configuration lets anybody have, each with half a request.
    let mut held = Vec::new();
    for _ in 0..ConnectionLimits::default().each + 50 {
        let mut wire = Wire::connect(site.address).await;
        // One that is closed already says so here or later.
        let _ = wire.stream.write_all(b"GET / HTTP/1.1\r\nX: ").await;
        held.push(wire);
    }
    let refused = site.program.wait_for("listener.refused").await;
    assert_eq!((&refused["peer"], &refused["level"]), (&"127.0.0.1".into(), &"WARN".into()), "{refused}");
    let began = Instant::now();
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", site.address);
    let mut other = Wire::connect_from("127.0.0.2", site.address).await;
    let (head, _) = timeout(HANG, other.exchange(&request)).await.expect("in time").expect("a response");
    let took = began.elapsed();
    assert_eq!(head.status(), 401);
    assert!(took < PROMISED, "{took:?}");
    is_closed(&mut Wire::connect(site.address).await).await;
    drop(held);
    let told = site.program.wait_for("listener.refused").await;
    assert!(told["connections"].as_u64().is_some_and(|count| count > 1), "the others are told together: {told}");

    // The admin address has numbers of its own, and others for this machine.
    let limits = ConnectionLimits::admin();
    let began = Instant::now();
    let (mut idle, mut begun) = (Vec::new(), Vec::new());
    for _ in 0..limits.each {
        idle.push(Wire::connect(admin).await);
        let mut wire = Wire::connect(admin).await;
        wire.stream.write_all(b"GET /healthz HTTP/1.1\r\nX: ").await.expect("sent");
        begun.push(wire);
    }
    let (head, _) = Wire::connect(admin).await.exchange("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
    assert_eq!(head.status(), 200, "connections without a request keep nobody out");
    for wire in &mut begun {
        assert_eq!(wire.read_head().await.expect("a response").status(), 408);
    }
    assert!(began.elapsed() >= limits.head && began.elapsed() < ConnectionLimits::default().head, "{:?}", began.elapsed());
    for wire in &mut idle {
        is_closed(wire).await;
    }
    assert!(began.elapsed() < ConnectionLimits::default().idle, "{:?}", began.elapsed());
    drop((idle, begun));
    let mut held = Vec::new();
    for _ in 0..=limits.each {
        let mut wire = Wire::connect(admin).await;
        let (head, body) = wire.exchange("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
        assert_eq!((head.status(), body.as_str()), (200, "ok\n"));
        held.push(wire);
    }
    let mut other = Wire::connect_from("127.0.0.2", admin).await;
    other.stream.write_all(b"HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("sent");
    assert_eq!(timeout(HANG, other.read_head()).await.expect("in time").expect("a response").status(), 200);
    for (request, status) in [
        ("POST /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        ("GET /healthz/x HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", 400),
    ] {
        let mut other = Wire::connect_from("127.0.0.2", admin).await;
        let (head, _) = timeout(HANG, other.exchange(request)).await.expect("in time").expect("a response");
        assert_eq!(head.status(), status, "{request:?}");
    }
}
