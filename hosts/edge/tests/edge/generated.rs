//! Configurations of this program that nobody has written: each is used or refused with its place and a remedy, and `serve` uses what
//! `check` accepts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;
use vestibule_edge::cli::arguments::{Check, Common};
use vestibule_edge::cli::check::{self, Checked};
use vestibule_edge::configuration::reload::ActiveSource;
use vestibule_edge::listen::tls;
use vestibule_edge::metrics::Metrics;
use vestibule_edge::observe::log::Format;
use vestibule_wasmtime::{FilterComponent, Runtime, RuntimeOptions};

use crate::program;
use crate::tls::Identity;

/// Each is loaded twice.
const CASES: u32 = 64;

const AUTH: &str = "[auth]\nredirect_uri = \"https://app.example.com/oauth2callback\"\n\
                    cookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\nclient_id = \"shop\"\n\
                    client_secret = \"q7Rz8fKw2mQLbXeR4tY9uVn3\"\n\
                    server_metadata_url = \"https://login.example.com/.well-known/openid-configuration\"\n";

/// Where a value is.
#[derive(Clone, Copy, Debug)]
enum Form {
    Written,
    File,
    /// A variable that every process has, with something else in it.
    Environment,
    Absent,
}

/// A key, and what is behind it: TOML, or the text of a file.
#[derive(Clone, Debug)]
struct Entry {
    section: &'static str,
    key: &'static str,
    value: String,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Certificate {
    None,
    Good,
    OfAnotherKey,
    Absent,
}

/// A setting of this program, with values that are good, which the first two are by themselves, nearly good and anything.
fn entry(section: &'static str, key: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = Option<Entry>> {
    let good = values.get(..2).unwrap_or(values);
    let value = prop_oneof![
        12 => prop::sample::select(good).prop_map(str::to_owned),
        4 => prop::sample::select(values).prop_map(str::to_owned),
        1 => "\\PC{0,12}".prop_map(|text| toml_edit::Value::from(text).to_string()),
    ];
    let form = prop_oneof![
        20 => Just(Form::Written),
        8 => Just(Form::File),
        1 => Just(Form::Environment),
        1 => Just(Form::Absent),
    ];
    let often = if ["authz", "other"].iter().any(|seldom| section.ends_with(seldom) || key.starts_with(seldom)) { 0.08 } else { 0.3 };
    prop::option::weighted(often, (value, form)).prop_map(move |made| made.map(|(value, form)| Entry { section, key, value, form }))
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    const NUMBERS: &[&str] = &["0", "1", "60", "10000", "4294967296", "-1", "1.5", "\"60\"", "true"];
    const BOOLEANS: &[&str] = &["true", "false", "\"true\"", "1"];
    let audit =
        &["\"off\"", "\"log\"", "\"file:FOLDER/audit.jsonl\"", "\"file:FOLDER/absent/audit.jsonl\"", "\"file:audit\"", "\"file:/\"", "7"];
    let listen = &["\"127.0.0.1:8501\"", "\"0.0.0.0:0\"", "\"[::1]:8501\"", "\"localhost:65536\"", "\"127.0.0.1\"", "\"app:80\"", "[]"];
    let upstream = &["\"http://127.0.0.1:8080\"", "\"https://app.internal\"", "\"http://127.0.0.1:8080/a\"", "\"127.0.0.1:8080\"", "1"];
    let proxies = &["[]", "\"127.0.0.1\"", "[\"10.0.0.0/8\", \"fd00::/8\"]", "[\"0.0.0.0/0\"]", "[\"10.0.0.0/33\"]", "[7]"];
    let made = (
        entry("vestibule", "listen", listen),
        entry("vestibule", "upstream", upstream),
        entry("vestibule", "trusted_proxies", proxies),
        entry("vestibule", "mode", &["\"proxy\"", "\"authz\"", "\"other\""]),
        entry("vestibule.authz", "proxy", &["\"envoy\"", "\"nginx\"", "\"other\""]),
        entry("vestibule.log", "audit", audit),
        entry("vestibule.log", "requests", BOOLEANS),
        entry("vestibule.log", "subject", BOOLEANS),
        entry("vestibule.limits", "logins_per_minute", NUMBERS),
        entry("vestibule.limits", "other_per_minute", &["1"]),
    );
    made.prop_map(|(a, b, c, d, e, f, g, h, i, j)| [a, b, c, d, e, f, g, h, i, j].into_iter().flatten().collect())
}

fn certificate() -> impl Strategy<Value = Certificate> {
    prop_oneof![
        4 => Just(Certificate::None),
        2 => Just(Certificate::Good),
        1 => Just(Certificate::OfAnotherKey),
        1 => Just(Certificate::Absent),
    ]
}

/// Writes the file, and those that it names.
fn write(folder: &Path, entries: &[Entry]) -> PathBuf {
    let mut toml = AUTH.to_owned();
    for section in ["vestibule", "vestibule.authz", "vestibule.log", "vestibule.limits"] {
        let of_section: Vec<_> = entries.iter().filter(|entry| entry.section == section).collect();
        if !of_section.is_empty() {
            toml += &format!("[{section}]\n");
        }
        for Entry { key, value, form, .. } in of_section {
            let value = value.replace("FOLDER", folder.to_str().expect("text"));
            toml += &match form {
                Form::Written => format!("{key} = {value}\n"),
                Form::File => {
                    fs::write(folder.join(key), value.trim_matches('"')).expect("written");
                    format!("{key}_file = \"{key}\"\n")
                }
                Form::Environment => format!("{key}_env = \"PATH\"\n"),
                Form::Absent => format!("{key}_env = \"VESTIBULE_TEST_SURELY_UNSET\"\n"),
            };
        }
    }
    let path = folder.join("secrets.toml");
    fs::write(&path, toml).expect("written");
    path
}

fn certificates(folder: &Path, certificate: Certificate) -> Option<(PathBuf, PathBuf)> {
    let inner = |name: &str| {
        let inner = folder.join(name);
        fs::create_dir_all(&inner).expect("a folder");
        let (certificate, key) = Identity::new().write(&inner);
        (PathBuf::from(certificate), PathBuf::from(key))
    };
    match certificate {
        Certificate::None => None,
        Certificate::Good => Some(inner("one")),
        Certificate::OfAnotherKey => Some((inner("one").0, inner("other").1)),
        Certificate::Absent => Some((folder.join("absent.pem"), folder.join("absent.key"))),
    }
}

/// What `vestibule serve` does before it listens.
async fn serve(component: &FilterComponent, arguments: &Check) -> anyhow::Result<()> {
    if let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) {
        tls::load(certificate, key)?;
    }
    let (path, patience) = (arguments.config.clone(), Duration::from_secs(1));
    let mut source = ActiveSource::new(component.clone(), path, None, patience, Metrics::new(None)).await?;
    let reading = source.first().await?;
    source.listen_address(&reading, 8501).await?;
    source.load(&reading, 8501).await.map(drop)
}

/// A line of a fault: file, line, key, problem and remedy.
fn is_placed(line: &str) -> bool {
    let Some((number, rest)) = line.strip_prefix("secrets.toml:").and_then(|rest| rest.split_once(": ")) else { return false };
    let key = rest.split_once(": ");
    number.parse::<u32>().is_ok() && key.is_some_and(|(key, rest)| !key.is_empty() && rest.split_once("; ").is_some())
}

async fn examine(component: &FilterComponent, entries: &[Entry], certificate: Certificate) -> Result<bool, TestCaseError> {
    let folder: TempDir = tempfile::tempdir().expect("a folder");
    let config = write(folder.path(), entries);
    let (tls_cert, tls_key) = certificates(folder.path(), certificate).unzip();
    let common = Common { component: None, cache: None, log: Format::Human };
    let arguments = Check { config, strict: false, online: false, upstream: None, tls_cert, tls_key, common };
    let checked = check::examine(component, &arguments).await;
    let served = serve(component, &arguments).await;
    let told = served.as_ref().err().map(|error| format!("{error:#}")).unwrap_or_default();
    match checked {
        Ok(Checked { filter, warnings, .. }) => {
            let summary = filter.summary();
            // The command line may name an application, and another user may serve.
            let lacks_upstream = summary.upstream.is_none() && summary.authorization.is_none() && told.contains("no application is named");
            let lacks_folder =
                told.contains("the audit cannot be written") && warnings.iter().any(|warning| warning.contains("of the audit"));
            prop_assert!(served.is_ok() || lacks_upstream || lacks_folder, "accepted by `check` only: {told}");
            Ok(true)
        }
        Err(faults) => {
            prop_assert!(served.is_err(), "refused by `check` only: {faults:?}");
            for fault in faults.iter().map(|fault| format!("{fault:#}")) {
                let placed: Vec<_> = fault.lines().filter(|line| line.starts_with("secrets.toml:")).collect();
                prop_assert!(placed.iter().all(|line| is_placed(line)), "{fault}");
                prop_assert!(!placed.is_empty() || matches!(certificate, Certificate::Absent | Certificate::OfAnotherKey), "{fault}");
            }
            Ok(false)
        }
    }
}

#[test]
fn check_accepts_what_serve_uses_and_refuses_the_rest_with_its_place() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let wasm = Runtime::new(&RuntimeOptions::default()).expect("a runtime");
    let component = FilterComponent::from_file(&wasm, &program::component(), Some(&program::cache())).expect("a component");
    let (mut accepted, mut refused) = (0, 0);
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let counts = std::cell::RefCell::new((&mut accepted, &mut refused));
    let result = runner.run(&(entries(), certificate()), |(entries, certificate)| {
        let is_accepted = runtime.block_on(examine(&component, &entries, certificate))?;
        let mut counts = counts.borrow_mut();
        if is_accepted {
            *counts.0 += 1;
        } else {
            *counts.1 += 1;
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(accepted > 0 && refused > 0, "{accepted} accepted, {refused} refused");
}
