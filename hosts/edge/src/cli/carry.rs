//! `vestibule carry`: compiles a component for a program to be linked with, and verifies that a program was linked with it. Steps of
//! the build, and nothing for operators.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use vestibule_wasmtime::Carried;

use crate::cli::arguments::Carry;

/// Writes the files that `build.rs` speaks of, if they are not what they would be. Without a folder, compares the component with the
/// one that this program carries.
///
/// # Errors
/// The component cannot be read or compiled, or the folder cannot be written to; this program carries another component, or none.
pub fn run(arguments: &Carry, carried: &Carried) -> anyhow::Result<()> {
    let path = &arguments.component;
    let component = fs::read(path).with_context(|| format!("{}: cannot be read; run `make build`", path.display()))?;
    match &arguments.folder {
        Some(folder) => compile(path, &component, folder),
        None => compare(path, &component, carried),
    }
}

fn compare(path: &Path, component: &[u8], carried: &Carried) -> anyhow::Result<()> {
    ensure!(!carried.is_empty(), "this program carries no component");
    ensure!(
        carried.component()? == component,
        "this program carries another component than {}; if VESTIBULE_CARRIED, CARGO_BUILD_TARGET or cargo's build-dir is set, unset it",
        path.display()
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the build tells what it does")]
fn compile(path: &Path, component: &[u8], folder: &Path) -> anyhow::Result<()> {
    let written = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
    if written("component") == component && Carried::is_current(component, &written("code"), &written("seal")) {
        println!("      {} is compiled already", path.display());
        return Ok(());
    }
    let parts = Carried::make(component)?;
    fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    // What is interrupted in between has no seal, and is made again.
    for (name, content) in [("seal", &[][..]), ("component", component), ("code", &parts.code), ("seal", &parts.seal)] {
        write(folder, name, content)?;
    }
    println!("      {}: {} bytes, compiled {} bytes", path.display(), component.len(), parts.code.len());
    Ok(())
}

/// Whole, by a rename: a compiler may be reading what was there.
fn write(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let (path, unfinished) = (folder.join(name), folder.join(format!("{name}.new")));
    fs::write(&unfinished, content)
        .and_then(|()| fs::rename(&unfinished, &path))
        .with_context(|| format!("{}: cannot be written", path.display()))
}
