//! The component that the program carries: it is compiled when the program is built, and not when it starts.

use std::fs;
use std::path::PathBuf;

use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use vestibule_dev_provider::{Options, Provider};

use crate::browser::Browser;
use crate::guest;
use crate::login::{secrets_toml, text};
use crate::program::{self, Program};

/// A folder with a configuration in it.
async fn configuration() -> (TempDir, PathBuf) {
    let provider = Provider::start(Options::default()).await.expect("a provider");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("secrets.toml");
    fs::write(&config, secrets_toml(&provider, "http://127.0.0.1:1")).expect("written");
    (folder, config)
}

/// The codes that a log of JSON lines has.
fn codes(log: &[String]) -> Vec<String> {
    let code = |line: &String| Some(serde_json::from_str::<Value>(line).ok()?["code"].as_str()?.to_owned());
    log.iter().filter_map(code).collect()
}

#[tokio::test]
async fn the_program_serves_what_it_carries_and_compiles_nothing() {
    let (_folder, config) = configuration().await;
    let mut program = Program::start_alone(&["serve", "--config", text(&config), "--listen", "127.0.0.1:0"]);
    let listening = program.wait_for("listener.listening").await;
    let url = format!("http://{}/", listening["address"].as_str().expect("an address"));
    assert_eq!(Browser::new().fetch(&url).await.status, StatusCode::UNAUTHORIZED);
    let log = codes(&program.written);
    assert!(!log.iter().any(|code| code.starts_with("component.")), "{log:?}");
}

/// Of the program as it is shipped: one that is not optimised is three times as large, and most of this memory is its file.
#[cfg(all(target_os = "linux", not(debug_assertions)))]
#[tokio::test]
async fn the_program_serves_within_sixty_mebibytes() {
    const MOST: u64 = 60 * 1024 * 1024;

    let (_folder, config) = configuration().await;
    let mut program = Program::start_alone(&["serve", "--config", text(&config), "--listen", "127.0.0.1:0"]);
    let listening = program.wait_for("listener.listening").await;
    let url = format!("http://{}/", listening["address"].as_str().expect("an address"));
    assert_eq!(Browser::new().fetch(&url).await.status, StatusCode::UNAUTHORIZED);
    let most = program.most_memory();
    assert!(most <= MOST, "{most} bytes");
}

#[tokio::test]
async fn a_check_compiles_nothing() {
    let (_folder, config) = configuration().await;
    let output = program::run(&["check", "--config", text(&config), "--log", "json"]).await;
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success() && !said.contains("component."), "{said}");
}

#[tokio::test]
async fn the_program_tells_its_component_from_another() {
    let own = program::run(&["carry", text(&program::component())]).await;
    assert!(own.status.success(), "{own:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let other = folder.path().join("guest.wasm");
    fs::write(&other, guest::component()).expect("written");
    let output = program::run(&["carry", text(&other)]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).expect("text").contains("carries another component"));
}

#[tokio::test]
async fn a_component_of_a_file_is_compiled_and_that_is_told() {
    let (folder, config) = configuration().await;
    let component = folder.path().join("guest.wasm");
    fs::write(&component, guest::component()).expect("written");
    let cache = folder.path().join("cache");
    let files = ["--config", text(&config), "--component", text(&component), "--cache", text(&cache), "--log", "json"];
    for is_compiled in [true, false] {
        let output = program::run(&[&["check"], &files[..]].concat()).await;
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(said.contains("component.compiling"), is_compiled, "{said}");
    }
}

#[cfg(target_os = "linux")]
mod without_memory_that_becomes_executable {
    use std::io;
    use std::process::Command;

    use super::*;

    /// The program under what systemd's `MemoryDenyWriteExecute=` asks of the kernel; none where the kernel does not know it.
    #[expect(unsafe_code, reason = "a system call between fork and exec; see SAFETY")]
    fn run(arguments: &[&str]) -> Option<(Option<i32>, String)> {
        use std::os::unix::process::CommandExt as _;

        let deny = || {
            // SAFETY: a system call with numbers alone.
            let denied = unsafe { libc::prctl(libc::PR_SET_MDWE, u64::from(libc::PR_MDWE_REFUSE_EXEC_GAIN), 0_u64, 0_u64, 0_u64) };
            if denied == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        // SAFETY: it makes that one call, which is safe between fork and exec, and allocates nothing.
        let output = unsafe { command.args(arguments).pre_exec(deny) }.output();
        match output {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => None,
            output => {
                let output = output.expect("the program starts");
                Some((output.status.code(), String::from_utf8(output.stderr).expect("text")))
            }
        }
    }

    #[tokio::test]
    async fn the_carried_component_runs() {
        let (_folder, config) = configuration().await;
        if let Some((code, said)) = run(&["check", "--config", text(&config)]) {
            assert_eq!(code, Some(0), "{said}");
        }
    }

    #[tokio::test]
    async fn what_is_compiled_does_not_and_the_reason_is_told() {
        let (folder, config) = configuration().await;
        let component = folder.path().join("guest.wasm");
        fs::write(&component, guest::component()).expect("written");
        if let Some((code, said)) = run(&["check", "--config", text(&config), "--component", text(&component)]) {
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("MemoryDenyWriteExecute") && said.contains("without --component"), "{said}");
        }
    }
}
