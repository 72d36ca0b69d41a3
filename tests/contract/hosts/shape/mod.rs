//! The hosts, each a file.

mod beside;
mod library;
mod process;
mod serve;
mod wasi;

use std::any::Any;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use async_trait::async_trait;

pub use process::Process;

use crate::site::Setting;

/// A host with the login in it, in front of the application.
#[async_trait]
pub trait Shape: Send + Sync {
    /// On the command line.
    fn name(&self) -> &'static str;

    /// In the table.
    fn title(&self) -> &'static str;

    /// Why a row cannot hold here, by the nature of the host. A row that holds all the same fails the suite: the reason
    /// has gone.
    fn exempt(&self, _row: &str) -> Option<&'static str> {
        None
    }

    /// Starts it, listening at [`Setting::public`]. It need not be ready yet.
    ///
    /// # Errors
    /// It cannot be started, or a program of it is not installed; the message says how to install it.
    async fn start(&self, setting: &Setting) -> Result<Started>;

    /// Starts the same host without the login, for comparison. By default the application itself, as far as a host is
    /// nothing without the login.
    ///
    /// # Errors
    /// As [`Self::start`].
    async fn start_plain(&self, setting: &Setting) -> Result<Started> {
        setting.application.listen(setting.public.port()).await?;
        Ok(Started::processes(vec![]))
    }
}

/// Every shape, in the order of the table.
pub fn all() -> Vec<Box<dyn Shape>> {
    let mut shapes = always();
    shapes.extend(installed());
    shapes
}

/// Those that need nothing but what `make build` makes.
pub fn always() -> Vec<Box<dyn Shape>> {
    vec![Box::new(library::Library), Box::new(serve::Serve)]
}

/// Those whose servers `make test-hosts` installs.
fn installed() -> Vec<Box<dyn Shape>> {
    vec![
        Box::new(beside::ENVOY),
        Box::new(beside::TRAEFIK),
        Box::new(beside::CADDY),
        Box::new(beside::NGINX),
        Box::new(wasi::MIDDLEWARE),
        Box::new(wasi::PROXY),
        Box::new(wasi::JCO),
    ]
}

/// What runs of a shape. Dropping it stops it.
pub struct Started {
    processes: Vec<Process>,
    _others: Vec<Box<dyn Any + Send + Sync>>,
    since: Instant,
}

impl Started {
    /// Of programs.
    pub fn processes(processes: Vec<Process>) -> Self {
        Self { processes, _others: vec![], since: Instant::now() }
    }

    /// Of something in this process that ends when it is dropped.
    pub fn other(other: impl Any + Send + Sync) -> Self {
        Self { processes: vec![], _others: vec![Box::new(other)], since: Instant::now() }
    }

    /// What a program that has ended left in its log.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.processes.iter_mut().find_map(Process::ended)
    }

    pub(crate) fn is_overdue(&self, limit: Duration) -> bool {
        self.since.elapsed() > limit
    }

    /// The ends of all logs.
    pub(crate) fn logs(&self) -> String {
        self.processes.iter().map(Process::log).collect::<Vec<_>>().join("\n")
    }
}

/// A file of the tree, by its path from the root.
pub(crate) fn of_tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// What `make build` makes.
///
/// # Errors
/// It is not there.
pub(crate) fn built(path: &str) -> Result<PathBuf> {
    let path = of_tree(path);
    ensure!(path.is_file(), "{} is not there; run `make build`", path.display());
    Ok(path)
}

/// Keeps the compiled component between runs.
pub(crate) fn component_cache() -> PathBuf {
    of_tree("target/contract/component-cache")
}
