//! Clients that leave: what their requests count as, before the first byte of a response and after it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::application::Application;
use crate::login::Site;
use crate::metrics::{Scrape, admin_of, becomes};
use crate::raw::Wire;
use crate::tls::Identity;

const OPEN: &str = "[[vestibule.rule]]\naccess = \"public\"\n";

/// More than anything here takes.
const HANG: Duration = Duration::from_secs(30);

async fn site(arguments: &[&str], scheme: &str) -> (Site, SocketAddr) {
    let arguments = [&["--admin", "127.0.0.1:0"], arguments].concat();
    let site = Site::start_configured(OPEN, Application::start().await, scheme, &arguments, &[]).await;
    let admin = admin_of(&site.program);
    (site, admin)
}

fn series(outcome: &str, status: &str) -> String {
    format!("vestibule_http_requests_total{{outcome=\"{outcome}\",status=\"{status}\"}}")
}

/// None of what was counted is a failure.
async fn none_has_failed(admin: SocketAddr) {
    let now = Scrape::of(admin).await;
    for status in ["1xx", "2xx", "3xx", "4xx", "5xx", "none"] {
        assert_eq!(now.of_series(&series("failed", status)), 0.0, "{status}");
    }
}

async fn send(site: &Site, request: &str) -> Wire<TcpStream> {
    let mut wire = Wire::connect(site.address).await;
    wire.stream.write_all(request.as_bytes()).await.expect("sent");
    wire
}

const HANDSHAKE: &str =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn a_client_that_leaves_before_an_answer_is_no_failure() {
    let (site, admin) = site(&[], "http").await;
    // Before its head is whole, there is no request.
    for begun in ["", "GET /ha", "GET /hang HTTP/1.1\r\nHost: h\r\n"] {
        drop(send(&site, begun).await);
    }
    let mut closed = 0.0;
    for (request, is_asked) in [
        ("GET /hang HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), true),
        ("POST /hang HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nwhole".to_owned(), true),
        // A body that breaks off, by its length and in chunks.
        ("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nfirst".to_owned(), true),
        ("POST /hang HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfir".to_owned(), true),
        // One that the decision waits for.
        ("POST /oauth2callback HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 90\r\n\r\ncode=".to_owned(), false),
        (format!("GET /hang HTTP/1.1\r\nHost: h\r\n{HANDSHAKE}\r\n"), true),
    ] {
        let wire = send(&site, &request).await;
        if is_asked {
            timeout(HANG, site.app.controls.started.notified()).await.expect("the application has it");
        } else {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        drop(wire);
        closed += 1.0;
        becomes(admin, &series("closed", "none"), closed).await;
    }
    // And by a reset instead of an end.
    let wire = send(&site, "GET /hang HTTP/1.1\r\nHost: h\r\n\r\n").await;
    timeout(HANG, site.app.controls.started.notified()).await.expect("the application has it");
    wire.stream.set_zero_linger().expect("an option");
    drop(wire);
    becomes(admin, &series("closed", "none"), closed + 1.0).await;
    none_has_failed(admin).await;
    assert_eq!(Scrape::of(admin).await.of_series(&series("forwarded", "none")), 0.0);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_an_answer_has_had_one() {
    let (site, admin) = site(&[], "http").await;
    let mut left = 0.0;
    for path in ["/slow", "/events", "/download", "/endless", "/events-until-closed"] {
        let mut wire = send(&site, &format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        assert_eq!(wire.read_head().await.expect("a response").status(), 200, "{path}");
        drop(wire);
        left += 1.0;
        becomes(admin, &series("forwarded", "2xx"), left).await;
    }
    let mut wire = send(&site, &format!("GET /ws HTTP/1.1\r\nHost: h\r\n{HANDSHAKE}\r\n")).await;
    assert_eq!(wire.read_head().await.expect("a response").status(), 101);
    drop(wire);
    becomes(admin, &series("forwarded", "1xx"), 1.0).await;
    none_has_failed(admin).await;
    assert_eq!(Scrape::of(admin).await.of_series(&series("closed", "none")), 0.0);
}

fn request(method: Method, path: &str) -> Request<()> {
    let request = Request::builder().method(method).version(http::Version::HTTP_2);
    request.uri(format!("https://localhost{path}")).body(()).expect("a request")
}

#[tokio::test]
async fn the_same_over_http_2() {
    let (identity, folder) = (Identity::new(), tempfile::tempdir().expect("a folder"));
    let (certificate, key) = identity.write(folder.path());
    for file in [&certificate, &key] {
        std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its owner's");
    }
    let (site, admin) = site(&["--tls-cert", &certificate, "--tls-key", &key], "http").await;
    let started = || timeout(HANG, site.app.controls.started.notified());
    // A stream that is reset, without a body and in the middle of one.
    let mut sender = identity.http_2(site.address).await;
    for (sent, method) in [(1.0, Method::GET), (2.0, Method::POST)] {
        let is_whole = method == Method::GET;
        let path = if is_whole { "/hang" } else { "/upload" };
        let mut asked = request(method, path);
        if !is_whole {
            asked.headers_mut().insert("content-length", "1000".parse().expect("a value"));
        }
        let (response, mut stream) = sender.send_request(asked, is_whole).expect("a stream");
        if !is_whole {
            stream.send_data(Bytes::from_static(b"first"), false).expect("sent");
        }
        started().await.expect("the application has it");
        stream.send_reset(h2::Reason::CANCEL);
        drop((response, stream));
        becomes(admin, &series("closed", "none"), sent).await;
    }
    // In the middle of an answer.
    let (response, mut stream) = sender.send_request(request(Method::GET, "/events"), true).expect("a stream");
    assert_eq!(response.await.expect("a response").status(), 200);
    started().await.expect("the application has it");
    stream.send_reset(h2::Reason::CANCEL);
    drop(stream);
    becomes(admin, &series("forwarded", "2xx"), 1.0).await;
    // The whole connection.
    let mut wire = identity.tls_for_http_2(site.address).await;
    let head = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..], &headers_of_hang()].concat();
    wire.write_all(&head).await.expect("sent");
    started().await.expect("the application has it");
    drop(wire);
    becomes(admin, &series("closed", "none"), 3.0).await;
    none_has_failed(admin).await;
}

/// `GET /hang` as one frame (RFC 9113 section 6.2), by literals without a table (RFC 7541 section 6.2.2).
fn headers_of_hang() -> Vec<u8> {
    let mut block = vec![];
    for (name, value) in [(":method", "GET"), (":scheme", "https"), (":path", "/hang"), (":authority", "localhost")] {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("short"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    const END_STREAM_AND_HEADERS: u8 = 5;
    let mut frame = vec![0, 0, u8::try_from(block.len()).expect("short"), 1, END_STREAM_AND_HEADERS, 0, 0, 0, 1];
    frame.append(&mut block);
    frame
}
