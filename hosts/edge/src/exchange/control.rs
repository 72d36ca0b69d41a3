//! The control socket: `vestibule sessions end` ends sessions of a running program by it, and with a store those on all nodes.
//!
//! 1. A Unix socket that only the user who runs the program, and root, may use: the system says who asks. There is no other way in,
//!    so no page in a browser and no neighbour on the network can ask.
//! 2. One line asks: `session NAME`, `user ISSUER SUB` or `all TIME`, issuer and `sub` in base64url. One line answers: `ended`, or why
//!    not.
//! 3. Bounded: so many bytes, so many seconds, and one question after the other.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};
use vestibule::session::account_name;
use vestibule_wasmtime::{EndedName, EndedWhat};

use crate::audit::Commanded;
use crate::configuration::active::Current;
use crate::configuration::ended_sessions::{EVERYBODY, EndedSessions};
use crate::exchange::control_folder;
use crate::exchange::session_ends::{SessionEnds, to_entry};
use crate::store::Keeper;

/// Of a question: issuers are URLs, and a `sub` has at most 255 characters (OpenID Connect Core 1.0, section 2).
const MAX_QUESTION_BYTES: usize = 8 * 1024;
/// For a question and its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longer than a login may be under way.
const KEPT_LONGER: u64 = 24 * 60 * 60;
/// After a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// What ends when it is asked for.
pub struct Control {
    pub current: Current,
    pub known: Arc<EndedSessions>,
    pub ends: SessionEnds,
    pub store: Arc<Keeper>,
}

impl Control {
    /// Listens at `path`, and answers until the result is dropped.
    ///
    /// # Errors
    /// The path is taken by another program or file, cannot be made, or is in a folder that other users can change.
    pub fn serve(self, path: &Path) -> io::Result<impl Future<Output = ()> + use<>> {
        let listener = bind(path)?;
        tracing::info!(code = "control.listening", "vestibule sessions end --control {}", path.display());
        Ok(async move {
            loop {
                match listener.accept().await {
                    Ok((mut asking, _)) => {
                        // Who is too slow, or gone, has asked for nothing.
                        let _ = timeout(PATIENCE, self.answer(&mut asking)).await;
                    }
                    Err(_) => sleep(PAUSE).await,
                }
            }
        })
    }

    async fn answer(&self, asking: &mut UnixStream) -> io::Result<()> {
        let own = rustix::process::geteuid().as_raw();
        if ![own, 0].contains(&asking.peer_cred()?.uid()) {
            return asking.write_all(b"only root and the user that runs `vestibule serve` can end sessions\n").await;
        }
        let mut question = String::new();
        (&mut *asking).take(MAX_QUESTION_BYTES as u64 + 1).read_to_string(&mut question).await?;
        // The beginning of a name would be another name.
        let asked = question.trim_end();
        let understood = (question.len() <= MAX_QUESTION_BYTES).then(|| self.entry(asked)).flatten();
        let Some((entry, commanded)) = understood else {
            return asking.write_all(b"`vestibule serve` does not know this request: use programs of the same release\n").await;
        };
        let entries = [entry];
        self.ends.remember(&entries);
        let told = self.store.tell(&entries.iter().filter_map(to_entry).collect::<Vec<_>>());
        self.ends.end_open(&entries);
        // Before anything is waited for: what has ended is told, also to somebody who is gone meanwhile.
        let what = format!("{} {}", if entries[0].what == EndedWhat::Session { "session" } else { "account" }, entries[0].name);
        let what = if commanded == Commanded::All { asked } else { &what };
        tracing::info!(code = "control.sessions_ended", what, "sessions were ended by `vestibule sessions end`");
        self.current.load().1.audit.commanded(&commanded, ENDED);
        self.store.confirmed(told).await;
        asking.write_all(b"ended\n").await
    }

    /// What is over, and what was asked for.
    fn entry(&self, question: &str) -> Option<(EndedName, Commanded)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let is_name = |name: &str| URL_SAFE_NO_PAD.decode(name).is_ok_and(|name| name.len() == 16);
        let text = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok().filter(|text| !text.is_empty());
        let ((name, what, at), commanded) = match question.split_once(' ')? {
            ("session", name) if is_name(name) => ((name.to_owned(), EndedWhat::Session, now), Commanded::Session(name.to_owned())),
            ("user", parts) => {
                let (issuer, subject) = parts.split_once(' ')?;
                let (issuer, subject) = (text(issuer)?, text(subject)?);
                ((account_name(&issuer, &subject), EndedWhat::Account, now), Commanded::Account { subject })
            }
            ("all", time) => {
                let at = time.parse().ok().filter(|time| *time <= now)?;
                ((URL_SAFE_NO_PAD.encode(EVERYBODY), EndedWhat::Account, at), Commanded::All)
            }
            _ => return None,
        };
        let kept = now + KEPT_LONGER;
        // As long as any session may last that began until now, whatever it is the name of.
        let until = self.known.until(&EndedName::new("", EndedWhat::Account, kept, kept));
        Some((EndedName::new(name, what, at, until), commanded))
    }
}

/// The code in the audit, which is that of the log.
const ENDED: &str = "control.sessions_ended";

/// A socket that was left behind by a program that has ended is replaced.
fn bind(path: &Path) -> io::Result<UnixListener> {
    control_folder::judge(path)?;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

#[cfg(test)]
mod tests;
