//! `vestibule-demo`: a provider, an application and the edge, on this machine and without a network.
//!
//! A program of its own: its provider lets anybody in as anybody, so the program that operators run has nothing of it.

mod sample_app;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use vestibule_dev_provider::{Options, Provider};
use vestibule_edge::causes;
use vestibule_edge::cli::arguments::{Carry, Common, Serve};
use vestibule_edge::cli::component::Carried;
use vestibule_edge::cli::{carry, serve};
use vestibule_edge::listen::listener::Listener;
use vestibule_edge::observe::log;
use vestibule_edge::random;

/// What the demo registers itself as at its provider.
const CLIENT_ID: &str = "vestibule-demo";
const CLIENT_SECRET: &str = "vestibule-demo-secret";

/// Try the login at the edge: a provider, an application and the edge on this machine, no network needed.
#[derive(Debug, Parser)]
#[command(name = "vestibule-demo", version)]
struct Demo {
    /// Loopback address and port to listen on
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8501")]
    listen: String,
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    step: Option<Step>,
}

/// Of the build, which has no other program yet.
#[derive(Debug, clap::Subcommand)]
enum Step {
    /// Compile a component for a program to be linked with
    #[command(hide = true)]
    Carry(Carry),
}

#[tokio::main]
async fn main() -> ExitCode {
    let demo = Demo::parse();
    let carried = vestibule_edge::carried!();
    let result = match &demo.step {
        Some(Step::Carry(arguments)) => carry::run(arguments, &carried),
        None => run(&demo, &carried).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vestibule-demo: {}", causes::told(&error));
            ExitCode::FAILURE
        }
    }
}

/// Until SIGTERM or SIGINT.
#[expect(clippy::print_stdout, reason = "what to open is for the person at the terminal, not for the log")]
async fn run(arguments: &Demo, carried: &Carried) -> anyhow::Result<()> {
    log::start(arguments.common.log)?;
    let listener = Listener::bind(&loopback(&arguments.listen)?.to_string()).await?;
    let listen = listener.address();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);

    let provider = Provider::start(Options::default()).await?;
    let around = sample_app::Around { edge: format!("http://{listen}"), provider: provider.issuer() };
    let app = sample_app::start(around).await.context("the sample application cannot be started")?;
    let folder = tempfile::tempdir().context("no folder for the demo's secrets.toml")?;
    let config = folder.path().join("secrets.toml");
    let text = secrets_toml(&provider.issuer(), listen);
    write_private(&config, &text)?;

    println!("The whole configuration, {}:\n\n{text}", config.display());
    println!("Provider: {}", provider.issuer());
    println!("Application, as seen from behind the login: http://{app}\n");
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let ready = |listen| println!("Open  http://{listen}  in a browser; Ctrl-C stops the demo.");
    let serve = serve_arguments(arguments, config, app);
    let served = serve::until(&serve, carried, Some(listener), ready, stop).await;
    provider.shutdown().await;
    served
}

/// The demo's people need no password: nobody else may reach it.
fn loopback(listen: &str) -> anyhow::Result<SocketAddr> {
    let address: SocketAddr = listen.parse().with_context(|| format!("{listen:?} is no address and port; write 127.0.0.1:8501"))?;
    if !address.ip().is_loopback() {
        bail!("{address}: the demo listens on loopback only, since it lets anybody in; write 127.0.0.1:{}", address.port());
    }
    Ok(address)
}

/// The six lines, and who may open which page.
fn secrets_toml(issuer: &str, listen: SocketAddr) -> String {
    let issuer = issuer.trim_end_matches('/');
    format!(
        "[auth]\n\
         redirect_uri = \"http://{listen}/oauth2callback\"\n\
         cookie_secret = \"{}\"\n\
         client_id = \"{CLIENT_ID}\"\n\
         client_secret = \"{CLIENT_SECRET}\"\n\
         server_metadata_url = \"{issuer}/.well-known/openid-configuration\"\n\
         \n\
         [[vestibule.rule]]\n\
         path = \"/admin/**\"\n\
         require = {{ groups = \"admins\" }}\n\
         \n\
         [[vestibule.rule]]\n\
         path = \"/**\"\n",
        random::cookie_secret(),
    )
}

/// Readable by nobody else: it holds the secrets.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("{} cannot be written", path.display()))
}

fn serve_arguments(demo: &Demo, config: PathBuf, app: SocketAddr) -> Serve {
    Serve {
        config,
        listen: None,
        upstream: Some(format!("http://{app}")),
        upstream_timeout: Duration::from_secs(60),
        ready_needs_upstream: false,
        admin: None,
        control: None,
        tls_cert: None,
        tls_key: None,
        // Whoever stops a demo wants it gone.
        grace: Duration::from_secs(1),
        common: demo.common.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_will_do() {
        for address in ["127.0.0.1:8501", "127.9.9.9:1", "[::1]:8501"] {
            assert!(loopback(address).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:8501", "192.0.2.1:80", "[::]:80", "localhost:8501", "8501"] {
            assert!(loopback(address).is_err(), "{address}");
        }
    }

    #[test]
    fn the_configuration_has_six_lines_two_rules_and_a_secret_of_its_own() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8501));
        let (one, other) = (secrets_toml("http://127.0.0.1:9", listen), secrets_toml("http://127.0.0.1:9", listen));
        let (six, rules) = one.split_once("\n\n").unwrap_or_default();
        assert_eq!((six.lines().count(), rules.matches("[[vestibule.rule]]").count()), (6, 2));
        assert_ne!(one, other);
    }
}
