//! The order of the edge's folders: none imports one that stands above it (ARCHITECTURE.md, "`hosts/edge`: the program").

#![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

use std::path::Path;

#[path = "../../../tests/imports/mod.rs"]
mod imports;

/// Lowest first. A folder may import what stands before it, and its own parts.
#[rustfmt::skip]
const ORDER: [&str; 16] = [
    "causes", "random", "service_manager", "client", "metrics", "upgrade", "upstream", "audit", "store", "configuration", "listen", "observe", "exchange",
    "cli", "lib", "main",
];

#[test]
fn no_folder_imports_one_above_it() {
    imports::assert_order(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &ORDER);
}
