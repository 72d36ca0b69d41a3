//! Who listens at the socket that the command is given.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream as StdStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{self, Child, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use clap::Parser as _;

use super::*;
use crate::cli::arguments::{Arguments, Command, Sessions};

/// Neither root nor the user of the command.
const OTHER: u32 = 4242;

/// For the process of another user: where it listens.
const SOCKET: &str = "VESTIBULE_TEST_SOCKET";

/// Who has listened, until it is asked for the question.
enum Listening {
    Here(JoinHandle<String>),
    Elsewhere(Child),
}

impl Listening {
    fn question(self) -> String {
        match self {
            Self::Here(thread) => thread.join().unwrap(),
            Self::Elsewhere(process) => {
                let output = String::from_utf8(process.wait_with_output().unwrap().stdout).unwrap();
                output.lines().find_map(|line| line.strip_prefix("asked: ")).expect("it was asked or left").to_owned()
            }
        }
    }
}

/// Answers one question as a program does that has ended sessions.
fn listen(path: &Path) -> Listening {
    let listener = UnixListener::bind(path).unwrap();
    Listening::Here(thread::spawn(move || answer(&listener)))
}

/// The same in a process of another user.
fn listen_as(user: u32, path: &Path) -> Listening {
    let mut this = process::Command::new("/proc/self/exe");
    this.args(["--exact", "cli::sessions::listeners::a_process_of_another_user", "--nocapture"]);
    let process = this.env(SOCKET, path).uid(user).current_dir("/").stdout(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    // The file is there before it is listened at.
    while StdStream::connect(path).is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "it listens");
        thread::sleep(Duration::from_millis(10));
    }
    Listening::Elsewhere(process)
}

/// Returns what was asked, which is nothing if the connection was closed.
fn answer(listener: &UnixListener) -> String {
    let (mut asking, _) = listener.accept().unwrap();
    let mut question = String::new();
    asking.read_to_string(&mut question).unwrap();
    // The command may not wait for it.
    let _ = asking.write_all(b"ended\n");
    question
}

/// Does something in the process that another test starts only.
#[test]
fn a_process_of_another_user() {
    let Some(path) = std::env::var_os(SOCKET) else { return };
    let listener = UnixListener::bind(path).unwrap();
    // Of a connection that only looks whether there is one, and of the command.
    listener.accept().unwrap();
    println!("\nasked: {}", answer(&listener));
}

async fn ended(path: &Path) -> Result<(), String> {
    let arguments = ["vestibule", "sessions", "end", "--all", "--control"].map(Into::into).into_iter().chain([path.as_os_str().to_owned()]);
    let Command::Sessions(Sessions::End(end)) = Arguments::try_parse_from(arguments).unwrap().command else { panic!("another command") };
    ask(&end).await.map(|_| ()).map_err(|error| causes::told(&error))
}

#[tokio::test]
async fn the_answer_of_the_same_user_counts() {
    let folder = tempfile::tempdir().unwrap();
    // Also where others write: it is the system that says who answers.
    for mode in [0o700, 0o777] {
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        let path = folder.path().join(format!("{mode:o}"));
        let listening = listen(&path);
        assert_eq!(ended(&path).await, Ok(()), "{mode:o}");
        assert!(listening.question().starts_with("all "));
    }
}

#[tokio::test]
async fn the_answer_of_another_user_counts_only_in_a_folder_of_that_user() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can listen as another user: nothing was tested");
        return;
    }
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path();
    // A temporary folder is in one that every user writes to.
    let is_believed_below =
        |outer: &Path| outer.ancestors().skip(1).all(|above| fs::metadata(above).unwrap().permissions().mode() & 0o022 == 0);
    let own_place = tempfile::tempdir_in("/run").or_else(|_| tempfile::tempdir_in("/var/lib")).unwrap();
    assert!(is_believed_below(own_place.path()) && !is_believed_below(root));
    for (base, owner, of_base, of_folder, is_believed) in [
        // As systemd makes it for a service that has a user of its own.
        (own_place.path(), OTHER, 0o755, 0o755, true),
        (own_place.path(), OTHER, 0o755, 0o700, true),
        (own_place.path(), OTHER, 0o755, 0o777, false),
        (own_place.path(), OTHER, 0o755, 0o1777, false),
        (own_place.path(), OTHER, 0o777, 0o700, false),
        (own_place.path(), OTHER, 0o1777, 0o700, false),
        (own_place.path(), 0, 0o755, 0o777, false),
        (own_place.path(), 0, 0o755, 0o1777, false),
        (own_place.path(), OTHER + 1, 0o755, 0o777, false),
        // In a folder of the user's own, which the user put into /tmp.
        (root, OTHER, 0o755, 0o700, false),
    ] {
        let case = format!("{} {owner} {of_base:o} {of_folder:o}", base.display());
        let folder = base.join("folder");
        fs::create_dir(&folder).unwrap();
        chown(&folder, Some(owner), None).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(of_folder)).unwrap();
        fs::set_permissions(base, Permissions::from_mode(of_base)).unwrap();
        let path = folder.join("control");
        let listening = listen_as(OTHER, &path);
        let answered = ended(&path).await;
        let asked = listening.question();
        if is_believed {
            assert_eq!(answered, Ok(()), "{case}");
            assert!(asked.starts_with("all "), "{case}: {asked}");
        } else {
            assert!(answered.unwrap_err().contains("user 4242 listens"), "{case}");
            assert_eq!(asked, "", "{case}: nothing is told either");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}

/// The folder behind the link is safe; where the link is, anybody can make it lead elsewhere.
#[tokio::test]
async fn a_link_that_another_user_could_have_made_is_not_followed() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can listen as another user: nothing was tested");
        return;
    }
    let place = tempfile::tempdir_in("/run").or_else(|_| tempfile::tempdir_in("/var/lib")).unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    let [service, links] = ["service", "links"].map(|name| place.path().join(name));
    fs::create_dir(&service).unwrap();
    chown(&service, Some(OTHER), None).unwrap();
    fs::create_dir(&links).unwrap();
    std::os::unix::fs::symlink(&service, links.join("folder")).unwrap();
    for (mode, is_believed) in [(0o755, true), (0o777, false), (0o1777, false)] {
        fs::set_permissions(&links, Permissions::from_mode(mode)).unwrap();
        let socket = service.join(format!("{mode:o}"));
        let listening = listen_as(OTHER, &socket);
        let answered = ended(&links.join("folder").join(format!("{mode:o}"))).await;
        let asked = listening.question();
        assert_eq!((answered.is_ok(), asked.is_empty()), (is_believed, !is_believed), "{mode:o}: {answered:?}");
    }
}
