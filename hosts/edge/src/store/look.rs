//! `vestibule check --online`: whether a store can be used, by the same steps as [`super::Keeper`] takes, without keeping it.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::timeout;

use super::file::{File, Sight};
use super::redis::Redis;
use super::{Location, News, Settings, Store, StoreError};

/// How long reading the list may take: a node reads a long one in a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found at a store.
#[derive(Debug)]
pub struct Found {
    /// Where it is, without user and password.
    pub place: String,
    /// What is in order.
    pub lines: Vec<String>,
    /// Requests with a session are answered 503: why, and what to do.
    pub fault: Option<String>,
}

/// Connects to the store, proves that it can be written to, and reads what it has. Nothing is added to the list, and no file is made; of a
/// file that is there, entries that end nothing any more are deleted, as at every start. `tls` replaces the system's authorities.
pub async fn look(settings: &Settings, tls: Option<Arc<ClientConfig>>) -> Found {
    let place = settings.location.to_string();
    let mut lines = Vec::new();
    let looked = match &settings.location {
        Location::File(path) => look_at_file(path, &mut lines).await,
        Location::Redis(server) => {
            let (told, redis) = (server.told(), Redis::new(server, settings, tls));
            let looked = read(&redis, told, &mut lines).await;
            if looked.is_ok() {
                lines.push(claimed(&redis).await);
            }
            looked.map_err(|error| (error, server.host()))
        }
    };
    let fault = looked.err().map(|(error, host)| format!("{error}; {}", remedy(&error, host)));
    Found { place, lines, fault }
}

/// Whether a login attempt can be claimed. The key is gone within a second.
async fn claimed(redis: &Redis) -> String {
    let claiming = async { redis.claim(&mut redis.connect(Duration::ZERO).await?, &redis.used([0; 16]), Duration::from_millis(500)).await };
    match claiming.await {
        Ok(_) => "login attempts: each is used once, on whichever node".to_owned(),
        Err(error) => format!(
            "login attempts: each is used once on each node, not once on all of them: {error}; let the user of the URL run the commands \
             that docs/store.md lists"
        ),
    }
}

async fn look_at_file(path: &std::path::Path, lines: &mut Vec<String>) -> Result<(), (StoreError, Option<String>)> {
    let file = File::new(path);
    let looked = match file.sight().await {
        Ok(Sight::There) => read(&file, vec![], lines).await,
        Ok(Sight::ToBeMade) => {
            lines.push("list: there is none yet; `vestibule serve` makes the file".to_owned());
            Ok(())
        }
        Err(error) => Err(error),
    };
    match looked {
        Err(StoreError::InUse) => {
            lines.push("list: in use by another process, such as a running `vestibule serve`; a second one cannot use the file".to_owned());
            Ok(())
        }
        looked => looked.map_err(|error| (error, None)),
    }
}

async fn read(store: &dyn Store, told: Vec<String>, lines: &mut Vec<String>) -> Result<(), StoreError> {
    let (mut reader, _writer) = store.open().await?;
    lines.extend(told);
    let mut entries = 0;
    let reading = async {
        while let News::Entries(read) = reader.next().await? {
            entries += read.len();
        }
        Ok::<_, StoreError>(())
    };
    timeout(PATIENCE, reading).await.map_err(|_| StoreError::TimedOut)??;
    lines.push(format!("list: {entries} {}, and it can be written to", if entries == 1 { "entry" } else { "entries" }));
    Ok(())
}

/// What to do. `host`: that of a server.
fn remedy(error: &StoreError, host: Option<String>) -> String {
    match (error, host) {
        (StoreError::Unreachable(_), _) => "start the store, or correct the address in `store`".to_owned(),
        (StoreError::Tls(_), Some(host)) => format!(
            "give the store a certificate for {host} from an authority that this machine or SSL_CERT_FILE names, or correct `store`"
        ),
        (StoreError::TimedOut, _) => "let this machine connect to the store, or correct the address in `store`".to_owned(),
        (StoreError::Login(_), _) => {
            "write user and password of the store into the URL of `store`, as characters that a URL can have".to_owned()
        }
        (StoreError::Refused(_), _) => {
            "let the user of the URL run the commands that docs/store.md lists, on a server that is not a replica".to_owned()
        }
        (StoreError::Lost | StoreError::InUse, _) => "repeat the check".to_owned(),
        (StoreError::File(_) | StoreError::Tls(_), _) => "correct this, or the path in `store`".to_owned(),
    }
}
