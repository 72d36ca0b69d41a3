//! The order of the core's modules: no module imports one that stands above it (ARCHITECTURE.md, "Code map").

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

use std::path::Path;

mod imports;

/// Lowest first. A module may import what stands before it, and its own parts.
const ORDER: [&str; 25] = [
    "secret",
    "time",
    "entropy",
    "limit",
    "code",
    "audit",
    "deflate",
    "web",
    "language",
    "claims",
    "oidc",
    "account",
    "policy",
    "error",
    "session",
    "decision",
    "identity",
    "authz",
    "branding",
    "config",
    "pages",
    "flow",
    "filter",
    "component",
    "lib",
];

#[test]
fn no_module_imports_one_above_it() {
    imports::assert_order(Path::new("src"), &ORDER);
}

#[test]
fn imports_are_found_wherever_they_stand() {
    let text = "//! [`crate::filter`]\nuse crate::web::http;\n/// crate::flow\nfn f() { crate::oidc::x() } // crate::pages\nuse crate::{secret, time::T};\n\
                use super::super::code::Code;\nuse super::own;\n#[cfg(test)]\nmod tests { use crate::config::Config; }\n";
    assert_eq!(imports::imports(text, 2).into_iter().collect::<Vec<_>>(), ["code", "oidc", "secret", "time", "web"]);
}
