//! `vestibule schema`: the JSON Schema of the configuration, for editors.

use std::io::Write as _;

use vestibule::config::schema::schema;

/// Prints the schema (draft 2020-12).
///
/// # Errors
/// The output cannot be written to.
pub fn run() -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut output, &schema())?;
    writeln!(output)?;
    Ok(())
}
