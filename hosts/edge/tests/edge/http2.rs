//! Limits over HTTP/2: heads, header blocks without an end, requests in flight, requests that are taken back.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};
use vestibule_edge::exchange::proxy::Patience;
use vestibule_edge::listen::limits::ConnectionLimits;
use vestibule_wasmtime::Outcome;

use crate::application::Application;
use crate::scripted::{Script, ScriptedEdge, alice};
use crate::tls::Identity;

const SHORT: Duration = Duration::from_millis(400);
/// Far more than anything here takes, on a machine that compiles something else at the same time.
const HANG: Duration = Duration::from_secs(30);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}

async fn edge(identity: &Identity, app: &Application, limits: ConnectionLimits) -> ScriptedEdge {
    ScriptedEdge::start_tls_with_limits(Script::alice(), &app.url(), limits, identity.edge_acceptor()).await
}

fn get(target: &str) -> Request<()> {
    let request = Request::builder().method(Method::GET).version(http::Version::HTTP_2);
    request.uri(format!("https://localhost{target}")).body(()).expect("a request")
}

#[tokio::test]
async fn a_header_list_over_64_kib_is_431_and_reaches_nobody() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let edge = edge(&identity, &app, ConnectionLimits::default()).await;
    let mut sender = identity.http_2(edge.address).await;
    let mut request = get("/a");
    for number in 0..17 {
        request.headers_mut().append(http::HeaderName::from_static("x"), "x".repeat(4000 + number).parse().expect("a value"));
    }
    let (response, _) = sender.send_request(request, true).expect("a stream");
    assert_eq!(response.await.expect("a response").status(), 431);
    let (response, _) = sender.send_request(get("/a"), true).expect("the connection goes on");
    assert_eq!(response.await.expect("a response").status(), 200);
    assert_eq!(app.requests(), 1);
}

#[tokio::test]
async fn a_header_block_that_does_not_end_ends_its_connection() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let limits = ConnectionLimits { head: SHORT, ..ConnectionLimits::default() };
    let edge = edge(&identity, &app, limits).await;
    // `:method: GET`, then a literal that never ends.
    let begun = frame(HEADERS, 0, 1, &[0x82]);
    let beginnings: [&[&[u8]]; 4] =
        [&[], &[&PREFACE[..10]], &[PREFACE, &frame(SETTINGS, 0, 0, &[]), &begun], &[PREFACE, &frame(SETTINGS, 0, 0, &[]), &begun[..4]]];
    for beginning in beginnings {
        let mut peer = identity.tls_for_http_2(edge.address).await;
        peer.write_all(&beginning.concat()).await.expect("sent");
        let mut answered = Vec::new();
        let ended = async {
            loop {
                // Parts of the block keep coming.
                if beginning.len() == 3 && beginning[2].len() > 9 && peer.write_all(&frame(CONTINUATION, 0, 1, &[])).await.is_err() {
                    return;
                }
                if let Ok(Ok(0) | Err(_)) = timeout(SHORT / 8, peer.read_buf(&mut answered)).await {
                    return;
                }
            }
        };
        timeout(HANG, ended).await.expect("the connection is closed");
    }
    assert_eq!(app.requests(), 0);
}

#[tokio::test]
async fn continuations_without_end_end_their_connection_at_once() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let edge = edge(&identity, &app, ConnectionLimits::default()).await;
    let mut peer = identity.tls_for_http_2(edge.address).await;
    let mut flood = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, 0, 1, &[0x82])].concat();
    for _ in 0..10_000 {
        flood.extend(frame(CONTINUATION, 0, 1, &[0x40, 1, b'x', 1, b'y']));
    }
    let ended = async {
        let _ = peer.write_all(&flood).await;
        let mut answered = Vec::new();
        let _ = peer.read_to_end(&mut answered).await;
    };
    timeout(HANG, ended).await.expect("the connection is closed");
    assert_eq!(app.requests(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_closed_over_http_2_as_well() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let limits = ConnectionLimits { idle: Duration::from_secs(1), ..ConnectionLimits::default() };
    let edge = edge(&identity, &app, limits).await;
    let mut peer = identity.tls_for_http_2(edge.address).await;
    peer.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.expect("sent");
    let mut answered = Vec::new();
    let _ = timeout(HANG, peer.read_to_end(&mut answered)).await.expect("the connection is closed");
}

#[tokio::test]
async fn a_handshake_that_does_not_end_ends_its_connection() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let limits = ConnectionLimits { handshake: SHORT, ..ConnectionLimits::default() };
    let edge = edge(&identity, &app, limits).await;
    let mut peer = tokio::net::TcpStream::connect(edge.address).await.expect("a connection");
    let ended = async {
        // A record of a handshake, whose bytes come one by one.
        for byte in [0x16, 3, 1, 2, 0].into_iter().chain(std::iter::repeat(1)) {
            let mut answered = [0; 64];
            if peer.write_all(&[byte]).await.is_err() || matches!(timeout(SHORT / 8, peer.read(&mut answered)).await, Ok(Ok(0) | Err(_))) {
                return;
            }
        }
    };
    timeout(HANG, ended).await.expect("the connection is closed");
}

#[tokio::test]
async fn a_client_has_so_many_requests_in_flight_on_however_few_connections() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let limits = ConnectionLimits { all: 40, each: 5, ..ConnectionLimits::default() };
    let edge = edge(&identity, &app, limits).await;
    let mut sender = identity.http_2(edge.address).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        sender = sender.ready().await.expect("the connection lives");
        held.push(sender.send_request(get("/hang"), true).expect("a stream").0);
        timeout(HANG, app.controls.started.notified()).await.expect("it arrives");
    }
    for _ in 0..3 {
        let (response, _) = sender.send_request(get("/a"), true).expect("a stream");
        assert_eq!(response.await.expect("a response").status(), 429);
    }
    assert_eq!(app.requests(), 5);
    app.controls.release.notify_one();
    let (first, ..) = futures::future::select_all(held).await;
    assert_eq!(first.expect("a response").status(), 200);
    // The place comes back with the end of its request.
    let again = async {
        loop {
            let (response, _) = sender.send_request(get("/a"), true).expect("a stream");
            if response.await.expect("a response").status() == 200 {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(HANG, again).await.expect("it is served");
}

#[tokio::test]
async fn who_takes_back_what_it_asks_for_is_let_go() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let edge = edge(&identity, &app, ConnectionLimits::default()).await;
    let mut sender = identity.http_2(edge.address).await;
    let mut sent = 0;
    let flood = async {
        while let Ok(ready) = sender.clone().ready().await {
            sender = ready;
            let Ok((response, mut stream)) = sender.send_request(get("/hang"), false) else { break };
            stream.send_reset(h2::Reason::CANCEL);
            drop(response);
            sent += 1;
            tokio::task::yield_now().await;
        }
    };
    timeout(HANG, flood).await.expect("the connection ends");
    assert!((100..2000).contains(&sent), "{sent}");
    // Others go on.
    let mut other = identity.http_2(edge.address).await;
    let (response, _) = other.send_request(get("/a"), true).expect("a stream");
    assert_eq!(response.await.expect("a response").status(), 200);
}

#[tokio::test]
async fn a_length_that_is_not_the_bodys_ends_its_request() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let edge = edge(&identity, &app, ConnectionLimits::default()).await;
    for (lengths, body) in
        [(&["5"][..], "abc"), (&["2"], "abc"), (&["3", "3"], "abc"), (&["3, 3"], "abc"), (&["+3"], "abc"), (&[""], "abc")]
    {
        let mut sender = identity.http_2(edge.address).await;
        let mut request = get("/hang");
        *request.method_mut() = Method::POST;
        for length in lengths {
            request.headers_mut().append(http::header::CONTENT_LENGTH, length.parse().expect("a value"));
        }
        let (response, mut stream) = sender.send_request(request, false).expect("a stream");
        let _ = stream.send_data(Bytes::from_static(body.as_bytes()), true);
        let answered = timeout(HANG, response).await.expect("an end");
        assert!(answered.as_ref().map_or(true, |response| response.status() == 400), "{lengths:?}: {answered:?}");
    }
}

#[tokio::test]
async fn a_body_that_stalls_over_http_2_ends_its_stream_and_no_other() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let patience = Patience { piece_of_stream: 2 * SHORT, ..Patience::default() };
    let edge = ScriptedEdge::start_tls_with_patience(Script::alice(), &app.url(), patience, identity.edge_acceptor()).await;
    let mut sender = identity.http_2(edge.address).await;
    let upload = |length: u64| {
        let mut request = get("/upload");
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
        request
    };
    let (stalled, mut never_ends) = sender.send_request(upload(6), false).expect("a stream");
    never_ends.send_data(Bytes::from_static(b"abc"), false).expect("sent");
    sender = sender.ready().await.expect("the connection lives");
    let (slow, mut goes_on) = sender.send_request(upload(24), false).expect("a stream");
    for _ in 0..8 {
        goes_on.send_data(Bytes::from_static(b"abc"), false).expect("sent");
        sleep(SHORT / 2).await;
    }
    goes_on.send_data(Bytes::new(), true).expect("sent");
    let stalled = timeout(HANG, stalled).await.expect("an end");
    assert!(stalled.is_err(), "it is reset: {stalled:?}");
    assert_eq!(timeout(HANG, slow).await.expect("an end").expect("a response").status(), 200);
}

#[tokio::test]
async fn a_fragment_over_http_2_is_cut_off_before_the_decision() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let decided = Arc::new(Mutex::new(Vec::new()));
    let seen = decided.clone();
    let script = Script::new(move |head, _| {
        seen.lock().expect("no test panics here").push(head.path_with_query().to_owned());
        Ok(Outcome::Forward(alice()))
    });
    let edge = ScriptedEdge::start_tls_with_limits(script, &app.url(), ConnectionLimits::default(), identity.edge_acceptor()).await;
    let mut peer = identity.tls_for_http_2(edge.address).await;
    // `:method: GET`, `:scheme: https`, then `:path` and `:authority` as literals.
    let block = [&[0x82, 0x87, 0x04, 0x06][..], b"/a?b#c", &[0x01, 0x09], b"localhost"].concat();
    let request = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, 0x5, 1, &block)].concat();
    peer.write_all(&request).await.expect("sent");
    let arrives = async {
        while app.requests() == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(HANG, arrives).await.expect("it is served");
    assert_eq!(*decided.lock().expect("no test panics here"), ["/a?b"]);
    assert_eq!((app.saw("/a?b"), app.saw("#")), (1, 0), "what is forwarded is what was decided on");
}

#[tokio::test]
async fn an_upload_that_could_be_invited_does_not_hang_over_http_2() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let edge = edge(&identity, &app, ConnectionLimits::default()).await;
    let mut sender = identity.http_2(edge.address).await;
    let mut request = get("/invited");
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(http::header::CONTENT_LENGTH, 5.into());
    request.headers_mut().insert(http::header::EXPECT, http::HeaderValue::from_static("100-continue"));
    let (response, mut stream) = sender.send_request(request, false).expect("a stream");
    sleep(SHORT).await;
    stream.send_data(Bytes::from_static(b"abcde"), true).expect("sent");
    assert_eq!(timeout(HANG, response).await.expect("an end").expect("a response").status(), 200);
}

/// What has left the application and was not read from the sockets in between, in bytes, by Linux's table of connections.
#[cfg(target_os = "linux")]
fn in_sockets(application: SocketAddr) -> usize {
    let port = format!(":{:04X}", application.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the system's connections");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let bytes = |hexadecimal: &str| usize::from_str_radix(hexadecimal, 16).expect("a number");
    rows.map(|row| {
        let (to_send, to_read) = row[4].split_once(':').expect("two queues");
        // The application's end, and the edge's.
        let sending = if row[1].ends_with(&port) { bytes(to_send) } else { 0 };
        let reading = if row[2].ends_with(&port) { bytes(to_read) } else { 0 };
        sending + reading
    })
    .sum()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_responses_that_a_peer_does_not_take_so_much_is_read_and_no_more() {
    const STREAMS: usize = 100;
    /// What is in Pingora's hands of a response, in pieces of 64 KiB at most, and in those of `h2`.
    const MOST_OF_EACH: usize = 512 * 1024;

    let (identity, app) = (Identity::new(), Application::start().await);
    let edge = edge(&identity, &app, ConnectionLimits::default()).await;
    let mut sender = identity.http_2(edge.address).await;
    let mut responses = Vec::new();
    for _ in 0..STREAMS {
        sender = sender.ready().await.expect("the connection lives");
        let (response, _) = sender.send_request(get("/endless"), true).expect("a stream");
        responses.push(timeout(HANG, response).await.expect("in time").expect("a response"));
    }
    // Until nothing moves any more.
    let settled = async {
        let mut before = 0;
        loop {
            sleep(SHORT * 2).await;
            let read = app.controls.sent.load(Ordering::SeqCst).saturating_sub(in_sockets(app.address));
            if read == before {
                return read;
            }
            before = read;
        }
    };
    let read = timeout(HANG, settled).await.expect("it comes to rest");
    assert!(read > 0 && read <= STREAMS * MOST_OF_EACH, "{} of each of {STREAMS} streams", read / STREAMS);
    drop(responses);
}
