//! Requests byte for byte, where a client library would tidy them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than a host takes to answer on a machine that compiles something else.
const PATIENCE: Duration = Duration::from_secs(30);

/// A host that says nothing more for this long has answered: not all of them close when they are asked to.
const SILENCE: Duration = Duration::from_millis(500);

/// What has come back: one response or more, as text.
#[derive(Debug)]
pub struct Received(pub String);

impl Received {
    /// Of the first response.
    ///
    /// # Errors
    /// It is no response.
    pub fn status(&self) -> Result<u16> {
        let status = self.0.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        status.with_context(|| format!("not a response: {:?}", self.0))
    }

    /// Every header line of the first response.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()))
    }

    /// The JSON of its body, whatever its framing.
    pub fn json(&self) -> &str {
        let body = self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        body.find('{').zip(body.rfind('}')).map_or("", |(begin, end)| &body[begin..=end])
    }
}

/// Sends `request` as it is, and reads the response to it.
///
/// # Errors
/// Nothing comes back.
pub async fn exchange(address: SocketAddr, request: &str) -> Result<Received> {
    read(address, request, is_whole).await
}

/// The same for more than a request: reads until the host closes or falls silent.
///
/// # Errors
/// Nothing comes back.
pub async fn exchange_all(address: SocketAddr, requests: &str) -> Result<Received> {
    read(address, requests, |_| false).await
}

/// Sends bytes as they are, and waits until the host closes, falls silent, or has had the time to answer. Returns what has come.
///
/// # Errors
/// The host does not listen.
pub async fn send(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes).await?;
    let (mut received, mut limit) = (vec![], 4 * SILENCE);
    // A host that does not speak the protocol may say nothing, or close.
    while let Ok(Ok(1..)) = timeout(limit, stream.read_buf(&mut received)).await {
        limit = SILENCE;
    }
    Ok(received)
}

/// Whether a host has answered with the preface of HTTP/2, a frame of settings (RFC 9113 section 3.4), and not with an error alone.
pub fn is_http_2(answer: &[u8]) -> bool {
    const SETTINGS: u8 = 0x04;
    const GOAWAY: u8 = 0x07;
    // The type of a frame is behind the three bytes of its length, and nine bytes are before what it has.
    let mut frames = answer;
    let mut types = vec![];
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = frames {
        types.push(*kind);
        frames = rest.get(usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c)..).unwrap_or_default();
    }
    types.first() == Some(&SETTINGS) && !types.contains(&GOAWAY)
}

/// `GET` of a path of any bytes with prior knowledge of HTTP/2 (RFC 9113 section 3.3), as no client library sends it.
///
/// # Errors
/// A value is longer than 126 bytes.
pub fn http_2_request(path: &[u8], authority: &str) -> Result<Vec<u8>> {
    let literal = |name: u8, value: &[u8]| {
        let length = u8::try_from(value.len()).ok().filter(|length| *length < 127).context("a long value")?;
        anyhow::Ok([&[name, length], value].concat())
    };
    // `:method: GET` and `:scheme: http` are in the table; `:path` and `:authority` are literals without an index (RFC 7541).
    let fields = [vec![0x82, 0x86], literal(0x04, path)?, literal(0x01, authority.as_bytes())?].concat();
    let length = u8::try_from(fields.len())?;
    let settings = [0, 0, 0, 0x04, 0, 0, 0, 0, 0];
    // Stream 1, which ends with this frame.
    let headers = [0, 0, length, 0x01, 0x05, 0, 0, 0, 1];
    Ok([&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings, &headers, &fields].concat())
}

async fn read(address: SocketAddr, request: &str, is_enough: fn(&str) -> bool) -> Result<Received> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let (mut bytes, mut limit) = (vec![], PATIENCE);
    loop {
        let read = timeout(limit, stream.read_buf(&mut bytes)).await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match read {
            Ok(Ok(1..)) if !is_enough(&text) => limit = SILENCE,
            Err(_) if text.is_empty() => bail!("no answer to {request:?}"),
            _ => return Ok(Received(text)),
        }
    }
}

/// Whether a response is there to its end, as far as it says where that is.
fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    match length.and_then(|(_, length)| length.trim().parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None => body.ends_with("0\r\n\r\n"),
    }
}
