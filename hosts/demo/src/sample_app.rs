//! The demo's application: knows nothing of logins, shows what reaches it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;

/// What is around the application, for the page to tell.
pub(crate) struct Around {
    /// Where the edge listens.
    pub(crate) edge: String,
    /// The provider's issuer.
    pub(crate) provider: String,
}

/// Starts it on a free port of loopback and returns its address; it ends with the process. An error when there is no port.
pub(crate) async fn start(around: Around) -> std::io::Result<SocketAddr> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    let routes = Router::new().route("/echo", any(echo)).route("/data", get(data)).fallback(page).with_state(Arc::new(around));
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
struct Page<'a> {
    title: String,
    /// Path and query, as the application received them.
    address: String,
    edge: &'a str,
    provider: &'a str,
    user: Option<String>,
    initial: String,
    identity: Vec<Line>,
    other: Vec<Line>,
}

/// A header line, its bytes read leniently: this page shows them, nobody relies on them.
struct Line {
    name: String,
    value: String,
}

async fn page(State(around): State<Arc<Around>>, uri: Uri, headers: HeaderMap) -> Response {
    let lines =
        headers.iter().map(|(name, value)| Line { name: name.to_string(), value: String::from_utf8_lossy(value.as_bytes()).into_owned() });
    let (identity, other) = lines.partition(|line| is_identity(&line.name));
    let user = user_of(&headers);
    let page = Page {
        title: title(uri.path()).to_owned(),
        address: uri.to_string(),
        edge: &around.edge,
        provider: &around.provider,
        initial: user.iter().flat_map(|user| user.chars()).take(1).flat_map(char::to_uppercase).collect(),
        user,
        identity,
        other,
    };
    match page.render() {
        // Of one user, at this moment.
        Ok(html) => ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn title(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("admin") => "Administration",
        Some("reports") => "Report",
        _ => "Overview",
    }
}

/// As the edge names the user.
fn user_of(headers: &HeaderMap) -> Option<String> {
    headers.get("x-forwarded-user").map(|user| String::from_utf8_lossy(user.as_bytes()).into_owned())
}

/// What a script of the page asks for.
async fn data(headers: HeaderMap) -> Response {
    Json(json!({ "user": user_of(&headers), "tonnes": [412, 388, 451] })).into_response()
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
        let around = Around { edge: "http://127.0.0.1:1".into(), provider: "http://127.0.0.1:2".into() };
        let response = page(State(Arc::new(around)), Uri::from_static("/a?b=c"), headers).await;
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        let html = String::from_utf8(body.to_vec()).expect("text");
        assert!(!html.contains("<script>alert") && html.contains("/a?b=c") && html.contains("http://127.0.0.1:2"), "{html}");
    }

    #[test]
    fn each_place_has_a_title() {
        let titles = ["/", "/reports/2026", "/admin", "/admin/users", "/administration", "*"].map(title);
        assert_eq!(titles, ["Overview", "Report", "Administration", "Administration", "Overview", "Overview"]);
    }
}
