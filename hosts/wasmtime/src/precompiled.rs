//! Compiled code on disk, so that a second start takes milliseconds.
//!
//! Compiled code is native code: whoever can write it can run anything as the user that loads it. Therefore
//!
//! 1. only a folder is used that belongs to the user this runs as, that nobody else may write to, and that is no link;
//! 2. so must be the file itself, and it must be a plain file;
//! 3. both are checked as they were opened, not by their paths, which may lead elsewhere a moment later;
//! 4. files are written beside their place and renamed into it: no reader sees half a file;
//! 5. a file begins with a digest of what it holds and of what it was made for: Wasmtime takes compiled code at its word, so
//!    that a file which a disk or a copy has damaged would be run. One that is not what was stored is compiled again and
//!    replaced.

#[cfg(unix)]
mod folder;
#[cfg(not(unix))]
#[path = "precompiled/no_folder.rs"]
mod folder;

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use folder::Folder;

use crate::runtime::Runtime;

/// What a file begins with; then come the digest and the compiled code. Another number for another form.
const FORM: &[u8] = b"vestibule compiled component 1\n";

const DIGEST_BYTES: usize = 32;

/// Ours has some ten MiB.
const MAX_FILE_BYTES: u64 = 512 << 20;

pub(crate) struct PrecompiledCache<'a> {
    folder: &'a Path,
}

/// Why the cache is passed over.
#[derive(Debug, thiserror::Error)]
enum CacheError {
    #[error("{}: {reason}", path.display())]
    Io { path: PathBuf, reason: io::Error },
    #[error("another user can write to {}; run `chmod go-w` on it, and make this user its owner", .0.display())]
    Unsafe(PathBuf),
    #[error("{} cannot be loaded: {reason}", path.display())]
    Unloadable { path: PathBuf, reason: String },
    #[cfg(not(unix))]
    #[error("this system does not tell which users can write to a folder")]
    Unsupported,
}

impl<'a> PrecompiledCache<'a> {
    pub(crate) fn new(folder: &'a Path) -> Self {
        PrecompiledCache { folder }
    }

    /// Compiles when the cache has no usable entry. Trouble with the cache is logged, never an error.
    pub(crate) fn load_or_compile(&self, runtime: &Runtime, component: &[u8]) -> wasmtime::Result<Component> {
        let entry = entry_name(runtime.engine(), component);
        match self.load(runtime.engine(), &entry) {
            Ok(Some(component)) => return Ok(component),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(code = "cache.unusable", "the component is compiled anew, since its cache cannot be used: {error}")
            }
        }
        let (component, compiled) = compile(runtime, component)?;
        if let Err(error) = self.store(&compiled, &entry) {
            tracing::warn!(code = "cache.not_written", "the next start compiles the component again: {error}");
        }
        Ok(component)
    }

    /// None when there is no entry.
    #[expect(unsafe_code, reason = "Wasmtime cannot check compiled code; see SAFETY")]
    fn load(&self, engine: &Engine, entry: &str) -> Result<Option<Component>, CacheError> {
        let Some(folder) = Folder::open(self.folder)? else { return Ok(None) };
        let Some(file) = folder.read(entry, MAX_FILE_BYTES)? else { return Ok(None) };
        let unloadable = |reason: String| CacheError::Unloadable { path: self.folder.join(entry), reason };
        let compiled = content(&file, entry).ok_or_else(|| unloadable("it is damaged, or another program's".into()))?;
        // SAFETY: the bytes must be what `Component::serialize` gave. Only this user can have written them (the folder
        // and the file are ours and nobody else may write to them, checked on the descriptors that they were read
        // from), under a name that only `store` uses, which renames whole files into place; and they are what it stored,
        // for this component and these settings of the engine, by the digest in front of them. Wasmtime checks its own
        // version, the target and the processor again.
        unsafe { Component::deserialize(engine, compiled) }.map(Some).map_err(|error| unloadable(format!("{error:#}")))
    }

    fn store(&self, compiled: &[u8], entry: &str) -> Result<(), CacheError> {
        Folder::make(self.folder)?.write(entry, &[FORM, &digest(entry, compiled), compiled])
    }
}

/// The compiled code in a file, when it is what was stored under this name.
fn content<'a>(file: &'a [u8], entry: &str) -> Option<&'a [u8]> {
    let (told, compiled) = file.strip_prefix(FORM)?.split_at_checked(DIGEST_BYTES)?;
    (told == digest(entry, compiled)).then_some(compiled)
}

/// `entry` stands for the component and the settings of the engine.
fn digest(entry: &str, compiled: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::new().chain_update(FORM).chain_update(entry).chain_update([0]).chain_update(compiled).finalize().into()
}

/// The component, and what to store of it.
#[expect(unsafe_code, reason = "Wasmtime cannot check compiled code; see SAFETY")]
pub(crate) fn compile(runtime: &Runtime, component: &[u8]) -> wasmtime::Result<(Component, Vec<u8>)> {
    tracing::info!(code = "component.compiling", "compiling the component, which takes some seconds");
    let compiled = runtime.compile(component)?;
    // SAFETY: the bytes must be what Wasmtime compiled; it has just done so, in this process.
    let component = unsafe { Component::deserialize(runtime.engine(), &compiled) }?;
    Ok((component, compiled))
}

/// Differs whenever the component, Wasmtime's version or a setting of the engine differs.
fn entry_name(engine: &Engine, component: &[u8]) -> String {
    let digest = Sha256::new().chain_update(Sha256::digest(component)).chain_update(settings_digest(engine));
    let mut name = String::with_capacity(64 + 6);
    for byte in digest.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name.push_str(".cwasm");
    name
}

/// Differs whenever Wasmtime's version or a setting of the engine differs that compiled code depends on.
pub(crate) fn settings_digest(engine: &Engine) -> [u8; DIGEST_BYTES] {
    let mut digest = Sha256::new();
    engine.precompile_compatibility_hash().hash(&mut DigestHasher(&mut digest));
    digest.finalize().into()
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
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::runtime::RuntimeOptions;

    const COMPONENT: &str = "(component)";

    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new(&RuntimeOptions::default()).unwrap());

    fn component() -> Vec<u8> {
        wat::parse_str(COMPONENT).unwrap()
    }

    fn entries(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn load(cache: &PrecompiledCache<'_>, entry: &Path) -> Result<Option<Component>, CacheError> {
        cache.load(RUNTIME.engine(), entry.file_name().unwrap().to_str().unwrap())
    }

    #[test]
    fn the_name_follows_component_and_settings() {
        let other = Engine::new(wasmtime::Config::new().compiler_inlining(wasmtime::Inlining::No)).unwrap();
        let name = entry_name(RUNTIME.engine(), b"one");
        assert_eq!(name, entry_name(RUNTIME.engine(), b"one"));
        assert_ne!(name, entry_name(RUNTIME.engine(), b"two"));
        assert_ne!(name, entry_name(&other, b"one"));
    }

    #[test]
    fn a_second_load_takes_the_file_and_leaves_it_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        let cache = PrecompiledCache::new(&folder);
        cache.load_or_compile(&RUNTIME, &component()).unwrap();
        let [entry] = &entries(&folder)[..] else { panic!("one file, no leftovers") };
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(entry).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(load(&cache, entry).unwrap().is_some());
    }

    #[test]
    fn a_link_to_a_folder_is_neither_read_nor_written() {
        let parent = tempfile::tempdir().unwrap();
        let (folder, link) = (parent.path().join("cache"), parent.path().join("link"));
        PrecompiledCache::new(&folder).load_or_compile(&RUNTIME, &component()).unwrap();
        let entry = entries(&folder).remove(0);
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        let cache = PrecompiledCache::new(&link);
        assert!(matches!(load(&cache, &entry), Err(CacheError::Io { path, .. }) if path == link));
        fs::remove_file(&entry).unwrap();
        cache.load_or_compile(&RUNTIME, &component()).unwrap();
        assert!(entries(&folder).is_empty());
    }

    #[test]
    fn an_entry_that_is_no_plain_file_is_not_read() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        let cache = PrecompiledCache::new(&folder);
        cache.load_or_compile(&RUNTIME, &component()).unwrap();
        let entry = entries(&folder).remove(0);
        let elsewhere = parent.path().join("elsewhere");
        fs::rename(&entry, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &entry).unwrap();
        assert!(matches!(load(&cache, &entry), Err(CacheError::Io { path, .. }) if path == entry));
        fs::remove_file(&entry).unwrap();
        fs::create_dir(&entry).unwrap();
        assert!(matches!(load(&cache, &entry), Err(CacheError::Unsafe(path)) if path == entry));
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_neither_read_nor_written() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        let cache = PrecompiledCache::new(&folder);
        cache.load_or_compile(&RUNTIME, &component()).unwrap();
        let entry = entries(&folder).remove(0);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(load(&cache, &entry), Err(CacheError::Unsafe(path)) if path == folder));
        fs::remove_file(&entry).unwrap();
        cache.load_or_compile(&RUNTIME, &component()).unwrap();
        assert!(entries(&folder).is_empty());
    }

    #[test]
    fn a_file_that_others_may_write_to_is_not_read() {
        let parent = tempfile::tempdir().unwrap();
        let cache = PrecompiledCache::new(parent.path());
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o700)).unwrap();
        cache.load_or_compile(&RUNTIME, &component()).unwrap();
        let entry = entries(parent.path()).remove(0);
        fs::set_permissions(&entry, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(load(&cache, &entry), Err(CacheError::Unsafe(path)) if path == entry));
    }

    /// Writes a file as another program could leave it, and expects the cache to compile anew and to replace it.
    fn expect_replaced(cache: &PrecompiledCache<'_>, entry: &Path, content: &[u8], what: &str) {
        fs::write(entry, content).unwrap();
        fs::set_permissions(entry, fs::Permissions::from_mode(0o600)).unwrap();
        let loaded = load(cache, entry);
        assert!(matches!(&loaded, Err(CacheError::Unloadable { path, .. }) if path == entry), "{what}: {:?}", loaded.map(|_| ()));
        cache.load_or_compile(&RUNTIME, &component()).unwrap();
        assert!(load(cache, entry).unwrap().is_some(), "{what}: not replaced");
    }

    #[test]
    fn a_damaged_file_is_compiled_again_and_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        let cache = PrecompiledCache::new(&folder);
        cache.load_or_compile(&RUNTIME, &component()).unwrap();
        let entry = entries(&folder).remove(0);
        let whole = fs::read(&entry).unwrap();
        let code = &whole[FORM.len() + DIGEST_BYTES..];
        let name = entry.file_name().unwrap().to_str().unwrap();

        let header_of_elf = [&whole[..FORM.len() + DIGEST_BYTES], &code[..64], &vec![0xa5; code.len() - 64]].concat();
        let of_another_entry = [FORM, &digest("other", code), code].concat();
        let of_another_form = [&b"vestibule compiled component 2\n"[..], &digest(name, code), code].concat();
        let cases: [(&str, &[u8]); 9] = [
            ("empty", b""),
            ("no header", b"damaged"),
            ("a header alone", FORM),
            ("half a digest", &whole[..FORM.len() + 7]),
            ("without code", &whole[..FORM.len() + DIGEST_BYTES]),
            ("as it was before there were digests", code),
            ("random behind the header of an ELF file", &header_of_elf),
            ("for another component or engine", &of_another_entry),
            ("of another form", &of_another_form),
        ];
        for (what, content) in cases {
            expect_replaced(&cache, &entry, content, what);
        }
        for length in (0..whole.len()).step_by(whole.len() / 64) {
            expect_replaced(&cache, &entry, &whole[..length], &format!("cut off at {length}"));
        }
        for added in [&[0][..], &whole] {
            expect_replaced(&cache, &entry, &[&whole, added].concat(), "longer");
        }
        // As a crash of the machine leaves a file whose length was written before its content.
        expect_replaced(&cache, &entry, &vec![0; whole.len()], "zeros");
    }

    #[test]
    fn any_bit_that_changes_is_noticed() {
        let compiled = compile(&RUNTIME, &component()).unwrap().1;
        let whole = [FORM, &digest("entry", &compiled), &compiled].concat();
        assert_eq!(content(&whole, "entry"), Some(&compiled[..]));
        assert_eq!(content(&whole, "entrz"), None);
        let mut damaged = whole.clone();
        // Each bit of the head, and one in each byte of the code.
        let head = 8 * (FORM.len() + DIGEST_BYTES);
        for bit in (0..head).chain((head..8 * whole.len()).step_by(9 * 8 + 1)) {
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(content(&damaged, "entry"), None, "bit {bit}");
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn what_another_engine_compiled_is_not_loaded_even_with_a_digest() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        let cache = PrecompiledCache::new(&folder);
        let entry = entry_name(RUNTIME.engine(), &component());
        let mut settings = wasmtime::Config::new();
        settings.wasm_component_model_async(true).epoch_interruption(false);
        let foreign = Engine::new(&settings).unwrap().precompile_component(&component()).unwrap();
        for compiled in [&foreign[..], b"\x7fELF, and then nothing", b""] {
            cache.store(compiled, &entry).unwrap();
            expect_replaced(&cache, &folder.join(&entry), &fs::read(folder.join(&entry)).unwrap(), "another engine's");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_bytes_but_those_that_were_stored_are_content(compiled: Vec<u8>, bytes: Vec<u8>, at: prop::sample::Index, keep_head: bool) {
            let whole = [FORM, &digest("entry", &compiled), &compiled].concat();
            let mut damaged = whole.clone();
            let from = if keep_head { FORM.len() } else { 0 };
            damaged.splice(from + at.index(whole.len() - from).., bytes);
            prop_assert_eq!(content(&damaged, "entry").is_some(), damaged == whole);
        }
    }
}
