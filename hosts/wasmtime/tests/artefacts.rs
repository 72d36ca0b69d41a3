//! What the built components ask of a host, read from the files: an import that a host lacks keeps a component from
//! running at all, and one that it need not have is a way out of the sandbox.

#![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

use std::path::Path;

use wasmtime::component::Component;
use wasmtime::{Config, Engine};

/// Names and versions of imports, or exports, without the last number: toolchains merge 0.2.6 and 0.2.12.
struct Interfaces {
    imports: Vec<String>,
    exports: Vec<String>,
}

fn interfaces(file: &str) -> Interfaces {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist").join(file);
    assert!(path.is_file(), "{}: no component there; run `make build`", path.display());
    let mut config = Config::new();
    // What hosts for `wasi:http` have off.
    config.wasm_component_model_async(true).wasm_wide_arithmetic(file == "vestibule-wide.wasm");
    let engine = Engine::new(&config).unwrap();
    let component_type = Component::from_file(&engine, path).unwrap().component_type();
    let mut imports: Vec<_> = component_type.imports(&engine).map(|(name, _)| without_patch(name)).collect();
    imports.sort();
    Interfaces { imports, exports: component_type.exports(&engine).map(|(name, _)| name.to_owned()).collect() }
}

/// In bytes. They are stored, sent and compiled: what makes them larger is to be noticed.
const LARGEST: [(&str, u64); 4] = [
    ("vestibule.wasm", 2_790_000),
    ("vestibule-wide.wasm", 2_770_000),
    ("vestibule-middleware.wasm", 2_980_000),
    ("vestibule-proxy.wasm", 2_930_000),
];

#[test]
fn the_components_do_not_grow_unnoticed() {
    for (file, largest) in LARGEST {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist").join(file);
        let bytes = std::fs::metadata(&path).unwrap().len();
        println!("{file}: {bytes} bytes");
        assert!(bytes <= largest, "{file}: {bytes} bytes, more than {largest}");
    }
}

/// Of WASI 0.2 only, where every patch release has all that those before it had.
fn without_patch(name: &str) -> String {
    match name.split_once("@0.2.") {
        Some((interface, patch)) if patch.bytes().all(|b| b.is_ascii_digit()) => format!("{interface}@0.2"),
        _ => name.to_owned(),
    }
}

/// Of both components for `wasi:http`: the configuration, the log, the time, randomness. The standard library seeds its
/// hash maps by insecure-seed; a host answers it with real randomness.
const SYSTEM: [&str; 9] = [
    "wasi:cli/environment@0.2",
    "wasi:cli/stderr@0.2",
    "wasi:clocks/wall-clock@0.2",
    "wasi:filesystem/preopens@0.2",
    "wasi:filesystem/types@0.2",
    "wasi:io/error@0.2",
    "wasi:io/streams@0.2",
    "wasi:random/insecure-seed@0.2",
    "wasi:random/random@0.2",
];

fn with_system<const N: usize>(own: [&str; N]) -> Vec<String> {
    let mut all: Vec<_> = SYSTEM.iter().chain(&own).map(|&name| name.to_owned()).collect();
    all.sort();
    all
}

#[test]
fn the_component_imports_our_interfaces_a_clock_and_random_numbers_and_nothing_else() {
    for file in ["vestibule.wasm", "vestibule-wide.wasm"] {
        let Interfaces { imports, exports } = interfaces(file);
        let allowed = [
            "vestibule:filter/outbound-http@0.2",
            "vestibule:filter/sessions@0.2",
            "vestibule:filter/types@0.2",
            "wasi:clocks/wall-clock@0.2",
            "wasi:random/insecure-seed@0.2",
            "wasi:random/random@0.2",
        ];
        assert_eq!(imports, allowed);
        assert_eq!(exports, ["vestibule:filter/request-filter@0.2.0"]);
    }
}

#[test]
fn the_middleware_imports_a_handler_a_client_and_what_its_configuration_needs() {
    let Interfaces { imports, exports } = interfaces("vestibule-middleware.wasm");
    let own = [
        "wasi:clocks/monotonic-clock@0.3.0",
        "wasi:clocks/types@0.3.0",
        "wasi:http/client@0.3.0",
        "wasi:http/handler@0.3.0",
        "wasi:http/types@0.3.0",
    ];
    assert_eq!(imports, with_system(own));
    assert_eq!(exports, ["wasi:http/handler@0.3.0"]);
}

#[test]
fn the_proxy_imports_an_outgoing_handler_and_what_its_configuration_needs() {
    let Interfaces { imports, exports } = interfaces("vestibule-proxy.wasm");
    let own = ["wasi:clocks/monotonic-clock@0.2", "wasi:http/outgoing-handler@0.2", "wasi:http/types@0.2", "wasi:io/poll@0.2"];
    assert_eq!(imports, with_system(own));
    assert_eq!(exports, ["wasi:http/incoming-handler@0.2.12"]);
}
