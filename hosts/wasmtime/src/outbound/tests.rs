//! The outbound client against a small server.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, Response as HttpResponse, header};
use axum::routing::get;
use axum::{Router, extract::State};
use futures::FutureExt as _;
use futures::future::{join, pending};
use futures::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vestibule_enforcement::outbound::networks::Network;

use super::names::Lookup;
use super::*;

/// Longer than anything here takes: a test that reaches it has hung.
const HANG: Duration = Duration::from_secs(30);

#[derive(Clone, Default)]
struct Seen {
    metadata: Arc<AtomicUsize>,
    headers: Arc<std::sync::Mutex<Vec<HeaderMap>>>,
}

/// A provider whose metadata names the given token endpoint.
struct Provider {
    origin: String,
    seen: Seen,
}

impl Provider {
    async fn start(token_endpoint: &str) -> Provider {
        let seen = Seen::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let metadata = format!(r#"{{"issuer": "x", "token_endpoint": "{token_endpoint}", "jwks_uri": "{origin}/keys"}}"#);
        let app = Router::new()
            .route(
                "/metadata",
                get(|State(seen): State<Seen>| async move {
                    seen.metadata.fetch_add(1, Ordering::SeqCst);
                    metadata
                }),
            )
            .route("/never", get(pending::<String>))
            .route("/redirect", get(|| async { ([(header::LOCATION, "/metadata")], http::StatusCode::FOUND) }))
            .route("/announced", get(|| async { "x".repeat(1001) }))
            .route("/fits", get(|| async { "x".repeat(1000) }))
            .route("/chunked", get(chunked))
            .route("/headers", get(headers).post(headers))
            .with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Provider { origin, seen }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    fn metadata_read(&self) -> usize {
        self.seen.metadata.load(Ordering::SeqCst)
    }
}

async fn chunked() -> Body {
    let chunk = || Ok::<_, std::io::Error>("x".repeat(501));
    Body::from_stream(stream::iter([chunk(), chunk()]))
}

async fn headers(State(seen): State<Seen>, headers: HeaderMap, body: String) -> HttpResponse<String> {
    seen.headers.lock().unwrap().push(headers);
    HttpResponse::builder()
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .header("content-encoding", "gzip")
        .body(format!("not really gzip: {body}"))
        .unwrap()
}

fn outbound(metadata_urls: &[String]) -> Outbound {
    Outbound::new(&OutboundOptions::default(), 32, metadata_urls, &[]).unwrap()
}

fn get_request(url: impl Into<String>) -> Request {
    Request { method: "GET".into(), url: url.into(), headers: Vec::new(), body: Vec::new(), max_response_bytes: 1000, timeout_ms: 20_000 }
}

async fn send(outbound: &Outbound, request: Request) -> Result<Response, Error> {
    timeout(HANG, outbound.send(request)).await.expect("a request hangs")
}

#[tokio::test]
async fn redirects_are_delivered_and_not_followed() {
    let provider = Provider::start("").await;
    let outbound = outbound(&[provider.url("/metadata")]);
    let response = send(&outbound, get_request(provider.url("/redirect"))).await.unwrap();
    assert_eq!(response.status, 302);
    assert!(response.headers.contains(&("location".into(), b"/metadata".to_vec())));
    assert_eq!(provider.metadata_read(), 0);
}

#[tokio::test]
async fn nothing_is_delivered_of_a_body_over_the_limit() {
    let provider = Provider::start("").await;
    let outbound = outbound(&[provider.url("/metadata")]);
    for path in ["/announced", "/chunked"] {
        let answer = send(&outbound, get_request(provider.url(path))).await;
        assert!(matches!(answer, Err(Error::TooLarge)), "{path}: {answer:?}");
    }
    let response = send(&outbound, get_request(provider.url("/fits"))).await.unwrap();
    assert_eq!(response.body.len(), 1000);
}

#[tokio::test]
async fn the_hosts_limits_hold_whatever_the_component_asks_for() {
    let provider = Provider::start("").await;
    let options = OutboundOptions { max_response_bytes: 999, total_timeout: Duration::from_millis(100), ..OutboundOptions::default() };
    let outbound = Outbound::new(&options, 32, &[provider.url("/metadata")], &[]).unwrap();
    let request = |path| Request { max_response_bytes: u32::MAX, timeout_ms: u32::MAX, ..get_request(provider.url(path)) };
    assert!(matches!(send(&outbound, request("/fits")).await, Err(Error::TooLarge)));
    assert!(matches!(send(&outbound, request("/never")).await, Err(Error::TimedOut)));
}

#[tokio::test]
async fn the_components_own_timeout_holds() {
    let provider = Provider::start("").await;
    let outbound = outbound(&[provider.url("/metadata")]);
    let request = Request { timeout_ms: 50, ..get_request(provider.url("/never")) };
    assert!(matches!(send(&outbound, request).await, Err(Error::TimedOut)));
}

#[tokio::test]
async fn errors_are_told_apart_and_name_no_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}/metadata?secret");
    let outbound = outbound(std::slice::from_ref(&url));
    // It is asked once more.
    let garbage = async {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(b"SSH-2.0-server\r\n\r\n").await.unwrap();
        }
    };
    let (answer, ()) = join(send(&outbound, get_request(&*url)), garbage).await;
    let Err(Error::Protocol(text)) = answer else { panic!("{answer:?}") };
    assert!(!text.contains("secret"), "{text}");
    drop(listener);
    let answer = send(&outbound, get_request(&*url)).await;
    let Err(Error::Unreachable(text)) = answer else { panic!("{answer:?}") };
    assert!(text.contains("refused") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn headers_pass_unchanged_and_no_cookie_is_kept() {
    let provider = Provider::start("").await;
    let outbound = outbound(&[provider.url("/metadata")]);
    let request = || Request {
        method: "POST".into(),
        headers: vec![("x-one".into(), b"1".to_vec()), ("x-one".into(), b"2".to_vec())],
        body: b"code=x".to_vec(),
        ..get_request(provider.url("/headers"))
    };
    send(&outbound, request()).await.unwrap();
    let response = send(&outbound, request()).await.unwrap();
    assert_eq!(response.body, b"not really gzip: code=x", "nothing is decompressed");
    let cookies = response.headers.iter().filter(|(name, _)| name == "set-cookie");
    assert_eq!(cookies.count(), 2);
    let seen = provider.seen.headers.lock().unwrap();
    assert_eq!(seen.len(), 2);
    for headers in &*seen {
        assert_eq!(headers.get_all("x-one").iter().count(), 2);
        assert!(headers["user-agent"].to_str().unwrap().starts_with("vestibule/"));
        for absent in ["cookie", "accept-encoding", "referer"] {
            assert!(!headers.contains_key(absent), "{absent}");
        }
    }
}

#[tokio::test]
async fn methods_and_headers_that_could_split_a_message_are_refused() {
    let provider = Provider::start("").await;
    let outbound = outbound(&[provider.url("/metadata")]);
    let put = Request { method: "PUT".into(), ..get_request(provider.url("/headers")) };
    let with = |name: &str, value: &str| Request { headers: vec![(name.into(), value.into())], ..get_request(provider.url("/headers")) };
    let requests = [
        put,
        with("Host", "other.example"),
        with("content-length", "3"),
        with("Transfer-Encoding", "chunked"),
        with("x y", "1"),
        with("x", "a\r\nb: c"),
    ];
    for request in requests {
        let answer = send(&outbound, request.clone()).await;
        assert!(matches!(answer, Err(Error::Protocol(_))), "{request:?}: {answer:?}");
    }
    assert!(provider.seen.headers.lock().unwrap().is_empty());
}

#[tokio::test]
async fn connections_are_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metadata", listener.local_addr().unwrap());
    let outbound = outbound(std::slice::from_ref(&url));
    // One connection is all that this server takes.
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            let read = stream.read(&mut [0; 4096]).await.unwrap();
            assert!(read > 0, "the connection was closed");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        }
    };
    let ask = async {
        for _ in 0..2 {
            assert_eq!(send(&outbound, get_request(&*url)).await.unwrap().status, 200);
        }
    };
    timeout(HANG, join(serve, ask)).await.expect("a second connection is asked for");
}

/// RFC 9112 section 9.6: a server may close at any time, and then the next request is on its way already.
#[tokio::test]
async fn what_was_asked_on_a_connection_that_closes_is_asked_once_more_on_a_new_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metadata", listener.local_addr().unwrap());
    let outbound = outbound(std::slice::from_ref(&url));
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let serve = async {
        let (mut first, _) = listener.accept().await.unwrap();
        assert!(first.read(&mut [0; 4096]).await.unwrap() > 0);
        first.write_all(answer).await.unwrap();
        // The second request is read, and not answered.
        assert!(first.read(&mut [0; 4096]).await.unwrap() > 0);
        drop(first);
        let (mut second, _) = listener.accept().await.unwrap();
        assert!(second.read(&mut [0; 4096]).await.unwrap() > 0);
        second.write_all(answer).await.unwrap();
        // Once: the third is not answered either, nor is its repetition.
        let (mut third, _) = listener.accept().await.unwrap();
        assert!(third.read(&mut [0; 4096]).await.unwrap() > 0);
        drop(third);
        let (mut fourth, _) = listener.accept().await.unwrap();
        assert!(fourth.read(&mut [0; 4096]).await.unwrap() > 0);
        drop(fourth);
        listener
    };
    let ask = async {
        assert_eq!(send(&outbound, get_request(&*url)).await.unwrap().status, 200);
        assert_eq!(send(&outbound, get_request(&*url)).await.unwrap().status, 200);
        let failed = send(&outbound, get_request(&*url)).await;
        assert!(matches!(failed, Err(Error::Protocol(_))), "{failed:?}");
    };
    let (listener, ()) = timeout(HANG, join(serve, ask)).await.expect("in time");
    assert!(timeout(Duration::from_millis(200), listener.accept()).await.is_err(), "and not a third time");
}

/// A code that was sent may have been redeemed.
#[tokio::test]
async fn what_is_posted_goes_out_once_on_a_new_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metadata", listener.local_addr().unwrap());
    let outbound = outbound(std::slice::from_ref(&url));
    let serve = async {
        let (mut kept, _) = listener.accept().await.unwrap();
        assert!(kept.read(&mut [0; 4096]).await.unwrap() > 0);
        kept.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 4096];
        let read = other.read(&mut bytes).await.unwrap();
        assert!(bytes[..read].starts_with(b"POST "), "on a connection of its own");
        drop(other);
        (listener, kept)
    };
    let ask = async {
        assert_eq!(send(&outbound, get_request(&*url)).await.unwrap().status, 200);
        let posted = send(&outbound, Request { method: "POST".into(), body: b"code=x".to_vec(), ..get_request(&*url) }).await;
        assert!(matches!(posted, Err(Error::Protocol(_))), "{posted:?}");
    };
    let ((listener, _kept), ()) = timeout(HANG, join(serve, ask)).await.expect("in time");
    assert!(timeout(Duration::from_millis(200), listener.accept()).await.is_err(), "and not again");
}

#[tokio::test]
async fn a_fresh_process_reads_the_metadata_before_it_refuses_an_origin() {
    let tokens = Provider::start("").await;
    let provider = Provider::start(&tokens.url("/fits")).await;
    let outbound = outbound(&[provider.url("/metadata")]);
    // Two at once: the document is read once for both.
    let (first, second) = join(send(&outbound, get_request(tokens.url("/fits"))), send(&outbound, get_request(tokens.url("/fits")))).await;
    assert_eq!((first.unwrap().status, second.unwrap().status), (200, 200));
    assert_eq!(provider.metadata_read(), 1);
    let other = Provider::start("").await;
    let refused = send(&outbound, get_request(other.url("/fits"))).await;
    assert!(matches!(refused, Err(Error::NotAllowed)), "{refused:?}");
    assert_eq!(provider.metadata_read(), 1, "what was read is not read again");
}

#[tokio::test]
async fn what_the_component_reads_is_learned_from() {
    let tokens = Provider::start("").await;
    let provider = Provider::start(&tokens.url("/fits")).await;
    let outbound = outbound(&[provider.url("/metadata")]);
    send(&outbound, get_request(provider.url("/metadata"))).await.unwrap();
    send(&outbound, get_request(tokens.url("/fits"))).await.unwrap();
    assert_eq!(provider.metadata_read(), 1);
}

#[tokio::test]
async fn a_provider_that_hangs_does_not_hold_up_another() {
    let hanging = Provider::start("").await;
    let tokens = Provider::start("").await;
    let provider = Provider::start(&tokens.url("/fits")).await;
    let options = OutboundOptions { total_timeout: 2 * HANG, ..OutboundOptions::default() };
    let urls = [hanging.url("/never"), provider.url("/metadata")];
    let outbound = Outbound::new(&options, 32, &urls, &[]).unwrap();
    let request = Request { timeout_ms: u32::MAX, ..get_request(tokens.url("/fits")) };
    assert_eq!(send(&outbound, request).await.unwrap().status, 200);
}

#[tokio::test]
async fn one_exchange_too_many_with_an_origin_fails_at_once_and_others_go_on() {
    let hanging = Provider::start("").await;
    let other = Provider::start("").await;
    let options = OutboundOptions { max_exchanges_per_origin: 2, ..OutboundOptions::default() };
    let outbound = Outbound::new(&options, 32, &[hanging.url("/metadata"), other.url("/metadata")], &[]).unwrap();
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(outbound.send(get_request(hanging.url("/never"))))).collect();
    for exchange in &mut waiting {
        assert!(futures::poll!(exchange).is_pending());
    }
    let refused = send(&outbound, get_request(hanging.url("/fits"))).await;
    let Err(Error::Unreachable(text)) = refused else { panic!("{refused:?}") };
    assert!(text.contains("too many exchanges"), "{text}");
    assert_eq!(send(&outbound, get_request(other.url("/fits"))).await.unwrap().status, 200);
    drop(waiting);
    assert_eq!(send(&outbound, get_request(hanging.url("/fits"))).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_name_under_localhost_is_this_machine() {
    let provider = Provider::start("").await;
    let url = provider.url("/fits").replace("127.0.0.1", "idp.localhost");
    let outbound = outbound(std::slice::from_ref(&url));
    assert_eq!(send(&outbound, get_request(url)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_provider_that_is_down_is_not_asked_for_every_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let metadata = format!("http://{}/metadata", listener.local_addr().unwrap());
    let options = OutboundOptions { total_timeout: 2 * HANG, ..OutboundOptions::default() };
    let outbound = Outbound::new(&options, 32, &[metadata], &[]).unwrap();
    let request = || Request { timeout_ms: u32::MAX, ..get_request("https://tokens.example/") };
    // The reading, and its repetition.
    let close_both = async {
        for _ in 0..2 {
            drop(listener.accept().await.unwrap());
        }
    };
    let (refused, ()) = join(send(&outbound, request()), close_both).await;
    assert!(matches!(refused, Err(Error::NotAllowed)), "{refused:?}");
    // Nobody accepts any more: a second reading would hang.
    let refused = send(&outbound, request()).await;
    assert!(matches!(refused, Err(Error::NotAllowed)), "{refused:?}");
}

#[test]
fn extra_roots_must_be_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    let with_roots = || Outbound::new(&OutboundOptions { extra_roots: Some(path.clone()), ..OutboundOptions::default() }, 32, &[], &[]);
    assert!(matches!(with_roots(), Err(OutboundError::UnreadableRoots { .. })));
    std::fs::write(&path, "not a certificate").unwrap();
    assert!(matches!(with_roots(), Err(OutboundError::NoRoots(_))));
}

#[tokio::test]
async fn an_extra_root_is_trusted_and_without_it_the_connection_is_refused() {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("https://localhost:{port}/metadata");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // The client without the root gives up in the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer).await.unwrap();
        }
    });

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    std::fs::write(&path, cert.pem()).unwrap();
    let options = OutboundOptions { extra_roots: Some(path), ..OutboundOptions::default() };
    let without = outbound(std::slice::from_ref(&url));
    let with = Outbound::new(&options, 32, std::slice::from_ref(&url), &[]).unwrap();
    let refused = send(&without, get_request(&*url)).await;
    assert!(matches!(refused, Err(Error::Unreachable(_))), "{refused:?}");
    assert_eq!(send(&with, get_request(&*url)).await.unwrap().status, 200);
}

/// What a provider does on a connection after it has read a request.
enum Fault {
    /// Sends this, and closes.
    Closes(&'static [u8]),
    /// Sends this, and resets the connection.
    Resets(&'static [u8]),
    /// Sends the first, and then the second again and again.
    Repeats(&'static [u8], &'static [u8]),
}

async fn misbehave(listener: &TcpListener, fault: &Fault) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let _ = stream.read(&mut [0; 1024]).await.unwrap();
    match fault {
        Fault::Closes(sent) => stream.write_all(sent).await.unwrap(),
        Fault::Resets(sent) => {
            stream.write_all(sent).await.unwrap();
            stream.set_zero_linger().unwrap();
        }
        Fault::Repeats(first, again) => {
            stream.write_all(first).await.unwrap();
            while stream.write_all(again).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_provider_that_drips_breaks_off_or_lies_about_its_length_has_not_answered() {
    let tests = [
        ("says nothing", Fault::Closes(b"")),
        ("resets at once", Fault::Resets(b"")),
        ("breaks off in the head", Fault::Closes(b"HTTP/1.1 200 OK\r\nContent-")),
        ("sends less than it says", Fault::Closes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"issuer\":")),
        ("resets in the body", Fault::Resets(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"issuer\":")),
        ("breaks off in a chunk", Fault::Closes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{}")),
        ("has no last chunk", Fault::Closes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")),
        ("has two lengths", Fault::Closes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}")),
        ("has a head without end", Fault::Repeats(b"HTTP/1.1 200 OK\r\n", &[b'x'; 64 * 1024])),
        ("drips its head", Fault::Repeats(b"HTTP/1.1 200 OK\r\n", b"x")),
        ("drips its body", Fault::Repeats(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x")),
    ];
    for (what, fault) in tests {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metadata", listener.local_addr().unwrap());
        let outbound = outbound(std::slice::from_ref(&url));
        let drips = matches!(fault, Fault::Repeats(_, b"x"));
        let request = Request { timeout_ms: if drips { 300 } else { 20_000 }, ..get_request(&*url) };
        let served = async {
            loop {
                misbehave(&listener, &fault).await;
            }
        };
        let answer = tokio::select! {
            answer = send(&outbound, request) => answer,
            () = served => unreachable!("it goes on"),
        };
        match answer.expect_err(what) {
            Error::TimedOut => assert!(drips, "{what}"),
            Error::Protocol(_) | Error::Unreachable(_) => assert!(!drips, "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// A provider with https under names of its own, on this machine.
struct SecureProvider {
    port: u16,
    options: OutboundOptions,
    /// Paths that were asked for; a connection is closed after its answer.
    asked: Arc<std::sync::Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

impl SecureProvider {
    /// Its metadata, at `/metadata`, names endpoints on `endpoints`.
    async fn start(endpoints: &str) -> SecureProvider {
        let names = ["provider.example", "token.example", "other.example"].map(str::to_owned);
        let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let metadata = metadata_naming(&format!("https://{endpoints}:{port}"));
        let asked = Arc::<std::sync::Mutex<Vec<String>>>::default();
        let connections = Arc::<AtomicUsize>::default();
        tokio::spawn({
            let (asked, connections) = (asked.clone(), connections.clone());
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    connections.fetch_add(1, Ordering::SeqCst);
                    let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                    let mut head = vec![0; 4096];
                    let length = stream.read(&mut head).await.unwrap();
                    let head = String::from_utf8_lossy(&head[..length]).into_owned();
                    asked.lock().unwrap().push(head.split(' ').nth(1).unwrap().to_owned());
                    let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{metadata}", metadata.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    let _ = stream.shutdown().await;
                }
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let roots = folder.path().join("roots.pem");
        std::fs::write(&roots, cert.pem()).unwrap();
        let options = OutboundOptions { extra_roots: Some(roots), ..OutboundOptions::default() };
        SecureProvider { port, options, asked, connections, _folder: folder }
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.port)
    }

    fn outbound(&self, internal_hosts: &[&str], lookup: Lookup) -> Outbound {
        let urls = [self.url("provider.example", "/metadata")];
        let internal_hosts: Vec<_> = internal_hosts.iter().map(|host| (*host).to_owned()).collect();
        let client = ProviderClient::with_lookup(&self.options, lookup).unwrap();
        Outbound::with_client(client, &self.options, 32, &urls, &internal_hosts)
    }

    /// As if the document had been read at an address of this network; it names endpoints on `host`.
    fn learn(&self, outbound: &Outbound, host: &str, network: Network) {
        let document = Url::parse(&self.url("provider.example", "/metadata")).unwrap();
        outbound.documents.learn(&document, metadata_naming(&format!("https://{host}:{}", self.port)).as_bytes(), Some(network));
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn metadata_naming(origin: &str) -> String {
    format!(r#"{{"issuer": "x", "token_endpoint": "{origin}/token", "jwks_uri": "{origin}/keys"}}"#)
}

/// Every name has these addresses, at the first time and at each later one.
fn resolves_to(addresses: &[&str]) -> Lookup {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Arc::new(move |_| std::future::ready(Ok(addresses.clone())).boxed())
}

/// Lines of the log that this thread writes.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn capture() -> (Log, tracing::subscriber::DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One of each kind that is not the internet.
const ELSEWHERE: [(&str, Network); 18] = [
    ("127.0.0.1", Network::Loopback),
    ("::1", Network::Loopback),
    ("::ffff:127.0.0.1", Network::Loopback),
    ("64:ff9b::127.0.0.1", Network::Loopback),
    ("10.0.0.1", Network::Private),
    ("172.31.0.1", Network::Private),
    ("192.168.0.1", Network::Private),
    ("fd12::1", Network::Private),
    ("100.64.0.1", Network::Shared),
    ("169.254.0.1", Network::LinkLocal),
    ("fe80::1", Network::LinkLocal),
    ("169.254.169.254", Network::MetadataService),
    ("fd00:ec2::254", Network::MetadataService),
    ("0.0.0.0", Network::Loopback),
    ("::", Network::Loopback),
    ("224.0.0.1", Network::Reserved),
    ("240.0.0.1", Network::Reserved),
    ("2002:7f00:1::", Network::Loopback),
];

#[tokio::test]
async fn an_endpoint_that_resolves_to_another_network_is_refused_before_a_socket_is_opened() {
    let provider = SecureProvider::start("token.example").await;
    for (address, network) in ELSEWHERE {
        let outbound = provider.outbound(&[], resolves_to(&[address]));
        provider.learn(&outbound, "token.example", Network::Internet);
        let (log, _guard) = Log::capture();
        for method in ["GET", "POST"] {
            let request = Request { method: method.into(), ..get_request(provider.url("token.example", "/token")) };
            let answer = send(&outbound, request).await;
            assert!(matches!(answer, Err(Error::NotAllowed)), "{address}: {answer:?}");
        }
        let log = log.text();
        let canonical = address.parse::<IpAddr>().unwrap().to_string();
        for told in ["outbound.address_refused", "token.example", &canonical, &network.to_string(), "internal_hosts = [\"token.example\"]"]
        {
            assert!(log.contains(told), "{told} is not in {log}");
        }
    }
    assert_eq!(provider.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_endpoint_that_is_an_address_of_another_network_is_refused() {
    let provider = SecureProvider::start("token.example").await;
    let outbound = provider.outbound(&[], resolves_to(&[]));
    let literals = ELSEWHERE.map(|(address, _)| if address.contains(':') { format!("[{address}]") } else { address.to_owned() });
    let spellings = ["2130706433", "0x7f.1", "0177.1", "localhost", "idp.localhost", "LOCALHOST."].map(str::to_owned);
    for host in literals.into_iter().chain(spellings) {
        provider.learn(&outbound, &host, Network::Internet);
        let answer = send(&outbound, get_request(provider.url(&host, "/token"))).await;
        assert!(matches!(answer, Err(Error::NotAllowed)), "{host}: {answer:?}");
    }
    assert_eq!(provider.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn endpoints_may_be_where_their_document_was_read_and_on_no_other_network() {
    let provider = SecureProvider::start("token.example").await;
    let at = |address: &'static str| {
        let lookup: Lookup = Arc::new(move |name| {
            let address = if name == "provider.example" { "127.0.0.1" } else { address };
            std::future::ready(Ok(vec![address.parse().unwrap()])).boxed()
        });
        provider.outbound(&[], lookup)
    };
    let token = || get_request(provider.url("token.example", "/token"));
    let outbound = at("127.0.0.1");
    assert_eq!(send(&outbound, token()).await.unwrap().status, 200);
    assert_eq!(provider.asked(), ["/metadata", "/token"]);
    for (address, network) in ELSEWHERE {
        if network != Network::Loopback {
            let answer = send(&at(address), token()).await;
            assert!(matches!(answer, Err(Error::NotAllowed)), "{address}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_fresh_process_reads_the_metadata_before_it_refuses_an_address() {
    let provider = SecureProvider::start("provider.example").await;
    let outbound = provider.outbound(&[], resolves_to(&["127.0.0.1"]));
    assert_eq!(send(&outbound, get_request(provider.url("provider.example", "/token"))).await.unwrap().status, 200);
    assert_eq!(send(&outbound, get_request(provider.url("provider.example", "/keys"))).await.unwrap().status, 200);
    assert_eq!(provider.asked(), ["/metadata", "/token", "/keys"], "the document is read once");
}

#[tokio::test]
async fn a_name_that_comes_to_mean_another_address_is_refused_at_the_next_connection() {
    let provider = SecureProvider::start("token.example").await;
    let lookups = Arc::new(AtomicUsize::new(0));
    let lookup: Lookup = {
        let lookups = lookups.clone();
        Arc::new(move |_| {
            let first = lookups.fetch_add(1, Ordering::SeqCst) == 0;
            std::future::ready(Ok(vec![if first { "127.0.0.1" } else { "169.254.169.254" }.parse().unwrap()])).boxed()
        })
    };
    let outbound = provider.outbound(&[], lookup);
    provider.learn(&outbound, "token.example", Network::Loopback);
    let request = || get_request(provider.url("token.example", "/token"));
    assert_eq!(send(&outbound, request()).await.unwrap().status, 200);
    assert_eq!(lookups.load(Ordering::SeqCst), 1, "what was judged is what is connected to");
    let answer = send(&outbound, request()).await;
    assert!(matches!(answer, Err(Error::NotAllowed)), "{answer:?}");
    assert_eq!(provider.asked(), ["/token"]);
}

#[tokio::test]
async fn a_connection_for_the_metadata_is_not_one_for_endpoints_on_the_same_host() {
    // The operator's word permits the metadata URL on any network: that must not open its host to other requests.
    let provider = SecureProvider::start("provider.example").await;
    let outbound = provider.outbound(&[], resolves_to(&["127.0.0.1"]));
    provider.learn(&outbound, "provider.example", Network::Internet);
    let answer = send(&outbound, get_request(provider.url("provider.example", "/token"))).await;
    assert!(matches!(answer, Err(Error::NotAllowed)), "{answer:?}");
    assert_eq!(send(&outbound, get_request(provider.url("provider.example", "/metadata"))).await.unwrap().status, 200);
    assert_eq!(provider.asked(), ["/metadata"]);
}

#[tokio::test]
async fn of_several_addresses_those_on_other_networks_are_left_out() {
    let provider = SecureProvider::start("token.example").await;
    let outbound = provider.outbound(&[], resolves_to(&["192.168.0.1", "169.254.169.254", "fd12::1", "127.0.0.1"]));
    provider.learn(&outbound, "token.example", Network::Loopback);
    assert_eq!(send(&outbound, get_request(provider.url("token.example", "/token"))).await.unwrap().status, 200);
}

#[tokio::test]
async fn an_internal_host_may_be_anywhere_and_opens_no_other() {
    let provider = SecureProvider::start("token.example").await;
    let outbound = provider.outbound(&["token.example"], resolves_to(&["127.0.0.1"]));
    provider.learn(&outbound, "token.example", Network::Internet);
    assert_eq!(send(&outbound, get_request(provider.url("token.example", "/token"))).await.unwrap().status, 200);
    provider.learn(&outbound, "other.example", Network::Internet);
    let answer = send(&outbound, get_request(provider.url("other.example", "/token"))).await;
    assert!(matches!(answer, Err(Error::NotAllowed)), "{answer:?}");
    let answer = send(&outbound, get_request(format!("https://token.example:{}/", provider.port ^ 1))).await;
    assert!(matches!(answer, Err(Error::NotAllowed)), "no document names this origin: {answer:?}");
}
