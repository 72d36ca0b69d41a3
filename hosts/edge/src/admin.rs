//! The admin address: `/healthz`, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

use crate::listener::CannotListen;

/// Serves `GET /healthz` on `address` until the task is dropped. It exists only once a filter is loaded, and a filter
/// that is loaded stays so: the answer is 200, and 503 from when `stopping` is set, for load balancers to look elsewhere.
///
/// # Errors
/// [`CannotListen`] when the address cannot be bound.
pub async fn serve(address: &str, stopping: Arc<AtomicBool>) -> Result<impl Future<Output = ()> + use<>, CannotListen> {
    let cannot = |cause| CannotListen { address: address.to_owned(), cause };
    let socket = tokio::net::TcpListener::bind(address).await.map_err(cannot)?;
    let address = socket.local_addr().map_err(cannot)?;
    tracing::info!(code = "admin.listening", address = %address, "health at http://{address}/healthz");
    let routes = Router::new().route("/healthz", get(move || async move { health(stopping.load(Ordering::Relaxed)) }));
    Ok(async move {
        if let Err(error) = axum::serve(socket, routes).await {
            tracing::error!(code = "admin.ended", "the admin address is served no more: {error}");
        }
    })
}

fn health(is_stopping: bool) -> (StatusCode, &'static str) {
    if is_stopping { (StatusCode::SERVICE_UNAVAILABLE, "stopping\n") } else { (StatusCode::OK, "ok\n") }
}
