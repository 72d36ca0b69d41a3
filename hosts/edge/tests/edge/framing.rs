//! Requests that servers read in different ways, and heads and bodies that do not come to an end, over HTTP/1.1.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};
use vestibule_edge::exchange::proxy::Patience;
use vestibule_edge::listen::limits::ConnectionLimits;

use crate::application::Application;
use crate::raw::{Head, Wire};
use crate::scripted::{Script, ScriptedEdge};

/// A limit that tests do not wait for.
const SHORT: Duration = Duration::from_millis(400);
/// Far more than anything here takes, on a machine that compiles something else at the same time.
const HANG: Duration = Duration::from_secs(30);

/// Sends `request` to an edge before an application, and returns what was answered until the connection ended, with the number
/// of requests that the application got.
async fn last_words(pieces: &[&str]) -> (String, usize) {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            sleep(Duration::from_millis(50)).await;
        }
        peer.stream.write_all(piece.as_bytes()).await.expect("sent");
    }
    let mut answered = Vec::new();
    timeout(HANG, peer.stream.read_to_end(&mut answered)).await.expect("the connection ends").expect("it is not reset");
    (String::from_utf8_lossy(&answered).into_owned(), app.requests())
}

async fn is_refused(request: &str) {
    let (answer, requests) = last_words(&[request]).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer:?}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?}: one answer, and the connection ends: {answer:?}");
    assert_eq!(requests, 0, "{request:?} reached the application");
}

#[tokio::test]
async fn a_length_that_can_be_read_in_two_ways_is_400() {
    for fields in [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5,\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 \r\n",
        "Content-Length:  5\r\n",
        "Content-Length:\t5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 5\r\n\t5\r\n",
        "Content-Length : 5\r\n",
        "Content-Length\t: 5\r\n",
        "Content-Length: 99999999999999999999\r\n",
    ] {
        is_refused(&format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\nabcde")).await;
    }
}

#[tokio::test]
async fn any_other_coding_than_chunked_is_400() {
    for fields in [
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: Chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked;x\r\n",
        "Transfer-Encoding:\tchunked\r\n",
        "Transfer-Encoding: chunked \r\n",
        "Transfer-Encoding:  chunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
    ] {
        is_refused(&format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n0\r\n\r\n")).await;
    }
    is_refused("POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn another_end_of_line_than_crlf_is_400_wherever_it_stands() {
    for request in [
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n",
        "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n",
        "\n\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
    ] {
        is_refused(request).await;
    }
}

#[tokio::test]
async fn a_target_with_a_fragment_or_of_no_form_is_400() {
    for target in ["/a#b", "/#", "#", "http://h/#a", "http://h/a?b#c", "*#", "/a b", "/a\tb", ""] {
        is_refused(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
    }
    for request in [
        "GET /\r\n\r\n",
        "GET / HTTP/0.9\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: h\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\n",
    ] {
        is_refused(request).await;
    }
}

#[tokio::test]
async fn a_chunked_body_of_another_form_is_400_also_when_it_comes_later() {
    for body in [
        "5\nabcde\r\n0\r\n\r\n",
        "5;a\nb\r\nabcde\r\n0\r\n\r\n",
        "5 \r\nabcde\r\n0\r\n\r\n",
        "+5\r\nabcde\r\n0\r\n\r\n",
        "0x5\r\nabcde\r\n0\r\n\r\n",
        "\r\n\r\n",
        ";x\r\n\r\n",
        "-1\r\n\r\n",
        "ffffffffffffffff\r\nabcde\r\n0\r\n\r\n",
        "10000000000000005\r\nabcde\r\n0\r\n\r\n",
        "5\r\nabcde0\r\n\r\n",
        "5\r\nabcde\n0\r\n\r\n",
        "5\r\nabcdefgh\r\n0\r\n\r\n",
        "0\r\n\n",
        "0\r\nX: y\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    ] {
        is_refused(&format!("POST /hang HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}")).await;
        // The head and the first chunk have gone to the application by then.
        let head = "POST /hang HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
        let (answer, _) = last_words(&[head, body]).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.matches("HTTP/1.1 ").count() == 1, "{body:?}: {answer:?}");
    }
    let long = format!("5;{}\r\nabcde\r\n0\r\n\r\n", "x".repeat(5000));
    is_refused(&format!("POST /hang HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{long}")).await;
}

#[tokio::test]
async fn requests_with_one_reading_are_served_one_after_the_other() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    for request in [
        "\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: h\r\ncontent-length:5\r\n\r\nabcde",
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        let (head, body) =
            timeout(HANG, peer.exchange(request)).await.expect("in time").unwrap_or_else(|| panic!("{request:?} is refused"));
        assert_eq!(head.status(), 200, "{request:?}");
        assert_eq!(Head::echoed(body).target(), "/a", "{request:?}");
    }
    // A body in pieces, in the middle of everything.
    for piece in ["POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Enc", "oding: chunked\r\n\r\n5;x=y\r", "\nab", "cde\r\n0\r\nX: y\r\n\r", "\n"] {
        peer.stream.write_all(piece.as_bytes()).await.expect("sent");
        sleep(Duration::from_millis(20)).await;
    }
    let head = timeout(HANG, peer.read_head()).await.expect("in time").expect("a response");
    assert_eq!(head.status(), 200);
}

#[tokio::test]
async fn a_head_is_read_up_to_64_kib() {
    let request = |bytes: usize| {
        let frame = "GET /a HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n";
        frame.replace("X: ", &format!("X: {}", "x".repeat(bytes - frame.len())))
    };
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let (head, _) = Wire::connect(edge.address).await.exchange(&request(64 * 1024)).await.expect("a response");
    assert_eq!((head.status(), app.requests()), (200, 1));
    for bytes in [64 * 1024 + 1, 1_000_000] {
        let (head, _) = Wire::connect(edge.address).await.exchange(&request(bytes)).await.expect("a response");
        assert_eq!((head.status(), head.values("connection"), app.requests()), (431, vec!["close"], 1), "{bytes}");
    }
    let many = format!("GET /a HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(300));
    let (head, _) = Wire::connect(edge.address).await.exchange(&many).await.expect("a response");
    assert_eq!((head.status(), app.requests()), (431, 1));
    // Without an end, whoever waits for more.
    let (answer, _) = last_words(&[&request(70_000)[..65_600]]).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
}

#[tokio::test]
async fn a_head_that_arrives_byte_by_byte_is_whole_in_the_end() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    peer.stream.set_nodelay(true).expect("a socket");
    for byte in b"\r\nGET /a?b HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n" {
        peer.stream.write_all(&[*byte]).await.expect("sent");
        sleep(Duration::from_millis(1)).await;
    }
    let head = peer.read_head().await.expect("a response");
    let received = Head::echoed(peer.read_body(&head).await.expect("an echo"));
    assert_eq!((head.status(), received.target(), received.values("x")), (200, "/a?b", vec!["y"]));
}

async fn impatient(app: &Application, head: Duration, idle: Duration) -> ScriptedEdge {
    let limits = ConnectionLimits { head, idle, ..ConnectionLimits::default() };
    ScriptedEdge::start_with_limits(Script::alice(), &app.url(), limits, &[]).await
}

#[tokio::test]
async fn a_head_that_does_not_end_is_408_however_often_a_byte_of_it_comes() {
    let app = Application::start().await;
    let edge = impatient(&app, SHORT, HANG).await;
    let mut peer = Wire::connect(edge.address).await;
    let began = Instant::now();
    peer.stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.expect("sent");
    let drip = async {
        // Each byte arrives well before the limit, so that only a limit of all together can end it.
        while peer.stream.write_all(b"x").await.is_ok() {
            let mut answer = [0; 1024];
            if let Ok(Ok(read)) = timeout(SHORT / 8, peer.stream.read(&mut answer)).await {
                return String::from_utf8_lossy(&answer[..read]).into_owned();
            }
        }
        String::new()
    };
    let answer = timeout(HANG, drip).await.expect("it ends");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    assert_eq!(app.requests(), 0);
    // The next head on a connection has its time from its own first byte.
    let mut peer = Wire::connect(edge.address).await;
    for _ in 0..2 {
        sleep(SHORT * 2).await;
        assert_eq!(peer.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response").0.status(), 200);
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let app = Application::start().await;
    let edge = impatient(&app, HANG, SHORT).await;
    let mut silent = Wire::connect(edge.address).await;
    assert!(timeout(HANG, silent.read_head()).await.expect("it is closed").is_none());
    let mut served = Wire::connect(edge.address).await;
    served.exchange("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n").await.expect("a response");
    let began = Instant::now();
    assert!(timeout(HANG, served.read_head()).await.expect("it is closed").is_none());
    assert!(began.elapsed() >= SHORT / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_body_that_stalls_is_dropped_and_one_that_goes_on_is_not() {
    let app = Application::start().await;
    let patience = Patience { piece: SHORT, ..Patience::default() };
    let edge = ScriptedEdge::start_with_patience(Script::alice(), &app.url(), patience).await;
    for framing in ["Content-Length: 8\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n8\r\nabc"] {
        let mut peer = Wire::connect(edge.address).await;
        let request = format!("POST /hang HTTP/1.1\r\nHost: h\r\n{framing}");
        let (head, _) = timeout(HANG, peer.exchange(&request)).await.expect("it is dropped").expect("a response");
        assert_eq!((head.status(), head.values("connection")), (408, vec!["close"]), "{framing:?}");
        assert!(timeout(HANG, peer.read_head()).await.expect("it is closed").is_none());
    }
    let mut peer = Wire::connect(edge.address).await;
    peer.stream.write_all(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n").await.expect("sent");
    for _ in 0..8 {
        sleep(SHORT / 4).await;
        peer.stream.write_all(b"x").await.expect("sent");
    }
    let head = peer.read_head().await.expect("a response");
    assert_eq!((head.status(), peer.read_body(&head).await), (200, Some("8".into())));
}
