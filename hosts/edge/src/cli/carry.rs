//! `vestibule carry`: compiles a component for a program to be linked with. A step of the build, and nothing for operators.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use vestibule_wasmtime::Carried;

use crate::cli::arguments::Carry;

/// Writes the files that `build.rs` speaks of, if they are not what they would be.
///
/// # Errors
/// The component cannot be read or compiled, or the folder cannot be written to.
#[expect(clippy::print_stdout, reason = "the build tells what it does")]
pub fn run(arguments: &Carry) -> anyhow::Result<()> {
    let Carry { component: path, folder } = arguments;
    let component = fs::read(path).with_context(|| format!("{}: cannot be read; run `make build`", path.display()))?;
    let written = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
    if written("component") == component && Carried::is_current(&component, &written("code"), &written("seal")) {
        println!("      {} is compiled already", path.display());
        return Ok(());
    }
    let parts = Carried::make(&component)?;
    fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    // What is interrupted in between has no seal, and is made again.
    for (name, content) in [("seal", &vec![]), ("component", &component), ("code", &parts.code), ("seal", &parts.seal)] {
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
