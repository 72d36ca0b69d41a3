//! What the program does not act on: files that others can change, and endpoints where a provider has nothing to name.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use reqwest::StatusCode;
use rustix::process::Signal;
use tempfile::TempDir;
use vestibule_dev_provider::{Options, Provider, Running};

use crate::application::Application;
use crate::browser::Browser;
use crate::login::{self, Site};
use crate::program;
use crate::tls::Identity;

/// Somebody else on this machine.
const OTHER: u32 = 4242;

/// Everything that `vestibule serve` reads, each in a file of its own that only this user can read.
struct Files {
    _provider: Running,
    folder: TempDir,
    component: PathBuf,
    config: PathBuf,
    secret: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    async fn new() -> Files {
        let provider = Provider::start(Options::default()).await.expect("a provider");
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let toml = login::secrets_toml(&provider, "http://127.0.0.1:1");
        let toml = toml.replace("client_secret = \"vestibule-demo-secret\"", "client_secret_file = \"client-secret\"");
        fs::write(path("secrets.toml"), toml).expect("written");
        fs::write(path("client-secret"), "vestibule-demo-secret\n").expect("written");
        fs::copy(program::component(), path("vestibule.wasm")).expect("copied");
        let (certificate, key) = Identity::new().write(folder.path());
        let (component, config, secret) = (path("vestibule.wasm"), path("secrets.toml"), path("client-secret"));
        let files = Files { _provider: provider, component, config, secret, certificate: certificate.into(), key: key.into(), folder };
        files.all().iter().for_each(|file| set_mode(file, 0o600));
        files
    }

    fn all(&self) -> [&Path; 5] {
        [&self.component, &self.config, &self.secret, &self.certificate, &self.key]
    }

    /// Exit code and what was written to stderr.
    async fn run(&self, command: &[&str]) -> (Option<i32>, String) {
        let (component, config, certificate, key) = (text(&self.component), text(&self.config), text(&self.certificate), text(&self.key));
        let cache = program::cache();
        let files = ["--component", component, "--config", config, "--tls-cert", certificate, "--tls-key", key, "--cache", text(&cache)];
        let output = program::run(&[command, &files].concat()).await;
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

#[tokio::test]
async fn files_that_others_can_change_are_not_served_and_the_remedy_is_told() {
    let files = Files::new().await;
    let (code, said) = files.run(&["check"]).await;
    assert_eq!(code, Some(0), "{said}");
    let commands: [&[&str]; 2] = [&["serve", "--listen", "127.0.0.1:0"], &["check"]];
    for file in files.all() {
        for (mode, remedy) in [(0o620, "chmod g-w"), (0o602, "chmod o-w"), (0o666, "chmod go-w")] {
            // A user's own group may have no other member; root's does not count as such.
            if mode == 0o620 && !rustix::process::geteuid().is_root() {
                continue;
            }
            set_mode(file, mode);
            for command in commands {
                let (code, said) = files.run(command).await;
                assert_eq!(code, Some(1), "{command:?}, {file:?} {mode:o}: {said}");
                assert!(said.contains(&format!("run `{remedy} {}`", file.display())), "{command:?}, {file:?} {mode:o}: {said}");
            }
        }
        set_mode(file, 0o600);
        // Only root can give files away.
        if chown(file, Some(OTHER), None).is_ok() {
            let (code, said) = files.run(&["check"]).await;
            assert_eq!(code, Some(1), "{file:?}: {said}");
            assert!(said.contains(&format!("{} belongs to user {OTHER}", file.display())), "{file:?}: {said}");
            chown(file, Some(0), None).expect("root's");
        }
    }
    set_mode(files.folder.path(), 0o777);
    let (code, said) = files.run(&["check"]).await;
    assert!(code == Some(1) && said.contains(&format!("chmod go-w {}`", files.folder.path().display())), "{said}");
    set_mode(files.folder.path(), 0o1777);
    assert_eq!(files.run(&["check"]).await.0, Some(0), "as /tmp");
}

#[tokio::test]
async fn a_list_of_addresses_is_a_regular_file_and_not_for_everybody() {
    let files = Files::new().await;
    let people = files.folder.path().join("people.txt");
    let toml = fs::read_to_string(&files.config).expect("text");
    fs::write(&files.config, format!("{toml}[[vestibule.rule]]\nrequire = {{ email_file = \"people.txt\" }}\n")).expect("written");
    fs::write(&people, "alice@example.com\n").expect("written");
    set_mode(&people, 0o644);
    let (code, said) = files.run(&["check"]).await;
    let line = said.lines().find(|line| line.contains(text(&people))).unwrap_or_else(|| panic!("no line of it: {said}"));
    assert_eq!(code, Some(0), "{said}");
    assert!(line.contains("can hold secrets or personal data") && line.contains(&format!("chmod o-r {}`", people.display())), "{line}");
    set_mode(&people, 0o640);
    let (_, said) = files.run(&["check"]).await;
    assert!(!said.contains(text(&people)), "{said}");

    fs::remove_file(&people).expect("removed");
    assert!(std::process::Command::new("mkfifo").arg(&people).status().expect("mkfifo").success());
    for command in [&["check"][..], &["explain", "GET", "/"]] {
        let began = std::time::Instant::now();
        let (code, said) = match command {
            ["explain", ..] => {
                let output = program::run(&[command, &["--config", text(&files.config)]].concat()).await;
                (output.status.code(), String::from_utf8(output.stderr).expect("text"))
            }
            _ => files.run(command).await,
        };
        assert_eq!(code, Some(1), "{command:?}: {said}");
        assert!(said.contains(text(&people)) && said.contains("not a regular file") && !said.contains("10 s"), "{command:?}: {said}");
        assert!(began.elapsed() < std::time::Duration::from_secs(8), "{command:?} waits");
    }
}

#[tokio::test]
async fn secrets_that_everybody_can_read_are_a_warning_and_with_strict_an_error() {
    let files = Files::new().await;
    // There may be warnings of other kinds.
    let (_, usual) = files.run(&["check"]).await;
    let (usual_code, _) = files.run(&["check", "--strict"]).await;
    for file in files.all() {
        let holds_secrets = ![&*files.component, &*files.certificate].contains(&file);
        for (mode, told) in [(0o604, holds_secrets), (0o644, holds_secrets), (0o640, false), (0o440, false)] {
            set_mode(file, mode);
            let (code, said) = files.run(&["check"]).await;
            assert_eq!(code, Some(0), "{file:?} {mode:o}: {said}");
            let more: Vec<_> = said.lines().filter(|line| !usual.lines().any(|usual| usual == *line)).collect();
            assert_eq!(more.len(), usize::from(told), "{file:?} {mode:o}: {said}");
            for line in more {
                assert!(line.contains("warning: ") && line.contains(text(file)) && line.contains("chmod o-r"), "{line}");
            }
            let (code, _) = files.run(&["check", "--strict"]).await;
            assert_eq!(code, if told { Some(1) } else { usual_code }, "{file:?} {mode:o}");
        }
        set_mode(file, 0o600);
    }
}

#[tokio::test]
async fn a_configuration_that_others_can_change_is_refused_at_a_reload() {
    let mut site = Site::start_configured("", Application::start().await, "http", &[], &[]).await;
    set_mode(&site.config, 0o606);
    site.program.signal(Signal::HUP);
    let fault = site.program.wait_for("configuration.fault").await;
    let message = fault["message"].as_str().expect("a message");
    assert!(message.contains(text(&site.config)) && message.contains("chmod o-w"), "{message}");
    site.program.wait_for("configuration.kept").await;
    let page = Browser::new().log_in(&site.url("/"), "alice").await;
    assert_eq!(page.status, StatusCode::OK, "the old one stays in use");
    set_mode(&site.config, 0o600);
    site.program.signal(Signal::HUP);
    site.program.wait_for("configuration.reloaded").await;
}

#[tokio::test]
async fn an_endpoint_on_another_network_is_refused_and_the_log_names_host_address_and_setting() {
    let mut site = Site::start_configured("", Application::start().await, "http", &[], &[]).await;
    site.provider.faults().script(|script| {
        script.edit_metadata =
            Some(Box::new(|metadata| drop(metadata.insert("token_endpoint".into(), "https://169.254.169.254/token".into()))));
    });
    let page = Browser::new().log_in(&site.url("/"), "alice").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{}", page.body);
    let refused = site.program.wait_for("outbound.address_refused").await;
    assert_eq!((&refused["host"], &refused["address"]), (&"169.254.169.254".into(), &"169.254.169.254".into()), "{refused}");
    let message = refused["message"].as_str().expect("a message");
    assert!(message.contains("internal_hosts = [\"169.254.169.254\"]"), "{message}");
    site.program.wait_for("provider.unreachable").await;
    assert_eq!(site.app.requests(), 0);
}

/// Pingora would end the program without a word to the operator.
#[tokio::test]
async fn authorities_that_cannot_be_read_are_told_by_name_with_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let (empty, absent) = (folder.path().join("empty.pem"), folder.path().join("absent"));
    fs::write(&empty, "").expect("written");
    let provider = Provider::start(Options::default()).await.expect("a provider");
    let config = folder.path().join("secrets.toml");
    fs::write(&config, login::secrets_toml(&provider, "http://127.0.0.1:1")).expect("written");
    for (variable, path, problem) in [
        ("SSL_CERT_FILE", &absent, "which cannot be read"),
        ("SSL_CERT_FILE", &empty, "which holds no certificate"),
        ("SSL_CERT_DIR", &absent, "which cannot be read"),
    ] {
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["check"]] {
            let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_vestibule"));
            program.args(command).args(["--config", text(&config)]).args(program::component_options()).env(variable, path);
            let output = program.output().await.expect("the program starts");
            let said = String::from_utf8(output.stderr).expect("text");
            assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
            let told = format!("{variable} names {}, {problem}", path.display());
            assert!(said.contains(&told) && said.contains(&format!("or unset {variable}")) && !said.contains("panicked"), "{said}");
        }
    }
}
