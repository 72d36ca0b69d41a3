//! The folder of the control socket: a user who can write to it can put another socket in the place of the program's.
//!
//! 1. The program does not listen in a folder that other users can change.
//! 2. The command uses an answer only if the system says that it comes from root, from the user of the command, or from the user whose
//!    folder it is. So a socket that another user has put there, or that was left behind, confirms nothing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use vestibule_wasmtime::TrustedFile;

const ROOT: u32 = 0;

/// The group or others write.
const OTHERS_WRITE: u32 = 0o022;

/// Judges the folder that a socket is to be made in.
///
/// # Errors
/// It is not there, or other users can change it or put another folder in its place.
pub fn judge(socket: &Path) -> io::Result<()> {
    let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::metadata(folder)?;
    TrustedFile::judge(folder).map_err(io::Error::other)
}

/// Whether an answer from this socket is used, if the user `listening` has been listening there since the connection was made.
pub fn is_believed(socket: &Path, listening: u32) -> bool {
    let own = rustix::process::geteuid().as_raw();
    [own, ROOT].contains(&listening) || is_folder_of(socket, listening)
}

/// Whether the folder belongs to a user, and nobody but this user and root can have put it there: of a service that is run by a user of
/// its own, and whose sessions root ends.
fn is_folder_of(socket: &Path, user: u32) -> bool {
    let (Ok(given), Ok(found)) = (std::path::absolute(socket), socket.canonicalize()) else { return false };
    let Some(folder) = found.parent() else { return false };
    let is_safe =
        |folder: &Path| fs::metadata(folder).is_ok_and(|found| [user, ROOT].contains(&found.uid()) && found.mode() & OTHERS_WRITE == 0);
    // The path as it was given as well: a link on it leads to where another user wants, if that user can make one.
    fs::metadata(folder).is_ok_and(|found| found.uid() == user) && folder.ancestors().chain(given.ancestors().skip(1)).all(is_safe)
}
