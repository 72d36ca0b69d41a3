//! Compiled code on disk, so that a second start takes milliseconds.
//!
//! Compiled code is native code: whoever can write it can run anything as the user that loads it. Therefore
//!
//! 1. only a folder is used that belongs to the user this runs as, and that nobody else may write to;
//! 2. so must be the file itself, and it must be a plain file;
//! 3. files are written elsewhere in the folder and renamed into place: no reader sees half a file, and a file that
//!    is mapped into a process is never changed.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

pub(crate) struct PrecompiledCache<'a> {
    folder: &'a Path,
}

/// Why the cache is passed over.
#[derive(Debug, thiserror::Error)]
enum CacheError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} may be written by somebody else; run `chmod go-w` on it, and own it", .0.display())]
    Unsafe(PathBuf),
    #[error("{} cannot be loaded: {reason}", path.display())]
    Unloadable { path: PathBuf, reason: String },
    #[error("the component cannot be serialized: {0}")]
    Unserializable(String),
    #[cfg(not(unix))]
    #[error("who may write to a folder is not known on this system")]
    Unsupported,
}

impl<'a> PrecompiledCache<'a> {
    pub(crate) fn new(folder: &'a Path) -> Self {
        PrecompiledCache { folder }
    }

    /// Compiles when the cache has no usable entry. Trouble with the cache is logged, never an error.
    pub(crate) fn load_or_compile(&self, engine: &Engine, component: &[u8]) -> wasmtime::Result<Component> {
        let entry = self.folder.join(entry_name(engine, component));
        match self.load(engine, &entry) {
            Ok(Some(component)) => return Ok(component),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(code = "cache.unusable", "the component is compiled anew, since its cache cannot be used: {error}")
            }
        }
        let component = Component::from_binary(engine, component)?;
        if let Err(error) = self.store(&component, &entry) {
            tracing::warn!(code = "cache.not_written", "the next start compiles the component again: {error}");
        }
        Ok(component)
    }

    /// None when there is no entry.
    #[expect(unsafe_code, reason = "Wasmtime cannot check compiled code; see SAFETY")]
    fn load(&self, engine: &Engine, entry: &Path) -> Result<Option<Component>, CacheError> {
        match entry.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_error(entry, source)),
            Ok(metadata) if !metadata.is_file() => return Err(CacheError::Unsafe(entry.into())),
            Ok(metadata) => refuse_foreign_writers(entry, &metadata)?,
        }
        self.check_folder()?;
        // SAFETY: the file must be what `Component::serialize` wrote, and must not change while it is mapped. Only
        // this user can have put it there (the folder and the file are ours and nobody else may write to them, just
        // checked), under a name that only `store` uses, and `store` replaces whole files by renaming. Its name
        // holds the hash of the component and of the engine's settings; Wasmtime checks its own version again.
        unsafe { Component::deserialize_file(engine, entry) }
            .map(Some)
            .map_err(|error| CacheError::Unloadable { path: entry.into(), reason: format!("{error:#}") })
    }

    fn store(&self, component: &Component, entry: &Path) -> Result<(), CacheError> {
        self.make_folder()?;
        self.check_folder()?;
        let compiled = component.serialize().map_err(|error| CacheError::Unserializable(format!("{error:#}")))?;
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(self.folder)?;
            file.write_all(&compiled)?;
            file.as_file().sync_all()?;
            file.persist(entry).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| io_error(entry, source))
    }

    fn make_folder(&self) -> Result<(), CacheError> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(self.folder).map_err(|source| io_error(self.folder, source))
    }

    fn check_folder(&self) -> Result<(), CacheError> {
        let metadata = self.folder.metadata().map_err(|source| io_error(self.folder, source))?;
        refuse_foreign_writers(self.folder, &metadata)
    }
}

fn io_error(path: &Path, source: io::Error) -> CacheError {
    CacheError::Io { path: path.into(), source }
}

#[cfg(unix)]
fn refuse_foreign_writers(path: &Path, metadata: &std::fs::Metadata) -> Result<(), CacheError> {
    use std::os::unix::fs::MetadataExt;

    const WRITABLE_BY_OTHERS: u32 = 0o022;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if ours && metadata.mode() & WRITABLE_BY_OTHERS == 0 { Ok(()) } else { Err(CacheError::Unsafe(path.into())) }
}

#[cfg(not(unix))]
fn refuse_foreign_writers(_: &Path, _: &std::fs::Metadata) -> Result<(), CacheError> {
    Err(CacheError::Unsupported)
}

/// Differs whenever the component, Wasmtime's version or a setting of the engine differs.
fn entry_name(engine: &Engine, component: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update(Sha256::digest(component));
    let mut settings = DigestHasher(&mut digest);
    engine.precompile_compatibility_hash().hash(&mut settings);
    let mut name = String::with_capacity(64 + 6);
    for byte in digest.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name.push_str(".cwasm");
    name
}

/// Feeds what is hashed into a digest: the standard library's hasher is not the same in every build.
struct DigestHasher<'a>(&'a mut Sha256);

impl Hasher for DigestHasher<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the digest is the result.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const COMPONENT: &str = "(component)";

    fn engine() -> Engine {
        Engine::default()
    }

    fn component() -> Vec<u8> {
        wat::parse_str(COMPONENT).unwrap()
    }

    fn entries(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn the_name_follows_component_and_settings() {
        let inlining = Engine::new(wasmtime::Config::new().compiler_inlining(wasmtime::Inlining::Yes)).unwrap();
        let name = entry_name(&engine(), b"one");
        assert_eq!(name, entry_name(&engine(), b"one"));
        assert_ne!(name, entry_name(&engine(), b"two"));
        assert_ne!(name, entry_name(&inlining, b"one"));
    }

    #[test]
    fn a_second_load_takes_the_file_and_leaves_it_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        let cache = PrecompiledCache::new(&folder);
        cache.load_or_compile(&engine(), &component()).unwrap();
        let [entry] = &entries(&folder)[..] else { panic!("one file, no leftovers") };
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(entry).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(cache.load(&engine(), entry).unwrap().is_some());
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_neither_read_nor_written() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        let cache = PrecompiledCache::new(&folder);
        cache.load_or_compile(&engine(), &component()).unwrap();
        let entry = entries(&folder).remove(0);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(cache.load(&engine(), &entry), Err(CacheError::Unsafe(path)) if path == folder));
        fs::remove_file(&entry).unwrap();
        cache.load_or_compile(&engine(), &component()).unwrap();
        assert!(entries(&folder).is_empty());
    }

    #[test]
    fn a_file_that_others_may_write_to_is_not_read() {
        let parent = tempfile::tempdir().unwrap();
        let cache = PrecompiledCache::new(parent.path());
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o700)).unwrap();
        cache.load_or_compile(&engine(), &component()).unwrap();
        let entry = entries(parent.path()).remove(0);
        fs::set_permissions(&entry, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(cache.load(&engine(), &entry), Err(CacheError::Unsafe(path)) if path == entry));
    }

    #[test]
    fn a_damaged_file_is_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let cache = PrecompiledCache::new(parent.path());
        let entry = parent.path().join(entry_name(&engine(), &component()));
        fs::write(&entry, b"damaged").unwrap();
        fs::set_permissions(&entry, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(cache.load(&engine(), &entry), Err(CacheError::Unloadable { .. })));
        cache.load_or_compile(&engine(), &component()).unwrap();
        assert!(cache.load(&engine(), &entry).unwrap().is_some());
    }
}
