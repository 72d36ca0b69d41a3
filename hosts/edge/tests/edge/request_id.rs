//! `X-Request-Id`: who gives a request its name, who gets it, and whether the lines of the log can be joined by it.

use reqwest::Url;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use vestibule_wasmtime::Outcome;

use crate::application::Application;
use crate::browser::Browser;
use crate::login::Site;
use crate::raw::{Head, Wire};
use crate::scripted::{Script, ScriptedEdge};
use crate::tls::Identity;

/// A name in the form of a trusted proxy's.
const GIVEN: &str = "proxy-7f8b.2c_1";

fn is_made_here(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// What the application gets of a request with these further fields, and the head of the response.
async fn received(trusted: &[&str], fields: &str) -> (Head, Head) {
    let app = Application::start().await;
    let edge = ScriptedEdge::start_believing(trusted, Script::alice(), &app.url()).await;
    let request = format!("GET / HTTP/1.1\r\nHost: app.example\r\n{fields}\r\n");
    let (head, body) = Wire::connect(edge.address).await.exchange(&request).await.expect("a response");
    assert_eq!(head.status(), 200, "{}", head.text);
    (Head::echoed(body), head)
}

#[tokio::test]
async fn a_strangers_name_is_replaced_in_every_spelling() {
    for trusted in [&[][..], &["192.0.2.0/24", "::1"]] {
        for fields in ["", "X-Request-Id: spoofed\r\n", "x-request-id: spoofed\r\nX_Request_Id: spoofed\r\nX.Request.ID: spoofed\r\n"] {
            let (received, answered) = received(trusted, fields).await;
            let names = received.values("x-request-id");
            assert!(names.len() == 1 && is_made_here(names[0]), "{fields}: {names:?}");
            assert!(!received.text.contains("spoofed"), "{}", received.text);
            assert!(answered.values("x-request-id").is_empty(), "it is for the application and the log");
        }
    }
}

#[tokio::test]
async fn a_trusted_proxys_name_is_taken() {
    let longest = "x".repeat(128);
    for name in [GIVEN, "0", "5f0e3a3c-7a0d-4e1a-9df1-0e8f0c6b7a2d", &longest] {
        let (received, _) = received(&["127.0.0.1"], &format!("X-Request-Id: {name}\r\nX_Request_Id: spoofed\r\n")).await;
        assert_eq!(received.values("x-request-id"), [name]);
        assert!(!received.text.contains("spoofed"), "{}", received.text);
    }
}

#[tokio::test]
async fn a_trusted_proxys_name_in_another_form_is_replaced() {
    let too_long = "x".repeat(129);
    for field in [
        "X-Request-Id:",
        "X-Request-Id: a b",
        "X-Request-Id: a, b",
        "X-Request-Id: {\"a\":1}",
        "X-Request-Id: caf\u{e9}",
        "X-Request-Id: ../../etc/passwd",
        "X-Request-Id: a\r\nX-Request-Id: b",
        &format!("X-Request-Id: {too_long}"),
    ] {
        let (received, _) = received(&["127.0.0.1"], &format!("{field}\r\n")).await;
        let names = received.values("x-request-id");
        assert!(names.len() == 1 && is_made_here(names[0]), "{field}: {names:?}");
    }
}

#[tokio::test]
async fn two_requests_on_one_connection_have_two_names() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(Script::alice(), &app.url()).await;
    let mut wire = Wire::connect(edge.address).await;
    let mut names = Vec::new();
    for _ in 0..2 {
        let (_, body) = wire.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
        names.extend(Head::echoed(body).values("x-request-id").iter().map(|name| (*name).to_owned()));
    }
    assert!(names.len() == 2 && names[0] != names[1], "{names:?}");
}

#[tokio::test]
async fn nor_is_a_strangers_name_taken_over_http_2() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let edge = ScriptedEdge::start_tls(Script::alice(), &app.url(), identity.edge_acceptor()).await;
    let mut peer = identity.http_2(edge.address).await;
    let request = http::Request::get("https://localhost/").header("x-request-id", "spoofed").header("x_request_id", "spoofed");
    let (response, _) = peer.send_request(request.body(()).expect("a request"), true).expect("sent");
    let (_, mut stream) = response.await.expect("a response").into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        body.extend_from_slice(&piece.expect("a body"));
    }
    let received = Head::echoed(String::from_utf8(body).expect("text"));
    assert!(is_made_here(received.values("x-request-id")[0]) && !received.text.contains("spoofed"), "{}", received.text);
}

#[tokio::test]
async fn an_upgrade_has_a_name_as_well() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start_believing(&["127.0.0.1"], Script::alice(), &app.url()).await;
    let mut request = format!("ws://{}/ws", edge.address).into_client_request().expect("a request");
    request.headers_mut().insert("x-request-id", GIVEN.parse().expect("a value"));
    drop(tokio_tungstenite::connect_async(request).await.expect("an upgrade"));
    assert_eq!(app.last_upgrade().values("x-request-id"), [GIVEN]);
}

#[tokio::test]
async fn the_filter_cannot_send_a_second_name() {
    let app = Application::start().await;
    let forward = || vestibule_wasmtime::Forward::new(&[], &[("X-Request-ID", b"another")]);
    let script = Script::new(move |_, _| Ok(Outcome::Forward(forward())));
    let edge = ScriptedEdge::start(script, &app.url()).await;
    let (_, body) = Wire::connect(edge.address).await.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
    let received = Head::echoed(body);
    assert!(received.values("x-request-id").len() == 1 && is_made_here(received.values("x-request-id")[0]), "{}", received.text);
}

/// `reference` and `request_id` of a problem document.
fn told(problem: &str) -> (Option<String>, Option<String>) {
    let problem: serde_json::Value = serde_json::from_str(problem).expect("a problem document");
    let member = |name: &str| problem[name].as_str().map(str::to_owned);
    (member("reference"), member("request_id"))
}

const RULES: &str =
    "trusted_proxies = \"127.0.0.1\"\n[[vestibule.rule]]\npath = \"/denied/**\"\nrequire = { groups = \"nobody\" }\n[[vestibule.rule]]\n";

#[tokio::test]
async fn lines_of_a_request_and_its_answer_are_joined_by_its_name() {
    let mut site = Site::start_configured(RULES, Application::start().await, "http", &[], &[]).await;
    let browser = Browser::new();
    browser.log_in(&site.url("/"), "alice").await;
    let cookies = browser.cookies(&site.url("/denied/a").parse::<Url>().expect("a URL"));

    let denied = format!("GET /denied/a HTTP/1.1\r\nHost: {}\r\nCookie: {cookies}\r\nX-Request-Id: {GIVEN}\r\n\r\n", site.address);
    let (head, body) = Wire::connect(site.address).await.exchange(&denied).await.expect("a response");
    assert_eq!(head.status(), 403, "{body}");
    let line = site.program.wait_for("policy.denied").await;
    assert_eq!(line["request_id"], GIVEN);
    assert_eq!(told(&body), (line["reference"].as_str().map(str::to_owned), Some(GIVEN.to_owned())), "{body}");
    let request = site.program.wait_for("request").await;
    assert_eq!((request["request_id"].as_str(), request["path"].as_str()), (Some(GIVEN), Some("/denied/a")));

    // A failure of this host's.
    let failing = format!("GET /malformed HTTP/1.1\r\nHost: {}\r\nCookie: {cookies}\r\nX-Request-Id: {GIVEN}-2\r\n\r\n", site.address);
    let (head, body) = Wire::connect(site.address).await.exchange(&failing).await.expect("a response");
    assert_eq!(head.status(), 502, "{body}");
    let line = site.program.wait_for("request.failed").await;
    assert_eq!(line["request_id"], format!("{GIVEN}-2"));
    assert_eq!(told(&body), (line["reference"].as_str().map(str::to_owned), Some(format!("{GIVEN}-2"))), "{body}");
    assert_eq!(site.program.wait_for("request").await["request_id"], format!("{GIVEN}-2"));

    // What a stranger calls it is nowhere in the log.
    let spoofed = format!("GET /denied/b HTTP/1.1\r\nHost: {}\r\nX-Request-Id: spoofed\r\n\r\n", site.address);
    let mut wire = Wire::connect_from("127.0.0.2", site.address).await;
    let (head, body) = wire.exchange(&spoofed).await.expect("a response");
    assert!(head.status() == 401 && !body.contains("spoofed"), "{body}");
    let request = site.program.wait_for("request").await;
    assert!(request["path"] == "/denied/b" && is_made_here(request["request_id"].as_str().expect("a name")), "{request}");
    // No event, and no reference: nobody is logged in.
    assert_eq!(told(&body), (None, request["request_id"].as_str().map(str::to_owned)), "{body}");

    // The same on a page, of the filter and of this host.
    for (path, code) in [("/denied/a", "policy.denied"), ("/malformed", "request.failed")] {
        let visit = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookies}\r\nX_Request_Id: spoofed\r\nSec-Fetch-Mode: navigate\r\n\r\n",
            site.address
        );
        let (_, page) = Wire::connect_from("127.0.0.2", site.address).await.exchange(&visit).await.expect("a page");
        let line = site.program.wait_for(code).await;
        let shown = |member: &str| page.contains(&format!(" <code>{}</code></p>", line[member].as_str().expect("a text")));
        assert!(page.contains("Request ID:") && shown("reference") && shown("request_id") && !page.contains("spoofed"), "{line} {page}");
    }
    assert!(!site.program.written.iter().any(|line| line.contains("spoofed")));
}

#[tokio::test]
async fn the_end_of_a_websocket_has_the_name_of_its_request() {
    let mut site = Site::start_configured("trusted_proxies = \"127.0.0.1\"\n", Application::start().await, "http", &[], &[]).await;
    let browser = Browser::new();
    browser.log_in(&site.url("/"), "alice").await;
    let mut request = format!("ws://{}/ws", site.address).into_client_request().expect("a request");
    let url: Url = site.url("/ws").parse().expect("a URL");
    request.headers_mut().insert("cookie", browser.cookies(&url).parse().expect("a value"));
    request.headers_mut().insert("origin", site.url("").parse().expect("a value"));
    request.headers_mut().insert("x-request-id", GIVEN.parse().expect("a value"));
    let (_socket, _) = tokio_tungstenite::connect_async(request).await.expect("an upgrade");
    browser.open(&site.url("/.vestibule/logout")).await;
    assert_eq!(site.program.wait_for("upgrade.session_ended").await["request_id"], GIVEN);
}
