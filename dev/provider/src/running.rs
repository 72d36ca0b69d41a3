//! Starting and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::fault::Faults;
use crate::options::Options;
use crate::provider::Provider;
use crate::signing_key::{KeyError, SigningAlgorithm, SigningKey, TokenHeader};

/// The provider did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0} is not a loopback address; the development provider lets anybody in, give it 127.0.0.1 or [::1]")]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {address}; choose another port, or 0 for any free one")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the tokio runtime is shutting down; start the provider on one that stays")]
    Runtime(#[source] tokio::task::JoinError),
}

/// A provider that listens. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    provider: Arc<Provider>,
    address: SocketAddr,
    /// Ends the server by a message or by being dropped.
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// How long requests under way may take to finish at a shutdown.
const GRACE_PERIOD: Duration = Duration::from_secs(2);

impl Provider {
    /// Listens and serves on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when the address is not loopback or not free, or no key can be made.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        let address = options.listen;
        if !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let key = generate(options.signing_algorithm).await?;
        let provider = Arc::new(Self::new(options, address, key));
        let router = Arc::clone(&provider).router();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let stopped = async { _ = stopped.await };
            // `serve` handles every error of accept itself and returns when it is told to stop.
            _ = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
        });
        Ok(Running { provider, address, stop, server })
    }
}

async fn generate(algorithm: SigningAlgorithm) -> Result<SigningKey, StartError> {
    let generated = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
    Ok(generated.map_err(StartError::Runtime)??)
}

impl Running {
    /// `http://127.0.0.1:<port>`, without a slash at the end.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.provider.issuer.clone()
    }

    /// `<issuer>/.well-known/openid-configuration`: the `server_metadata_url` of a client.
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.provider.issuer)
    }

    /// Where it listens; give it to the next start to come back under the same issuer.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The script of misbehaviour.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.provider.faults.clone()
    }

    /// How many requests came for a path (`/jwks`), those that a fault answered included.
    #[must_use]
    pub fn requests(&self, path: &str) -> usize {
        self.provider.requests().get(path).copied().unwrap_or_default()
    }

    /// A logout token with exactly these claims (OpenID Connect Back-Channel Logout 1.0 section 2.4). Delivering it is up to the test.
    ///
    /// # Errors
    /// [`StartError::Key`] when it cannot be signed.
    pub fn logout_token(&self, claims: Map<String, Value>) -> Result<String, StartError> {
        let header = TokenHeader { omit_kid: false, typ: Some("logout+jwt".to_owned()) };
        Ok(self.provider.keys().current().sign(claims, &header)?)
    }

    /// Signs with a new key from here on; the one before stays published until the next rotation.
    ///
    /// # Errors
    /// [`StartError`] when no key can be made.
    pub async fn rotate_key(&self) -> Result<(), StartError> {
        let key = generate(self.provider.signing_algorithm).await?;
        self.provider.keys().rotate(key);
        Ok(())
    }

    /// Stops listening, lets requests under way finish for two seconds, and returns.
    pub async fn shutdown(self) {
        // The receiver is gone if the server has ended already: then there is nothing to stop.
        _ = self.stop.send(());
        _ = tokio::time::timeout(GRACE_PERIOD, self.server).await;
    }
}
