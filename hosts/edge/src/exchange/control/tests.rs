#![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};

use super::*;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Every mode of the folder and of the one above it: a socket is made only where no other user can put one in its place.
#[tokio::test]
async fn a_folder_that_others_may_write_to_has_no_socket() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("open");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("control");
    for (of_outer, of_folder, is_safe) in [
        (0o700, 0o700, true),
        (0o755, 0o755, true),
        (0o700, 0o1777, true),
        (0o1777, 0o700, true),
        (0o700, 0o777, false),
        (0o700, 0o702, false),
        (0o700, 0o2777, false),
        (0o777, 0o700, false),
        (0o702, 0o755, false),
    ] {
        set_mode(&folder, of_folder);
        set_mode(outer.path(), of_outer);
        let bound = bind(&path);
        assert_eq!(bound.is_ok(), is_safe, "{of_outer:o} {of_folder:o}");
        assert_eq!(path.exists(), is_safe, "{of_outer:o} {of_folder:o}");
        if let Err(error) = bound {
            assert!(error.to_string().contains("other users can change it"), "{error}");
        }
        let _ = fs::remove_file(&path);
    }
    set_mode(&folder, 0o700);
    set_mode(outer.path(), 0o700);
    // Only root can give folders away.
    if rustix::process::geteuid().is_root() {
        chown(&folder, Some(4242), None).unwrap();
        assert!(bind(&path).is_err() && !path.exists(), "of another user");
    }
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced_and_another_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    drop(bind(&path).unwrap());
    assert!(path.exists(), "it is left behind");
    let listening = bind(&path).unwrap();
    assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    drop(listening);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "text").unwrap();
    assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    assert_eq!(bind(&folder.path().join("absent/control")).unwrap_err().kind(), io::ErrorKind::NotFound);
}
