//! The admin address: `/healthz`, `/readyz` and `/metrics`, and nothing else.
//!
//! 1. `/healthz` says that the process lives: 200 as long as it answers. Who restarts a program goes by it.
//! 2. `/readyz` says that requests may be sent here: 200 once a configuration is in use, and 503 from the request to stop on. The
//!    listener exists only when a configuration is loaded; one that is broken later leaves the old one in use. 503 also while requests
//!    with a session are answered so for want of the store: another node may reach it. No provider is asked, and the
//!    application only where that is wanted (`--ready-needs-upstream`): where one of them is down, all nodes would leave the load
//!    balancer together.
//! 3. `/metrics` has what is counted ([`crate::metrics`]).
//! 4. `GET` and `HEAD` only. Connections are limited like those of the public address, by numbers of their own: a crowd there does
//!    not keep a monitor from looking. Nothing that is answered is secret, and nobody is asked who they are.
//! 5. A connection without a request ends after 10 seconds, and one with an unfinished head after 5. Connections from this machine have
//!    places of their own: nobody elsewhere keeps `vestibule health` from its answer, and eight idle connections do not either.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{Method, StatusCode};
use pingora::Result;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;

use crate::configuration::active::{Current, Service};
use crate::listen::limits::ConnectionLimits;
use crate::listen::listener::{CannotListen, Listener};
use crate::metrics::{self, Metrics};
use crate::store::{Keeper, State};

/// The path that says whether requests may be sent here.
pub const READY: &str = "/readyz";
const HEALTH: &str = "/healthz";
const METRICS: &str = "/metrics";

/// What the admin address tells of.
pub struct Admin {
    pub current: Current,
    pub metrics: Arc<Metrics>,
    pub store: Arc<Keeper>,
    /// The program was told to stop.
    pub stopping: Arc<AtomicBool>,
    /// Nothing is ready without the application.
    pub asks_application: bool,
}

/// A response before it is a message.
struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
}

impl Admin {
    /// Listens on `address`, and serves until the result is dropped.
    ///
    /// # Errors
    /// [`CannotListen`] when the address cannot be bound.
    pub async fn serve(self, address: &str) -> Result<impl Future<Output = ()> + use<>, CannotListen> {
        let listener = Listener::bind(address).await?.with_limits(ConnectionLimits::admin());
        let address = listener.address();
        tracing::info!(code = "admin.listening", address = %address, "health at http://{address}{HEALTH}, metrics at http://{address}{METRICS}");
        Ok(listener.serve_app(Arc::new(self), None, Arc::new(|_| false), std::future::pending(), Duration::ZERO))
    }

    async fn answer(&self, method: &Method, path: &str) -> Answer {
        match (path, method) {
            (HEALTH, &Method::GET | &Method::HEAD) => Answer::text(StatusCode::OK, "ok\n"),
            (READY, &Method::GET | &Method::HEAD) if self.stopping.load(Ordering::Relaxed) => {
                Answer::json(StatusCode::SERVICE_UNAVAILABLE, "{\"status\":\"unavailable\",\"reason\":\"stopping\"}\n")
            }
            (READY, &Method::GET | &Method::HEAD) if self.asks_application && !self.is_application_reachable().await => {
                Answer::json(StatusCode::SERVICE_UNAVAILABLE, "{\"status\":\"unavailable\",\"reason\":\"upstream\"}\n")
            }
            (READY, &Method::GET | &Method::HEAD) => match self.store.state() {
                State::Alone | State::Current => Answer::json(StatusCode::OK, "{\"status\":\"ready\"}\n"),
                State::Patient => Answer::json(StatusCode::OK, "{\"status\":\"ready\",\"store\":\"unreachable\"}\n"),
                State::Stale | State::Unknown => {
                    Answer::json(StatusCode::SERVICE_UNAVAILABLE, "{\"status\":\"unavailable\",\"reason\":\"store\"}\n")
                }
            },
            (METRICS, &Method::GET | &Method::HEAD) => self.metrics(),
            (HEALTH | READY | METRICS, _) => Answer::text(StatusCode::METHOD_NOT_ALLOWED, ""),
            _ => Answer::text(StatusCode::NOT_FOUND, ""),
        }
    }

    /// With `mode = "authz"`, the proxy that asks has the application.
    async fn is_application_reachable(&self) -> bool {
        let (_, active) = self.current.load();
        match &active.service {
            Service::Proxy(upstream) => upstream.is_reachable().await,
            Service::Authz => true,
        }
    }

    fn metrics(&self) -> Answer {
        let pool = self.current.load().1.decider.pool();
        match self.metrics.text(pool) {
            Ok(text) => Answer { status: StatusCode::OK, content_type: metrics::CONTENT_TYPE, body: text.into() },
            Err(_) => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, ""),
        }
    }

    /// Reads and answers one request; `false` when there is none.
    async fn respond(&self, session: &mut ServerSession) -> Result<bool> {
        if !session.read_request().await? {
            return Ok(false);
        }
        let request = session.req_header();
        let Answer { status, content_type, body } = self.answer(&request.method, request.uri.path()).await;
        let mut head = ResponseHeader::build(status, None)?;
        head.insert_header(CONTENT_LENGTH, body.len())?;
        head.insert_header(CONTENT_TYPE, content_type)?;
        head.insert_header(CACHE_CONTROL, "no-store")?;
        head.insert_header(X_CONTENT_TYPE_OPTIONS, "nosniff")?;
        if status == StatusCode::METHOD_NOT_ALLOWED {
            head.insert_header(ALLOW, "GET, HEAD")?;
        }
        let has_body = !body.is_empty() && request.method != Method::HEAD;
        session.write_response_header(Box::new(head)).await?;
        if has_body {
            session.write_response_body(body, true).await?;
        }
        Ok(true)
    }
}

impl Answer {
    fn text(status: StatusCode, text: &'static str) -> Self {
        Self { status, content_type: "text/plain", body: Bytes::from_static(text.as_bytes()) }
    }

    fn json(status: StatusCode, text: &'static str) -> Self {
        Self { status, content_type: "application/json", body: Bytes::from_static(text.as_bytes()) }
    }
}

#[async_trait]
impl HttpServerApp for Admin {
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
