//! What is not in the program that operators run.

use std::path::Path;
use std::process::Command;

use crate::{program, provider_traces};

#[test]
fn the_program_has_nothing_of_the_development_provider() {
    assert_eq!(provider_traces::found_in(Path::new(env!("CARGO_BIN_EXE_vestibule"))), Vec::<String>::new());
}

#[test]
fn nothing_that_the_program_is_built_of_is_for_development() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--package", "vestibule-edge", "--edges", "normal,build", "--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let packages = String::from_utf8(tree.stdout).expect("text");
    assert!(packages.contains("vestibule-wasmtime "), "{packages}{}", String::from_utf8_lossy(&tree.stderr));
    for package in ["vestibule-dev-provider ", "vestibule-demo "] {
        assert!(!packages.contains(package), "{packages}");
    }
}

#[tokio::test]
async fn the_program_has_no_demo() {
    let output = program::run(&["demo"]).await;
    assert_eq!(output.status.code(), Some(2));
}
