//! The place of a list in a file, judged before anything is opened: by `serve` before it uses the file, and by `check` before that.
//!
//! 1. A regular file with a list, an empty one, or nothing. A pipe, a device or a folder is not opened: opening can wait or have effects.
//! 2. No symbolic link: what it leads to has not been judged.
//! 3. No other user can change the file, or put another one in its place.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, OFlags, accessat};
use vestibule_wasmtime::{ChangeableByOthers, TrustedFile};

/// What a database of `redb` begins with, and no text does (redb, docs/design.md, "Super-header").
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// Why a place is not used for a list. Displayed with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Nothing can change that but another place.
    #[error("{} is {kind}, not a regular file; name a file in a folder of Vestibule's own", path.display())]
    Kind { path: PathBuf, kind: &'static str },
    #[error("{} is not a store, and Vestibule does not overwrite it; name a file that is not there yet", path.display())]
    OtherContent { path: PathBuf },
    #[error("the folder {} is not there; make it for the user that runs Vestibule", path.display())]
    NoFolder { path: PathBuf },
    #[error(transparent)]
    Changeable(#[from] ChangeableByOthers),
    #[error("{} cannot be used by this user: {reason}; give it to the user that runs Vestibule, and run this as that user", path.display())]
    Access { path: PathBuf, reason: io::Error },
}

impl Unusable {
    /// Whether it is the same for every user of the machine, and on any other machine.
    pub fn is_for_everybody(&self) -> bool {
        matches!(self, Self::Kind { .. } | Self::OtherContent { .. })
    }
}

impl From<Unusable> for io::Error {
    fn from(unusable: Unusable) -> Self {
        Self::other(unusable)
    }
}

/// Judges a place, and changes nothing.
///
/// # Errors
/// It is not used for a list.
pub fn judge(path: &Path) -> Result<(), Unusable> {
    let of_path = |path: &Path, reason| Unusable::Access { path: path.to_owned(), reason };
    match path.symlink_metadata() {
        Ok(found) if found.is_file() => judge_file(path),
        Ok(found) => Err(Unusable::Kind { path: path.to_owned(), kind: kind(found.file_type()) }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => judge_folder(path.parent().unwrap_or(Path::new("/"))),
        Err(error) => Err(of_path(path, error)),
    }
}

/// How a file for a list is opened: no link, and no waiting for a pipe, which may have taken its place since it was judged.
pub fn open_flags() -> io::Result<i32> {
    i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).map_err(io::Error::other)
}

/// Whether what was opened is a regular file.
///
/// # Errors
/// It is something else.
pub fn judge_open(path: &Path, file: &File) -> io::Result<()> {
    let kind = kind(file.metadata()?.file_type());
    if kind == REGULAR { Ok(()) } else { Err(Unusable::Kind { path: path.to_owned(), kind }.into()) }
}

fn judge_file(path: &Path) -> Result<(), Unusable> {
    TrustedFile::judge(path)?;
    let access = |reason: io::Error| Unusable::Access { path: path.to_owned(), reason };
    may(path, Access::READ_OK | Access::WRITE_OK).map_err(access)?;
    let mut file = fs::OpenOptions::new().read(true).custom_flags(open_flags().map_err(access)?).open(path).map_err(access)?;
    judge_open(path, &file).map_err(access)?;
    let mut begin = Vec::new();
    (&mut file).take(MAGIC.len() as u64).read_to_end(&mut begin).map_err(access)?;
    // A process that is killed while it makes the file leaves it empty.
    if begin.is_empty() || begin == MAGIC { Ok(()) } else { Err(Unusable::OtherContent { path: path.to_owned() }) }
}

/// Of a file that is not there.
fn judge_folder(path: &Path) -> Result<(), Unusable> {
    match fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Unusable::NoFolder { path: path.to_owned() }),
        Err(reason) => return Err(Unusable::Access { path: path.to_owned(), reason }),
    }
    TrustedFile::judge(path)?;
    may(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).map_err(|reason| Unusable::Access { path: path.to_owned(), reason })
}

fn may(path: &Path, access: Access) -> io::Result<()> {
    Ok(accessat(CWD, path, access, AtFlags::EACCESS)?)
}

const REGULAR: &str = "a regular file";

fn kind(file: fs::FileType) -> &'static str {
    match file {
        _ if file.is_file() => REGULAR,
        _ if file.is_dir() => "a folder",
        _ if file.is_symlink() => "a symbolic link",
        _ if file.is_fifo() => "a pipe",
        _ if file.is_socket() => "a socket",
        _ => "a device",
    }
}
