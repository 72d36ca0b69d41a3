//! The admin address: `/healthz`, and nothing else. Its connections are limited like those of the public address, by numbers
//! of their own: a crowd there does not keep a monitor from looking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, StatusCode};
use pingora::Result;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;

use crate::listen::limits::ConnectionLimits;
use crate::listen::listener::{CannotListen, Listener};

/// Serves `GET /healthz` on `address` until the task is dropped. It exists only once a filter is loaded, and a filter
/// that is loaded stays so: the answer is 200, and 503 from when `stopping` is set, for load balancers to look elsewhere.
///
/// # Errors
/// [`CannotListen`] when the address cannot be bound.
pub async fn serve(address: &str, stopping: Arc<AtomicBool>) -> Result<impl Future<Output = ()> + use<>, CannotListen> {
    let listener = Listener::bind(address).await?.with_limits(ConnectionLimits::admin());
    let address = listener.address();
    tracing::info!(code = "admin.listening", address = %address, "health at http://{address}/healthz");
    let health = Arc::new(Health { stopping });
    Ok(listener.serve_app(health, None, Arc::new(|_| false), std::future::pending(), Duration::ZERO))
}

struct Health {
    stopping: Arc<AtomicBool>,
}

impl Health {
    fn answer(&self, method: &Method, path: &str) -> (StatusCode, &'static str) {
        match (path, method) {
            ("/healthz", &Method::GET | &Method::HEAD) if self.stopping.load(Ordering::Relaxed) => {
                (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
            }
            ("/healthz", &Method::GET | &Method::HEAD) => (StatusCode::OK, "ok\n"),
            ("/healthz", _) => (StatusCode::METHOD_NOT_ALLOWED, ""),
            _ => (StatusCode::NOT_FOUND, ""),
        }
    }

    /// Reads and answers one request; `false` when there is none.
    async fn respond(&self, session: &mut ServerSession) -> Result<bool> {
        if !session.read_request().await? {
            return Ok(false);
        }
        let request = session.req_header();
        let (status, text) = self.answer(&request.method, request.uri.path());
        let mut head = ResponseHeader::build(status, None)?;
        head.insert_header(CONTENT_LENGTH, text.len())?;
        head.insert_header(CONTENT_TYPE, "text/plain")?;
        if status == StatusCode::METHOD_NOT_ALLOWED {
            head.insert_header(ALLOW, "GET, HEAD")?;
        }
        let has_body = !text.is_empty() && request.method != Method::HEAD;
        session.write_response_header(Box::new(head)).await?;
        if has_body {
            session.write_response_body(Bytes::from_static(text.as_bytes()), true).await?;
        }
        Ok(true)
    }
}

#[async_trait]
impl HttpServerApp for Health {
    async fn process_new_http(self: &Arc<Self>, mut session: ServerSession, _shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        match self.respond(&mut session).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                tracing::debug!(code = "admin.failed", "a request to the admin address failed: {error}");
                // Nothing more can be done for who broke the protocol.
                let _ = session.respond_error(400).await;
                return None;
            }
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let stream = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}
