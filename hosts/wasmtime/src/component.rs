//! The compiled component, linked to what it imports.

use std::path::Path;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::bindings;
use crate::carried::Carried;
use crate::claims::ProcessClaims;
use crate::error::ComponentError;
use crate::host_state::{HostState, Imports};
use crate::outbound::SharedAnswers;
use crate::precompiled::{self, PrecompiledCache};
use crate::runtime::{Runtime, RuntimeOptions};
use crate::trusted_file::{TrustedFile, TrustedFileError};

/// Ours has a few MiB.
const MAX_COMPONENT_BYTES: u64 = 64 << 20;

/// `vestibule.wasm`, compiled and linked; instances are made from it. Cheap to clone.
#[derive(Clone)]
pub struct FilterComponent {
    runtime: Runtime,
    linked: bindings::FilterPre<HostState>,
    /// Of all filters that are loaded with it, one after the other.
    shared_answers: Arc<SharedAnswers>,
    /// The same, where an embedder has none of its own.
    claims: Arc<ProcessClaims>,
}

impl FilterComponent {
    /// Like [`FilterComponent::from_bytes`], with the content of a file. Who else can read it does not matter: a component
    /// holds no secret.
    ///
    /// # Errors
    /// When the file cannot be read, can be changed by others (see [`TrustedFile`]), is no component, or does not fit this
    /// host.
    pub fn from_file(runtime: &Runtime, path: &Path, cache: Option<&Path>) -> Result<Self, ComponentError> {
        let bytes = TrustedFile::open(path).and_then(|mut file| file.read(MAX_COMPONENT_BYTES)).map_err(|error| match error {
            TrustedFileError::Unreadable { path, reason } => ComponentError::Unreadable { path, reason },
            TrustedFileError::TooLong { path, limit } => ComponentError::TooLong { path, limit },
            TrustedFileError::ChangeableByOthers(error) => error.into(),
        })?;
        Self::from_bytes(runtime, &bytes, cache)
    }

    /// Compiles and links. `cache` is a folder of compiled code: owned by the user that runs this and writable by
    /// nobody else; made when it does not exist. A cache that cannot be used is logged and compiled without.
    /// Blocks for the compilation when the cache has no answer: some seconds, and about a hundred megabytes meanwhile. It is logged.
    ///
    /// # Errors
    /// When the bytes are no component, or import anything beyond `vestibule:filter`, WASI's wall clock and its random numbers.
    pub fn from_bytes(runtime: &Runtime, bytes: &[u8], cache: Option<&Path>) -> Result<Self, ComponentError> {
        let component = match cache {
            Some(folder) => PrecompiledCache::new(folder).load_or_compile(runtime, bytes),
            None => precompiled::compile(runtime, bytes).map(|(component, _)| component),
        }
        .map_err(|error| refused(&error))?;
        Self::linked_in(runtime.clone(), &component)
    }

    /// What the program carries, in a runtime of its own. Compiles nothing.
    ///
    /// # Errors
    /// [`ComponentError::OtherProcessor`] when the code is not for this processor, [`ComponentError::Damaged`] when it is not what
    /// the program was built with; as [`FilterComponent::from_bytes`] when it does not fit this host.
    pub fn from_carried(options: &RuntimeOptions, carried: &Carried) -> Result<Self, ComponentError> {
        let (runtime, component) = carried.load(options)?;
        Self::linked_in(runtime, &component)
    }

    fn linked_in(runtime: Runtime, component: &Component) -> Result<Self, ComponentError> {
        let linked = link(runtime.engine(), component).map_err(|error| ComponentError::Unlinkable(format!("{error:#}")))?;
        Ok(FilterComponent { runtime, linked, shared_answers: Arc::default(), claims: Arc::default() })
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn shared_answers(&self) -> &Arc<SharedAnswers> {
        &self.shared_answers
    }

    pub(crate) fn claims(&self) -> &Arc<ProcessClaims> {
        &self.claims
    }

    pub(crate) fn linked(&self) -> &bindings::FilterPre<HostState> {
        &self.linked
    }
}

/// Why what was compiled, or was to be, is not there.
fn refused(error: &wasmtime::Error) -> ComponentError {
    // Of Wasmtime, which has no type for it.
    const NOT_EXECUTABLE: &str = "unable to make memory executable";

    // In one line: the parser prints the bytes that it has found one below the other.
    let reason = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
    if reason.contains(NOT_EXECUTABLE) { ComponentError::NotExecutable(reason) } else { ComponentError::Invalid(reason) }
}

fn link(engine: &Engine, component: &Component) -> wasmtime::Result<bindings::FilterPre<HostState>> {
    let mut linker = Linker::new(engine);
    bindings::Filter::add_to_linker::<HostState, Imports>(&mut linker, |state| state)?;
    bindings::FilterPre::new(linker.instantiate_pre(component)?)
}
