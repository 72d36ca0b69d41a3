//! SIGUSR1: the file of the audit was rotated. SIGHUP says so as well, and has the configuration read again.

use tokio::signal::unix::{SignalKind, signal};

use crate::configuration::active::Current;

/// Has the audit in force open its file anew on each SIGUSR1; never returns. Without it the signal ends the program.
///
/// # Errors
/// The system gives no signals.
pub fn follow(current: Current) -> std::io::Result<impl Future<Output = ()>> {
    let mut rotated = signal(SignalKind::user_defined1())?;
    Ok(async move {
        while rotated.recv().await.is_some() {
            current.load().1.audit.reopen();
        }
    })
}
