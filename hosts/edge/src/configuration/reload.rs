//! The configuration, read at start and again whenever it changes or SIGHUP asks for it.
//!
//! 1. What is half written is never in force. A file is read when it has been replaced, or closed by whoever has written it
//!    ([`crate::configuration::watch`]). SIGHUP says that it is whole as it is.
//! 2. The files that the configuration names are watched like its own. All of them are read at once, and what was read is
//!    what is loaded.
//! 3. At the start nothing is known of what came before. If a process has a file open for writing then, the program waits
//!    for it to be closed, and does not start if that takes too long.
//! 4. A new configuration replaces the old one in one step, without dropping a connection; what is open is judged by it
//!    ([`crate::exchange::judge`]). A broken one leaves the old one running, and the log says everything that is wrong with it.
//! 5. A configuration that comes from a pipe or from the environment is read once and kept. Where a file is to be read again, a
//!    pipe or a device is refused, and not waited for.
//! 6. Files that were refused for permissions, of their own or of a folder on the way, are looked at every second: nothing
//!    tells that those of a folder have changed.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use vestibule::audit::AuditEvent;
use vestibule::config::Config;
use vestibule::identity::streamlit::resumption::stream_path;
use vestibule::web::trusted_proxies::TrustedProxies;
use vestibule_wasmtime::{
    Accept, Configuration, ConfigurationError, ConfigurationFile, Filter, FilterComponent, FilterOptions, Reference, Summary, TrustedFile,
    TrustedFileError,
};

use crate::audit::place::{self, Asking};
use crate::audit::{self, Audit};
use crate::causes;
use crate::configuration::active::{Active, Current, Service};
use crate::configuration::claims::NodeClaims;
use crate::configuration::ended_sessions::EndedSessions;
use crate::configuration::native::{self, Known};
use crate::configuration::watch::{Watch, is_open_for_writing};
use crate::metrics::{Counts, Metrics};
use crate::service_manager;
use crate::store::{self, Keeper};
use crate::upstream::application::Upstream;

/// How long the start waits for files that are being written: longer than writing them takes.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at the start, where no change is noticed.
const START_PAUSE: Duration = Duration::from_millis(200);

/// Between two looks at what was refused for its permissions.
const MENDED_PAUSE: Duration = Duration::from_secs(1);

/// Where an [`Active`] comes from.
pub struct ActiveSource {
    component: FilterComponent,
    path: PathBuf,
    /// The text, of what can be read once only.
    text: Option<String>,
    /// Replaces `vestibule.upstream`.
    upstream: Option<String>,
    upstream_timeout: Duration,
    /// What is followed: the file, unless it can be read once only, and those that it named when it was read last.
    files: Vec<PathBuf>,
    watch: Option<Watch>,
    ended: Arc<EndedSessions>,
    claims: Arc<NodeClaims>,
    metrics: Arc<Metrics>,
}

/// Everything that was read, and nothing of it half.
pub struct Reading {
    configuration: Configuration,
}

impl Reading {
    /// What was read, by the core as it is in this program; `None` if the component is of another release and accepts more.
    pub fn config(&self, port: u16) -> Option<Config> {
        let mut loaded = self.configuration.clone();
        loaded.port = Some(port);
        native::loaded(loaded)
    }

    /// Where the list of ended sessions is to be kept beyond the process.
    ///
    /// # Errors
    /// The component is of another release, and this program cannot read what the file says of it.
    pub fn store(&self, port: u16) -> anyhow::Result<Option<store::Settings>> {
        let mut loaded = self.configuration.clone();
        loaded.port = Some(port);
        native::store(loaded)
    }
}

impl ActiveSource {
    /// Makes ready to read `path`; what can be read once only is read. `upstream` replaces `vestibule.upstream`. What its filters do is
    /// counted in `metrics`.
    ///
    /// # Errors
    /// What can be read once only cannot be read.
    pub async fn new(
        component: FilterComponent,
        path: PathBuf,
        upstream: Option<String>,
        upstream_timeout: Duration,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ConfigurationError> {
        let is_pipe = tokio::fs::metadata(&path).await.is_ok_and(|metadata| !metadata.is_file());
        let is_read_once = is_pipe || ConfigurationFile::variable(&path).is_some();
        let text = if is_read_once { Some(ConfigurationFile::text(&path, Accept::Anything).await?) } else { None };
        let watch = Watch::new().inspect_err(|error| {
            let remedy = "send SIGHUP after each change";
            tracing::warn!(code = "configuration.not_watched", "changes of the configuration are not noticed ({error}); {remedy}");
        });
        let files = if is_read_once { Vec::new() } else { vec![path.clone()] };
        let (ended, claims) = (Arc::default(), Arc::default());
        Ok(Self { component, path, text, upstream, upstream_timeout, files, watch: watch.ok(), ended, claims, metrics })
    }

    /// Which sessions its filters take for ended, whatever is reloaded.
    pub fn ended(&self) -> Arc<EndedSessions> {
        self.ended.clone()
    }

    /// Which login attempts its filters take for used, whatever is reloaded.
    pub fn claims(&self) -> Arc<NodeClaims> {
        self.claims.clone()
    }

    /// Reads everything for the first time.
    ///
    /// # Errors
    /// Something cannot be read, or is being written for too long.
    pub async fn first(&mut self) -> anyhow::Result<Reading> {
        let reading = timeout(START_PATIENCE, async {
            let mut is_told = false;
            loop {
                let reading = self.read().await?;
                let being_written = self.being_written().map(Path::to_owned);
                match being_written {
                    None if !self.has_changed() => return anyhow::Ok(reading),
                    Some(file) if !is_told => {
                        let file = file.display();
                        tracing::info!(code = "configuration.being_written", "{file} is open for writing: waiting until it is closed");
                        is_told = true;
                    }
                    _ => {}
                }
                sleep(START_PAUSE).await;
            }
        });
        match reading.await {
            Ok(reading) => reading,
            Err(_) => bail!(
                "{} or a file that it names is open for writing, so that it may be half written; close it, or replace it by renaming",
                self.path.display()
            ),
        }
    }

    /// The address that the file says to listen on, else the default port on loopback.
    ///
    /// # Errors
    /// Every fault of the file, one per line.
    pub async fn listen_address(&self, reading: &Reading, default_port: u16) -> anyhow::Result<String> {
        let filter = self.filter(reading, default_port, None).await?;
        Ok(filter.summary().listen.clone().unwrap_or_else(|| format!("127.0.0.1:{default_port}")))
    }

    /// Loads what was read, for a host that listens on `port`.
    ///
    /// # Errors
    /// Every fault of the file, one per line, or that there is no upstream.
    pub async fn load(&self, reading: &Reading, port: u16) -> anyhow::Result<Active> {
        let mut configuration = reading.configuration.clone();
        configuration.port = Some(port);
        let Known { look, countable, callback, max_age, subjects } = native::known(configuration);
        let counts = self.metrics.counts(&countable);
        let filter = self.filter(reading, port, Some(counts.clone())).await?;
        self.ended.note_lifetime(max_age);
        let summary = filter.summary();
        for path in ConfigurationFile::readable_by_everybody(&self.path, &reading.configuration) {
            tracing::warn!(code = "configuration.readable", "{}", everybody_reads(&path));
        }
        for warning in &summary.warnings {
            tracing::warn!(code = "configuration.warning", "{}", warning.without_severity());
        }
        let service = self.service(summary)?;
        // Last, so that a configuration with a fault leaves no file behind.
        let audit = Audit::open(summary.audit.as_ref())?.with_callback(callback).with_subjects(subjects);
        for warning in summary.audit.iter().flat_map(|audit| place::weaknesses(&audit.destination, Asking::ToServe)) {
            tracing::warn!(code = "audit.exposed", "{warning}");
        }
        Ok(Active {
            look,
            counts,
            service,
            audit,
            trusted_proxies: TrustedProxies::parse(summary.trusted_proxies.iter().map(String::as_str))
                .context("host and component are not of one release")?,
            limits: summary.limits.clone(),
            public_origin: summary.public_origin.as_str().into(),
            application_probe: summary.application_probe.as_deref().map(Arc::from),
            streamlit: summary.streamlit.then(|| stream_path(&summary.base_path).into()),
            decider: Box::new(filter),
        })
    }

    /// Reads everything as it is, and follows it from before the reading on.
    async fn read(&mut self) -> Result<Reading, ConfigurationError> {
        loop {
            if let Some(watch) = &mut self.watch {
                watch.follow(&self.files);
            }
            let toml = match &self.text {
                Some(text) => text.clone(),
                None => ConfigurationFile::text(&self.path, Accept::Files).await?,
            };
            let configuration = ConfigurationFile::complete(&self.component, &self.path, toml, None, Accept::Files).await?;
            let files = self.files(&configuration);
            if files == self.files {
                return Ok(Reading { configuration });
            }
            // Those that are named only now were not followed when they were read.
            self.files = files;
        }
    }

    fn files(&self, configuration: &Configuration) -> Vec<PathBuf> {
        let named = configuration.resolved.iter().filter_map(|resolved| match &resolved.reference {
            Reference::File(name) => Some(ConfigurationFile::named(&self.path, name)),
            Reference::Environment(_) => None,
        });
        let own = self.text.is_none().then(|| self.path.clone());
        own.into_iter().chain(named).collect()
    }

    /// The first of the files that is being written.
    fn being_written(&self) -> Option<&Path> {
        let is_noticed = |file: &Path| self.watch.as_ref().is_some_and(|watch| watch.is_being_written(file));
        self.files.iter().map(PathBuf::as_path).find(|file| is_noticed(file) || is_open(file))
    }

    /// Waits until something may have changed.
    async fn changed(&mut self) {
        match &mut self.watch {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Whether something may have changed since it was read.
    fn has_changed(&mut self) -> bool {
        self.watch.as_mut().is_some_and(Watch::news)
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

    async fn filter(&self, reading: &Reading, port: u16, counts: Option<Arc<Counts>>) -> anyhow::Result<Filter> {
        let mut configuration = reading.configuration.clone();
        configuration.port = Some(port);
        let options = FilterOptions {
            ended: Some(self.ended.clone()),
            claims: Some(self.claims.clone()),
            observer: counts.map(|counts| counts as _),
            ..FilterOptions::default()
        };
        Ok(Filter::load(&self.component, configuration, options).await?)
    }
}

impl Reading {
    /// Whether the other one says the same.
    fn is(&self, other: &Self) -> bool {
        fn values(reading: &Reading) -> impl Iterator<Item = Option<&str>> {
            reading.configuration.resolved.iter().map(|resolved| resolved.value.as_deref())
        }
        fn refusals(reading: &Reading) -> impl Iterator<Item = String> {
            reading.configuration.unread.iter().map(|unread| unread.reason.to_string())
        }
        // The text says what is resolved.
        self.configuration.toml == other.configuration.toml && values(self).eq(values(other)) && refusals(self).eq(refusals(other))
    }
}

/// Whether a process is known to have it open for writing. A pipe is not written in place, and what is not there neither.
fn is_open(file: &Path) -> bool {
    let is_file = std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file());
    is_file && File::open(file).is_ok_and(|file| is_open_for_writing(&file) == Some(true))
}

/// What there is to say of a file that is everybody's on this machine.
pub fn everybody_reads(path: &Path) -> String {
    let quoted = path.to_string_lossy();
    let quoted = shell_words::quote(&quoted);
    format!(
        "every user of this machine can read {}, which can hold secrets or personal data; run `chmod o-r {quoted}` (mode 640, for example)",
        path.display()
    )
}

/// Replaces `current` whenever the configuration changes from `taken`, which was loaded, and on SIGHUP; never returns.
///
/// # Errors
/// The system gives no signals.
pub fn keep_current(
    mut source: ActiveSource,
    port: u16,
    taken: Reading,
    current: Current,
    keeper: Arc<Keeper>,
) -> std::io::Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    // What is in use, or was refused.
    let mut taken = Ok(taken);
    Ok(async move {
        // It may have changed while it was loaded.
        let mut is_due = source.has_changed();
        loop {
            let mut is_asked = false;
            if !is_due {
                tokio::select! {
                    received = hangup.recv() => is_asked = received.is_some(),
                    () = source.changed() => {}
                    () = mended(&taken) => {}
                }
            }
            if is_asked {
                // Whoever rotates the file of the audit says so in this way.
                audit::reopen_files();
            }
            if is_asked && source.text.is_some() {
                let path = source.path.display();
                tracing::warn!(
                    code = "configuration.read_once",
                    "{path} cannot be read again; the configuration that was read from it stays in use"
                );
            }
            let found = source.read().await;
            let being_written = source.being_written().map(Path::to_owned);
            // In this order: whoever has written, and is no writer any more, was noticed.
            is_due = source.has_changed();
            if !is_asked {
                if let Some(file) = being_written {
                    tracing::debug!(code = "configuration.being_written", "{} is open for writing", file.display());
                    continue;
                }
                if is_due || is_away(&found) || is_same(&found, &taken) {
                    continue;
                }
            }
            service_manager::reloading();
            let loaded = match &found {
                Ok(reading) => match source.load(reading, port).await {
                    Ok(active) => reading.store(port).map(|store| (active, store)),
                    Err(error) => Err(error),
                },
                Err(error) => Err(anyhow::anyhow!("{error}")),
            };
            taken = found;
            match loaded {
                Ok((active, store)) => {
                    keeper.keep(store);
                    active.audit.happened(AuditEvent::ConfigurationLoaded, None);
                    source.metrics.in_force(&active.counts);
                    current.replace(active);
                    source.metrics.reloads.succeeded();
                    tracing::info!(code = "configuration.reloaded", "the new configuration is in use");
                    service_manager::reloaded("the new configuration is in use");
                }
                Err(error) => {
                    current.load().1.audit.happened(AuditEvent::ConfigurationRefused, Some("configuration.kept"));
                    source.metrics.reloads.failed();
                    for line in causes::told(&error).lines() {
                        tracing::error!(code = "configuration.fault", "{line}");
                    }
                    tracing::error!(code = "configuration.kept", "the new configuration is broken; the old one stays in use");
                    service_manager::reloaded("the new configuration is broken; the old one stays in use");
                }
            }
        }
    })
}

type Found = Result<Reading, ConfigurationError>;

/// Waits until something else is to be said of the permissions for which a configuration, or a file that it names, was refused; for
/// ever when none was, or for something else.
async fn mended(taken: &Found) {
    let refused: Vec<_> = match taken {
        Ok(reading) => reading
            .configuration
            .unread
            .iter()
            .filter_map(|unread| unread.reason.downcast_ref())
            .filter(|refused| is_for_permissions(refused))
            .collect(),
        Err(refused) => Some(refused).filter(|refused| is_for_permissions(refused)).into_iter().collect(),
    };
    if refused.is_empty() {
        return std::future::pending().await;
    }
    loop {
        // First, so that files which are away meanwhile are not looked at without a pause.
        sleep(MENDED_PAUSE).await;
        if !refused.iter().all(|refused| is_still_refused(refused)) {
            return;
        }
    }
}

fn is_for_permissions(refused: &ConfigurationError) -> bool {
    match refused {
        ConfigurationError::ChangeableByOthers(_) => true,
        ConfigurationError::Unreadable { reason, .. } => reason.kind() == ErrorKind::PermissionDenied,
        _ => false,
    }
}

/// Whether the same is to be said of permissions; nothing is read.
fn is_still_refused(refused: &ConfigurationError) -> bool {
    match refused {
        ConfigurationError::ChangeableByOthers(before) => {
            matches!(TrustedFile::open_plain(&before.path), Err(TrustedFileError::ChangeableByOthers(now)) if now == *before)
        }
        ConfigurationError::Unreadable { path, .. } => {
            let opened = TrustedFile::open_plain(path);
            matches!(opened, Err(TrustedFileError::Unreadable { reason, .. }) if reason.kind() == ErrorKind::PermissionDenied)
        }
        _ => true,
    }
}

/// Whether the configuration is not there: it is being replaced, and the new one will be noticed.
fn is_away(found: &Found) -> bool {
    matches!(found, Err(ConfigurationError::Unreadable { reason, .. }) if reason.kind() == ErrorKind::NotFound)
}

fn is_same(found: &Found, taken: &Found) -> bool {
    match (found, taken) {
        (Ok(found), Ok(taken)) => found.is(taken),
        (Err(found), Err(taken)) => found.to_string() == taken.to_string(),
        _ => false,
    }
}
