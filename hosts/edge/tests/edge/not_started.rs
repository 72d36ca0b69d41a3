//! `vestibule serve` that does not start: why, in the form of its log.

use std::fs;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::login::text;
use crate::program::component_options;

const AUTH: &str = "[auth]\nredirect_uri = \"https://app.example.com/oauth2callback\"\n\
                    cookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\nclient_id = \"shop\"\n\
                    client_secret = \"q7Rz8fKw2mQLbXeR4tY9uVn3\"\n\
                    server_metadata_url = \"https://login.example.com/.well-known/openid-configuration\"\n";
const UPSTREAM: &str = "[vestibule]\nupstream = \"http://127.0.0.1:1\"\n";

async fn serve(arguments: &[&str], log: &str, filter: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
    command.arg("serve").args(arguments).args(component_options()).args(["--log", log]).env("VESTIBULE_LOG", filter);
    command.kill_on_drop(true).output().await.expect("the program starts")
}

fn written(folder: &TempDir, name: &str, toml: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, toml).expect("written");
    text(&path).to_owned()
}

#[tokio::test]
async fn the_log_says_why_in_json_whatever_it_leaves_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    let good = written(&folder, "good.toml", &format!("{AUTH}{UPSTREAM}"));
    let without_upstream = written(&folder, "upstream.toml", AUTH);
    let faulty =
        written(&folder, "faulty.toml", &format!("{}{UPSTREAM}lisen = 1\nlogin = \"x\"\n", AUTH.replace("https://app", "http://app")));
    let no_audit = format!("{AUTH}{UPSTREAM}[vestibule.log]\naudit = \"file:{}/absent/audit\"\n", folder.path().display());
    let no_audit = written(&folder, "audit.toml", &no_audit);
    let listening = written(&folder, "listen.toml", &format!("{AUTH}{UPSTREAM}listen = \"{taken}\"\n"));
    let absent = text(&folder.path().join("absent.toml")).to_owned();
    let any = ["--listen", "127.0.0.1:0"];
    let of = |config: &str, more: &[&str]| [&["--config", config], more].concat().iter().map(ToString::to_string).collect::<Vec<_>>();
    for (arguments, code, words) in [
        (of(&absent, &any), "configuration.fault", vec!["cannot read"]),
        (of("env:SURELY_ABSENT", &any), "configuration.fault", vec!["SURELY_ABSENT is not set"]),
        (of(&faulty, &any), "configuration.fault", vec!["auth.redirect_uri", "vestibule.lisen", "vestibule.login"]),
        (of(&faulty, &[]), "configuration.fault", vec!["auth.redirect_uri", "vestibule.lisen", "vestibule.login"]),
        (of(&without_upstream, &any), "configuration.fault", vec!["no application is named"]),
        (of(&no_audit, &any), "configuration.fault", vec!["the audit cannot be written"]),
        (of(&good, &["--listen", &taken]), "listener.failed", vec!["cannot listen on"]),
        (of(&listening, &[]), "listener.failed", vec!["cannot listen on", "or stop the program that uses it"]),
        (of(&good, &["--listen", "nosuch.invalid:1"]), "listener.failed", vec!["nosuch.invalid:1", "name an IP address of this machine"]),
        (of(&good, &["--listen", "192.0.2.1:0"]), "listener.failed", vec!["192.0.2.1:0", "name an IP address of this machine"]),
        (of(&good, &["--listen", "127.0.0.1:0", "--admin", &taken]), "listener.failed", vec!["cannot listen on"]),
        (of(&good, &["--tls-cert", "absent", "--tls-key", "absent"]), "program.not_started", vec!["absent"]),
        (of(&good, &["--listen", "127.0.0.1:0", "--control", "/absent/control"]), "program.not_started", vec!["/absent/control"]),
    ] {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        for filter in ["info", "off"] {
            let output = serve(&arguments, "json", filter).await;
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
            let stderr = String::from_utf8(output.stderr).expect("text");
            let lines: Vec<Value> =
                stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect();
            let told: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
            assert!(!told.is_empty() && told.iter().all(|line| line["code"] == code), "{arguments:?}: {stderr}");
            for words in &words {
                assert_eq!(
                    told.iter().filter(|line| line["message"].as_str().is_some_and(|told| told.contains(words))).count(),
                    1,
                    "{stderr}"
                );
            }
        }
        let output = serve(&arguments, "human", "off").await;
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.code() == Some(1) && stderr.starts_with("vestibule: ") && stderr.contains(words[0]), "{stderr}");
    }
}

#[tokio::test]
async fn a_limit_of_the_address_space_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = written(&folder, "secrets.toml", &format!("{AUTH}{UPSTREAM}"));
    for command in ["check", "serve"] {
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -v 4000000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_vestibule"), command, "--config", &config]);
        let output = limited.args(component_options()).kill_on_drop(true).output().await.expect("a shell");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        let remedy = "remove the limit of the process's address space (`ulimit -v unlimited`; `LimitAS=infinity` in systemd)";
        assert!(stderr.contains(remedy) && !stderr.contains("from the same release"), "{stderr}");
    }
}

#[tokio::test]
async fn check_warns_that_no_application_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let without = written(&folder, "without.toml", AUTH);
    let with = written(&folder, "with.toml", &format!("{AUTH}{UPSTREAM}"));
    let authz = written(
        &folder,
        "authz.toml",
        &format!("{AUTH}[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"nginx\"\ntrusted_proxies = \"127.0.0.1\"\n"),
    );
    let check = async |config: &str, more: &[&str]| {
        let arguments = [&["check", "--config", config], more].concat();
        let output = crate::program::run_with_component(&arguments).await;
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    let warning = "warning: vestibule.upstream: no application is named";
    let (code, said) = check(&without, &[]).await;
    assert!(code == Some(0) && said.contains(warning), "{said}");
    assert_eq!(check(&without, &["--strict"]).await.0, Some(1));
    for (config, more) in [(&with, &[][..]), (&authz, &[]), (&without, &["--upstream", "http://127.0.0.1:8080"])] {
        let (code, said) = check(config, more).await;
        assert!(code == Some(0) && !said.contains("no application is named"), "{said}");
    }
    for (config, upstream, words) in
        [(&without, "http://127.0.0.1:8080/a", "it has more than a host and a port"), (&authz, "http://a", "has no effect")]
    {
        let (code, said) = check(config, &["--upstream", upstream]).await;
        assert!(code == Some(1) && said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_with_one_that_is() {
    for (option, wrong, instead) in [
        ("--listen", "8501", "write 127.0.0.1:8501"),
        ("--admin", "9180", "write 127.0.0.1:9180"),
        ("--upstream", "localhost:8080", "write http://localhost:8080"),
    ] {
        let output = crate::program::run(&["serve", option, wrong]).await;
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.code() == Some(2) && stderr.contains(instead) && stderr.contains(option), "{stderr}");
    }
}
