//! The bytes of requests, as a browser sends them, and of the application's answer.

use std::net::SocketAddr;

use vestibule::web::http::RequestHead;

use crate::realistic::{APPLICATION_COOKIES, as_a_browser_sends_it};

/// What the application answers to everything: 1 KB.
pub const BODY: &str = const {
    const BYTES: [u8; 1024] = [b'a'; 1024];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => unreachable!(),
    }
};

/// Of every WebSocket; the application knows them by it, however a proxy writes the field's name.
pub const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A page's request with nine fields: of its cookies, `session` stands before the application's.
pub fn page(path: &str, host: SocketAddr, session: &str) -> Vec<u8> {
    bytes(&head(path, host, session))
}

/// A script's request for a WebSocket.
pub fn websocket(path: &str, host: SocketAddr, session: &str) -> Vec<u8> {
    let head = head(path, host, session)
        .with("connection", "Upgrade")
        .with("upgrade", "websocket")
        .with("origin", &format!("http://{host}"))
        .with("sec-websocket-key", WEBSOCKET_KEY)
        .with("sec-websocket-version", "13");
    bytes(&head)
}

fn head(path: &str, host: SocketAddr, session: &str) -> RequestHead {
    let of_application = APPLICATION_COOKIES.map(|(name, value)| format!("{name}={value}"));
    let cookies: Vec<_> =
        [session].into_iter().filter(|session| !session.is_empty()).chain(of_application.iter().map(String::as_str)).collect();
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    as_a_browser_sends_it(RequestHead::get(path, &host.to_string()).with("accept", accept).with("cookie", &cookies.join("; ")))
}

fn bytes(head: &RequestHead) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", head.method, head.path_with_query).into_bytes();
    for (name, value) in &head.headers {
        let words: Vec<_> = name.split('-').map(capitalised).collect();
        for part in [words.join("-").as_bytes(), b": ", value, b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// As browsers write the words of fields over HTTP/1.1.
fn capitalised(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    word
}
