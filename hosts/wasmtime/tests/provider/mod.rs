//! A server that holds every request until it is told to answer.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

pub(crate) struct HeldProvider {
    pub url: String,
    arrivals: mpsc::UnboundedReceiver<()>,
    answers: Arc<Semaphore>,
}

impl HeldProvider {
    pub(crate) async fn start() -> HeldProvider {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let answers = Arc::new(Semaphore::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/.well-known/openid-configuration", listener.local_addr().unwrap());
        let held = Arc::clone(&answers);
        let app = Router::new().fallback(move || async move {
            arrived.send(()).unwrap();
            held.acquire().await.unwrap().forget();
            StatusCode::OK
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        HeldProvider { url, arrivals, answers }
    }

    pub(crate) async fn arrived(&mut self, requests: usize) {
        for _ in 0..requests {
            self.arrivals.recv().await.unwrap();
        }
    }

    pub(crate) fn answer(&self, requests: usize) {
        self.answers.add_permits(requests);
    }
}
