//! Which component decides: the one that this program carries, or a file.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
/// Also for [`carried!`](crate::carried).
pub use vestibule_wasmtime::Carried;
use vestibule_wasmtime::{ComponentError, FilterComponent, Runtime, RuntimeOptions};

use crate::cli::arguments::Common;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum NoComponent {
    #[error("{0}: is not a file; run `make build`, which makes dist/vestibule.wasm, or correct --component")]
    NotThere(PathBuf),
    #[error("this program contains no component; run `make build` for a program with one, or name a component with --component")]
    NoneCarried,
}

/// What the program is linked with, as the files `component`, `code` and `seal` in the folder that `VESTIBULE_CARRIED` names
/// while it is compiled (`build.rs`).
#[macro_export]
macro_rules! carried {
    () => {{
        #[repr(C, align(4096))]
        struct Pages<const LENGTH: usize>([u8; LENGTH]);

        // Among the program's own code, which the system maps executable.
        #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".text.vestibule_carried"))]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__TEXT,__vestibule"))]
        static CODE: Pages<{ include_bytes!(concat!(env!("VESTIBULE_CARRIED"), "/code")).len() }> =
            Pages(*include_bytes!(concat!(env!("VESTIBULE_CARRIED"), "/code")));

        let component = include_bytes!(concat!(env!("VESTIBULE_CARRIED"), "/component"));
        let seal = include_bytes!(concat!(env!("VESTIBULE_CARRIED"), "/seal"));
        // SAFETY: `CODE` begins at a page, stands in a section that is executable and not writable, and is no static that can
        // change. The files are empty, or what `vestibule carry` wrote, which is what `Carried::make` gave.
        unsafe { $crate::cli::component::Carried::new(component, &CODE.0, seal) }
    }};
}

/// The component of `--component`, compiled now if the cache does not have it; else the one that the program carries.
///
/// # Errors
/// There is none, or it is not a component that this program understands.
pub fn load(common: &Common, carried: &Carried) -> anyhow::Result<FilterComponent> {
    match &common.component {
        Some(path) => from_file(path, common.cache.as_deref()),
        None if carried.is_empty() => Err(NoComponent::NoneCarried.into()),
        None => from_program(carried, common.cache.as_deref()),
    }
}

fn from_file(path: &Path, cache: Option<&Path>) -> anyhow::Result<FilterComponent> {
    if !path.is_file() {
        return Err(NoComponent::NotThere(path.into()).into());
    }
    FilterComponent::from_file(&runtime()?, path, cache).with_context(|| format!("{}: the component cannot be used", path.display()))
}

/// Where the code is not for this machine, the component is there to be compiled.
fn from_program(carried: &Carried, cache: Option<&Path>) -> anyhow::Result<FilterComponent> {
    match FilterComponent::from_carried(&RuntimeOptions::default(), carried) {
        Err(error @ (ComponentError::OtherProcessor { .. } | ComponentError::OtherEngine)) => {
            tracing::warn!(
                code = "component.not_compiled",
                "{error}; the component is compiled now, and again at each start without --cache"
            );
            Ok(FilterComponent::from_bytes(&runtime()?, carried.component()?, cache)?)
        }
        loaded => Ok(loaded?),
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    Runtime::new(&RuntimeOptions::default()).context("no WebAssembly runtime")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_component_names_the_remedy() {
        let message = from_file(Path::new("no/such.wasm"), None).err().expect("not there").to_string();
        assert!(message.starts_with("no/such.wasm: ") && message.contains("make build"), "{message}");
    }
}
