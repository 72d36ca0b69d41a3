//! The file is written whole, and replaced in one step.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use vestibule_wasmtime::{ConfigurationFile, PlaceKind, Reason, TrustedFile, Weakness};

use crate::configuration::reload::everybody_reads;

/// The permissions that can be kept: without set-user-ID and its relatives.
const PERMISSIONS: u32 = 0o777;
const OF_GROUP: u32 = 0o070;

/// Fails where no file can be written, and where there is one, unless it is to be replaced.
///
/// # Errors
/// There is one; the path names a variable of the environment, a link, or something that is no file.
pub(super) fn is_free(path: &Path, force: bool) -> anyhow::Result<()> {
    if let Some(name) = ConfigurationFile::variable(path) {
        bail!("--config: env:{name} is a variable of the environment, which cannot be written to; name a file");
    }
    // A link that leads nowhere is something, too.
    let Ok(there) = fs::symlink_metadata(path) else { return Ok(()) };
    ensure!(force, "{} is there already; name another file with --config, or replace it with --force", path.display());
    ensure!(!there.is_symlink(), "{} is a symbolic link; name the file that it leads to with --config", path.display());
    ensure!(there.is_file(), "{} is not a file; name a file with --config", path.display());
    Ok(())
}

/// Fails where the file would not be read once it is written, and where its secrets would be everybody's: the file that is replaced keeps
/// its owner and its permissions, and the folders stay as they are.
///
/// # Errors
/// Others can change the file or a folder on the way to it, or every user can read it.
pub(super) fn is_safe(path: &Path) -> anyhow::Result<()> {
    let is_there = path.symlink_metadata().is_ok();
    let folders = path.ancestors().skip(1).map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let judged = if is_there { Some(path) } else { folders.into_iter().find(|folder| folder.exists()) };
    if let Err(mut changeable) = judged.map_or(Ok(()), TrustedFile::judge) {
        let is_root = rustix::process::geteuid().is_root();
        // Only root gives files away: to another user, the new file belongs.
        let is_replaced = |reason: &Reason| is_there && reason.kind == PlaceKind::File && matches!(reason.weakness, Weakness::Owner { .. });
        changeable.reasons.retain(|reason| is_root || !is_replaced(reason));
        ensure!(changeable.reasons.is_empty(), "nothing is written: {changeable}");
    }
    let is_everybodys = is_there && TrustedFile::open_plain(path).is_ok_and(|file| file.is_readable_by_everybody());
    ensure!(!is_everybodys, "nothing is written: {}", everybody_reads(path));
    Ok(())
}

/// What became of the file's owner and permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It is new, and for this user only (mode 600).
    ForThisUser,
    /// Those of the file that it replaces.
    AsBefore,
    /// It belongs to this user now: only root gives files away.
    WithoutItsOwner,
}

/// Writes `text`, for this user only (mode 600), or with the owner and the permissions of the file that it replaces. Folders on the way
/// are made, and removed again on failure.
///
/// # Errors
/// The file cannot be written, or is there already.
pub(super) fn write(path: &Path, text: &str, force: bool) -> anyhow::Result<Written> {
    // Somebody else may have made it while questions were answered.
    is_free(path, force)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folders = NewFolders::make(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    // Its mode is 600 from the beginning, and it is removed unless it is kept.
    let mut unfinished = tempfile::Builder::new()
        .prefix(".vestibule-init-")
        .tempfile_in(folder)
        .with_context(|| format!("{}: no file can be written there", folder.display()))?;
    let cannot = || format!("{}: cannot be written", path.display());
    unfinished.write_all(text.as_bytes()).with_context(cannot)?;
    let replaced = fs::symlink_metadata(path).ok().filter(Metadata::is_file);
    let written = match &replaced {
        Some(replaced) => become_like(unfinished.as_file(), replaced).with_context(cannot)?,
        None => Written::ForThisUser,
    };
    unfinished.as_file().sync_all().with_context(cannot)?;
    let kept = if replaced.is_some() { unfinished.persist(path) } else { unfinished.persist_noclobber(path) };
    // Its error has the unfinished file, which is to be removed before the folders are.
    kept.map(drop).map_err(|error| error.error).with_context(cannot)?;
    folders.keep();
    Ok(written)
}

/// Gives a file the owner, the group and the permissions of another, as far as this user may. A group that stays another one gets no
/// permissions.
fn become_like(file: &File, other: &Metadata) -> io::Result<Written> {
    let mine = file.metadata()?;
    let has_owner = mine.uid() == other.uid() || fchown(file, Some(other.uid()), None).is_ok();
    let has_group = mine.gid() == other.gid() || fchown(file, None, Some(other.gid())).is_ok();
    let permissions = other.mode() & PERMISSIONS & if has_group { PERMISSIONS } else { !OF_GROUP };
    file.set_permissions(Permissions::from_mode(permissions))?;
    Ok(if has_owner && has_group { Written::AsBefore } else { Written::WithoutItsOwner })
}

/// Folders that were made, the outermost first. They are removed again unless they are kept.
struct NewFolders(Vec<PathBuf>);

impl NewFolders {
    fn make(folder: &Path) -> io::Result<Self> {
        let missing: Vec<_> =
            folder.ancestors().filter(|folder| !folder.as_os_str().is_empty()).take_while(|folder| !folder.exists()).collect();
        let mut made = Self(vec![]);
        for folder in missing.into_iter().rev() {
            match DirBuilder::new().create(folder) {
                Ok(()) => made.0.push(folder.to_owned()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for NewFolders {
    fn drop(&mut self) {
        // One that is not empty has got another file meanwhile, and stays.
        self.0.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_new_file_is_for_its_user_only_and_one_that_is_replaced_keeps_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/secrets.toml");
        assert_eq!(write(&path, "a", false).unwrap(), Written::ForThisUser);
        assert_eq!(mode(&path), 0o600);
        for permissions in [0o600, 0o640, 0o440, 0o400, 0o644, 0o4750] {
            fs::set_permissions(&path, Permissions::from_mode(permissions)).unwrap();
            assert_eq!(write(&path, "b", true).unwrap(), Written::AsBefore);
            assert_eq!(mode(&path), permissions & 0o777, "{permissions:o}");
            assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing unfinished is left");
        }
    }

    /// Root may give a file away; another user keeps the file, and lets no other group read it.
    #[test]
    fn the_owner_is_kept_as_far_as_this_user_may() {
        const OTHER: u32 = 54_321;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.toml");
        fs::write(&path, "a").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        if std::os::unix::fs::chown(&path, Some(OTHER), Some(OTHER)).is_err() {
            return;
        }
        assert_eq!(write(&path, "b", true).unwrap(), Written::AsBefore);
        let written = fs::metadata(&path).unwrap();
        assert_eq!((written.uid(), written.gid(), written.mode() & 0o777), (OTHER, OTHER, 0o640));
        assert_eq!(fs::read_to_string(&path).unwrap(), "b");
    }

    #[test]
    fn where_the_file_would_not_be_read_is_known_before_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        for new in ["open/secrets.toml", "open/a/b/secrets.toml"] {
            let refused = is_safe(&folder.path().join(new)).unwrap_err().to_string();
            assert!(refused.starts_with("nothing is written: ") && refused.contains("other users can change it"), "{refused}");
        }
        let path = folder.path().join("secrets.toml");
        assert!(is_safe(&path).is_ok() && is_safe(&folder.path().join("a/b/secrets.toml")).is_ok());
        fs::write(&path, "a").unwrap();
        for (permissions, refused) in [
            (0o600, None),
            (0o640, None),
            (0o400, None),
            (0o644, Some("can read")),
            (0o666, Some("can change it")),
            (0o602, Some("can change it")),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(permissions)).unwrap();
            match (is_safe(&path), refused) {
                (Ok(()), None) => {}
                (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{permissions:o}: {error}"),
                (judged, _) => panic!("{permissions:o}: {judged:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_file_is_refused_and_no_folder_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        fs::write(&target, "a").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        for (path, force, told) in [
            (Path::new("env:VESTIBULE_CONFIG"), true, "is a variable of the environment"),
            (target.as_path(), false, "is there already"),
            (link.as_path(), false, "is there already"),
            (link.as_path(), true, "is a symbolic link"),
            (folder.path(), true, "is not a file"),
        ] {
            let error = is_free(path, force).unwrap_err().to_string();
            assert!(error.contains(told) && write(path, "b", force).is_err(), "{error}");
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "a");
        // A name that is too long for a file is found out after the folders were made.
        let long = folder.path().join("made/for/it").join("x".repeat(300));
        assert!(write(&long, "b", false).is_err() && !folder.path().join("made").exists());
    }
}
