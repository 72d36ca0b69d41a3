//! The file is written whole, and only if it is in order.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use vestibule_wasmtime::ConfigurationFile;

use crate::cli::serve::DEFAULT_PORT;
use crate::configuration::native;
use crate::configuration::reload::everybody_reads;

/// Fails where there is such a file, unless it is to be replaced.
///
/// # Errors
/// There is one.
pub(super) fn is_free(path: &Path, force: bool) -> anyhow::Result<()> {
    // A link that leads nowhere is something, too.
    ensure!(
        force || std::fs::symlink_metadata(path).is_err(),
        "{} is there already; name another file with --config, or replace it with --force",
        path.display()
    );
    Ok(())
}

/// Writes `text` for the user only (mode 600), after the core has read it without a fault and without a warning. Folders
/// on the way are made.
///
/// # Errors
/// The file cannot be written, or is there already; the text has a fault or a warning: then nothing is written.
pub(super) async fn write(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    // Its mode is 600 from the beginning, and it is removed unless it is kept.
    let mut unfinished = tempfile::Builder::new()
        .prefix(".vestibule-init-")
        .tempfile_in(folder)
        .with_context(|| format!("{}: no file can be written there", folder.display()))?;
    std::io::Write::write_all(&mut unfinished, text.as_bytes()).with_context(|| format!("{}: cannot be written", path.display()))?;
    unfinished.as_file().sync_all().with_context(|| format!("{}: cannot be written", path.display()))?;
    is_in_order(path, unfinished.path()).await?;
    let kept = if force { unfinished.persist(path) } else { unfinished.persist_noclobber(path) };
    kept.map(drop).with_context(|| format!("{}: cannot be written", path.display()))
}

async fn is_in_order(path: &Path, unfinished: &Path) -> anyhow::Result<()> {
    let mut configuration = native::read(unfinished, DEFAULT_PORT).await?;
    configuration.file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let readable = ConfigurationFile::readable_by_everybody(unfinished, &configuration);
    let config = native::parse(configuration)?;
    let warnings = config.warnings.iter().map(|warning| format!("{}: {}; {}", warning.key, warning.problem, warning.remedy));
    let warnings: Vec<_> = warnings.chain(readable.iter().map(|file| everybody_reads(file))).collect();
    if !warnings.is_empty() {
        bail!("nothing is written, because of these answers\n{}", warnings.join("\n"));
    }
    Ok(())
}
