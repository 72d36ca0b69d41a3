//! A component that a program carries, with the code that was compiled of it when the program was built.
//!
//! Compiled code is native code, and Wasmtime takes it at its word. Therefore
//!
//! 1. the code stands in the program's own executable memory: who can change it can change the program. The system maps it
//!    from the program's file, so that nothing is copied, and no memory becomes executable that was writable, which systemd's
//!    `MemoryDenyWriteExecute=` forbids;
//! 2. it is compiled for a family of processors ([`FAMILY`]), not for the one that compiles. A processor that lacks something
//!    of it is told before any of the code runs;
//! 3. a seal has the digests of component and code, and one of the engine's settings. A program that a disk or a copy has
//!    damaged, or that was built of parts that do not belong together, does not run the code.

use std::ptr::NonNull;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wasmtime::{Config, CustomCodeMemory, Engine};

use crate::error::ComponentError;
use crate::precompiled;
use crate::runtime::{Runtime, RuntimeOptions};

/// What a seal begins with. Another number for another form.
const FORM: &[u8] = b"vestibule carried component 2\n";

const DIGEST_BYTES: usize = 32;

/// No page of a supported system is smaller, and Wasmtime aligns code to no less.
const PAGE_BYTES: usize = 4096;

/// Of processors, what compiled code is for: Intel's since Haswell (2013), AMD's since Excavator (2015).
#[cfg(target_arch = "x86_64")]
const FAMILY: &str = "x86-64-v3";
/// All of them.
#[cfg(target_arch = "aarch64")]
const FAMILY: &str = "ARMv8-A";
/// The one that compiles.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const FAMILY: &str = "the processor that it was compiled on";

/// A component and the code that was compiled of it, both parts of the running program. Made by a program that is linked with
/// what [`Carried::make`] gave; empty in one that is linked with nothing.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    component: &'static [u8],
    code: &'static [u8],
    seal: &'static [u8],
}

/// What to link a program with, for [`Carried::new`].
#[derive(Debug)]
pub struct CarriedParts {
    /// Compiled code, to be placed in executable memory.
    pub code: Vec<u8>,
    /// What holds both together.
    pub seal: Vec<u8>,
}

impl Carried {
    /// Of a program that carries nothing.
    pub const NONE: Carried = Carried { component: &[], code: &[], seal: &[] };

    /// Of the parts that the program was linked with; all three are empty in a program that carries nothing.
    ///
    /// # Safety
    /// `code` begins at a page of 4,096 bytes, in memory that is executable, and that nothing writes to as long as the
    /// program runs. `code` and `seal`, if they are not empty, are what [`Carried::make`] gave.
    #[expect(unsafe_code, reason = "the caller answers for the memory that the code is in")]
    pub const unsafe fn new(component: &'static [u8], code: &'static [u8], seal: &'static [u8]) -> Self {
        Carried { component, code, seal }
    }

    /// Whether the program was linked with nothing.
    pub const fn is_empty(&self) -> bool {
        self.component.is_empty()
    }

    /// Compiles a component for a program to carry: for the family of the processor that this runs on.
    ///
    /// # Errors
    /// When the bytes are no component.
    pub fn make(component: &[u8]) -> Result<CarriedParts, ComponentError> {
        let invalid = |error: wasmtime::Error| ComponentError::Invalid(format!("{error:#}"));
        let engine = Engine::new(&family_config().map_err(invalid)?).map_err(invalid)?;
        let code = engine.precompile_component(component).map_err(invalid)?;
        let runtime = Runtime::for_executable(&RuntimeOptions::default(), executable(&[])).map_err(|error| {
            // Of the same machine: it compiles, and so it has an engine.
            ComponentError::Failed(error.to_string())
        })?;
        let seal = seal(&runtime, &engine, component, &code);
        Ok(CarriedParts { code, seal })
    }

    /// Whether these parts are what [`Carried::make`] would make of the component, so that it need not be compiled again.
    pub fn is_current(component: &[u8], code: &[u8], sealed: &[u8]) -> bool {
        let runtime = Runtime::for_executable(&RuntimeOptions::default(), executable(&[])).ok();
        let compiler = family_config().and_then(|config| Engine::new(&config)).ok();
        let engines = runtime.zip(compiler).filter(|_| !code.is_empty());
        engines.is_some_and(|(runtime, compiler)| seal(&runtime, &compiler, component, code) == sealed)
    }

    /// The component itself, when it is as it was sealed.
    ///
    /// # Errors
    /// [`ComponentError::Damaged`].
    pub fn component(&self) -> Result<&'static [u8], ComponentError> {
        let sealed = self.seal.strip_prefix(FORM).and_then(|digests| digests.get(..DIGEST_BYTES));
        if sealed == Some(&Sha256::digest(self.component)[..]) { Ok(self.component) } else { Err(ComponentError::Damaged) }
    }

    /// The engine for the code, and the code in it.
    pub(crate) fn load(&self, options: &RuntimeOptions) -> Result<(Runtime, Component), ComponentError> {
        if self.code.is_empty() {
            return Err(ComponentError::OtherEngine);
        }
        let lacking = lacking(&features());
        if !lacking.is_empty() {
            return Err(ComponentError::OtherProcessor { family: FAMILY, lacking: lacking.join(", ") });
        }
        let runtime = Runtime::for_executable(options, executable(self.code)).map_err(|error| ComponentError::Failed(error.to_string()))?;
        let digests = self.seal.strip_prefix(FORM).and_then(|digests| digests.as_chunks::<DIGEST_BYTES>().0.get(1..)).unwrap_or_default();
        match digests {
            [settings, ..] if *settings != settings_digest(&runtime) => return Err(ComponentError::OtherEngine),
            [_, code, _] if code[..] == Sha256::digest(self.code)[..] => {}
            _ => return Err(ComponentError::Damaged),
        }
        // The code of another component is whole as well.
        self.component()?;
        let component = self.deserialize(runtime.engine()).map_err(|error| ComponentError::Unlinkable(format!("{error:#}")))?;
        Ok((runtime, component))
    }

    #[expect(unsafe_code, reason = "Wasmtime cannot check compiled code; see SAFETY")]
    fn deserialize(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: the bytes are what `make` gave, by the digest in the seal, which `load` has compared, and by the contract of
        // `new`. They live as long as the program and are never written to, by the same contract: the library has them as a
        // shared reference only. Wasmtime checks its version, the target and the processor again.
        unsafe { Component::deserialize_raw(engine, NonNull::from(self.code)) }
    }
}

/// The digests of the component, of the engine's settings, of the code, and of the settings that it was compiled with.
fn seal(runtime: &Runtime, compiler: &Engine, component: &[u8], code: &[u8]) -> Vec<u8> {
    let compiled_with = precompiled::settings_digest(compiler);
    [FORM, &Sha256::digest(component), &settings_digest(runtime), &Sha256::digest(code), &compiled_with].concat()
}

/// Of an engine that compiles nothing, whose settings do not name the system.
fn settings_digest(runtime: &Runtime) -> [u8; DIGEST_BYTES] {
    let system = [std::env::consts::ARCH, std::env::consts::OS].join(" ");
    Sha256::new().chain_update(precompiled::settings_digest(runtime.engine())).chain_update(system).finalize().into()
}

/// Code that is executable already, because the program itself is.
struct Executable(std::ops::Range<usize>);

fn executable(code: &'static [u8]) -> Arc<dyn CustomCodeMemory> {
    let begins = code.as_ptr().addr();
    Arc::new(Executable(begins..begins + code.len()))
}

impl CustomCodeMemory for Executable {
    fn required_alignment(&self) -> usize {
        PAGE_BYTES
    }

    /// Nothing else becomes executable in an engine like this.
    fn publish_executable(&self, code: *const u8, length: usize) -> wasmtime::Result<()> {
        let begins = code.addr();
        let is_carried = self.0.contains(&begins) && begins.checked_add(length).is_some_and(|ends| ends <= self.0.end);
        if is_carried { Ok(()) } else { Err(wasmtime::Error::msg("this engine runs the code that the program carries, and no other")) }
    }

    fn unpublish_executable(&self, _: *const u8, _: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}

/// Something that compiled code uses: Cranelift's name for it, the processors' name, and whether this one has it.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only there the family has extensions"))]
struct Feature {
    flag: &'static str,
    name: &'static str,
    is_there: bool,
}

/// The extensions of x86-64-v3 that Cranelift uses.
#[cfg(target_arch = "x86_64")]
fn features() -> Vec<Feature> {
    macro_rules! features {
        ($($flag:literal $name:tt),+ $(,)?) => {
            vec![$(Feature { flag: $flag, name: $name, is_there: std::arch::is_x86_feature_detected!($name) }),+]
        };
    }
    features! {
        "has_sse3" "sse3", "has_ssse3" "ssse3", "has_sse41" "sse4.1", "has_sse42" "sse4.2", "has_popcnt" "popcnt",
        "has_avx" "avx", "has_avx2" "avx2", "has_fma" "fma", "has_bmi1" "bmi1", "has_bmi2" "bmi2", "has_lzcnt" "lzcnt",
    }
}

/// None that not all have.
#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<Feature> {
    Vec::new()
}

fn lacking(features: &[Feature]) -> Vec<&'static str> {
    features.iter().filter(|feature| !feature.is_there).map(|feature| feature.name).collect()
}

/// For this system and the family of its processors.
#[expect(unsafe_code, reason = "flags of Cranelift are not checked; see SAFETY")]
fn family_config() -> wasmtime::Result<Config> {
    let mut config = Runtime::compiler_config();
    // Named, a target has no extensions but those that are asked for.
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        let system = if cfg!(target_vendor = "apple") { "apple-darwin" } else { "unknown-linux-gnu" };
        config.target(&format!("{}-{system}", std::env::consts::ARCH))?;
    }
    for feature in features() {
        // SAFETY: a wrong flag makes code that does not do what it should. These name extensions of the processor and change
        // nothing else; code that uses one is not loaded where it is not there.
        unsafe { config.cranelift_flag_enable(feature.flag) };
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_that_lacks_something_is_told_what() {
        let features = [("one", true), ("two", false), ("three", false)].map(|(name, is_there)| Feature { flag: "has_it", name, is_there });
        assert_eq!(lacking(&features), ["two", "three"]);
    }

    #[test]
    fn parts_are_current_until_component_code_or_seal_change() {
        let component = wat::parse_str("(component)").unwrap();
        let CarriedParts { code, seal } = Carried::make(&component).unwrap();
        assert!(Carried::is_current(&component, &code, &seal));
        let other = wat::parse_str("(component (core module))").unwrap();
        assert!(!Carried::is_current(&other, &code, &seal));
        assert!(!Carried::is_current(&component, &code[1..], &seal));
        assert!(!Carried::is_current(&component, &code, &seal[1..]));
        assert!(!Carried::is_current(&component, &[], &seal));
        assert!(matches!(Carried::make(b"no component"), Err(ComponentError::Invalid(_))));
    }

    #[test]
    fn an_engine_for_carried_code_makes_nothing_else_executable() {
        static CODE: [u8; 64] = [0; 64];
        let (code, begins) = (executable(&CODE[16..48]), CODE.as_ptr());
        assert!(code.publish_executable(begins.wrapping_add(16), 32).is_ok());
        for (from, length) in [(15, 32), (16, 33), (48, 1), (0, 64), (47, usize::MAX)] {
            assert!(code.publish_executable(begins.wrapping_add(from), length).is_err(), "{from} {length}");
        }
    }

    /// Of parts that were made, with one changed.
    #[expect(unsafe_code, reason = "they are refused before anything of them runs, which is what is tested")]
    fn carried(component: &[u8], code: &[u8], seal: &[u8]) -> Carried {
        let leak = |bytes: &[u8]| &*Box::leak(bytes.to_owned().into_boxed_slice());
        // SAFETY: this code is not executable, and never run: loading it fails.
        unsafe { Carried::new(leak(component), leak(code), leak(seal)) }
    }

    #[test]
    fn what_is_damaged_is_not_loaded() {
        let component = wat::parse_str("(component)").unwrap();
        let CarriedParts { code, seal } = Carried::make(&component).unwrap();
        let changed = |bytes: &[u8], at: usize| {
            let mut bytes = bytes.to_owned();
            bytes[at] ^= 1;
            bytes
        };
        let options = RuntimeOptions::default();
        let refused = |carried: Carried| matches!(carried.load(&options), Err(ComponentError::Damaged));
        for at in (0..code.len()).step_by(code.len() / 16) {
            assert!(refused(carried(&component, &changed(&code, at), &seal)), "{at}");
        }
        let settings = FORM.len() + DIGEST_BYTES..FORM.len() + 2 * DIGEST_BYTES;
        // How it was compiled is compared when it is built.
        let compiled_with = seal.len() - DIGEST_BYTES..seal.len();
        for at in (0..settings.start).chain(settings.end..compiled_with.start) {
            assert!(refused(carried(&component, &code, &changed(&seal, at))), "{at}");
        }
        assert!(refused(carried(&wat::parse_str("(component (core module))").unwrap(), &code, &seal)), "the code of another component");
        assert!(!Carried::is_current(&component, &code, &changed(&seal, compiled_with.start)));
        for at in settings {
            let other_engine = carried(&component, &code, &changed(&seal, at)).load(&options);
            assert!(matches!(other_engine, Err(ComponentError::OtherEngine)), "{at}");
        }
        assert!(refused(carried(&component, &code, b"")));
        assert!(carried(&component, &code, &seal).component().is_ok());
        for damaged in [carried(&changed(&component, 3), &code, &seal), carried(&component, &code, &changed(&seal, 40))] {
            assert!(matches!(damaged.component(), Err(ComponentError::Damaged)));
        }
        assert!(Carried::NONE.is_empty() && !carried(&component, b"", &seal).is_empty());
        assert!(matches!(carried(&component, b"", &seal).load(&options), Err(ComponentError::OtherEngine)));
    }
}
