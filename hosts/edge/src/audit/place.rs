//! The place of the audit: who else can read or change its file, and whether there can be one.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use vestibule_wasmtime::{AuditDestination, TrustedFile, Weakness};

use crate::audit::journal::{Journal, SOCKET};

const OTHERS_READ: u32 = 0o004;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// The user that writes the audit.
    ToServe,
    /// Perhaps another user: to whom a file belongs says nothing.
    ToCheck,
}

/// What is weak about the file and the folders that it is in, each with its remedy. Of a file that is not there, its folder is judged.
pub fn weaknesses(destination: &AuditDestination, asking: Asking) -> Vec<String> {
    let Some(path) = file(destination) else { return vec![] };
    let found = fs::metadata(path).ok();
    let judged = if found.is_some() { path } else { folder(path) };
    let changeable = TrustedFile::judge(judged).err().into_iter().flat_map(|error| error.reasons);
    let changeable = changeable.filter(|reason| asking == Asking::ToServe || matches!(reason.weakness, Weakness::Mode(_)));
    let changeable = changeable.map(|reason| format!("other users can change the audit {}: {reason}", path.display()));
    let readable = found.filter(is_readable_by_everybody).map(|_| {
        let quoted = path.to_string_lossy();
        let quoted = shell_words::quote(&quoted);
        format!("every user of this machine can read the audit {}; run `chmod o-r {quoted}` (mode 640, for example)", path.display())
    });
    changeable.chain(readable).collect()
}

/// Why the user of this process cannot write the audit; `None` if that is possible, or if the audit is in the log.
pub fn obstacle(destination: &AuditDestination) -> Option<String> {
    if *destination == AuditDestination::Journald {
        return obstacle_to_journal(Path::new(SOCKET));
    }
    let path = file(destination)?;
    let folder = folder(path);
    let remedy = "make it for the user of `vestibule serve`; if that is another user than yours, run `vestibule check` as that user";
    let may = |path: &Path, access| accessat(CWD, path, access, AtFlags::EACCESS).is_ok();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Some(format!("the audit {} is a folder; name a file in it", path.display())),
        Ok(_) if may(path, Access::WRITE_OK) => None,
        Ok(_) => Some(format!("the audit {} cannot be written to by the user of this command; {remedy}", path.display())),
        Err(_) if !folder.is_dir() => Some(format!("the folder of the audit, {}, is not there; {remedy}", folder.display())),
        Err(_) if may(folder, Access::WRITE_OK | Access::EXEC_OK) => None,
        Err(_) => {
            Some(format!("the folder of the audit, {}, cannot be written to by the user of this command; {remedy}", folder.display()))
        }
    }
}

fn file(destination: &AuditDestination) -> Option<&Path> {
    match destination {
        AuditDestination::File(path) => Some(path),
        AuditDestination::Log | AuditDestination::Journald => None,
    }
}

fn obstacle_to_journal(socket: &Path) -> Option<String> {
    let remedy = "run `vestibule serve` where systemd-journald runs, or write `audit = \"log\"` or a file";
    let error = Journal::open(socket).err()?;
    Some(format!("the audit cannot be written to the journal at {}: {error}; {remedy}", socket.display()))
}

/// The core accepts absolute paths of files only, so that there is one.
fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Not a pipe, which one process reads.
fn is_readable_by_everybody(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.mode() & OTHERS_READ != 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn of(path: &Path) -> AuditDestination {
        AuditDestination::File(path.to_owned())
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_or_folder_that_others_read_or_change_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        assert!(weaknesses(&of(&path), Asking::ToServe).is_empty());
        fs::write(&path, "").unwrap();
        for (of_folder, of_file, told) in [
            (0o700, 0o600, vec![]),
            (0o750, 0o640, vec![]),
            (0o755, 0o644, vec!["every user of this machine can read the audit"]),
            (0o700, 0o602, vec!["other users can change the audit"]),
            (0o777, 0o600, vec!["other users can change the audit"]),
            (
                0o777,
                0o666,
                vec!["other users can change the audit", "other users can change the audit", "every user of this machine can read"],
            ),
        ] {
            set(folder.path(), of_folder);
            set(&path, of_file);
            for asking in [Asking::ToServe, Asking::ToCheck] {
                let found = weaknesses(&of(&path), asking);
                let is_told = found.iter().zip(&told).all(|(found, told)| found.starts_with(told) && found.contains("chmod"));
                assert!(found.len() == told.len() && is_told, "{of_folder:o} {of_file:o}: {found:?}");
            }
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(weaknesses(&of(&path), Asking::ToServe).len(), 1, "of the folder");
        assert!(weaknesses(&AuditDestination::Log, Asking::ToServe).is_empty());
        assert!(weaknesses(&AuditDestination::Journald, Asking::ToServe).is_empty());
    }

    #[test]
    fn a_folder_that_is_not_there_or_cannot_be_written_to_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        assert_eq!(obstacle(&of(&path)), None);
        assert!(!path.exists(), "nothing is made");
        assert!(obstacle(&of(&folder.path().join("absent/audit.jsonl"))).unwrap().contains("absent, is not there"));
        assert!(obstacle(&of(folder.path())).unwrap().contains("is a folder"));
        assert_eq!(obstacle(&AuditDestination::Log), None);
        let socket = folder.path().join("socket");
        let told = obstacle_to_journal(&socket).unwrap();
        assert!(told.contains(socket.to_str().unwrap()) && told.contains("systemd-journald"), "{told}");
        let _journal = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
        assert_eq!(obstacle_to_journal(&socket), None);
        // Root writes everywhere.
        if rustix::process::geteuid().is_root() {
            return;
        }
        set(folder.path(), 0o500);
        assert!(obstacle(&of(&path)).unwrap().contains("cannot be written to"));
        set(folder.path(), 0o700);
    }
}
