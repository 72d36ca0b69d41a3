//! The cache's folder, held open: what was checked is what is used, whatever becomes of the path meanwhile.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat};

use super::CacheError;

/// No link, and no waiting for whoever writes to a pipe.
const SAFE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

pub(super) struct Folder {
    path: PathBuf,
    descriptor: OwnedFd,
}

impl Folder {
    /// None when there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Folder>, CacheError> {
        let descriptor = match openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | SAFE, Mode::empty()) {
            Ok(descriptor) => File::from(descriptor),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(source) => return Err(failed(path, source)),
        };
        let metadata = descriptor.metadata().map_err(|source| failed(path, source))?;
        refuse_foreign_writers(path, &metadata)?;
        Ok(Some(Folder { path: path.into(), descriptor: descriptor.into() }))
    }

    /// Makes it, for this user alone, where there is none.
    pub(super) fn make(path: &Path) -> Result<Folder, CacheError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| failed(path, source))?;
        Folder::open(path)?.ok_or_else(|| failed(path, io::Error::from(io::ErrorKind::NotFound)))
    }

    /// The content of a plain file that only this user can have written; none when there is none.
    pub(super) fn read(&self, name: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, CacheError> {
        let path = self.path.join(name);
        let file = match openat(&self.descriptor, name, OFlags::RDONLY | SAFE, Mode::empty()) {
            Ok(descriptor) => File::from(descriptor),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(source) => return Err(failed(&path, source)),
        };
        let metadata = file.metadata().map_err(|source| failed(&path, source))?;
        if !metadata.is_file() {
            return Err(CacheError::Unsafe(path));
        }
        refuse_foreign_writers(&path, &metadata)?;
        let mut content = Vec::new();
        let length = file.take(max_bytes.saturating_add(1)).read_to_end(&mut content).map_err(|source| failed(&path, source))?;
        if length as u64 > max_bytes { Err(failed(&path, io::Error::from(io::ErrorKind::FileTooLarge))) } else { Ok(Some(content)) }
    }

    /// Puts a whole file of these parts there, in place of another of this name.
    pub(super) fn write(&self, name: &str, parts: &[&[u8]]) -> Result<(), CacheError> {
        // Of a name that nobody else has: two may write at the same time.
        let number = getrandom::u64().map_err(|error| failed(&self.path, io::Error::other(error.to_string())))?;
        let unfinished = format!("{name}.{number:016x}");
        let write = || -> io::Result<()> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | SAFE;
            let mut file = File::from(openat(&self.descriptor, &*unfinished, flags, Mode::RUSR | Mode::WUSR)?);
            parts.iter().try_for_each(|part| file.write_all(part))?;
            file.sync_all()?;
            Ok(renameat(&self.descriptor, &*unfinished, &self.descriptor, name)?)
        };
        write().map_err(|source| {
            // It may not even be there.
            let _ = unlinkat(&self.descriptor, &*unfinished, AtFlags::empty());
            failed(&self.path.join(name), source)
        })
    }
}

fn refuse_foreign_writers(path: &Path, metadata: &Metadata) -> Result<(), CacheError> {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if ours && metadata.mode() & WRITABLE_BY_OTHERS == 0 { Ok(()) } else { Err(CacheError::Unsafe(path.into())) }
}

fn failed(path: &Path, reason: impl Into<io::Error>) -> CacheError {
    CacheError::Io { path: path.into(), reason: reason.into() }
}
