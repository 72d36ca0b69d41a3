//! The application behind every host: knows nothing of logins, answers with what reached it.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Answers the same bytes whoever asks: what a comparison of hosts asks for. [`echo`] has more to write with a login, and would make
/// the host without it look slower than it is.
pub const SAME_PAGE: &str = "/same";

/// Of [`SAME_PAGE`].
const SAME_PAGE_BYTES: usize = 1024;

/// An application, and what rows watch and steer it by.
#[derive(Clone, Default)]
pub struct Application(Arc<Controls>);

#[derive(Default)]
struct Controls {
    requests: AtomicUsize,
    /// Requests that wanted another protocol than `websocket`.
    tunnels: AtomicUsize,
    /// Lets `/slow` go on.
    release: Notify,
    /// `/upload` has the first bytes of a body.
    started: Notify,
}

impl Application {
    /// The number of requests that have reached it.
    pub fn requests(&self) -> usize {
        self.0.requests.load(Ordering::SeqCst)
    }

    /// The number of requests for an upgrade, or with what belongs to one, to anything but `websocket` alone.
    pub fn tunnels(&self) -> usize {
        self.0.tunnels.load(Ordering::SeqCst)
    }

    /// Lets one `/slow` finish.
    pub fn release(&self) {
        self.0.release.notify_one();
    }

    /// Waits until a body of `/upload` has begun to arrive.
    pub async fn upload_started(&self) {
        self.0.started.notified().await;
    }

    /// For a host that runs the application in its own process.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/ws", any(echo_messages))
            .route("/slow", get(slow))
            .route("/upload", post(upload))
            .route("/cacheable", get(cacheable))
            .route(SAME_PAGE, get(same_page))
            .fallback(echo)
            .layer(from_fn_with_state(self.clone(), take_any_upgrade))
            .with_state(self.clone())
    }

    /// Serves it on a port of loopback, until the process ends.
    ///
    /// # Errors
    /// The port is not free.
    pub async fn listen(&self, port: u16) -> std::io::Result<SocketAddr> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = socket.local_addr()?;
        let router = self.router();
        // It ends when the runtime does.
        tokio::spawn(async move { axum::serve(socket, router).await });
        Ok(address)
    }

    fn count(&self) {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
    }
}

/// A request as the application saw it, read back from [`echo`]'s answer.
#[derive(Debug)]
pub struct Echo(Value);

impl Echo {
    /// # Errors
    /// The text is no answer of the application's.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(|_| anyhow::anyhow!("not the application's answer: {text}"))?;
        anyhow::ensure!(value["application"] == true, "not the application's answer: {text}");
        Ok(Self(value))
    }

    pub fn method(&self) -> &str {
        self.0["method"].as_str().unwrap_or_default()
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.0["target"].as_str().unwrap_or_default()
    }

    /// Every line of a header.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers().filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// Every header line.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.0["headers"].as_array().into_iter().flatten();
        lines.map(|line| (line[0].as_str().unwrap_or_default(), line[1].as_str().unwrap_or_default()))
    }
}

/// As a server that speaks more than one protocol (hypercorn: `h2c`): it takes whatever upgrade it is asked for, and no
/// filter sees what comes then.
async fn take_any_upgrade(State(application): State<Application>, request: Request, next: Next) -> Response {
    let asked: Vec<_> = request.headers().get_all(header::UPGRADE).iter().collect();
    let is_websocket = matches!(asked[..], [protocol] if protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if (asked.is_empty() || is_websocket) && !request.headers().contains_key("http2-settings") {
        return next.run(request).await;
    }
    application.0.tunnels.fetch_add(1, Ordering::SeqCst);
    (StatusCode::SWITCHING_PROTOCOLS, [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "h2c")]).into_response()
}

async fn echo(State(application): State<Application>, method: Method, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    application.count();
    let mut body_bytes = 0;
    let mut body = body.into_data_stream();
    while let Some(Ok(piece)) = body.next().await {
        body_bytes += piece.len();
    }
    let headers: Vec<_> = headers.iter().map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])).collect();
    let echo = json!({
        "application": true, "method": method.as_str(), "target": uri.to_string(), "headers": headers, "body_bytes": body_bytes,
    });
    ([(header::CONTENT_TYPE, "application/json"), (header::SET_COOKIE, "app=1")], echo.to_string()).into_response()
}

async fn same_page() -> Response {
    const PAGE: [u8; SAME_PAGE_BYTES] = [b'a'; SAME_PAGE_BYTES];

    ([(header::CONTENT_TYPE, "text/plain")], Bytes::from_static(&PAGE)).into_response()
}

/// The echo of a page that the application would let every cache keep.
async fn cacheable(state: State<Application>, method: Method, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    let mut response = echo(state, method, uri, headers, body).await;
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("public, max-age=3600"));
    response
}

/// Sends `first`, and `last` when it is let go.
async fn slow(State(application): State<Application>) -> Response {
    application.count();
    let pieces = stream::iter([Bytes::from_static(b"first")])
        .chain(stream::once(async move {
            application.0.release.notified().await;
            Bytes::from_static(b"last")
        }))
        .map(Ok::<_, Infallible>);
    Body::from_stream(pieces).into_response()
}

/// Counts the bytes of a body of any size.
async fn upload(State(application): State<Application>, request: Request) -> String {
    application.count();
    let mut bytes = 0_u64;
    let mut body = request.into_body().into_data_stream();
    while let Some(Ok(piece)) = body.next().await {
        bytes += piece.len() as u64;
        application.0.started.notify_one();
    }
    bytes.to_string()
}

async fn echo_messages(State(application): State<Application>, upgrade: WebSocketUpgrade) -> Response {
    application.count();
    upgrade.on_upgrade(answer_each)
}

async fn answer_each(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}
