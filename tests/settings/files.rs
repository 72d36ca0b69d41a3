//! Files that are made of what the code knows: compared, or written again with `UPDATE=1`.

use std::path::Path;

/// The command that writes them.
const COMMAND: &str = "UPDATE=1 cargo test --test settings";

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}; run `{COMMAND}`"))
}

/// Fails where the file is not what it should be, or writes it.
pub(crate) fn is_current(path: &str, content: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(root().join(path), content).unwrap();
        return;
    }
    assert!(read(path) == content, "{path} is stale: run `{COMMAND}`");
}
