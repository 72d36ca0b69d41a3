//! What of a request reaches the application, and what does not.

use vestibule_edge::configuration::decider::Undecided;
use vestibule_wasmtime::{Forward, Outcome};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::application::Application;
use crate::raw::{Head, Wire};
use crate::scripted::{Script, ScriptedEdge, alice, answer};

async fn echoed(script: Script, request: &str) -> Head {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(script, &app.url()).await;
    let (head, body) = Wire::connect(edge.address).await.exchange(request).await.expect("a response");
    assert_eq!(head.status(), 200, "{}", head.text);
    Head::echoed(body)
}

#[tokio::test]
async fn target_host_and_other_headers_arrive_as_sent() {
    let target = "/a/../b%2f;c//d?x=%41&&y=ü".replace('ü', "%C3%BC");
    let request = format!("GET {target} HTTP/1.1\r\nHost: app.example:8501\r\nX-One: 1\r\nX-One: 2\r\n\r\n");
    let received = echoed(Script::alice(), &request).await;
    assert_eq!(received.target(), target);
    assert_eq!(received.values("host"), ["app.example:8501"]);
    assert_eq!(received.values("x-one"), ["1", "2"]);
}

#[tokio::test]
async fn identity_is_the_filters_alone() {
    let request = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-User: mallory\r\nx-forwarded-USER: eve\r\nX_Forwarded_User: oscar\r\n\r\n";
    let received = echoed(Script::alice(), request).await;
    assert_eq!(received.values("x-forwarded-user"), ["alice"]);
    assert!(!received.text.contains("oscar"), "{}", received.text);
}

#[tokio::test]
async fn connection_cannot_take_identity_away() {
    for named in ["X-Forwarded-User", "close, x-forwarded-user", "X-Hop, X-Forwarded-User"] {
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: {named}\r\nX-Hop: 1\r\n\r\n");
        let received = echoed(Script::alice(), &request).await;
        assert_eq!(received.values("x-forwarded-user"), ["alice"], "{named}");
        assert_eq!(received.values("x-hop").is_empty(), named.contains("X-Hop"), "{named}");
    }
}

#[tokio::test]
async fn hop_by_hop_fields_end_here() {
    let request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nTE: trailers\r\n\
                   Trailer: X-Sum\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n\r\n";
    let received = echoed(Script::alice(), request).await;
    for name in ["keep-alive", "x-hop", "te", "trailer", "proxy-authorization", "proxy-connection", "upgrade"] {
        assert!(received.values(name).is_empty(), "{name} in {}", received.text);
    }
}

#[tokio::test]
async fn the_peers_word_on_where_it_comes_from_is_replaced() {
    let request = "GET / HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-For: 10.0.0.1\r\nX_Forwarded_Host: evil\r\n\
                   X-Forwarded-Proto: https\r\nX-Forwarded-Port: 4430\r\nX-Real-Ip: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\n\r\n";
    let received = echoed(Script::alice(), request).await;
    assert_eq!(received.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(received.values("x-forwarded-host"), ["app.example"]);
    assert_eq!(received.values("x-forwarded-port"), ["80"]);
    assert_eq!(received.values("x-forwarded-proto"), ["http"]);
    assert_eq!(received.values("x-real-ip"), ["127.0.0.1"]);
    assert_eq!(received.values("forwarded"), ["for=127.0.0.1;host=\"app.example\";proto=http"]);
    assert!(!received.text.contains("evil") && !received.text.contains("4430"), "{}", received.text);
}

#[tokio::test]
async fn responses_carry_the_filters_headers_besides_the_applications() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let (head, _) = Wire::connect(edge.address).await.exchange(request).await.expect("a response");
    assert_eq!(head.values("set-cookie"), ["app=1", "session=renewed"]);
}

#[tokio::test]
async fn a_response_with_a_renewed_session_is_not_for_caches_and_hop_by_hop_fields_end_here() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    for _ in 0..2 {
        let (head, body) = peer.exchange("GET /asset HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
        assert_eq!((head.status(), body.as_str()), (200, "ok"));
        assert_eq!(head.values("set-cookie"), ["session=renewed"]);
        assert_eq!(head.values("cache-control"), ["private, no-store"]);
        for name in ["expires", "keep-alive", "x-hop", "upgrade"] {
            assert!(head.values(name).is_empty(), "{name} in {}", head.text);
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_application_closes_is_replaced() {
    let app = Application::start().await;
    // A name, so that there may be an address that refuses.
    let edge = ScriptedEdge::start(Script::alice(), &format!("http://localhost:{}", app.address.port())).await;
    let mut peer = Wire::connect(edge.address).await;
    for _ in 0..3 {
        // The application takes a second one on a connection, and closes it without a word.
        let (head, _) = peer.exchange("GET /once HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
        assert_eq!(head.status(), 200, "{}", head.text);
    }
    assert!(app.requests() > 3, "no connection was kept");
}

#[tokio::test]
async fn more_headers_than_the_filter_takes_are_431_without_asking_it() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let many = "X-One: 1\r\n".repeat(200);
    let large = format!("X-Large: {}\r\n", "x".repeat(70_000));
    for headers in [many, large] {
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        let (head, _) = Wire::connect(edge.address).await.exchange(&request).await.expect("a response");
        assert_eq!((head.status(), app.requests()), (431, 0));
    }
}

#[tokio::test]
async fn what_the_filter_answers_never_reaches_the_application() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::new(|_, _| Ok(answer(401, "log in"))), &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    for _ in 0..2 {
        let (head, body) = peer.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
        assert_eq!((head.status(), body.as_str()), (401, "log in"));
    }
    let (head, body) = peer.exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc").await.expect("a response");
    assert_eq!((head.status(), body.as_str()), (401, "log in"));
    assert_eq!(app.connections(), 0);
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_and_keeps_the_connection() {
    let edge = ScriptedEdge::start(Script::new(|_, _| Ok(answer(401, "log in"))), "http://127.0.0.1:1").await;
    let mut peer = Wire::connect(edge.address).await;
    let (head, body) = peer.exchange("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
    assert_eq!((head.status(), body.as_str()), (401, ""));
    let (head, _) = peer.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response on the same connection");
    assert_eq!(head.status(), 401);
}

#[tokio::test]
async fn each_request_of_a_connection_is_decided() {
    let app = Application::start().await;
    let script = Script::new(|head, _| Ok(if head.path_with_query() == "/open" { Outcome::Forward(alice()) } else { answer(401, "") }));
    let edge = ScriptedEdge::start(script, &app.url()).await;
    let mut peer = Wire::connect(edge.address).await;
    for (path, status) in [("/open", 200), ("/closed", 401), ("/open", 200), ("/closed", 401)] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        let (head, _) = peer.exchange(&request).await.expect("a response");
        assert_eq!(head.status(), status, "{path}");
    }
    assert_eq!((app.requests(), app.connections()), (2, 1), "the connection to the application is kept as well");
}

#[tokio::test]
async fn a_filter_without_a_decision_is_500_and_never_a_pass() {
    let app = Application::start().await;
    for (undecided, status) in [(true, 503), (false, 500)] {
        let script = Script::new(move |_, _| {
            Err(if undecided { Undecided::Overloaded("full".into()) } else { Undecided::Failed("trap: secret".into()) })
        });
        let edge = ScriptedEdge::start(script, &app.url()).await;
        let (head, body) = Wire::connect(edge.address).await.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a page");
        assert_eq!(head.status(), status);
        assert!(!body.contains("secret"), "the page tells what failed: {body}");
    }
    assert_eq!(app.connections(), 0);
}

#[tokio::test]
async fn an_edit_that_cannot_be_made_is_500_and_never_a_pass() {
    let app = Application::start().await;
    let script = Script::new(|_, _| Ok(Outcome::Forward(Forward::new(&[], &[("X-Forwarded-User", b"a\r\nb")]))));
    let edge = ScriptedEdge::start(script, &app.url()).await;
    let (head, _) = Wire::connect(edge.address).await.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a page");
    assert_eq!((head.status(), app.requests()), (500, 0));
}

#[tokio::test]
async fn an_upgrade_that_is_none_has_the_timeout_of_every_request() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start_impatient(Script::alice(), &app.url()).await;
    let request = "GET /hang HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    let (head, _) = Wire::connect(edge.address).await.exchange(request).await.expect("a page");
    assert_eq!(head.status(), 504);
}

#[tokio::test]
async fn an_application_that_is_down_is_502_and_a_silent_one_504() {
    let nobody = {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        socket.local_addr().expect("an address")
    };
    let app = Application::start().await;
    let upstreams = [(format!("http://{nobody}"), 502, "host.upstream_unreachable"), (app.url(), 504, "host.upstream_timed_out")];
    for (upstream, status, code) in upstreams {
        let edge = ScriptedEdge::start_impatient(Script::alice(), &upstream).await;
        for (accept, languages, page) in [
            ("text/html,*/*;q=0.8", "en-GB", Some(("en", "Try again"))),
            ("text/html", "de-CH,de;q=0.9,en;q=0.8", Some(("de", "Erneut versuchen"))),
            ("*/*", "de", None),
            ("application/json", "de", None),
        ] {
            let request = format!("GET /hang HTTP/1.1\r\nHost: h\r\nAccept: {accept}\r\nAccept-Language: {languages}\r\n\r\n");
            let (head, body) = Wire::connect(edge.address).await.exchange(&request).await.expect("an answer");
            assert_eq!(head.status(), status, "{body}");
            assert_eq!(head.values("set-cookie"), ["session=renewed"], "a renewed session is not lost");
            assert_eq!(head.values("connection"), ["close"], "it is closed");
            if let Some((language, again)) = page {
                assert!(head.values("content-type")[0].starts_with("text/html") && body.contains(again), "{body}");
                assert_eq!((head.values("content-language"), head.values("vary")), (vec![language], vec!["accept-language"]));
            } else {
                assert_eq!(head.values("content-type"), ["application/problem+json"]);
                let problem: serde_json::Value = serde_json::from_str(&body).expect("JSON");
                assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()));
                assert!(problem["reference"].is_string() && problem["detail"].is_string(), "{body}");
            }
        }
    }
}

#[tokio::test]
async fn an_absolute_target_is_decided_and_forwarded_in_origin_form() {
    let script = Script::new(|head, _| {
        assert_eq!((head.path_with_query(), head.authority()), ("/a?b", Some("app.example")));
        Ok(Outcome::Forward(alice()))
    });
    let received = echoed(script, "GET http://app.example/a?b HTTP/1.1\r\nHost: app.example\r\n\r\n").await;
    assert_eq!((received.target(), received.values("host")), ("/a?b", vec!["app.example"]));
}

#[tokio::test]
async fn a_body_has_one_framing() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    // Refused, or brought to the one reading that RFC 9112 section 6.3 gives it.
    if let Some((head, body)) = Wire::connect(edge.address).await.exchange(request).await
        && head.status() == 200
    {
        let received = Head::echoed(body);
        assert_eq!(received.values("transfer-encoding"), ["chunked"]);
        assert!(received.values("content-length").is_empty(), "{}", received.text);
    }
}

#[tokio::test]
async fn requests_with_two_readings_are_refused() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let answer = Wire::connect(edge.address).await.exchange(request).await;
        assert!(answer.as_ref().is_none_or(|(head, _)| head.status() == 400), "{request:?}: {answer:?}");
    }
    assert_eq!(app.requests(), 0);
}

#[tokio::test]
async fn trailers_of_a_request_end_here() {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let edge = ScriptedEdge::start(Script::alice(), &format!("http://{}", socket.local_addr().expect("an address"))).await;
    let application = tokio::spawn(async move {
        let (mut stream, _) = socket.accept().await.expect("a connection");
        let mut received = String::new();
        while !received.split_once("\r\n0\r\n").is_some_and(|(_, trailers)| trailers.ends_with("\r\n")) {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).await.expect("a request");
            assert_ne!(read, 0, "{received}");
            received += std::str::from_utf8(&piece[..read]).expect("text");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("sent");
        received
    });
    let request = "POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTrailer: X-Forwarded-Email\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\nX-Forwarded-Email: mallory@evil.example\r\nX-Forwarded-User: mallory\r\n\r\n";
    let (head, _) = Wire::connect(edge.address).await.exchange(request).await.expect("a response");
    assert_eq!(head.status(), 200);
    let received = application.await.expect("a request");
    assert!(received.contains("\r\nhello\r\n"), "{received}");
    assert!(!received.contains("mallory") && !received.to_ascii_lowercase().contains("trailer"), "{received}");
}
