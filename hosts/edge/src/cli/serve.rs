//! `vestibule serve`: reads the configuration, listens, and keeps going until told to stop.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{anyhow, ensure};
use tokio::signal::unix::{SignalKind, signal};
use vestibule::audit::AuditEvent;
use vestibule_wasmtime::{Carried, ConfigurationFile};

use crate::audit;
use crate::cli::arguments::Serve;
use crate::cli::component;
use crate::cli::not_started::InvalidConfiguration;
use crate::configuration::active::Current;
use crate::configuration::public_address::{self, Listening};
use crate::configuration::reload::{self, ActiveSource};
use crate::configuration::rotation;
use crate::exchange::control::Control;
use crate::exchange::proxy::Edge;
use crate::listen::limits::{self, ConnectionLimits};
use crate::listen::listener::Listener;
use crate::listen::tls;
use crate::metrics::Metrics;
use crate::observe::admin::Admin;
use crate::service_manager;
use crate::store::Keeper;
use crate::upstream::authorities;

/// The port of Streamlit, and of the six-line example.
pub const DEFAULT_PORT: u16 = 8501;

/// How long the end of the program waits for the disk of the audit.
const AUDIT_PATIENCE: Duration = Duration::from_secs(1);

/// How long the start waits for the store to be read, and the end for what is to be written.
const STORE_PATIENCE: Duration = Duration::from_secs(3);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps it from starting; the message names the remedy.
pub async fn run(arguments: &Serve, carried: &Carried) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        service_manager::stopping();
    };
    until(arguments, carried, passed(arguments)?, |_| service_manager::ready(), stop).await
}

/// The listener that a service manager passes. Its address is chosen there, so one on the command line contradicts it.
fn passed(arguments: &Serve) -> anyhow::Result<Option<Listener>> {
    let Some(socket) = service_manager::passed_socket()? else { return Ok(None) };
    ensure!(arguments.listen.is_none(), "the service manager passes a socket to listen on: remove --listen, or the socket unit");
    Ok(Some(Listener::on(socket)?))
}

/// Serves until `stop` resolves, on `listener` if there is one already. `ready` is called once requests are answered.
///
/// # Errors
/// As [`run`].
pub async fn until(
    arguments: &Serve,
    carried: &Carried,
    listener: Option<Listener>,
    ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let (acceptor, not_after) = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificate), Some(key)) => {
            let tls = tls::load(certificate, key)?;
            if let Some(warning) = &tls.warning {
                tracing::warn!(code = "tls.key_readable", "{warning}");
            }
            (Some(tls.acceptor), tls.not_after)
        }
        _ => (None, None),
    };
    let metrics = Metrics::new(not_after);
    // Until they are followed, these signals would end the program: whoever rotates a file does not know whether it has started.
    let (_hangup, _rotated) = (signal(SignalKind::hangup())?, signal(SignalKind::user_defined1())?);
    authorities::check()?;
    let limits = ConnectionLimits::with_descriptors(limits::raise_descriptors());
    // Before a component is compiled, which takes seconds.
    ConfigurationFile::find(&arguments.config).map_err(InvalidConfiguration::mark)?;
    let component = component::load(&arguments.common, carried)?;
    let (config, upstream) = (arguments.config.clone(), arguments.upstream.clone());
    let patience = arguments.upstream_timeout;
    let source = ActiveSource::new(component, config, upstream, patience, metrics.clone()).await;
    let mut source = source.map_err(InvalidConfiguration::mark)?;
    let reading = source.first().await.map_err(InvalidConfiguration::mark)?;

    let listener = match (listener, &arguments.listen) {
        (Some(listener), _) => listener,
        (None, Some(address)) => Listener::bind(address).await?,
        (None, None) => {
            let address = source.listen_address(&reading, DEFAULT_PORT).await.map_err(InvalidConfiguration::mark)?;
            Listener::bind(&address).await?
        }
    };
    let listener = listener.with_limits(limits);
    let port = listener.address().port();
    let current = Current::new(source.load(&reading, port).await.map_err(InvalidConfiguration::mark)?);
    let edge = Edge::new(current.clone(), acceptor.is_some()).with_ended(source.ended()).with_metrics(metrics.clone());
    let keeper = Arc::new(Keeper::new(Arc::new(edge.session_ends()), metrics.store.clone()));
    source.claims().share(&keeper);
    keeper.keep(reading.store(port).map_err(InvalidConfiguration::mark)?);
    let keeping = tokio::spawn(keeper.clone().run());
    keeper.known(STORE_PATIENCE).await;
    let listening = Listening::on(listener.address(), acceptor.is_some());
    if let Some(warning) = reading.config(port).and_then(|config| public_address::warning(&config, listening)) {
        tracing::warn!(code = "configuration.warning", "{}: {warning}", arguments.config.display());
    }
    metrics.reloads.started();
    let stopping = Arc::new(AtomicBool::new(false));
    let admin = match &arguments.admin {
        Some(address) => {
            let (current, metrics, store, stopping) = (current.clone(), metrics.clone(), keeper.clone(), stopping.clone());
            let admin = Admin { current, metrics, store, stopping, asks_application: arguments.ready_needs_upstream };
            Some(tokio::spawn(admin.serve(address).await?))
        }
        None => None,
    };
    let control = match &arguments.control {
        Some(path) => {
            let control = Control { current: current.clone(), known: source.ended(), ends: edge.session_ends(), store: keeper.clone() };
            Some(tokio::spawn(control.serve(path).map_err(|error| no_control(path, &error))?))
        }
        None => None,
    };
    let reloading = tokio::spawn(reload::keep_current(source, port, reading, current.clone(), keeper.clone())?);
    let rotating = tokio::spawn(rotation::follow()?);

    let (scheme, address) = (if acceptor.is_some() { "https" } else { "http" }, listener.address());
    tracing::info!(code = "listener.listening", address = %address, "listening on {scheme}://{address}");
    current.load().1.audit.happened(AuditEvent::Started, None);
    ready(address);
    let edge = edge.with_store(keeper.clone());
    let stop = async {
        stop.await;
        stopping.store(true, Ordering::Relaxed);
    };
    edge.serve(listener, acceptor, stop, arguments.grace).await;

    keeper.written(STORE_PATIENCE).await;
    keeping.abort();
    reloading.abort();
    rotating.abort();
    for task in admin.into_iter().chain(control) {
        task.abort();
    }
    current.load().1.audit.happened(AuditEvent::Stopped, None);
    audit::flush_files(AUDIT_PATIENCE);
    tracing::info!(code = "listener.stopped", "stopped");
    Ok(())
}

fn no_control(path: &Path, error: &io::Error) -> anyhow::Error {
    let path = path.display();
    anyhow!("--control: cannot listen on {path}: {error}; name a path in a folder that this user can write to, and that nothing else has")
}
