//! The demo's application: knows nothing of logins, shows what reaches it.

use std::net::{Ipv4Addr, SocketAddr};

use askama::Template;
use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::any;
use tokio::net::TcpListener;

/// Starts it on a free port of loopback and returns its address; it ends with the process. An error when there is no port.
pub(crate) async fn start() -> std::io::Result<SocketAddr> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    let routes = Router::new().route("/echo", any(echo)).fallback(page);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(socket, routes).await {
            tracing::error!(code = "demo.app_ended", "the sample application has ended: {error}");
        }
    });
    Ok(address)
}

/// The page at every address.
#[derive(Template)]
#[template(path = "sample_app.html")]
struct Page {
    /// Path and query, as the application received them.
    address: String,
    identity: Vec<Line>,
    other: Vec<Line>,
}

/// A header line, its bytes read leniently: this page shows them, nobody relies on them.
struct Line {
    name: String,
    value: String,
}

async fn page(uri: Uri, headers: HeaderMap) -> Response {
    let lines =
        headers.iter().map(|(name, value)| Line { name: name.to_string(), value: String::from_utf8_lossy(value.as_bytes()).into_owned() });
    let (identity, other) = lines.partition(|line| is_identity(&line.name));
    match (Page { address: uri.to_string(), identity, other }).render() {
        Ok(html) => Html(html).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// How a request arrived is no identity, whatever the common prefix.
fn is_identity(name: &str) -> bool {
    name.starts_with("x-forwarded-") && !["x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"].contains(&name)
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(answer_each)
}

async fn answer_each(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_arrives_is_escaped() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-user", "<script>alert(1)</script>".parse().expect("a value"));
        let response = page(Uri::from_static("/a?b=c"), headers).await;
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        let html = String::from_utf8(body.to_vec()).expect("text");
        assert!(!html.contains("<script>alert") && html.contains("/a?b=c"), "{html}");
    }
}
