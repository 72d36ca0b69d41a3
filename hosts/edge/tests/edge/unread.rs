//! Files that a configuration names, that are there, and that cannot be used: each is told where it is named, beside every other fault.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::login::text;
use crate::program;

/// Each with what is said of it. All are in this folder.
fn unusable(folder: &Path) -> Vec<(&'static str, &'static str)> {
    let path = |name: &str| folder.join(name);
    fs::create_dir(path("folder")).expect("made");
    assert!(Command::new("mkfifo").arg(path("fifo")).status().expect("mkfifo").success());
    fs::write(path("bytes"), [0xff, 0xfe, 0x00]).expect("written");
    fs::write(path("long"), "x".repeat((64 << 10) + 1)).expect("written");
    fs::write(path("changeable"), "swordfish").expect("written");
    fs::set_permissions(path("changeable"), Permissions::from_mode(0o666)).expect("ours");
    symlink("loop", path("loop")).expect("a link");
    symlink("/dev/null", path("device")).expect("a link");
    vec![
        ("folder", "folder: "),
        ("fifo", "it is a pipe, a socket or a device"),
        ("bytes", "is not UTF-8 text"),
        ("long", "is longer than 65536 bytes"),
        ("changeable", "other users can change it"),
        ("loop", "loop"),
        ("device", "it is a pipe, a socket or a device"),
        ("", ""),
        ("absent", "cannot be read"),
    ]
}

#[tokio::test]
async fn what_cannot_be_used_is_told_with_its_line_and_hides_no_other_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("secrets.toml");
    for (name, words) in unusable(folder.path()) {
        fs::write(
            &config,
            format!(
                "[auth]\nredirect_uri = \"http://app.example.com/oauth2callback\"\ncookie_secret_file = \"{name}\"\nclient_id = \"shop\"\n\
                 client_secret_file = \"{name}\"\nserver_metadata_url = \"https://login.example.com/.well-known/openid-configuration\"\n\
                 [vestibule]\nupstream = \"http://127.0.0.1:1\"\nlisen = 1\n[vestibule.pages]\nlogo_file = \"{name}\"\n\
                 [[vestibule.rule]]\nrequire = {{ email_file = \"{name}\" }}\n"
            ),
        )
        .expect("written");
        for command in [&["check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let output = program::run_with_component(&[command, &["--config", text(&config)]].concat()).await;
            let said = String::from_utf8(output.stderr).expect("text");
            assert_eq!(output.status.code(), Some(1), "{name}: {said}");
            let line = |number: u32, key: &str| {
                let begin = format!("secrets.toml:{number}: {key}: ");
                said.lines()
                    .find_map(|line| line.split_once(&begin))
                    .map(|(_, rest)| rest)
                    .unwrap_or_else(|| panic!("no {begin} in {said}"))
            };
            for (number, key) in [(3, "auth.cookie_secret_file"), (5, "auth.client_secret_file"), (11, "vestibule.pages.logo_file")] {
                let told = line(number, key);
                assert!(told.contains(words) && (told.contains("; ") || told.contains("run `chmod")), "{name}: {told}");
            }
            line(2, "auth.redirect_uri");
            line(9, "vestibule.lisen");
            assert!(said.contains("email_file: "), "{said}");
        }
    }
}
