//! The order of the library's modules: none imports one that stands above it, so that there is no circle.

#![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

use std::path::Path;

#[path = "../../../tests/imports/mod.rs"]
mod imports;

/// Lowest first. A module may import what stands before it, and its own parts.
const ORDER: [&str; 27] = [
    "bindings",
    "decision",
    "provider_answer",
    "request_head",
    "configuration",
    "ended",
    "claims",
    "observer",
    "fault",
    "event_log",
    "http_types",
    "trusted_file",
    "epoch",
    "outbound",
    "options",
    "error",
    "runtime",
    "precompiled",
    "carried",
    "memory",
    "host_state",
    "component",
    "instance",
    "configuration_file",
    "pool",
    "filter",
    "lib",
];

#[test]
fn no_module_imports_one_above_it() {
    imports::assert_order(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &ORDER);
}
