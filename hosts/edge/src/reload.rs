//! The configuration file, read at start and again whenever it changes or SIGHUP asks for it.
//!
//! A change is taken when two looks in a row find the same: a file that is being written is often valid halfway, without
//! the restrictions at its end. SIGHUP says that it is whole. A new file replaces the old one in one step, without dropping a connection. A broken one leaves the old one
//! running, and the log says everything that is wrong with it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::signal::unix::{SignalKind, signal};
use vestibule::streamlit::resumption::stream_path;
use vestibule::trusted_proxies::TrustedProxies;
use vestibule_wasmtime::{ConfigurationFile, Filter, FilterComponent, FilterOptions, Summary};

use crate::active::{Active, Current, Service};
use crate::upstream::Upstream;

/// How often the file is looked at. Polling also works where a file is replaced through a link, as in Kubernetes.
const INTERVAL: Duration = Duration::from_secs(1);

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
        if is_readable_by_everybody(&self.path) {
            let path = self.path.display();
            tracing::warn!(
                code = "configuration.readable",
                "{path} can be read by every user of this machine, and so can its secrets; run `chmod o-r` on it"
            );
        }
        for warning in &summary.warnings {
            tracing::warn!(code = "configuration.warning", "{warning}");
        }
        Ok(Active {
            service: self.service(summary)?,
            trusted_proxies: TrustedProxies::parse(summary.trusted_proxies.iter().map(String::as_str))
                .context("host and component are not of one release")?,
            limits: summary.limits.clone(),
            public_origin: summary.public_origin.as_str().into(),
            application_probe: summary.application_probe.as_deref().map(Arc::from),
            streamlit: summary.streamlit.then(|| stream_path(&summary.base_path).into()),
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

    fn service(&self, summary: &Summary) -> anyhow::Result<Service> {
        if summary.authorization.is_some() {
            ensure!(self.upstream.is_none(), "--upstream has no effect with mode = \"authz\": name the application in the proxy that asks");
            return Ok(Service::Authz);
        }
        let upstream = self
            .upstream
            .as_deref()
            .or(summary.upstream.as_deref())
            .context("no application is named; give --upstream http://127.0.0.1:8080, or write `upstream` under [vestibule]")?;
        Ok(Service::Proxy(Arc::new(Upstream::parse(upstream, self.upstream_timeout)?)))
    }

    async fn filter(&self, port: u16) -> anyhow::Result<Filter> {
        let configuration = ConfigurationFile::read(&self.component, &self.path, Some(port)).await?;
        Ok(Filter::load(&self.component, configuration, FilterOptions::default()).await?)
    }
}

/// What was found of the file.
struct Looks {
    /// The content in use, or refused.
    taken: Option<u64>,
    /// At the look before.
    last: Option<u64>,
}

impl Looks {
    /// Whether what is found now is to be taken. A file that is away is being replaced: what runs keeps running, and a
    /// later look finds the new one.
    fn is_news(&mut self, found: Option<u64>) -> bool {
        let is_whole = found == self.last;
        self.last = found;
        is_whole && found.is_some() && found != self.taken
    }
}

/// Whether a file's secrets are everybody's on this machine.
pub fn is_readable_by_everybody(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    const READABLE_BY_OTHERS: u32 = 0o004;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & READABLE_BY_OTHERS != 0)
}

/// Replaces `current` whenever the file changes from `seen`, the fingerprint of what was loaded, and on SIGHUP; never
/// ends.
///
/// # Errors
/// SIGHUP cannot be listened for.
pub fn keep_current(source: Source, port: u16, seen: Option<u64>, current: Current) -> std::io::Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut looks = Looks { taken: seen, last: seen };
    Ok(async move {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                received = hangup.recv() => received.is_some(),
                _ = ticks.tick() => false,
            };
            let found = source.fingerprint().await;
            if !looks.is_news(found) && !asked {
                continue;
            }
            let loaded = source.load(port).await;
            // It may be another file by now that was loaded.
            if source.fingerprint().await != found {
                continue;
            }
            looks.taken = found;
            match loaded {
                Ok(active) => {
                    current.replace(active);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_taken_when_it_is_found_twice_and_once_only() {
        let mut looks = Looks { taken: Some(1), last: Some(1) };
        assert!(!looks.is_news(Some(1)), "it is in use");
        assert!(!looks.is_news(Some(2)), "it may be half of it");
        assert!(!looks.is_news(Some(3)), "it was");
        assert!(looks.is_news(Some(3)));
        looks.taken = Some(3);
        assert!(!looks.is_news(Some(3)));
        assert!(!looks.is_news(None) && !looks.is_news(None), "it is being replaced");
        assert!(!looks.is_news(Some(3)) && !looks.is_news(Some(3)), "by itself");
    }

    #[test]
    fn secrets_that_everybody_can_read_are_noticed() {
        use std::os::unix::fs::PermissionsExt as _;

        let file = tempfile::NamedTempFile::new().expect("a file");
        for (mode, readable) in [(0o600, false), (0o640, false), (0o644, true)] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).expect("ours");
            assert_eq!(is_readable_by_everybody(file.path()), readable, "{mode:o}");
        }
    }
}
