//! `vestibule check`: the place of the list of ended sessions, as `vestibule serve` judges it before it uses a file.

use std::path::Path;

use vestibule::config::{StorePlace, StoreSettings};

use crate::store::file_place;

/// What is wrong with a file for the list: an error if it is the same for every user and machine, or else a warning. Each has line, key
/// and remedy.
///
/// # Errors
/// The error.
pub fn look(store: Option<&StoreSettings>, file: &Path) -> anyhow::Result<Option<String>> {
    let Some(StoreSettings { place: StorePlace::File(path), line, key, .. }) = store else { return Ok(None) };
    let Err(unusable) = file_place::judge(Path::new(path)) else { return Ok(None) };
    let told = |severity: &str| format!("{}:{line}: {severity}: {key}: {unusable}", file.display());
    if unusable.is_for_everybody() {
        anyhow::bail!("{}", told("error"));
    }
    Ok(Some(format!("{}; if `vestibule serve` runs as another user, run this as that user", told("warning"))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use redb::Database;
    use vestibule::config::{Config, Source};

    use super::*;

    const CONFIG: &str = r#"[auth]
redirect_uri = "https://app.example/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
client_id = "shop"
client_secret = "q7Rz8fKw2mQLbXeR4tY9uVn3"
server_metadata_url = "https://op.example/.well-known/openid-configuration"
[vestibule.session]
"#;

    /// A place that other users cannot change.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        folder
    }

    /// What is told of a place: with `Err` an error, with `Ok` a warning. What waited for a pipe would wait for ever.
    fn told(path: &Path) -> Result<Option<String>, String> {
        let config = Config::parse(&Source::new("secrets.toml", &format!("{CONFIG}store = \"file:{}\"\n", path.display()))).unwrap();
        let (send, receive) = mpsc::channel();
        thread::spawn(move || send.send(look(config.store.as_ref(), Path::new("secrets.toml")).map_err(|error| error.to_string())));
        receive.recv_timeout(Duration::from_secs(30)).expect("nothing waits for what stands there")
    }

    #[test]
    fn a_place_for_a_list_is_in_order() {
        let folder = folder();
        let path = folder.path().join("ended");
        assert_eq!(told(&path), Ok(None), "there is no file yet");
        assert!(!path.exists(), "none is made");
        fs::write(&path, "").unwrap();
        assert_eq!(told(&path), Ok(None), "an empty one");
        drop(Database::create(&path).unwrap());
        assert_eq!(told(&path), Ok(None), "a database");
        let open = Database::create(&path).unwrap();
        assert_eq!(told(&path), Ok(None), "one that a program uses");
        drop(open);
    }

    #[test]
    fn what_is_no_place_for_any_user_is_an_error_with_line_and_key() {
        let folder = folder();
        let [of_text, link, pipe, socket] = ["secrets.toml", "link", "pipe", "socket"].map(|name| folder.path().join(name));
        fs::write(&of_text, CONFIG).unwrap();
        symlink("ended", &link).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        let short = folder.path().join("short");
        fs::write(&short, "redb").unwrap();
        for (path, kind) in [
            (folder.path(), "is a folder"),
            (&of_text, "is not a store"),
            (&short, "is not a store"),
            (&link, "is a symbolic link"),
            (&pipe, "is a pipe"),
            (&socket, "is a socket"),
            (Path::new("/dev/null"), "is a device"),
        ] {
            let error = told(path).unwrap_err();
            let begin = format!("secrets.toml:8: error: vestibule.session.store: {} {kind}", path.display());
            assert!(error.starts_with(&begin) && error.contains("; name a file"), "{error}");
        }
    }

    #[test]
    fn what_another_user_or_a_command_can_mend_is_a_warning() {
        let folder = folder();
        let path = folder.path().join("ended");
        let warning = |path: &Path, part: &str| {
            let warning = told(path).unwrap().unwrap_or_else(|| panic!("{}: in order", path.display()));
            let is_told = warning.starts_with("secrets.toml:8: warning: vestibule.session.store: ") && warning.contains(part);
            assert!(is_told && warning.contains("run this as that user"), "{warning}");
        };
        warning(&folder.path().join("absent/ended"), "absent is not there");
        fs::write(folder.path().join("file"), "").unwrap();
        warning(&folder.path().join("file/ended"), "cannot be used");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        warning(&path, "other users can change it");
        fs::write(&path, "").unwrap();
        warning(&path, "other users can change it");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        for mode in [0o602, 0o666] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            warning(&path, "other users can change it");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(told(&path), Ok(None));
        // Only root can give files away.
        if rustix::process::geteuid().is_root() {
            chown(&path, Some(4242), None).unwrap();
            warning(&path, "belongs to user 4242");
        } else {
            fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
            warning(&path, "cannot be used");
        }
    }

    #[test]
    fn a_store_that_is_no_file_is_not_looked_at() {
        assert!(look(None, Path::new("secrets.toml")).unwrap().is_none());
        let config = Config::parse(&Source::new("secrets.toml", &format!("{CONFIG}store = \"redis://127.0.0.1\"\n"))).unwrap();
        assert!(look(config.store.as_ref(), Path::new("secrets.toml")).unwrap().is_none());
    }
}
