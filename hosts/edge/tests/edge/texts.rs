//! What the program prints to a person who has done something wrong, and to one whose secrets are elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::Command;
use vestibule_dev_provider::{Options, Provider};

use crate::login::secrets_toml;
use crate::program::component_options;

/// Without a terminal.
pub async fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
    command.args(arguments).current_dir(folder).env_remove("VESTIBULE_CONFIG").envs(environment.iter().copied());
    command.stdin(Stdio::null()).output().await.expect("the program starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const ELSEWHERE: &str = "[auth]\nredirect_uri = \"https://app.example.com/oauth2callback\"\ncookie_secret_env = \"TEXTS_COOKIE\"\n\
     client_id_env = \"TEXTS_ID\"\nclient_secret_file = \"client-secret\"\n\
     server_metadata_url = \"https://login.example.com/.well-known/openid-configuration\"\n\
     [vestibule.session]\nprevious_cookie_secrets_file = \"old\"\nstore_env = \"TEXTS_STORE\"\n\
     [[vestibule.rule]]\naccess = \"public\"\npath = \"/public/**\"\n[[vestibule.rule]]\n";

#[tokio::test]
async fn explain_needs_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secrets.toml"), ELSEWHERE).unwrap();
    let explain = |path: &'static str| ["explain", "--config", "secrets.toml", "GET", path];
    let id = ("TEXTS_ID", "shop");
    for (path, code) in [("/public/a", 0), ("/private", 3)] {
        let output = run(folder.path(), &explain(path), &[id]).await;
        assert_eq!(output.status.code(), Some(code), "{}", err(&output));
        let told = err(&output);
        assert!(told.starts_with("not read, and not needed to explain: ") && told.lines().count() == 1, "{told}");
        for secret in [
            "cookie_secret (the environment variable `TEXTS_COOKIE` is not set)",
            "client_secret (there is no file client-secret)",
            "previous_cookie_secrets (there is no file old)",
            "store (the environment variable `TEXTS_STORE` is not set)",
        ] {
            assert!(told.contains(secret), "{secret}: {told}");
        }
    }
    // One that others can change, and so would not be read by `serve`.
    let secret = folder.path().join("client-secret");
    fs::write(&secret, "q7Rz8fKw2mQLbXeR4tY9uVn3").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o666)).unwrap();
    let output = run(folder.path(), &explain("/public/a"), &[id]).await;
    assert!(
        output.status.success() && err(&output).contains("client_secret (client-secret is not used, since other users"),
        "{}",
        err(&output)
    );
    // What can be read is judged as ever, and what is no secret is needed.
    let weak = run(folder.path(), &explain("/public/a"), &[id, ("TEXTS_COOKIE", "short")]).await;
    assert!(weak.status.code() == Some(1) && err(&weak).contains("auth.cookie_secret_env"), "{}", err(&weak));
    let lacking = run(folder.path(), &explain("/public/a"), &[]).await;
    assert!(
        lacking.status.code() == Some(1) && err(&lacking).contains("the environment variable `TEXTS_ID` is not set"),
        "{}",
        err(&lacking)
    );
    // With everything there, nothing is remarked.
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(folder.path().join("old"), "").unwrap();
    fs::write(folder.path().join("secrets.toml"), ELSEWHERE.replace("previous_cookie_secrets_file = \"old\"\n", "")).unwrap();
    let all = [id, ("TEXTS_COOKIE", "bTr3Vq0nXw8sKd5yLz2eHj7mPq4tUv9w"), ("TEXTS_STORE", "redis://127.0.0.1:1")];
    let output = run(folder.path(), &explain("/public/a"), &all).await;
    assert!(output.status.success() && err(&output).is_empty(), "{}", err(&output));
}

#[tokio::test]
async fn check_online_looks_at_the_store_as_serve_would() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(Options::default()).await.unwrap();
    let component: Vec<_> = component_options().into_iter().map(|option| option.into_string().unwrap()).collect();
    let check = async |store: &str, online: bool| {
        let toml = format!("{}[vestibule.session]\n{store}\n", secrets_toml(&provider, "http://127.0.0.1:1"));
        fs::write(folder.path().join("secrets.toml"), toml).unwrap();
        let mut arguments = vec!["check", "--config", "secrets.toml"];
        arguments.extend(component.iter().map(String::as_str));
        arguments.extend(online.then_some("--online"));
        run(folder.path(), &arguments, &[("TEXTS_STORE", "redis://alice:wrong-password@127.0.0.1:1")]).await
    };
    let away = check("store_env = \"TEXTS_STORE\"", true).await;
    assert_eq!(away.status.code(), Some(1), "{}", out(&away));
    let told = "store redis://127.0.0.1:1: no connection: Connection refused (os error 111); start the store, or correct the address in \
                `store`. Until then, requests with a session are answered 503\n";
    assert!(err(&away).contains(told), "{}", err(&away));
    assert!(!(err(&away) + &out(&away)).contains("wrong-password"));
    assert!(!out(&away).contains("in order"), "{}", out(&away));
    let offline = check("store_env = \"TEXTS_STORE\"", false).await;
    assert!(offline.status.success() && !out(&offline).contains("store "), "{}", err(&offline));

    let file = folder.path().join("ended");
    let file = format!("store = \"file:{}\"", file.display());
    let new = check(&file, true).await;
    assert!(new.status.success(), "{}", err(&new));
    assert!(out(&new).contains("  list: there is none yet; `vestibule serve` makes the file\n"), "{}", out(&new));
    assert!(!folder.path().join("ended").exists());
    let nowhere = check("store = \"file:/no/such/folder/ended\"", true).await;
    assert!(nowhere.status.code() == Some(1) && err(&nowhere).contains("store file:/no/such/folder/ended: "), "{}", err(&nowhere));
    // What `serve` refuses at the start, `check` refuses without a connection.
    let none = check("store = \"redis://127.0.0.1:1/99999999999999999999\"", false).await;
    assert!(none.status.code() == Some(1) && err(&none).contains("store"), "{}", err(&none));
}

/// Of commands that fail, each cause is told once, and none is without words about what to do.
#[tokio::test]
async fn each_cause_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8], mode: u32| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("open.toml", b"", 0o666);
    write("empty.toml", b"", 0o600);
    write("binary.toml", b"\xff\xfe", 0o600);
    write("broken.toml", b"[auth\n", 0o600);
    write("no.wasm", b"no component", 0o600);
    write("claims.json", b"[]", 0o600);
    write(
        "good.toml",
        b"[auth]\nredirect_uri = \"http://localhost:8501/oauth2callback\"\ncookie_secret = \"bTr3Vq0nXw8sKd5yLz2eHj7mPq4tUv9w\"\n\
        client_id = \"shop\"\nclient_secret = \"q7Rz8fKw2mQLbXeR4tY9uVn3\"\n\
        server_metadata_url = \"https://no-such-host.invalid/.well-known/openid-configuration\"\n",
        0o600,
    );
    fs::create_dir(folder.path().join("folder")).unwrap();
    let component: Vec<_> = component_options().into_iter().map(|option| option.into_string().unwrap()).collect();
    let component: Vec<_> = component.iter().map(String::as_str).collect();
    let own = |arguments: &[&'static str]| arguments.to_vec();
    let with = |arguments: &[&'static str]| [&component[..], arguments].concat();
    let mut told = vec![];
    for command in ["check", "serve", "explain"] {
        for config in [
            "absent.toml",
            "folder",
            "open.toml",
            "empty.toml",
            "binary.toml",
            "broken.toml",
            "absent/a.toml",
            "good.toml/a",
            "env:TEXTS_NONE",
        ] {
            let mut arguments = vec![command, "--config", config];
            match command {
                "explain" => arguments.extend(["GET", "/"]),
                _ => arguments.extend(&component),
            }
            told.push(arguments);
        }
    }
    for arguments in [
        own(&["check", "--config", "good.toml", "--component", "absent.wasm"]),
        own(&["check", "--config", "good.toml", "--component", "no.wasm"]),
        own(&["check", "--config", "good.toml", "--component", "folder"]),
        own(&["check", "--config", "good.toml", "--component", "good.toml"]),
        own(&["explain", "--config", "good.toml", "GET", "/", "--as", "absent.json"]),
        own(&["explain", "--config", "good.toml", "GET", "/", "--as", "claims.json"]),
        own(&["explain", "--config", "good.toml", "GET", "/", "--as", "binary.toml"]),
        own(&["health", "--admin", "127.0.0.1:1"]),
        own(&["health", "--admin", "nowhere"]),
        own(&["man", "nothing"]),
        own(&["sessions", "end", "--control", "absent", "--all"]),
        own(&["sessions", "end", "--control", "good.toml", "--all"]),
        own(&["sessions", "end", "--control", "absent", "--session", "A"]),
        own(&["sessions", "end", "--control", "absent", "--user", "alice", "https://op.example"]),
        own(&["sessions", "end", "--control", "absent", "--all", "--before", "2999-01-01T00:00:00Z"]),
        own(&["init", "--config", "good.toml"]),
        own(&["init", "--config", "folder", "--force"]),
        own(&["init", "--config", "open.toml", "--force"]),
    ] {
        told.push(arguments);
    }
    let tail = |arguments: &[&'static str]| with(arguments);
    for options in [
        &["--online"][..],
        &["--tls-cert", "absent.pem", "--tls-key", "absent.pem"],
        &["--tls-cert", "empty.toml", "--tls-key", "empty.toml"],
        &["--tls-cert", "open.toml", "--tls-key", "open.toml"],
    ] {
        told.push([&["check", "--config", "good.toml"], &tail(options)[..]].concat());
    }
    for options in [
        &["--listen", "nowhere", "--upstream", "http://127.0.0.1:1"][..],
        &["--listen", "192.0.2.1:1", "--upstream", "http://127.0.0.1:1"],
        &["--listen", "127.0.0.1:0", "--upstream", "nowhere"],
        &["--listen", "127.0.0.1:0"],
        &["--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1", "--control", "absent/control"],
        &["--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1", "--control", "good.toml"],
        &["--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1", "--admin", "nowhere"],
        &["--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1", "--tls-cert", "absent.pem", "--tls-key", "absent.pem"],
    ] {
        told.push([&["serve", "--config", "good.toml"], &tail(options)[..]].concat());
    }
    for arguments in told {
        let output = run(folder.path(), &arguments, &[]).await;
        let text = err(&output);
        assert!(!output.status.success() && !text.is_empty(), "{arguments:?}: {}", out(&output));
        for line in text.lines() {
            assert_eq!(repeated(line), None, "{arguments:?}: {line}");
        }
        if std::env::var_os("SHOW").is_some() {
            eprintln!("$ vestibule {}\n{text}", arguments.join(" "));
        }
    }
}

/// A part of a line that stands there twice.
fn repeated(line: &str) -> Option<&str> {
    let parts: Vec<_> = line.split(": ").flat_map(|part| part.split("; ")).map(str::trim).collect();
    let is_cause = |part: &str| part.contains(' ');
    let twice = |(index, part): (usize, &&str)| {
        is_cause(part) && parts[index + 1..].iter().any(|later| later.contains(part) || part.contains(later) && is_cause(later))
    };
    parts.iter().enumerate().find(|&(index, part)| twice((index, part))).map(|(_, part)| *part)
}

#[test]
fn a_repeated_cause_is_found() {
    assert_eq!(repeated("x: not there (os error 2): not there (os error 2)"), Some("not there (os error 2)"));
    assert_eq!(repeated("cannot read a: no such file; create it: no such file"), Some("no such file"));
    assert_eq!(repeated("cannot read a: no such file; create it"), None);
}
