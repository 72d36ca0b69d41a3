//! Files whose content is acted on: the component, the configuration and what it names, keys and certificates.
//!
//! Whoever can change one of them decides who is let in, or runs code. Therefore
//!
//! 1. the file must belong to the user that runs this, or to root, and neither its group nor others may write to it; a group
//!    that nobody but this user is in does not count (`private_group.rs`);
//! 2. so must every folder on the way, or others could put another file in its place. A folder with the sticky bit, `/tmp`
//!    for example, may be writable: only the owner of an entry removes or replaces it there;
//! 3. every symbolic link on the way must belong to this user or to root, and its target is held to the same rules;
//! 4. each is judged as it was opened, one from the other: no path is looked up twice, so that what was judged is what is
//!    read, whatever becomes of the path meanwhile;
//! 5. a link of `/proc` stands for a descriptor that this process was given (`/dev/stdin`, `/dev/fd/63`): it is judged by
//!    itself, for there is no way to it.
//!
//! (The crate fs-mistrust judges paths; what is opened afterwards may be another file.)
//! OpenSSH asks the same of its files (`StrictModes`); unlike there, the folders up to the root are judged. An access
//! control list that lets somebody else write shows in the group's permissions. Where files have no such owners (Windows),
//! nothing is known and nothing is refused.
//!
//! Who can *read* a file is not judged here, but told: [`TrustedFile::is_readable_by_everybody`].

#[cfg(unix)]
mod accounts;
#[cfg(unix)]
mod private_group;
mod remedy;
#[cfg(unix)]
mod way;

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

#[cfg(unix)]
const OTHERS_READ: u32 = 0o004;

/// An open file that nobody but this user and root can have changed.
#[derive(Debug)]
pub struct TrustedFile {
    path: PathBuf,
    file: File,
}

/// What may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Anything,
    PlainFile,
    /// Nothing that is read: a pipe without a writer is not waited for.
    Judgement,
}

/// There is no content to act on.
#[derive(Debug, thiserror::Error)]
pub enum TrustedFileError {
    /// The file is not there or may not be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// The system's reason. It is in the message.
        reason: io::Error,
    },
    /// Longer than any file of its kind is.
    #[error("{} is longer than {limit} bytes; name another file", path.display())]
    TooLong {
        /// As given.
        path: PathBuf,
        /// In bytes.
        limit: u64,
    },
    /// Others can change it.
    #[error(transparent)]
    ChangeableByOthers(#[from] ChangeableByOthers),
}

/// Somebody else than this user and root can change a file, or put another one in its place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not used, since other users can change it: {}", path.display(), Reasons(reasons))]
pub struct ChangeableByOthers {
    /// As given.
    pub path: PathBuf,
    /// Of the file and of each folder and link on the way to it.
    pub reasons: Vec<Reason>,
}

/// Why one place on the way to a file is not safe. Displayed with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The file itself, or what is on the way to it.
    pub place: PathBuf,
    /// What stands there.
    pub kind: PlaceKind,
    /// What is wrong with it.
    pub weakness: Weakness,
}

/// What can stand on the way to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// The file itself, or another entry at the end of the way.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
}

/// What lets others change a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// It belongs to another user than the one that runs this, and not to root.
    Owner {
        /// Its owner's number.
        owner: u32,
        /// This user's.
        user: u32,
    },
    /// Its group or others may write to it.
    Mode(u32),
}

impl TrustedFile {
    /// Opens a file, following links. A relative path begins in the folder that the process is in. Blocks, like whatever
    /// opens files.
    ///
    /// # Errors
    /// When it cannot be opened, or when others can change it.
    pub fn open(path: &Path) -> Result<TrustedFile, TrustedFileError> {
        Self::open_as(path, Wanted::Anything)
    }

    /// The same, but only for what lies on a disk. A pipe or device is not opened, or at least not waited for.
    ///
    /// # Errors
    /// As [`Self::open`]; when it is another kind of file.
    pub fn open_plain(path: &Path) -> Result<TrustedFile, TrustedFileError> {
        Self::open_as(path, Wanted::PlainFile)
    }

    /// Judges the file or the folder at a path, and does not open it for reading. What is not there, and what cannot be reached, is not
    /// judged.
    ///
    /// # Errors
    /// Others can change it, or put something else in its place.
    pub fn judge(path: &Path) -> Result<(), ChangeableByOthers> {
        judge(path)
    }

    fn open_as(path: &Path, wanted: Wanted) -> Result<TrustedFile, TrustedFileError> {
        let unreadable = |reason| TrustedFileError::Unreadable { path: path.into(), reason };
        #[cfg(unix)]
        let (file, reasons) = way::open(path, rustix::process::geteuid().as_raw(), wanted).map_err(unreadable)?;
        #[cfg(not(unix))]
        let (file, reasons) = (File::open(path).map_err(unreadable)?, Vec::new());
        #[cfg(not(unix))]
        let _ = wanted;
        if reasons.is_empty() {
            Ok(TrustedFile { path: path.into(), file })
        } else {
            Err(ChangeableByOthers { path: path.into(), reasons }.into())
        }
    }

    /// The whole content.
    ///
    /// # Errors
    /// When it cannot be read, or has more than `limit` bytes.
    pub fn read(&mut self, limit: u64) -> Result<Vec<u8>, TrustedFileError> {
        let mut content = Vec::new();
        let read = (&self.file).take(limit.saturating_add(1)).read_to_end(&mut content);
        let length = read.map_err(|reason| TrustedFileError::Unreadable { path: self.path.clone(), reason })?;
        if length as u64 > limit { Err(TrustedFileError::TooLong { path: self.path.clone(), limit }) } else { Ok(content) }
    }

    /// Whether every user of this machine may read it. A group may: Debian's `ssl-cert` reads keys, and secrets that
    /// Kubernetes mounts belong to the pod's group.
    pub fn is_readable_by_everybody(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| is_readable_by_everybody(&metadata))
    }
}

/// The same for a file that is read elsewhere, or a folder of such files. What cannot be opened is not judged: nobody reads
/// it either.
pub(crate) fn judge(path: &Path) -> Result<(), ChangeableByOthers> {
    #[cfg(unix)]
    let reasons = way::judge(path, rustix::process::geteuid().as_raw()).unwrap_or_default();
    #[cfg(not(unix))]
    let reasons = Vec::new();
    if reasons.is_empty() { Ok(()) } else { Err(ChangeableByOthers { path: path.into(), reasons }) }
}

/// Of a plain file; a pipe is read by one.
pub(crate) fn is_readable_by_everybody(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    return metadata.is_file() && std::os::unix::fs::MetadataExt::mode(metadata) & OTHERS_READ != 0;
    #[cfg(not(unix))]
    return false;
}

struct Reasons<'a>(&'a [Reason]);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            reason.fmt(f)?;
        }
        Ok(())
    }
}
