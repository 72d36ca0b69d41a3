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
    Request {
        method: "GET".into(),
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
        max_response_bytes: 1000,
        shared_for_ms: None,
        timeout_ms: 20_000,
    }
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

/// The same while the answer is on its way.
#[tokio::test]
async fn an_answer_that_is_cut_in_its_body_is_asked_for_once_more_on_a_new_connection() {
    let cut: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ];
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    for cut in cut {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metadata", listener.local_addr().unwrap());
        let outbound = outbound(std::slice::from_ref(&url));
        let serve = async {
            let (mut kept, _) = listener.accept().await.unwrap();
            for sent in [answer.as_slice(), cut] {
                assert!(kept.read(&mut [0; 4096]).await.unwrap() > 0);
                kept.write_all(sent).await.unwrap();
            }
            drop(kept);
            // Once: the third request is cut off twice.
            for sent in [answer.as_slice(), cut, cut] {
                let (mut new, _) = listener.accept().await.unwrap();
                assert!(new.read(&mut [0; 4096]).await.unwrap() > 0);
                new.write_all(sent).await.unwrap();
            }
            // A post goes out once.
            let (mut new, _) = listener.accept().await.unwrap();
            assert!(new.read(&mut [0; 4096]).await.unwrap() > 0);
            new.write_all(cut).await.unwrap();
            drop(new);
            listener
        };
        let ask = async {
            for _ in 0..2 {
                assert_eq!(send(&outbound, get_request(&*url)).await.unwrap().body, b"{}");
            }
            let failed = send(&outbound, get_request(&*url)).await;
            assert!(matches!(failed, Err(Error::Protocol(_))), "{failed:?}");
            let posted = send(&outbound, Request { method: "POST".into(), body: b"code=x".to_vec(), ..get_request(&*url) }).await;
            assert!(matches!(posted, Err(Error::Protocol(_))), "{posted:?}");
        };
        let (listener, ()) = timeout(HANG, join(serve, ask)).await.expect("in time");
        assert!(timeout(Duration::from_millis(100), listener.accept()).await.is_err(), "and not again");
    }
}

/// Nothing was sent, so that whoever asked may ask elsewhere.
#[tokio::test]
async fn a_connection_that_does_not_come_about_in_time_is_an_unreachable_provider() {
    let options = OutboundOptions { connect_timeout: Duration::from_millis(300), ..OutboundOptions::default() };
    // The queue of this one fills, and then the system drops what else would connect.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut waiting = vec![];
    while let Ok(connected) = timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await {
        waiting.push(connected.unwrap());
        assert!(waiting.len() < 1000, "the queue has no end");
    }
    // This one answers no handshake.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().map(|address| (silent, address)).unwrap();
    for url in [format!("http://{address}/metadata"), format!("https://{}/metadata", silent.1)] {
        let outbound = Outbound::new(&options, 32, std::slice::from_ref(&url), &[]).unwrap();
        for method in ["GET", "POST"] {
            let answer = send(&outbound, Request { method: method.into(), ..get_request(&*url) }).await;
            assert!(matches!(&answer, Err(Error::Unreachable(text)) if text == "no connection came about in time"), "{url} {answer:?}");
        }
    }
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
async fn one_request_too_many_for_an_origin_fails_at_once_and_others_go_on() {
    let hanging = Provider::start("").await;
    let other = Provider::start("").await;
    let options = OutboundOptions { max_exchanges_per_origin: 2, ..OutboundOptions::default() };
    let outbound = Outbound::new(&options, 32, &[hanging.url("/metadata"), other.url("/metadata")], &[]).unwrap();
    // Three quarters of 32; two of them are under way.
    let mut waiting: Vec<_> = (0..24).map(|_| Box::pin(outbound.send(get_request(hanging.url("/never"))))).collect();
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

/// The morning: everybody comes back from the provider at once, each with a code of their own.
#[tokio::test]
async fn requests_that_come_together_wait_for_their_turn_and_are_all_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let app = Router::new().fallback({
        let (under_way, most) = (Arc::clone(&under_way), Arc::clone(&most));
        move || async move {
            most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            under_way.fetch_sub(1, Ordering::SeqCst);
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let options = OutboundOptions { max_exchanges_per_origin: 4, ..OutboundOptions::default() };
    let outbound = Outbound::new(&options, 128, std::slice::from_ref(&url), &[]).unwrap();
    let request = |_| send(&outbound, Request { method: "POST".into(), ..get_request(url.clone()) });
    let answers = futures::future::join_all((0..96).map(request)).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|response| response.status == 200)), "{answers:?}");
    assert_eq!(most.load(Ordering::SeqCst), 4);
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

/// How a provider presents itself, and under which name it is asked.
struct Presented {
    host: &'static str,
    chain: Vec<rcgen::Certificate>,
    key: rcgen::KeyPair,
    /// Among the trusted ones, beside the system's.
    trusted: Option<rcgen::Certificate>,
}

type Authority = rcgen::Issuer<'static, rcgen::KeyPair>;

fn authority(
    name: &str,
    signed_by: Option<&Authority>,
    edit: impl FnOnce(&mut rcgen::CertificateParams),
) -> (rcgen::Certificate, Authority) {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    edit(&mut params);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = match signed_by {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    (certificate, rcgen::Issuer::new(params, key))
}

/// A server's certificate, signed by an authority or by itself.
fn of_server(
    names: &[&str],
    signed_by: Option<&Authority>,
    edit: impl FnOnce(&mut rcgen::CertificateParams),
) -> (rcgen::Certificate, rcgen::KeyPair) {
    let mut params = rcgen::CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "a server");
    edit(&mut params);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = match signed_by {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    (certificate, key)
}

impl Presented {
    /// What a request to such a provider fails with.
    async fn refusal(self) -> String {
        let chain = self.chain.iter().map(|certificate| certificate.der().clone()).collect();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let tls = server_tls(&[&rustls::version::TLS13, &rustls::version::TLS12]).with_single_cert(chain, key.into()).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}:{}/metadata", self.host, listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                assert!(acceptor.accept(stream).await.is_err(), "the client goes on");
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        let extra_roots = self.trusted.map(|root| {
            std::fs::write(&path, root.pem()).unwrap();
            path
        });
        refusal(&url, OutboundOptions { extra_roots, ..OutboundOptions::default() }).await
    }
}

fn server_tls(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ConfigBuilder<rustls::ServerConfig, rustls::server::WantsServerCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap().with_no_client_auth()
}

async fn refusal(url: &str, options: OutboundOptions) -> String {
    let client = ProviderClient::with_lookup(&options, resolves_to(&["127.0.0.1"])).unwrap();
    let outbound = Outbound::with_client(client, &options, 32, &[url.to_owned()], &[]);
    match send(&outbound, get_request(url)).await {
        Err(Error::Unreachable(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn days_from_now(days: i64) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::default();
    let day = Duration::from_secs(24 * 60 * 60);
    let at = std::time::SystemTime::now();
    let at = if days < 0 { at - day * days.unsigned_abs() as u32 } else { at + day * days.unsigned_abs() as u32 };
    params.not_before = at.into();
    params.not_after = at.into();
    params
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_is_named_with_its_fault_and_the_remedy() {
    let (root, root_key) = authority("Corp CA", None, |_| {});
    let (between, between_key) = authority("Corp Servers", Some(&root_key), |_| {});
    let ends_sooner = |params: &mut rcgen::CertificateParams| params.not_after = days_from_now(-3).not_after;
    let begins_later = |params: &mut rcgen::CertificateParams| params.not_before = days_from_now(3).not_before;
    let (old_between, old_key) = authority("Corp Servers of old", Some(&root_key), ends_sooner);
    let hostile = format!("Evil\n\u{202e}\u{1b}[2J \"CA\" {}", "x".repeat(1000));
    let (_, hostile_key) = authority(&hostile, None, |_| {});
    let (_, nameless_key) = authority("", None, |params| params.distinguished_name = rcgen::DistinguishedName::new());
    let host = "idp.example";
    let of = |names: &[&str], signed_by, edit: &dyn Fn(&mut rcgen::CertificateParams), further: Vec<rcgen::Certificate>, trusted| {
        let (certificate, key) = of_server(names, signed_by, edit);
        Presented { host, chain: std::iter::once(certificate).chain(further).collect(), key, trusted }
    };
    let trust = Some(root.clone());
    let as_is: &dyn Fn(&mut rcgen::CertificateParams) = &|_| {};
    let many: Vec<String> = (0..7).map(|number| format!("n{number}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases = [
        (
            of(&[host], None, as_is, vec![], None),
            "presents is signed by itself and not trusted: if it is yours, add it to this machine's authorities, or to the file that SSL_CERT_FILE names",
        ),
        (
            of(&[host], Some(&root_key), as_is, vec![], None),
            "presents is signed by \"Corp CA\", which is not among the trusted authorities: if it is yours, add it to this machine's authorities, or to the file that SSL_CERT_FILE names, or have",
        ),
        (
            of(&[host], Some(&root_key), as_is, vec![root.clone()], None),
            "presents is signed by \"Corp CA\", which is not among the trusted authorities: if it is yours, add it to this machine's authorities, or to the file that SSL_CERT_FILE names",
        ),
        // The name that is missing is that of the authority at the top, wherever it stands.
        (of(&[host], Some(&between_key), as_is, vec![root.clone(), between.clone()], None), "is signed by \"Corp CA\", which"),
        (of(&[host], Some(&between_key), as_is, vec![between.clone()], None), "is signed by \"Corp CA\", which"),
        // The authority is trusted, and the way to it is not sent.
        (
            of(&[host], Some(&between_key), as_is, vec![], trust.clone()),
            "is signed by \"Corp Servers\", which is not among the trusted authorities: if it is yours, add it to this machine's authorities, or to the file that SSL_CERT_FILE names, or have the provider send the certificates up to a trusted one",
        ),
        (of(&[host], Some(&root_key), &ends_sooner, vec![], trust.clone()), "presents has expired on "),
        (
            of(&[host], Some(&old_key), as_is, vec![old_between.clone()], trust.clone()),
            "the certificate of \"Corp Servers of old\" that idp.example sends with its own has expired on ",
        ),
        (of(&[host], Some(&root_key), &begins_later, vec![], trust.clone()), "presents is not valid before "),
        (
            of(&["other.example", "10.0.0.1"], Some(&root_key), as_is, vec![], trust.clone()),
            "presents is for other.example, 10.0.0.1, not for idp.example",
        ),
        (
            of(&many, Some(&root_key), as_is, vec![], trust.clone()),
            "is for n0.example, n1.example, n2.example, n3.example and 3 others, not for idp.example",
        ),
        (of(&[], Some(&root_key), as_is, vec![], trust.clone()), "is for no host, not for idp.example"),
        (of(&[host], Some(&hostile_key), as_is, vec![], trust.clone()), "is signed by \"Evil\u{fffd}\u{fffd}\u{fffd}[2J 'CA' xxx"),
        (of(&[host], Some(&nameless_key), as_is, vec![], trust.clone()), "is signed by an authority without a name, which"),
    ];
    let year = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()[..4].to_owned();
    for (presented, told) in cases {
        let text = presented.refusal().await;
        assert!(text.contains(told), "{told} is not in {text}");
        assert!(text.starts_with("the certificate ") && text.contains(host) && text.len() < 500, "{text}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert_eq!(text.contains("SSL_CERT_FILE"), text.contains("trusted"), "only where it helps: {text}");
        let is_of_time = text.contains("expired") || text.contains("not valid before");
        assert_eq!(text.contains(&format!("(this machine's clock: {year}-")), is_of_time, "{text}");
    }
    // That of an authority, which many make for a server with one command.
    let (certificate, key) = of_server(&[host], None, |params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    let text = Presented { host, trusted: Some(certificate.clone()), chain: vec![certificate], key }.refusal().await;
    assert!(text.contains("presents is that of an authority") && !text.contains("SSL_CERT_FILE"), "{text}");
}

#[tokio::test]
async fn a_handshake_that_fails_for_something_else_is_no_matter_of_certificates() {
    let (root, root_key) = authority("Corp CA", None, |_| {});
    let serve = |tls: Option<rustls::ServerConfig>| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://idp.example:{}/metadata", listener.local_addr().unwrap().port());
        let acceptor = tls.map(|tls| tokio_rustls::TlsAcceptor::from(Arc::new(tls)));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                match &acceptor {
                    Some(acceptor) => drop(acceptor.accept(stream).await),
                    None => drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await),
                }
            }
        });
        url
    };
    let (certificate, key) = of_server(&["idp.example"], Some(&root_key), |_| {});
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    // No key exchange in common.
    let mut odd = rustls::crypto::ring::default_provider();
    odd.kx_groups.retain(|group| group.name() == rustls::NamedGroup::secp384r1);
    odd.cipher_suites.retain(|suite| suite.suite() == rustls::CipherSuite::TLS13_AES_256_GCM_SHA384);
    let odd = rustls::ServerConfig::builder_with_provider(Arc::new(odd)).with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let chain = vec![certificate.der().clone()];
    let wants_certificate = {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let builder = rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
        builder.with_client_cert_verifier(verifier).with_single_cert(chain.clone(), key.clone_key().into()).unwrap()
    };
    let without_certificate = odd.with_no_client_auth().with_cert_resolver(Arc::new(NoCertificate));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    std::fs::write(&path, root.pem()).unwrap();
    for tls in [None, Some(without_certificate), Some(wants_certificate)] {
        let url = serve(tls).await;
        let text = refusal(&url, OutboundOptions { extra_roots: Some(path.clone()), ..OutboundOptions::default() }).await;
        assert!(!text.contains("SSL_CERT_FILE") && !text.contains("the certificate "), "{text}");
    }
}

/// A server that has none for any name.
#[derive(Debug)]
struct NoCertificate;

impl rustls::server::ResolvesServerCert for NoCertificate {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }
}

/// A provider inside, asked by plain http as `insecure_http_hosts` permits: its own host over real sockets, and no other one.
#[tokio::test]
async fn plain_http_reaches_the_host_that_the_configuration_names_and_no_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let inside = format!("http://keycloak.auth.svc:{port}");
    let asked: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let metadata = metadata_naming(&inside);
    let app = Router::new().fallback({
        let asked = Arc::clone(&asked);
        move |headers: HeaderMap, uri: http::Uri| {
            asked.lock().unwrap().push(format!("{}{}", headers["host"].to_str().unwrap(), uri.path()));
            let metadata = metadata.clone();
            async move { metadata }
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let document = format!("{inside}/realms/acme/.well-known/openid-configuration");
    let options = OutboundOptions::default();
    let start = |urls: &[String]| {
        let client = ProviderClient::with_lookup(&options, resolves_to(&["127.0.0.1"])).unwrap();
        Outbound::with_client(client, &options, 32, urls, &[])
    };

    let outbound = start(std::slice::from_ref(&document));
    for url in [document.clone(), format!("{inside}/keys"), format!("{inside}/token")] {
        assert_eq!(send(&outbound, get_request(url)).await.unwrap().status, 200);
    }
    let post = Request { method: "POST".into(), ..get_request(format!("{inside}/token")) };
    assert_eq!(send(&outbound, post).await.unwrap().status, 200);
    let host = format!("keycloak.auth.svc:{port}");
    let paths = ["/realms/acme/.well-known/openid-configuration", "/keys", "/token", "/token"];
    assert_eq!(*asked.lock().unwrap(), paths.map(|path| format!("{host}{path}")));

    // What the document names on another host, and what a document that came by https names, is not asked for by plain http.
    asked.lock().unwrap().clear();
    for (document, named) in [
        (document.clone(), format!("http://other.auth.svc:{port}")),
        (document.clone(), format!("http://auth.svc:{port}")),
        (document.clone(), format!("http://127.0.0.1:{port}")),
        (document, format!("http://localhost:{port}")),
        ("https://login.example/metadata".to_owned(), inside.clone()),
        ("https://login.example/metadata".to_owned(), format!("http://login.example:{port}")),
    ] {
        let outbound = start(std::slice::from_ref(&document));
        outbound.documents.learn(&Url::parse(&document).unwrap(), metadata_naming(&named).as_bytes(), Some(Network::Loopback));
        for path in ["/token", "/keys"] {
            let answer = send(&outbound, get_request(format!("{named}{path}"))).await;
            assert!(matches!(answer, Err(Error::NotAllowed)), "{document} {named}{path}: {answer:?}");
        }
    }
    let asked = asked.lock().unwrap().clone();
    assert!(asked.iter().all(|asked| asked.ends_with("openid-configuration") && asked.starts_with(&host)), "{asked:?}");
}
