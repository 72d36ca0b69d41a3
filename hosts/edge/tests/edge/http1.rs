//! HTTP/1 as clients speak it that are no browsers: those of HTTP/1.0, those that do not wait for an answer, and those that
//! have nothing more to send.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use vestibule_edge::listen::request_bytes::LAST_WAIT;
use vestibule_wasmtime::Outcome;

use crate::application::Application;
use crate::raw::{Head, Wire};
use crate::scripted::{Script, ScriptedEdge, alice, answer};
use crate::tls::Identity;

/// Far more than anything here takes, on a machine that compiles something else at the same time.
const HANG: Duration = Duration::from_secs(30);

/// Sends `pieces` to an edge before an application, ends the sending, and returns all that is answered, with what has reached
/// the application.
async fn answers(script: Script, pieces: &[&str]) -> (String, Vec<String>) {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(script, &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            sleep(Duration::from_millis(30)).await;
        }
        peer.stream.write_all(piece.as_bytes()).await.expect("sent");
    }
    peer.stream.shutdown().await.expect("sent");
    let answered = rest(&mut peer).await;
    let targets = app.controls.targets.lock().expect("no test panics here").clone();
    (answered, targets)
}

async fn rest(peer: &mut Wire<TcpStream>) -> String {
    let mut answered = Vec::new();
    timeout(HANG, peer.stream.read_to_end(&mut answered)).await.expect("the connection ends").expect("it is not reset");
    String::from_utf8_lossy(&answered).into_owned()
}

/// RFC 9112 section 6.1: a client of HTTP/1.0 does not know `Transfer-Encoding`.
#[tokio::test]
async fn a_response_without_a_length_ends_with_its_connection_over_http_1_0() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    for more in ["", "Connection: keep-alive\r\n", "Connection: close\r\n"] {
        let mut peer = Wire::connect(edge.address).await;
        app.controls.release.notify_one();
        peer.stream.write_all(format!("GET /slow HTTP/1.0\r\nHost: h\r\n{more}\r\n").as_bytes()).await.expect("sent");
        let head = timeout(HANG, peer.read_head()).await.expect("in time").expect("a response");
        assert_eq!((head.status(), head.values("connection")), (200, vec!["close"]), "{more:?}: {}", head.text);
        assert!(head.values("transfer-encoding").is_empty() && head.values("content-length").is_empty(), "{}", head.text);
        let body = timeout(HANG, peer.read_until("firstlast")).await.expect("in time");
        assert_eq!(body.as_deref(), Some("firstlast"));
        assert_eq!(rest(&mut peer).await, "", "it ends");
    }
}

#[tokio::test]
async fn a_response_with_a_length_keeps_a_connection_of_http_1_0_that_is_to_be_kept() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    for _ in 0..2 {
        let request = "GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n";
        let (head, _) = timeout(HANG, peer.exchange(request)).await.expect("in time").expect("a response");
        assert_eq!((head.status(), head.values("connection")), (200, vec!["keep-alive"]));
    }
}

/// RFC 9110 sections 10.1.1 and 15.2.
#[tokio::test]
async fn a_client_of_http_1_0_gets_no_interim_response() {
    let read = || Script::new(|_, body| Ok(body.map_or(Outcome::NeedBody(10), |_| Outcome::Forward(alice()))));
    for script in [Script::alice(), read()] {
        let request = "POST /invited HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nabcde";
        let (answered, _) = answers(script, &[request]).await;
        assert!(answered.starts_with("HTTP/1.1 200 ") && answered.matches("HTTP/1.").count() == 2, "{answered}");
        let echoed = answered.split_once("\r\n\r\n").expect("a body").1;
        assert!(Head::echoed(echoed.to_owned()).values("expect").is_empty(), "{echoed}");
    }
}

#[tokio::test]
async fn the_applications_invitation_reaches_who_waits_for_it() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    let head = "POST /invited HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    peer.stream.write_all(head.as_bytes()).await.expect("sent");
    for status in [103, 100] {
        assert_eq!(timeout(HANG, peer.read_head()).await.expect("in time").expect("an interim response").status(), status);
    }
    let (head, _) = timeout(HANG, peer.exchange("abcde")).await.expect("in time").expect("a response");
    assert_eq!(head.status(), 200);
}

/// RFC 9110 section 10.1.1: who was invited sends a whole request, and the connection goes on after it.
#[tokio::test]
async fn an_invitation_leaves_the_connection_open_for_the_next_request() {
    let read = || Script::new(|_, body| Ok(body.map_or(Outcome::NeedBody(10), |body| answer(200, &String::from_utf8_lossy(body)))));
    let app = Application::start().await;
    let (counted, chunked) = (("Content-Length: 5", "abcde"), ("Transfer-Encoding: chunked", "5\r\nabcde\r\n0\r\n\r\n"));
    for (script, path, interim, framings) in
        [(Script::alice(), "/invited", &[103, 100][..], [counted, counted]), (read(), "/read", &[100], [counted, chunked])]
    {
        let edge = ScriptedEdge::start(script, &app.url()).await;
        let mut peer = Wire::connect(edge.address).await;
        for (framing, body) in framings {
            let head = format!("POST {path} HTTP/1.1\r\nHost: h\r\n{framing}\r\nExpect: 100-continue\r\n\r\n");
            peer.stream.write_all(head.as_bytes()).await.expect("sent");
            for status in interim {
                assert_eq!(timeout(HANG, peer.read_head()).await.expect("in time").expect("an interim response").status(), *status);
            }
            let (head, _) = timeout(HANG, peer.exchange(body)).await.expect("in time").expect("a response");
            assert_eq!((head.status(), head.values("connection")), (200, vec!["keep-alive"]), "{path} with {framing}");
        }
        let close =
            format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nabcde");
        peer.stream.write_all(close.as_bytes()).await.expect("sent");
        let answered = rest(&mut peer).await;
        assert!(answered.contains("HTTP/1.1 200 ") && answered.to_ascii_lowercase().contains("connection: close"), "{path}: {answered}");
    }
}

/// What is left of the body would be read as the next request.
#[tokio::test]
async fn an_answer_that_does_not_wait_for_the_body_ends_the_connection() {
    let app = Application::start().await;
    let script = Script::new(|head, _| Ok(if head.path_with_query() == "/ours" { answer(401, "") } else { Outcome::Forward(alice()) }));
    let edge = ScriptedEdge::start(script, &app.url()).await;
    for (path, status) in [("/ours", 401), ("/old/200", 200)] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let mut peer = Wire::connect(edge.address).await;
            let request = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n{expect}\r\n");
            let (head, _) = timeout(HANG, peer.exchange(&request)).await.expect("in time").expect("a response");
            assert_eq!((head.status(), head.values("connection")), (status, vec!["close"]), "{path} {expect:?}");
        }
    }
}

/// RFC 9112 section 3.2.2 and RFC 9110 section 4.2.3.
#[tokio::test]
async fn a_target_that_spells_its_host_in_other_letters_is_for_that_host() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    for (target, host, told) in [
        ("http://EXAMPLE.test/a", "example.test", Some("EXAMPLE.test")),
        ("HTTP://example.test:8501/a", "Example.TEST:8501", Some("example.test:8501")),
        ("http://example.test/a", "example.test", Some("example.test")),
        ("http://example.test:80/a", "example.test", None),
        ("http://example.test/a", "example.tesu", None),
        ("http://u@example.test/a", "U@example.test", None),
    ] {
        for more in ["", "X: y\r\n"] {
            let request = format!("GET {target} HTTP/1.1\r\n{more}Host: {host}\r\n\r\n");
            let (head, body) =
                timeout(HANG, Wire::connect(edge.address).await.exchange(&request)).await.expect("in time").expect("a response");
            assert_eq!(head.status(), if told.is_some() { 200 } else { 400 }, "{request:?}");
            let echoed = Head::echoed(body);
            assert_eq!(echoed.values("host"), told.into_iter().collect::<Vec<_>>(), "{request:?}");
        }
    }
    let two = "GET http://A/ HTTP/1.1\r\nHost: a\r\nHost: A\r\n\r\n";
    let (head, _) = timeout(HANG, Wire::connect(edge.address).await.exchange(two)).await.expect("in time").expect("a response");
    assert_eq!(head.status(), 400, "{two:?}");
}

/// RFC 9110 section 2.5: a response has the version of who sends it, and that is the edge.
#[tokio::test]
async fn an_application_of_http_1_0_is_answered_for_in_http_1_1() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    for method in ["GET", "HEAD"] {
        for status in [200, 204, 304] {
            peer.stream.write_all(format!("{method} /old/{status} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await.expect("sent");
            let head = timeout(HANG, peer.read_head()).await.expect("in time").expect("a response");
            assert_eq!((head.status(), head.values("connection")), (status, vec!["keep-alive"]), "{method}: {}", head.text);
            assert!(head.text.starts_with("HTTP/1.1 "), "{method}: {}", head.text);
            if method == "GET" {
                peer.read_body(&head).await.expect("a body");
            }
        }
    }
}

/// RFC 9112 section 9.3.2.
#[tokio::test]
async fn requests_that_do_not_wait_for_an_answer_are_served_in_order() {
    let requests = [
        "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /",
        "POST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n",
        "POST /4 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
        "\r\nGET /5 HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /6 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nGET /",
    ];
    let all = requests.concat();
    let splits =
        |at: fn(&str) -> usize| requests.iter().flat_map(|request| <[&str; 2]>::from(request.split_at(at(request)))).collect::<Vec<_>>();
    for pieces in [&[all.as_str()][..], &requests, &splits(|request| request.len() - 1), &splits(|request| request.len() / 3)] {
        // The application does not read chunks.
        let script = Script::new(|head, body| {
            Ok(match (["/3", "/4"].contains(&head.path_with_query()), body) {
                (false, _) => Outcome::Forward(alice()),
                (true, None) => Outcome::NeedBody(10),
                (true, Some(body)) => answer(200, &format!("{} {}", head.path_with_query(), String::from_utf8_lossy(body))),
            })
        });
        let (answered, targets) = answers(script, pieces).await;
        assert_eq!(answered.matches("HTTP/1.1 200 ").count(), 6, "{pieces:?}: {answered}");
        let places: Vec<_> = [" /1 ", " /2 ", "/3 GET /", "/4 ", " /5 ", " /6 "].iter().map(|text| answered.find(text)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{pieces:?}: {places:?} in {answered}");
        assert_eq!(targets, ["/1", "/2", "/5", "/6"], "{pieces:?}");
    }
    let (answered, targets) = answers(Script::alice(), &[&format!("{}{}", requests[5], requests[0])]).await;
    assert_eq!((answered.matches("HTTP/1.1 ").count(), targets), (1, vec!["/6".to_owned()]), "one that ends the connection: {answered}");
}

/// Each request is decided on by itself, and read by itself.
#[tokio::test]
async fn a_request_that_comes_early_is_read_and_decided_like_any_other() {
    let open = || Script::new(|head, _| Ok(if head.path_with_query() == "/open" { Outcome::Forward(alice()) } else { answer(401, "") }));
    let first = "GET /open HTTP/1.1\r\nHost: h\r\n\r\n";
    for (second, status) in [
        ("GET /closed HTTP/1.1\r\nHost: h\r\n\r\n", "401"),
        ("GET /closed HTTP/1.1\nHost: h\n\n", "400"),
        ("POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\nx", "400"),
        ("POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("\r\n\r\nGET /closed HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
    ] {
        let (answered, targets) = answers(open(), &[&format!("{first}{second}")]).await;
        assert_eq!(answered.matches("HTTP/1.1 200 ").count(), 1, "{second:?}: {answered}");
        assert_eq!(answered.matches(&format!("HTTP/1.1 {status} ")).count(), 1, "{second:?}: {answered}");
        assert_eq!(answered.matches("HTTP/1.1 4").count(), 1, "{second:?}: {answered}");
        assert_eq!(targets, ["/open"], "{second:?}");
    }
}

/// RFC 9112 section 2.2: old clients send one after a body.
#[tokio::test]
async fn an_empty_line_after_a_body_changes_nothing() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    for _ in 0..2 {
        let request = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde\r\n";
        let (head, body) = timeout(HANG, peer.exchange(request)).await.expect("in time").expect("a response");
        assert_eq!((head.status(), head.values("connection")), (200, vec!["keep-alive"]), "{body}");
    }
    assert_eq!(app.requests(), 2);
}

#[tokio::test]
async fn who_has_nothing_more_to_send_gets_the_answer() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    for request in [
        "GET /hang HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /hang HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde",
        "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /slow HTTP/1.0\r\n\r\n",
    ] {
        let mut peer = Wire::connect(edge.address).await;
        peer.stream.write_all(request.as_bytes()).await.expect("sent");
        peer.stream.shutdown().await.expect("sent");
        timeout(HANG, app.controls.started.notified()).await.expect("it arrives");
        // Long enough to be noticed.
        sleep(Duration::from_millis(100)).await;
        app.controls.release.notify_one();
        let answered = rest(&mut peer).await;
        assert!(answered.starts_with("HTTP/1.1 200 ") && answered.contains("last"), "{request:?}: {answered:?}");
    }
    // One whose request is not whole gets none of the application's.
    let mut peer = Wire::connect(edge.address).await;
    peer.stream.write_all(b"POST /hang HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc").await.expect("sent");
    peer.stream.shutdown().await.expect("sent");
    let answered = rest(&mut peer).await;
    assert!(!answered.contains(" 200 "), "{answered}");
}

#[tokio::test]
async fn who_has_nothing_more_to_send_gets_the_answer_over_tls() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let edge = ScriptedEdge::start_tls(Script::alice(), &app.url(), identity.edge_acceptor()).await;
    let mut peer = identity.tls_for_http_1(edge.address).await;
    peer.write_all(b"GET /hang HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("sent");
    peer.shutdown().await.expect("sent");
    timeout(HANG, app.controls.started.notified()).await.expect("it arrives");
    app.controls.release.notify_one();
    let mut answered = Vec::new();
    let _ = timeout(HANG, peer.read_to_end(&mut answered)).await.expect("it ends");
    assert!(String::from_utf8_lossy(&answered).contains("at last"), "{answered:?}");
}

/// Until something is sent to it, one that has gone looks like one that waits.
#[tokio::test]
async fn who_has_gone_is_noticed_when_something_is_sent_or_nothing_for_long() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    peer.stream.write_all(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("sent");
    timeout(HANG, peer.read_head()).await.expect("in time").expect("a response");
    drop(peer);
    timeout(HANG, app.controls.cut_off.notified()).await.expect("the application is let go");
    let mut peer = Wire::connect(edge.address).await;
    peer.stream.write_all(b"GET /hang HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("sent");
    timeout(HANG, app.controls.started.notified()).await.expect("it arrives");
    let began = Instant::now();
    peer.stream.shutdown().await.expect("sent");
    assert_eq!(rest(&mut peer).await, "");
    assert!((LAST_WAIT..HANG).contains(&began.elapsed()), "{:?}", began.elapsed());
}

/// What has come early must not hide it.
#[tokio::test]
async fn who_has_gone_is_noticed_whatever_it_has_sent_before() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let long = format!("GET /x HTTP/1.1\r\nX: {}", "a".repeat(20_000));
    let mut waiting = vec![];
    for (early, is_closed) in [("G", true), ("\r\n", true), ("GET /x HTTP/1.1\r\nHost: h\r\n\r\n", true), (long.as_str(), false)] {
        let mut peer = Wire::connect(edge.address).await;
        let request = format!("GET /hang HTTP/1.1\r\nHost: h\r\n\r\n{early}");
        peer.stream.write_all(request.as_bytes()).await.expect("sent");
        timeout(HANG, app.controls.started.notified()).await.expect("it arrives");
        if is_closed {
            peer.stream.shutdown().await.expect("sent");
        }
        let (began, early) = (Instant::now(), early.len());
        waiting.push(async move {
            // Nothing, or a reset of what has not been read.
            let _ = timeout(HANG, peer.read_head()).await.expect("it ends");
            assert!((LAST_WAIT - Duration::from_secs(1)..HANG).contains(&began.elapsed()), "{early} bytes: {:?}", began.elapsed());
        });
    }
    futures::future::join_all(waiting).await;
}

/// A client, or a proxy, that is still sending would lose it when the connection is closed at once.
#[tokio::test]
async fn our_own_answer_arrives_while_the_body_is_still_being_sent() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::new(|_, _| Ok(answer(401, "log in first"))), &app.url()).await;
    for framing in ["Content-Length: 400000", "Transfer-Encoding: chunked"] {
        let peer = Wire::connect(edge.address).await;
        let (mut reading, mut sending) = tokio::io::split(peer.stream);
        let head = format!("POST /upload HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n");
        sending.write_all(head.as_bytes()).await.expect("sent");
        let sent = tokio::spawn(async move {
            let piece = format!("2710\r\n{}\r\n", "a".repeat(10_000));
            for _ in 0..30 {
                if sending.write_all(piece.as_bytes()).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(5)).await;
            }
        });
        let mut answered = vec![];
        let _ = timeout(HANG, reading.read_to_end(&mut answered)).await.expect("it ends");
        let answered = String::from_utf8_lossy(&answered);
        assert!(answered.starts_with("HTTP/1.1 401 ") && answered.ends_with("log in first"), "{framing}: {answered:?}");
        sent.await.expect("it ends");
    }
    assert_eq!(app.requests(), 0);
}

/// What Pingora would write of itself has its name.
#[tokio::test]
async fn no_answer_says_which_server_this_is() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start_believing(&["127.0.0.1"], Script::alice(), &app.url()).await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400),
        ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", 405),
        ("POST /hang HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcx", 400),
    ] {
        let (head, _) = timeout(HANG, Wire::connect(edge.address).await.exchange(request)).await.expect("in time").expect("a response");
        assert_eq!((head.status(), head.values("connection")), (status, vec!["close"]), "{request:?}");
        assert!(head.values("server").is_empty(), "{request:?}: {}", head.text);
        assert_eq!(head.values("cache-control"), ["private, no-store"], "{request:?}");
    }
}
