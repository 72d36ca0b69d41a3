//! The application behind the edge: reads and writes HTTP/1.1 as it is on the wire, so that nothing is hidden.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::raw::{Head, Wire};

/// What tests watch and steer it by.
#[derive(Default)]
pub struct Controls {
    /// Requests received.
    pub requests: AtomicUsize,
    /// Their targets, in order.
    pub targets: Mutex<Vec<String>>,
    /// Connections accepted.
    pub connections: AtomicUsize,
    /// Lets `/slow` and `/hang` go on.
    pub release: Notify,
    /// `/slow` and `/hang` have a request, or `/upload` has the first bytes of a body.
    pub started: Notify,
    /// At each change, every `/events` sends another event.
    pub ticks: watch::Sender<u64>,
    /// What every `/endless` has sent, in bytes.
    pub sent: AtomicUsize,
    /// `/endless` cannot send any more.
    pub cut_off: Notify,
    /// What it calls itself in `Server`; nothing at first.
    server: Mutex<Option<&'static str>>,
    /// Heads of the requests that were upgraded.
    upgrades: Mutex<Vec<Head>>,
}

pub struct Application {
    pub address: SocketAddr,
    pub controls: Arc<Controls>,
}

impl Application {
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    pub async fn start_tls(acceptor: TlsAcceptor) -> Self {
        Self::listen(Some(acceptor)).await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> usize {
        self.controls.requests.load(Ordering::SeqCst)
    }

    /// How many requests came whose target holds this text.
    #[allow(dead_code, reason = "`tests/serve` uses it")]
    pub fn saw(&self, text: &str) -> usize {
        let targets = self.controls.targets.lock().expect("no test panics here");
        targets.iter().filter(|target| target.contains(text)).count()
    }

    pub fn connections(&self) -> usize {
        self.controls.connections.load(Ordering::SeqCst)
    }

    /// From now on it calls itself so.
    pub fn call_itself(&self, server: &'static str) {
        *self.controls.server.lock().expect("no test has panicked here") = Some(server);
    }

    /// Has every `/events` send another event.
    pub fn tick(&self) {
        self.controls.ticks.send_modify(|ticks| *ticks += 1);
    }

    /// The head of the request that was upgraded last.
    pub fn last_upgrade(&self) -> Head {
        self.controls.upgrades.lock().expect("no test has panicked here").last().cloned().expect("an upgrade")
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("an address");
        let controls = Arc::new(Controls::default());
        let shared = controls.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let (controls, tls) = (shared.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &controls).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &controls).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, controls }
    }
}

/// One connection: `None` from [`respond`] closes it.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(stream: S, controls: &Controls) {
    let mut wire = Wire::new(stream);
    let mut served = 0;
    while let Some(head) = wire.read_head().await {
        controls.requests.fetch_add(1, Ordering::SeqCst);
        controls.targets.lock().expect("no test panics here").push(head.target().to_owned());
        served += 1;
        if head.target() == "/once" && served > 1 {
            return;
        }
        if head.target() == "/ws" || head.target() == "/_stcore/stream" {
            return echo(wire, head, controls).await;
        }
        if respond(&mut wire, &head, controls).await.is_none() {
            return;
        }
    }
}

async fn respond<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>, head: &Head, controls: &Controls) -> Option<()> {
    let path = head.target().split('?').next().unwrap_or_default().to_owned();
    match path.as_str() {
        "/upload" => {
            let length = head.content_length();
            let mut read = 0;
            while read < length {
                read += wire.read_some(length - read).await?;
                controls.started.notify_one();
            }
            answer(wire, &read.to_string(), controls).await
        }
        "/slow" => {
            wire.stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await.ok()?;
            wire.stream.flush().await.ok()?;
            controls.started.notify_one();
            controls.release.notified().await;
            wire.stream.write_all(b"4\r\nlast\r\n0\r\n\r\n").await.ok()
        }
        "/events" => {
            wire.stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await
                .ok()?;
            events(wire, controls, |event| format!("{:x}\r\n{event}\r\n", event.len())).await
        }
        // Until the connection is closed, as in HTTP/1.0.
        "/events-until-closed" => {
            wire.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").await.ok()?;
            events(wire, controls, str::to_owned).await
        }
        "/download" => {
            wire.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst").await.ok()?;
            wire.stream.flush().await.ok()?;
            controls.started.notify_one();
            controls.release.notified().await;
            wire.stream.write_all(b"last").await.ok()
        }
        "/endless" => {
            wire.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n").await.ok()?;
            while let Ok(written @ 1..) = wire.stream.write(&[b'x'; 64 * 1024]).await {
                controls.sent.fetch_add(written, Ordering::SeqCst);
            }
            controls.cut_off.notify_one();
            None
        }
        "/asset" => {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: public, max-age=31536000, immutable\r\n\
                        Expires: Thu, 01 Jan 2099 00:00:00 GMT\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\n\
                        X-Hop: 1\r\nUpgrade: h2c\r\n\r\nok";
            wire.stream.write_all(head.as_bytes()).await.ok()
        }
        // As a server does that has been asked whether to send the body; early hints go with it.
        "/invited" => {
            wire.stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await.ok()?;
            wire.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
            wire.skip(head.content_length()).await?;
            answer(wire, &head.text, controls).await
        }
        // As a server of HTTP/1.0 does, with a status that is named in the path.
        "/old/200" | "/old/204" | "/old/304" => {
            let body = if path.ends_with("200") && !head.text.starts_with("HEAD ") { "ok" } else { "" };
            let length = if path.ends_with("200") { "Content-Length: 2\r\n" } else { "" };
            let answer = format!("HTTP/1.0 {} Old\r\n{length}\r\n{body}", &path["/old/".len()..]);
            wire.stream.write_all(answer.as_bytes()).await.ok()?;
            None
        }
        "/unasked-upgrade" => upgrade(wire, "Upgrade: websocket\r\n").await,
        "/other-upgrade" => upgrade(wire, "Upgrade: h2c\r\n").await,
        "/two-upgrades" => upgrade(wire, "Upgrade: websocket\r\nUpgrade: h2c\r\n").await,
        "/nameless-upgrade" => upgrade(wire, "").await,
        "/malformed" => {
            wire.stream.write_all(b"HTTP/1.1 200 OK\r\nSet-Cookie: s=NOT-FOR-THE-LOG\r\nBad Header: x\r\n\r\n").await.ok()?;
            None
        }
        "/hang" => {
            controls.started.notify_one();
            controls.release.notified().await;
            answer(wire, "at last", controls).await
        }
        _ => {
            wire.skip(head.content_length()).await?;
            answer(wire, &head.text, controls).await
        }
    }
}

/// Says that the connection speaks another protocol from here on, and sends some of it until it is closed.
async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>, protocol: &str) -> Option<()> {
    let head = format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{protocol}\r\nNOT-HTTP");
    wire.stream.write_all(head.as_bytes()).await.ok()?;
    wire.read_some(1).await;
    None
}

/// One event at once, and one for each release, without an end.
async fn events<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>, controls: &Controls, framed: impl Fn(&str) -> String) -> Option<()> {
    let mut ticks = controls.ticks.subscribe();
    loop {
        wire.stream.write_all(framed("data: tick\n\n").as_bytes()).await.ok()?;
        wire.stream.flush().await.ok()?;
        controls.started.notify_one();
        ticks.changed().await.ok()?;
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>, body: &str, controls: &Controls) -> Option<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{}Set-Cookie: app=1\r\n\r\n", body.len(), server_line(controls));
    wire.stream.write_all(head.as_bytes()).await.ok()?;
    wire.stream.write_all(body.as_bytes()).await.ok()?;
    wire.stream.flush().await.ok()
}

fn server_line(controls: &Controls) -> String {
    let server = *controls.server.lock().expect("no test has panicked here");
    server.map_or_else(String::new, |server| format!("Server: {server}\r\n"))
}

/// Upgrades to WebSocket and sends every message back.
async fn echo<S: AsyncRead + AsyncWrite + Unpin + Send>(mut wire: Wire<S>, head: Head, controls: &Controls) {
    let accept = derive_accept_key(head.values("sec-websocket-key").join("").as_bytes());
    // The first protocol that is offered, as Streamlit does.
    let protocol = head.values("sec-websocket-protocol").first().and_then(|offered| offered.split(',').next()).map(str::to_owned);
    let protocol = protocol.map_or_else(String::new, |protocol| format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    );
    controls.upgrades.lock().expect("no test has panicked here").push(head);
    if wire.stream.write_all(response.as_bytes()).await.is_err() {
        return;
    }
    let mut socket = WebSocketStream::from_raw_socket(wire.stream, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_close() || socket.send(message).await.is_err() {
            return;
        }
    }
}
