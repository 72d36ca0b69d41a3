//! Connections that send one request after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::request::BODY;

/// More fields than any proxy adds.
const MAX_FIELDS: usize = 64;

/// What a round has come to.
pub struct Round {
    pub requests: u64,
    pub took: Duration,
}

/// Sends `request` on so many connections for about `time`. What `look` sees is returned of the moment when every connection has had
/// one answer, and of that of the last answer: what it takes to connect is not measured.
pub async fn round<T>(address: SocketAddr, request: &Arc<[u8]>, connections: usize, time: Duration, look: impl Fn() -> T) -> (Round, T, T) {
    let mut open = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(address, Arc::clone(request)).await;
        connection.exchange().await;
        open.push(connection);
    }
    let (before, began) = (look(), Instant::now());
    let mut busy: JoinSet<u64> = open.into_iter().map(|connection| connection.exchange_for(time)).collect();
    let mut requests = 0;
    while let Some(done) = busy.join_next().await {
        requests += done.expect("a connection that was served well");
    }
    let took = began.elapsed();
    (Round { requests, took }, before, look())
}

/// A connection, and the request that it repeats.
pub struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    request: Arc<[u8]>,
    received: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr, request: Arc<[u8]>) -> Self {
        Self::open_from([127, 0, 0, 1], address, request).await
    }

    /// From another address of this machine: a client of its own.
    pub async fn open_from(source: [u8; 4], address: SocketAddr, request: Arc<[u8]>) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((source, 0))).expect("an address of this machine");
        let stream = socket.connect(address).await.expect("a connection to the proxy");
        stream.set_nodelay(true).expect("an option of sockets");
        Self { stream, address, request, received: Vec::with_capacity(8 * 1024) }
    }

    async fn exchange_for(mut self, time: Duration) -> u64 {
        let began = Instant::now();
        let mut requests = 0;
        while began.elapsed() < time {
            self.exchange().await;
            requests += 1;
        }
        requests
    }

    /// One request, answered by the application.
    pub async fn exchange(&mut self) {
        self.stream.write_all(&self.request).await.expect("the proxy reads a request");
        self.received.clear();
        let goes_on = loop {
            let read = self.stream.read_buf(&mut self.received).await.expect("a response");
            assert!(read > 0, "the proxy closes before the end of {:?}", String::from_utf8_lossy(&self.received));
            if let Some(goes_on) = self.answered() {
                break goes_on;
            }
        };
        if !goes_on {
            // Some proxies close after a number of requests.
            *self = Self::open(self.address, Arc::clone(&self.request)).await;
        }
    }

    /// One upgrade, after which bytes come back as they were sent.
    pub async fn upgrade(&mut self) {
        self.stream.write_all(&self.request).await.expect("the proxy reads a request");
        while !self.received.ends_with(b"\r\n\r\n") {
            let read = self.stream.read_buf(&mut self.received).await.expect("a response");
            assert!(read > 0, "the proxy closes instead of an upgrade");
        }
        assert!(self.received.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&self.received));
        self.stream.write_all(b"ping").await.expect("the connection is open");
        let mut echoed = [0; 4];
        self.stream.read_exact(&mut echoed).await.expect("an echo");
        assert_eq!(&echoed, b"ping");
        // Thousands of connections are held.
        self.received = Vec::new();
    }

    /// Whether the connection goes on, when the response is there to its end.
    fn answered(&self) -> Option<bool> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let httparse::Status::Complete(length) = head.parse(&self.received).expect("a response") else { return None };
        assert_eq!(head.code, Some(200), "{}", String::from_utf8_lossy(&self.received));
        let value = |name: &str| head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value);
        let body_bytes = value("content-length").and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
        assert_eq!(body_bytes, Some(BODY.len()), "{}", String::from_utf8_lossy(&self.received));
        let body = &self.received[length..];
        if body.len() < BODY.len() {
            return None;
        }
        assert!(body == BODY.as_bytes(), "not the application's: {}", String::from_utf8_lossy(&self.received));
        Some(!value("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close")))
    }
}
