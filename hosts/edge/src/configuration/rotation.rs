//! SIGUSR1: the file of the audit was rotated. SIGHUP says so as well, and has the configuration read again.

use tokio::signal::unix::{SignalKind, signal};

use crate::audit;

/// Has the files of the audit opened anew on each SIGUSR1; never returns. Without it the signal ends the program.
///
/// # Errors
/// The system gives no signals.
pub fn follow() -> std::io::Result<impl Future<Output = ()>> {
    let mut rotated = signal(SignalKind::user_defined1())?;
    Ok(async move {
        while rotated.recv().await.is_some() {
            audit::reopen_files();
        }
    })
}
