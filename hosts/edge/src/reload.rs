//! The configuration file, read at start and again whenever it changes or SIGHUP asks for it.
//!
//! A new file replaces the old one in one step, without dropping a connection. A broken one leaves the old one
//! running, and the log says everything that is wrong with it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use vestibule_wasmtime::{ConfigurationFile, Filter, FilterComponent, FilterOptions};

use crate::active::{Active, Current};
use crate::upstream::Upstream;

/// How often the file is looked at. Polling also works where a file is replaced through a link, as in Kubernetes.
const INTERVAL: Duration = Duration::from_secs(2);

/// Where an [`Active`] comes from.
pub struct Source {
    pub component: FilterComponent,
    pub path: PathBuf,
    /// Replaces `vestibule.upstream`.
    pub upstream: Option<String>,
    pub upstream_timeout: Duration,
}

impl Source {
    /// Loads the file for a host that listens on `port`.
    ///
    /// # Errors
    /// Every fault of the file, one per line, or that there is no upstream.
    pub async fn load(&self, port: u16) -> anyhow::Result<Active> {
        let filter = self.filter(port).await?;
        let summary = filter.summary();
        for warning in &summary.warnings {
            tracing::warn!(code = "configuration.warning", "{warning}");
        }
        let upstream = self
            .upstream
            .as_deref()
            .or(summary.upstream.as_deref())
            .context("no application is named; give --upstream http://127.0.0.1:8080, or write `upstream` under [vestibule]")?;
        Ok(Active {
            upstream: Upstream::parse(upstream, self.upstream_timeout)?,
            public_origin: summary.public_origin.clone(),
            decider: Box::new(filter),
        })
    }

    /// The address that the file says to listen on, else the default port on loopback.
    ///
    /// # Errors
    /// Every fault of the file, one per line.
    pub async fn listen_address(&self, default_port: u16) -> anyhow::Result<String> {
        let filter = self.filter(default_port).await?;
        Ok(filter.summary().listen.clone().unwrap_or_else(|| format!("127.0.0.1:{default_port}")))
    }

    /// Tells one content of the file from another; `None` while it cannot be read.
    pub async fn fingerprint(&self) -> Option<u64> {
        let content = tokio::fs::read(&self.path).await.ok()?;
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Some(hasher.finish())
    }

    async fn filter(&self, port: u16) -> anyhow::Result<Filter> {
        let configuration = ConfigurationFile::read(&self.component, &self.path, Some(port)).await?;
        Ok(Filter::load(&self.component, configuration, FilterOptions::default()).await?)
    }
}

/// Replaces `current` whenever the file changes from `seen`, the fingerprint of what was loaded, and on SIGHUP; never
/// ends.
///
/// # Errors
/// SIGHUP cannot be listened for.
pub fn keep_current(source: Source, port: u16, mut seen: Option<u64>, current: Current) -> std::io::Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                received = hangup.recv() => received.is_some(),
                _ = ticks.tick() => false,
            };
            let found = source.fingerprint().await;
            // A file that is away is being replaced: what runs keeps running, and the next look finds the new one.
            if !asked && (found.is_none() || found == seen) {
                continue;
            }
            seen = found;
            match source.load(port).await {
                Ok(active) => {
                    current.store(Arc::new(active));
                    tracing::info!(code = "configuration.reloaded", "the new configuration is in use");
                }
                Err(error) => {
                    for line in format!("{error:#}").lines() {
                        tracing::error!(code = "configuration.fault", "{line}");
                    }
                    tracing::error!(code = "configuration.kept", "the new configuration is broken; the old one stays in use");
                }
            }
        }
    })
}
