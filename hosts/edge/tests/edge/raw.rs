//! HTTP/1.1 byte for byte, on either side of the edge.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// A connection and what was read ahead on it.
pub struct Wire<S> {
    pub stream: S,
    ahead: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    /// The next head; `None` when the peer has closed the connection.
    pub async fn read_head(&mut self) -> Option<Head> {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return Some(Head { text: String::from_utf8_lossy(&head).into_owned() });
            }
            self.fill().await?;
        }
    }

    /// Takes at least one and at most `limit` bytes, and returns how many.
    pub async fn read_some(&mut self, limit: usize) -> Option<usize> {
        if self.ahead.is_empty() {
            self.fill().await?;
        }
        let taken = limit.min(self.ahead.len());
        self.ahead.drain(..taken);
        Some(taken)
    }

    pub async fn skip(&mut self, mut length: usize) -> Option<()> {
        while length > 0 {
            length -= self.read_some(length).await?;
        }
        Some(())
    }

    /// Reads until `text` has arrived, and takes everything up to its end.
    pub async fn read_until(&mut self, text: &str) -> Option<String> {
        loop {
            if let Some(at) = self.ahead.windows(text.len()).position(|window| window == text.as_bytes()) {
                let taken: Vec<u8> = self.ahead.drain(..at + text.len()).collect();
                return Some(String::from_utf8_lossy(&taken).into_owned());
            }
            self.fill().await?;
        }
    }

    /// The body of `head`, by its `Content-Length`.
    pub async fn read_body(&mut self, head: &Head) -> Option<String> {
        let length = head.content_length();
        while self.ahead.len() < length {
            self.fill().await?;
        }
        let body: Vec<u8> = self.ahead.drain(..length).collect();
        Some(String::from_utf8_lossy(&body).into_owned())
    }

    async fn fill(&mut self) -> Option<()> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk).await {
            Ok(0) | Err(_) => None,
            Ok(read) => {
                self.ahead.extend_from_slice(&chunk[..read]);
                Some(())
            }
        }
    }
}

impl Wire<TcpStream> {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.expect("the edge accepts connections"))
    }

    /// From another address of this machine, 127.0.0.2 for example.
    #[allow(dead_code, reason = "`tests/serve` has one client")]
    pub async fn connect_from(source: &str, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let source = source.parse().expect("an address");
        socket.bind(SocketAddr::new(source, 0)).expect("the machine has that address");
        Self::new(socket.connect(address).await.expect("the edge accepts connections"))
    }

    /// Sends `request` as it is and reads one response.
    pub async fn exchange(&mut self, request: &str) -> Option<(Head, String)> {
        self.stream.write_all(request.as_bytes()).await.ok()?;
        let head = self.read_head().await?;
        let body = self.read_body(&head).await?;
        Some((head, body))
    }
}

/// The head of a request or response, as received.
#[derive(Clone, Debug)]
pub struct Head {
    pub text: String,
}

impl Head {
    /// What the application has echoed.
    pub fn echoed(body: String) -> Self {
        Self { text: body }
    }

    pub fn target(&self) -> &str {
        self.text.split(' ').nth(1).unwrap_or_default()
    }

    pub fn status(&self) -> u16 {
        self.target().parse().unwrap_or_else(|_| panic!("no status in {:?}", self.text))
    }

    pub fn values(&self, name: &str) -> Vec<&str> {
        let lines = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    pub fn content_length(&self) -> usize {
        self.values("content-length").first().map_or(0, |length| length.parse().expect("a length"))
    }
}
