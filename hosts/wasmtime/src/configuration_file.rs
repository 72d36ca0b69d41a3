//! A configuration file with everything that it refers to.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::component::FilterComponent;
use crate::configuration::{Configuration, Reference, Resolved, Unread};
use crate::error::ComponentError;
use crate::trusted_file::{ChangeableByOthers, TrustedFile, TrustedFileError, is_readable_by_everybody};

/// The component's own limit for the text.
const MAX_CONFIGURATION_BYTES: u64 = 1 << 20;

/// Room for any secret and any key file; not for a device or a log by mistake.
const MAX_REFERENCE_BYTES: u64 = 64 << 10;

/// Whoever writes into a pipe has the text at hand.
const PIPE_PATIENCE: Duration = Duration::from_secs(10);

/// What a path begins with that names an environment variable, `env:VESTIBULE_CONFIG`: the variable has the text.
const VARIABLE: &str = "env:";

/// Reads configuration files.
pub struct ConfigurationFile;

/// What a configuration, or a file that it names, may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// A pipe or a device as well, which can be read once, and is waited for.
    Anything,
    /// Only a file, which can be read again.
    Files,
}

/// The configuration cannot be read. What is wrong *in* it is told by [`crate::Filter::load`].
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The file is not there or may not be read.
    #[error("cannot read {}: {reason}; {}", path.display(), remedy(reason.kind()))]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// The system's reason. It is in the message.
        reason: io::Error,
    },
    /// Longer than any configuration is.
    #[error("{} is longer than {limit} bytes; name another file", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// In bytes.
        limit: u64,
    },
    /// Others can change the file, or one that it names.
    #[error(transparent)]
    ChangeableByOthers(#[from] ChangeableByOthers),
    /// A pipe, or another file that is none of a disk, without an end.
    #[error("{} gives no end within {} s; close its other end, or name a file", path.display(), patience.as_secs())]
    Late {
        /// The file.
        path: PathBuf,
        /// How long it was read.
        patience: Duration,
    },
    /// Neither TOML nor a secret may hold other bytes.
    #[error("{} is not UTF-8 text; save it as UTF-8", .0.display())]
    NotText(PathBuf),
    /// The variable that should have the text of the configuration.
    #[error("the environment variable {0} is not set; set it to the text of the configuration, or name a file")]
    NoVariable(String),
    /// The same for a variable of the environment.
    #[error("the environment variable {0} is not UTF-8 text; set it to one that is")]
    VariableNotText(String),
    /// The component failed.
    #[error(transparent)]
    Component(#[from] ComponentError),
}

impl ConfigurationFile {
    /// Reads the file, asks the component what it refers to, and resolves that: environment variables as they are,
    /// files (where [`Self::named`] says) without the line ends at their end. What does not exist is left
    /// unresolved, and the component then names the line that asks for it. So is what is there and cannot be used, with the reason
    /// in [`Configuration::unread`]. `port` is the port the host listens on.
    ///
    /// # Errors
    /// When the file itself cannot be read, can be changed by others (see [`TrustedFile`]), is too long or not text, or the component
    /// fails.
    pub async fn read(component: &FilterComponent, path: &Path, port: Option<u16>) -> Result<Configuration, ConfigurationError> {
        Self::complete(component, path, Self::text(path, Accept::Anything).await?, port, Accept::Anything).await
    }

    /// The variable with the text, of a path like `env:VESTIBULE_CONFIG`. What is relative in that text is relative to the
    /// working directory. A file of that name is `./env:VESTIBULE_CONFIG`.
    pub fn variable(path: &Path) -> Option<&str> {
        path.to_str()?.strip_prefix(VARIABLE)
    }

    /// Only the text. A pipe is read to its end, and can be read once. See [`Self::variable`] as well.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn text(path: &Path, accept: Accept) -> Result<String, ConfigurationError> {
        match Self::variable(path) {
            Some(name) => environment(name)?.ok_or_else(|| ConfigurationError::NoVariable(name.to_owned())),
            None => read_text(path, MAX_CONFIGURATION_BYTES, accept).await,
        }
    }

    /// What [`Self::read`] makes of the text, which is not read again. `accept` is for the files that it names.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn complete(
        component: &FilterComponent,
        path: &Path,
        toml: String,
        port: Option<u16>,
        accept: Accept,
    ) -> Result<Configuration, ConfigurationError> {
        let references = component.references(&toml).await?;
        Ok(with_references(path, toml, references, port, accept).await)
    }

    /// Whether there is such a file, or variable, and it may be read; what is in it is not looked at. A pipe is not opened.
    ///
    /// # Errors
    /// [`ConfigurationError::Unreadable`], or one of the variable.
    pub fn find(path: &Path) -> Result<(), ConfigurationError> {
        if let Some(name) = Self::variable(path) {
            return environment(name)?.map(drop).ok_or_else(|| ConfigurationError::NoVariable(name.to_owned()));
        }
        let found =
            std::fs::metadata(path).and_then(|metadata| if metadata.is_file() { std::fs::File::open(path).map(drop) } else { Ok(()) });
        found.map_err(|reason| ConfigurationError::Unreadable { path: path.into(), reason })
    }

    /// What the paths in a configuration are relative to: the folder of its file, and the working directory for one that
    /// comes from a pipe.
    pub fn folder(path: &Path) -> &Path {
        let is_pipe = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
        path.parent().filter(|_| !is_pipe && Self::variable(path).is_none()).unwrap_or(Path::new(""))
    }

    /// The file that a configuration means by `name`: relative to [`Self::folder`], unless a service manager has a credential of
    /// this name for this process (`CREDENTIALS_DIRECTORY`, systemd's `LoadCredential=`).
    pub fn named(path: &Path, name: &str) -> PathBuf {
        place(Self::folder(path), credentials_folder().as_deref(), name)
    }

    /// The value of one reference of the configuration at `path`; `None` if there is none.
    ///
    /// # Errors
    /// As [`Self::read`], of what the reference names.
    pub async fn value(path: &Path, reference: &Reference, accept: Accept) -> Result<Option<String>, ConfigurationError> {
        resolve(reference, Self::folder(path), accept).await
    }

    /// The same without a component: `references` says what a text refers to. What it names must be a regular file.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_with(
        path: &Path,
        port: Option<u16>,
        references: impl FnOnce(&str) -> Vec<Reference>,
    ) -> Result<Configuration, ConfigurationError> {
        Self::complete_with(path, Self::text(path, Accept::Anything).await?, port, references).await
    }

    /// What [`Self::read_with`] makes of the text, which is not read: there need be no file at `path` yet.
    ///
    /// # Errors
    /// None at present: see [`Configuration::unread`].
    pub async fn complete_with(
        path: &Path,
        toml: String,
        port: Option<u16>,
        references: impl FnOnce(&str) -> Vec<Reference>,
    ) -> Result<Configuration, ConfigurationError> {
        let references = references(&toml);
        Ok(with_references(path, toml, references, port, Accept::Files).await)
    }

    /// Of the file and those that it names, those that every user of this machine may read: their secrets are no secrets.
    pub fn readable_by_everybody(path: &Path, configuration: &Configuration) -> Vec<PathBuf> {
        let named = configuration.resolved.iter().filter_map(|resolved| match &resolved.reference {
            Reference::File(name) => Some(Self::named(path, name)),
            Reference::Environment(_) => None,
        });
        let own = Self::variable(path).is_none().then(|| path.to_owned());
        let files = own.into_iter().chain(named);
        files.filter(|file| std::fs::metadata(file).is_ok_and(|metadata| is_readable_by_everybody(&metadata))).collect()
    }
}

/// What to do about a file that cannot be read.
fn remedy(reason: io::ErrorKind) -> &'static str {
    match reason {
        io::ErrorKind::PermissionDenied => "let the user who runs this read it, and enter the folders that it is in",
        io::ErrorKind::IsADirectory => "name a file in it",
        io::ErrorKind::InvalidData => "write it in UTF-8",
        _ => "create the file, or name another one",
    }
}

async fn with_references(path: &Path, toml: String, references: Vec<Reference>, port: Option<u16>, accept: Accept) -> Configuration {
    let folder = ConfigurationFile::folder(path);
    let (mut resolved, mut unread) = (Vec::new(), Vec::new());
    for reference in references {
        let value = resolve(&reference, folder, accept).await.unwrap_or_else(|reason| {
            unread.push(Unread { reference: reference.clone(), reason: Arc::new(reason) });
            None
        });
        resolved.push(Resolved { reference, value });
    }
    let file_name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Configuration { file_name, toml, resolved, unread, port }
}

async fn resolve(reference: &Reference, folder: &Path, accept: Accept) -> Result<Option<String>, ConfigurationError> {
    match reference {
        Reference::Environment(name) => environment(name),
        Reference::File(path) => {
            match read_text(&place(folder, credentials_folder().as_deref(), path), MAX_REFERENCE_BYTES, accept).await {
                Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
                Err(ConfigurationError::Unreadable { reason, .. }) if reason.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        }
    }
}

fn credentials_folder() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).filter(|folder| folder.is_absolute())
}

/// A credential is named by a file name alone; everything else is a path.
fn place(folder: &Path, credentials: Option<&Path>, name: &str) -> PathBuf {
    let mut parts = Path::new(name).components();
    let is_file_name = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    let credential = credentials.filter(|_| is_file_name).map(|credentials| credentials.join(name));
    credential.filter(|credential| credential.is_file()).unwrap_or_else(|| folder.join(name))
}

fn environment(name: &str) -> Result<Option<String>, ConfigurationError> {
    // `var_os` may panic on names that no variable can have.
    if name.is_empty() || name.contains(['=', '\0']) {
        return Ok(None);
    }
    std::env::var_os(name).map(|value| value.into_string().map_err(|_| ConfigurationError::VariableNotText(name.into()))).transpose()
}

/// At most `limit` bytes. A pipe that does not end is let go of; the thread that reads it stays until it does.
async fn read_text(path: &Path, limit: u64, accept: Accept) -> Result<String, ConfigurationError> {
    let owned = path.to_owned();
    // Opening a file may block, a named pipe for long.
    let reading = tokio::task::spawn_blocking(move || {
        let opened = match accept {
            Accept::Anything => TrustedFile::open(&owned),
            Accept::Files => TrustedFile::open_plain(&owned),
        };
        opened?.read(limit)
    });
    let late = |_| ConfigurationError::Late { path: path.into(), patience: PIPE_PATIENCE };
    let read = timeout(PIPE_PATIENCE, reading).await.map_err(late)?;
    let bytes =
        read.map_err(|error| ConfigurationError::Unreadable { path: path.into(), reason: error.into() })?.map_err(|error| match error {
            TrustedFileError::Unreadable { path, reason } => ConfigurationError::Unreadable { path, reason },
            TrustedFileError::TooLong { path, limit } => ConfigurationError::TooLong { path, limit },
            TrustedFileError::ChangeableByOthers(error) => error.into(),
        })?;
    String::from_utf8(bytes).map_err(|_| ConfigurationError::NotText(path.into()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn file_references_are_relative_to_the_configuration_and_lose_their_line_ends() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), "swordfish \r\n\n").unwrap();
        let reference = Reference::File("secret".into());
        let value = resolve(&reference, folder.path(), Accept::Files).await.unwrap();
        assert_eq!(value.as_deref(), Some("swordfish "));
    }

    #[test]
    fn a_credential_comes_before_a_file_of_the_same_name() {
        let (configuration, credentials) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(credentials.path().join("secret"), "").unwrap();
        fs::create_dir(credentials.path().join("folder")).unwrap();
        fs::write(credentials.path().join("folder/secret"), "").unwrap();
        let found = |name: &str| place(configuration.path(), Some(credentials.path()), name);
        assert_eq!(found("secret"), credentials.path().join("secret"));
        assert_eq!(place(configuration.path(), None, "secret"), configuration.path().join("secret"));
        for path in ["absent", "./secret", "folder", "folder/secret", "secret/", "..", ""] {
            assert_eq!(found(path), configuration.path().join(path), "{path}");
        }
        assert_eq!(found("/etc/hostname"), Path::new("/etc/hostname"));
    }

    #[test]
    fn what_comes_from_no_file_is_relative_to_the_working_directory() {
        assert_eq!(ConfigurationFile::folder(Path::new("/dev/null")), Path::new(""));
        assert_eq!(ConfigurationFile::folder(Path::new("secrets.toml")), Path::new(""));
        assert_eq!(ConfigurationFile::folder(Path::new("env:A/B")), Path::new(""));
        assert_eq!(ConfigurationFile::folder(Path::new("not/there.toml")), Path::new("not"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.toml");
        fs::write(&file, "").unwrap();
        assert_eq!(ConfigurationFile::folder(&file), folder.path());
    }

    #[tokio::test]
    async fn what_does_not_exist_is_left_to_the_component() {
        let folder = tempfile::tempdir().unwrap();
        for reference in [
            Reference::File("absent".into()),
            Reference::Environment("VESTIBULE_TEST_SURELY_UNSET".into()),
            Reference::Environment("A=B".into()),
            Reference::Environment(String::new()),
        ] {
            assert_eq!(resolve(&reference, folder.path(), Accept::Files).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn the_environment_is_read() {
        let reference = Reference::Environment("PATH".into());
        let value = resolve(&reference, Path::new(""), Accept::Files).await.unwrap();
        assert!(value.is_some());
        assert_eq!(value, std::env::var("PATH").ok());
    }

    #[tokio::test]
    async fn a_variable_can_have_the_text() {
        let path = Path::new("env:PATH");
        assert_eq!(ConfigurationFile::variable(path), Some("PATH"));
        assert_eq!(ConfigurationFile::variable(Path::new("./env:PATH")), None);
        assert!(ConfigurationFile::find(path).is_ok());
        for accept in [Accept::Anything, Accept::Files] {
            assert_eq!(ConfigurationFile::text(path, accept).await.unwrap(), std::env::var("PATH").unwrap());
        }
        for unset in ["env:VESTIBULE_TEST_SURELY_UNSET", "env:", "env:A=B"] {
            let refused = ConfigurationFile::text(Path::new(unset), Accept::Files).await;
            assert!(matches!(refused, Err(ConfigurationError::NoVariable(name)) if unset.ends_with(&name)), "{unset}");
            assert!(matches!(ConfigurationFile::find(Path::new(unset)), Err(ConfigurationError::NoVariable(_))), "{unset}");
        }
    }

    #[tokio::test]
    async fn long_files_and_bytes_that_are_no_text_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let limit = usize::try_from(MAX_REFERENCE_BYTES).unwrap();
        fs::write(folder.path().join("fits"), "x".repeat(limit)).unwrap();
        fs::write(folder.path().join("long"), "x".repeat(limit + 1)).unwrap();
        fs::write(folder.path().join("bytes"), [0xff]).unwrap();
        let read = async |name: &str| resolve(&Reference::File(name.into()), folder.path(), Accept::Files).await;
        assert_eq!(read("fits").await.unwrap().unwrap().len(), limit);
        assert!(matches!(read("long").await, Err(ConfigurationError::TooLong { .. })));
        assert!(matches!(read("bytes").await, Err(ConfigurationError::NotText(_))));
        assert!(matches!(read("").await, Err(ConfigurationError::Unreadable { .. })), "a folder");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_is_to_be_read_again_is_a_file_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        std::os::unix::fs::symlink("fifo", folder.path().join("link")).unwrap();
        for path in [&fifo, &folder.path().join("link"), Path::new("/dev/null"), Path::new("/dev/zero")] {
            let read = timeout(PIPE_PATIENCE / 2, ConfigurationFile::text(path, Accept::Files)).await.expect("at once");
            let refused = read.expect_err("no file").to_string();
            assert!(refused.contains("it is a pipe, a socket or a device") && refused.contains(&path.display().to_string()), "{refused}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_others_can_change_is_refused_and_what_they_can_read_is_told() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let (path, secret) = (folder.path().join("secrets.toml"), folder.path().join("secret"));
        fs::write(&path, "").unwrap();
        fs::write(&secret, "swordfish").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let read = async || {
            ConfigurationFile::read_with(&path, None, |_| vec![Reference::File("secret".into()), Reference::Environment("PATH".into())])
                .await
        };
        for (mode, of_secret, readable) in [
            (0o600, 0o400, vec![]),
            (0o640, 0o440, vec![]),
            (0o644, 0o600, vec![&path]),
            (0o600, 0o444, vec![&secret]),
            (0o604, 0o604, vec![&path, &secret]),
        ] {
            set(&path, mode);
            set(&secret, of_secret);
            let configuration = read().await.unwrap();
            let found = ConfigurationFile::readable_by_everybody(&path, &configuration);
            assert_eq!(found.iter().collect::<Vec<_>>(), readable, "{mode:o} and {of_secret:o}");
        }
        for (mode, of_secret, changeable) in
            [(0o622, 0o600, &path), (0o602, 0o600, &path), (0o600, 0o666, &secret), (0o600, 0o602, &secret)]
        {
            set(&path, mode);
            set(&secret, of_secret);
            let refused = match read().await {
                Ok(configuration) => {
                    assert!(configuration.resolved[0].value.is_none(), "{mode:o} and {of_secret:o}");
                    configuration.unread[0].reason.clone()
                }
                Err(error) => Arc::new(error) as Arc<dyn std::error::Error + Send + Sync>,
            };
            let Some(ConfigurationError::ChangeableByOthers(error)) = refused.downcast_ref() else { panic!("{mode:o} and {of_secret:o}") };
            assert_eq!(error.reasons.iter().map(|reason| &reason.place).collect::<Vec<_>>(), [changeable]);
            assert!(error.to_string().contains(&format!("-w {}`", changeable.display())), "{error}");
        }
    }
}
