//! Which server the application is: what its responses say in `Server`, for a filter that goes by it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use http::header::{HOST, SERVER};
use http::{HeaderValue, Method};
use pingora::connectors::http::Connector;
use pingora::http::{RequestHeader, ResponseHeader};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::upstream::application::Upstream;
use crate::upstream::authorities::connector_options;

/// A longer name is none: nothing that goes by it knows one of this length.
const MAX_NAME_BYTES: usize = 256;
/// A visitor waits for the answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// After asking in vain, the application is left alone for this long.
const PAUSE: Duration = Duration::from_secs(5);

/// The application's own word, of its latest response that had one.
#[derive(Default)]
pub struct ApplicationServer {
    name: ArcSwapOption<String>,
    /// When it was asked last; locked while it is.
    asked: Mutex<Option<Instant>>,
}

impl ApplicationServer {
    pub fn name(&self) -> Option<String> {
        self.name.load().as_deref().cloned()
    }

    /// Takes note of a response. No lock, and no write when nothing is new.
    pub fn note(&self, response: &ResponseHeader) {
        let name = response.headers.get(SERVER).and_then(|name| name.to_str().ok()).filter(|name| name.len() <= MAX_NAME_BYTES);
        if let Some(name) = name
            && self.name.load().as_ref().is_none_or(|known| known.as_str() != name)
        {
            self.name.store(Some(Arc::new(name.to_owned())));
        }
    }

    /// The name; asks the application for `path` when it is not known. `host` is the visitor's, so that the application
    /// finds itself addressed as it expects.
    pub async fn find_out(&self, upstream: &Upstream, path: &str, host: Option<&HeaderValue>) -> Option<String> {
        if let Some(name) = self.name() {
            return Some(name);
        }
        let mut asked = self.asked.lock().await;
        // Whoever waited for the lock finds what the one before has found.
        if self.name().is_none() && asked.is_none_or(|at| at.elapsed() >= PAUSE) {
            let answer = timeout(TIMEOUT, ask(upstream, path, host)).await;
            *asked = Some(Instant::now());
            match answer {
                Ok(Ok(response)) => self.note(&response),
                Ok(Err(error)) => tracing::warn!(code = "upstream.not_asked", "the application does not name its server: {error}"),
                Err(_) => tracing::warn!(code = "upstream.not_asked", "the application does not name its server in time"),
            }
        }
        self.name()
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One `GET`, on a connection of its own to the first address that takes one.
async fn ask(upstream: &Upstream, path: &str, host: Option<&HeaderValue>) -> Result<ResponseHeader, Failure> {
    let mut request = RequestHeader::build(Method::GET, path.as_bytes(), None)?;
    request.insert_header(HOST, host.cloned().unwrap_or(HeaderValue::from_static("localhost")))?;
    let connector = Connector::new(Some(connector_options()));
    let mut failures = 0;
    let mut session = loop {
        let candidate = upstream.peer(failures, false).await?;
        match connector.get_http_session(&candidate.peer).await {
            Ok((session, _)) => break session,
            Err(error) if candidate.is_last => return Err(error.into()),
            Err(_) => {
                upstream.avoid(candidate.index);
                failures += 1;
            }
        }
    };
    session.write_request_header(Box::new(request)).await?;
    session.finish_request_body().await?;
    session.read_response_header().await?;
    let response = session.response_header().cloned().ok_or("there is no response")?;
    session.shutdown().await;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_word_counts_and_silence_changes_nothing() {
        let server = ApplicationServer::default();
        let note = |name: Option<&str>| {
            let mut response = ResponseHeader::build(200, None).expect("a response");
            if let Some(name) = name {
                response.insert_header(SERVER, name).expect("a header");
            }
            server.note(&response);
            server.name()
        };
        assert_eq!(note(None), None);
        assert_eq!(note(Some("TornadoServer/6.5")).as_deref(), Some("TornadoServer/6.5"));
        assert_eq!(note(None).as_deref(), Some("TornadoServer/6.5"));
        assert_eq!(note(Some("uvicorn")).as_deref(), Some("uvicorn"));
        assert_eq!(note(Some(&"x".repeat(MAX_NAME_BYTES + 1))).as_deref(), Some("uvicorn"));
    }
}
