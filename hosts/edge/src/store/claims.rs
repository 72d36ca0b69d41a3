//! Claims between nodes: the use of a login attempt in Redis, `vestibule:ended:<list>:used:<name>`, where the first node wins
//! (`SET … NX`). The key expires with the attempt.
//!
//! 1. A connection of its own, made with the first claim: that of the list waits for news, and the other one writes in order.
//! 2. Bounded: a claim has [`MAX_CLAIM`], connecting included, and none is sent to a store that is known to be out of reach. Without an
//!    answer the login goes on, and the log has it once: the provider takes a code once as well.
//! 3. A key has no content. Who deletes it lets an attempt be used once more; who writes it, and knows its name, which nobody but this
//!    program can compute, refuses one login.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{Value, cmd};
use tokio::sync::Mutex;
use tokio::time::timeout;
use vestibule_wasmtime::Claimed;

use super::redis::{Connection, Redis};
use super::{Settings, StoreError};

/// How long a claim may take: a login waits for it. Less than what the library waits.
const MAX_CLAIM: Duration = Duration::from_millis(450);

/// Where claims are made.
#[derive(Default)]
pub(super) struct Claims {
    /// By the settings that it was made with.
    connection: Mutex<Option<(Settings, Connection)>>,
    is_failure_told: AtomicBool,
}

impl Claims {
    /// Whether this is the first claim of the name among the nodes. `lasting`: how long it counts.
    pub(super) async fn claim(&self, redis: &Redis, settings: &Settings, name: [u8; 16], lasting: Duration) -> Claimed {
        let claiming = async { redis.claim(&mut self.connected(redis, settings).await?, &redis.used(name), lasting).await };
        match timeout(MAX_CLAIM, claiming).await.unwrap_or(Err(StoreError::TimedOut)) {
            Ok(is_first) => {
                self.is_failure_told.store(false, Ordering::Relaxed);
                if is_first { Claimed::Granted } else { Claimed::Taken }
            }
            Err(error) => {
                // The next one connects anew. If another one is connecting, it has what is to be used next.
                if let Ok(mut connection) = self.connection.try_lock() {
                    connection.take();
                }
                if !self.is_failure_told.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        code = "store.claims_unanswered",
                        "{}: {error}; until the store answers, a login attempt is used once on each node, not once on all of them",
                        settings.location
                    );
                }
                Claimed::Unavailable
            }
        }
    }

    /// The connection that there is, or a new one.
    async fn connected(&self, redis: &Redis, settings: &Settings) -> Result<Connection, StoreError> {
        let mut known = self.connection.lock().await;
        if let Some((of, connection)) = &*known
            && of == settings
        {
            return Ok(connection.clone());
        }
        let (_, connection) = known.insert((settings.clone(), redis.connect(Duration::ZERO).await?));
        Ok(connection.clone())
    }
}

impl Redis {
    /// Sets a key that is not there; whether it was not.
    pub(super) async fn claim(&self, connection: &mut Connection, key: &str, lasting: Duration) -> Result<bool, StoreError> {
        let lasting = u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX).max(1);
        let answer: Value = connection.ask(cmd("SET").arg(key).arg("").arg("NX").arg("PX").arg(lasting)).await?;
        match answer {
            Value::Okay => Ok(true),
            Value::Nil => Ok(false),
            _ => Err(StoreError::Refused("an answer that is not that of SET".into())),
        }
    }
}
