//! The configuration of the running program, replaced in every way that files are: what is half written is never in force.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use vestibule_dev_provider::{Options, Provider};

use crate::application::Application;
use crate::browser::Browser;
use crate::login::{COOKIE_SECRET, Site, secrets_toml, text};
use crate::program::Program;
use crate::raw::Wire;

/// What the log says when a configuration was read, well or badly.
const TAKEN: [&str; 3] = ["configuration.reloaded", "configuration.fault", "configuration.kept"];

/// What tells which configuration is in force: whether somebody without a login may pass.
const OPEN: &str = "login = \"optional\"\n";
const CLOSED: &str = "login = \"required\"\n";

/// A program that runs, and what is known of its log.
struct Running {
    site: Site,
    /// The configuration without the line that makes it one of the two.
    common: String,
    /// Lines of the log that were looked at.
    seen: usize,
    probes: usize,
}

impl Running {
    async fn start() -> Self {
        let site = Site::start_configured(OPEN, Application::start().await, "http", &[], &[("COOKIE_SECRET", COOKIE_SECRET)]).await;
        let common = fs::read_to_string(&site.config).expect("the configuration").replace(OPEN, "");
        let seen = site.program.written.len();
        Self { site, common, seen, probes: 0 }
    }

    fn path(&self) -> PathBuf {
        self.site.config.clone()
    }

    fn configuration(&self, line: &str) -> String {
        format!("{}{line}", self.common)
    }

    /// The status of a request that comes after everything that has happened.
    async fn probe(&mut self) -> u16 {
        self.probes += 1;
        let path = format!("/probe-{}", self.probes);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.site.address);
        let (head, _) = Wire::connect(self.site.address).await.exchange(&request).await.expect("a response");
        while self.site.program.wait_for("request").await["path"] != path.as_str() {}
        head.status()
    }

    /// Nothing was taken, and the configuration in force is the one that lets everybody pass.
    async fn is_as_before(&mut self, what: &str) {
        assert_eq!(self.probe().await, 200, "{what}");
        let taken = self.site.program.written[self.seen..].iter().find(|line| TAKEN.iter().any(|code| line.contains(code)));
        assert_eq!(taken, None, "{what}");
    }

    /// Waits until the program knows that a file is being written.
    async fn noticed(&mut self) {
        self.site.program.wait_for("configuration.being_written").await;
    }

    async fn reloaded(&mut self, what: &str) {
        self.site.program.wait_for("configuration.reloaded").await;
        let broken = self.site.program.written[self.seen..].iter().find(|line| line.contains("configuration.kept"));
        assert_eq!(broken, None, "{what}");
        self.seen = self.site.program.written.len();
    }

    /// The other configuration is in force now; puts the first one back.
    async fn is_replaced(&mut self, what: &str) {
        self.reloaded(what).await;
        assert_eq!(self.probe().await, 401, "{what}");
        self.seen = self.site.program.written.len();
        rename_to(&self.path(), &self.configuration(OPEN));
        self.reloaded("the first one again").await;
    }
}

/// Replaces a file in one step.
fn rename_to(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("written");
    fs::rename(&new, path).expect("renamed");
}

fn halves(text: &str) -> (&str, &str) {
    // Behind a line, so that the first half is a configuration by itself.
    let middle = text.trim_end().rfind('\n').expect("lines") + 1;
    text.split_at(middle)
}

/// The configurations of all examples, with what a reader of theirs fills in.
fn examples() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut folders = vec![folder];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "secrets.toml") {
                let text = fs::read_to_string(&path).expect("text");
                found.push((path, filled_in(&text)));
            }
        }
    }
    found.sort();
    found
}

fn filled_in(example: &str) -> String {
    let mut toml = example.replace("cookie_secret = \"xxx\"", "cookie_secret = \"q8Zr1vXk4TfL0pWm7sYd2hNcB6uJ9gEa3iRo5tVx\"");
    for (placeholder, value) in [
        ("\"xxx\"", "\"vestibule-demo\""),
        ("{tenant}", "9188040d-6c67-4c5b-b112-36a304b66dad"),
        ("{subdomain}", "dev-1"),
        ("{account}", "dev-1"),
        ("{region}", "eu"),
    ] {
        toml = toml.replace(placeholder, value);
    }
    if !toml.contains("[vestibule]") {
        toml += "\n[vestibule]\nupstream = \"http://127.0.0.1:9000\"\n";
    }
    toml
}

#[tokio::test]
async fn every_example_is_in_force_when_it_is_whole_and_no_piece_of_it_is() {
    let mut running = Running::start().await;
    let (path, first) = (running.path(), running.configuration(OPEN));
    let examples = examples();
    assert!(examples.iter().filter(|(path, _)| path.to_string_lossy().contains("streamlit")).count() >= 4, "{examples:?}");
    for (example, toml) in examples {
        let what = example.display().to_string();
        let mut file = File::create(&path).expect("truncated");
        running.noticed().await;
        running.is_as_before(&what).await;
        for line in toml.split_inclusive('\n') {
            let (one, other) = line.split_at(line.char_indices().nth(line.chars().count() / 2).map_or(0, |(at, _)| at));
            for piece in [one, other].into_iter().filter(|piece| !piece.is_empty()) {
                file.write_all(piece.as_bytes()).expect("written");
                running.noticed().await;
            }
            running.is_as_before(&what).await;
        }
        drop(file);
        running.reloaded(&what).await;
        rename_to(&path, &first);
        running.reloaded(&what).await;
    }
}

#[tokio::test]
async fn time_makes_half_a_configuration_no_whole_one() {
    let mut running = Running::start().await;
    let toml = running.configuration(CLOSED);
    let mut file = File::create(running.path()).expect("truncated");
    for piece in [halves(&toml).0, halves(&toml).1] {
        file.write_all(piece.as_bytes()).expect("written");
        // Time has to pass here: longer than any look at a file is apart from the next.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        running.is_as_before(piece).await;
    }
    drop(file);
    running.is_replaced("closed").await;
}

#[tokio::test]
async fn a_configuration_is_taken_however_it_was_replaced() {
    let mut running = Running::start().await;
    let (path, toml) = (running.path(), running.configuration(CLOSED));
    let (one, other) = halves(&toml);
    let new = path.with_extension("other");

    rename_to(&path, &toml);
    running.is_replaced("renamed").await;

    fs::write(&new, &toml).expect("written");
    fs::copy(&new, &path).expect("copied");
    running.is_replaced("copied over it").await;

    assert!(Command::new("cp").args([&new, &path]).status().expect("cp").success());
    running.is_replaced("cp").await;

    // As editors do that keep a copy.
    fs::rename(&path, path.with_extension("backup")).expect("renamed");
    running.is_as_before("away").await;
    let mut file = File::create_new(&path).expect("made");
    file.write_all(one.as_bytes()).expect("written");
    running.noticed().await;
    running.is_as_before("half of it, in the place of the old one").await;
    file.write_all(other.as_bytes()).expect("written");
    running.is_as_before("all of it, and it may go on").await;
    drop(file);
    running.is_replaced("made anew").await;

    fs::remove_file(&path).expect("removed");
    let mut file = File::create_new(&path).expect("made");
    file.write_all(one.as_bytes()).expect("written");
    running.noticed().await;
    running.is_as_before("removed, and half of it made").await;
    file.write_all(other.as_bytes()).expect("written");
    drop(file);
    running.is_replaced("removed and made").await;

    // The first configuration with the beginning of another behind it.
    let mut file = OpenOptions::new().append(true).open(&path).expect("opened");
    file.write_all(b"[vestibule.limits]\n").expect("written");
    running.noticed().await;
    running.is_as_before("half of what is appended").await;
    file.write_all(b"logins_per_minute = 7\n").expect("written");
    drop(file);
    running.reloaded("appended").await;

    fs::remove_file(&path).expect("removed");
    fs::hard_link(&new, &path).expect("linked");
    running.is_replaced("a second name of a whole file").await;
}

#[tokio::test]
async fn links_on_the_way_are_followed_and_folders_may_be_replaced() {
    let mut running = Running::start().await;
    let (path, open, closed) = (running.path(), running.configuration(OPEN), running.configuration(CLOSED));
    let folder = path.parent().expect("a folder").to_owned();
    let version = |name: &str, toml: &str| {
        fs::create_dir(folder.join(name)).expect("a folder");
        fs::write(folder.join(name).join("secrets.toml"), toml).expect("written");
    };
    // As Kubernetes mounts secrets: secrets.toml -> ..data/secrets.toml, ..data -> ..version.
    version("..1", &closed);
    version("..2", &open);
    let swap = |link: &str, target: &str| {
        symlink(target, folder.join("..tmp")).expect("a link");
        fs::rename(folder.join("..tmp"), folder.join(link)).expect("renamed");
    };
    swap("..data", "..1");
    running.is_as_before("a link beside it").await;
    swap("secrets.toml", "..data/secrets.toml");
    running.reloaded("the file became a link").await;
    assert_eq!(running.probe().await, 401);
    swap("..data", "..2");
    running.reloaded("the link leads elsewhere").await;
    running.is_as_before("the second version").await;

    // In place, at the end of all links.
    let mut file = File::create(folder.join("..2/secrets.toml")).expect("truncated");
    let (one, other) = halves(&closed);
    file.write_all(one.as_bytes()).expect("written");
    running.noticed().await;
    running.is_as_before("half of it").await;
    file.write_all(other.as_bytes()).expect("written");
    drop(file);
    running.reloaded("written behind the links").await;
    assert_eq!(running.probe().await, 401);

    // A whole folder in the place of another.
    fs::rename(folder.join("..2"), folder.join("..old")).expect("renamed");
    version("..new", &open);
    fs::rename(folder.join("..new"), folder.join("..2")).expect("renamed");
    running.reloaded("the folder is another").await;
    running.is_as_before("the folder is another").await;

    // By another name of the same file.
    fs::hard_link(folder.join("..2/secrets.toml"), folder.join("elsewhere.toml")).expect("linked");
    fs::write(folder.join("elsewhere.toml"), &closed).expect("written");
    running.reloaded("written by another name").await;
    assert_eq!(running.probe().await, 401);
}

#[tokio::test]
async fn the_last_of_several_writers_makes_it_whole() {
    let mut running = Running::start().await;
    let (path, toml) = (running.path(), running.configuration(CLOSED));
    let (one, other) = halves(&toml);
    let mut slow = File::create(&path).expect("truncated");
    slow.write_all(one.as_bytes()).expect("written");
    let quick = OpenOptions::new().append(true).open(&path).expect("opened");
    drop(quick);
    running.noticed().await;
    running.is_as_before("one of two has closed it").await;
    slow.write_all(other.as_bytes()).expect("written");
    drop(slow);
    running.is_replaced("both have closed it").await;

    // Renamed too early.
    let new = path.with_extension("early");
    let mut file = File::create(&new).expect("made");
    file.write_all(one.as_bytes()).expect("written");
    fs::rename(&new, &path).expect("renamed");
    running.noticed().await;
    running.is_as_before("half of it in its place").await;
    file.write_all(other.as_bytes()).expect("written");
    drop(file);
    running.is_replaced("closed in its place").await;
}

#[tokio::test]
async fn a_writer_that_never_closes_is_waited_for_until_the_operator_says_that_it_is_whole() {
    let mut running = Running::start().await;
    let mut file = File::create(running.path()).expect("truncated");
    file.write_all(running.configuration(CLOSED).as_bytes()).expect("written");
    running.noticed().await;
    running.is_as_before("not closed").await;
    running.site.program.signal(Signal::HUP);
    running.is_replaced("SIGHUP").await;
    drop(file);
}

#[tokio::test]
async fn a_broken_configuration_is_told_once() {
    let mut running = Running::start().await;
    for _ in 0..2 {
        fs::write(running.path(), "[auth]\nredirect_uri = 7\n").expect("written");
    }
    running.site.program.wait_for("configuration.kept").await;
    // What is touched only is no other.
    fs::write(running.path(), "[auth]\nredirect_uri = 7\n").expect("written");
    rename_to(&running.path(), &running.configuration(CLOSED));
    running.site.program.wait_for("configuration.reloaded").await;
    let kept = running.site.program.written.iter().filter(|line| line.contains("configuration.kept")).count();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn files_that_the_configuration_names_are_watched_like_its_own() {
    const FIRST: &str = "q8Zr1vXk4TfL0pWm7sYd2hNcB6uJ9gEa3iRo5tVx";
    const SECOND: &str = "Kw2nVb7cYx0mQf5jHt9sLd4gPz8rEa1uTi6oNk3B";

    let mut running = Running::start().await;
    let secret = running.path().with_file_name("secret");
    fs::write(&secret, FIRST).expect("written");
    let line = running.common.lines().find(|line| line.starts_with("cookie_secret = ")).expect("a secret").to_owned();
    running.common = running.common.replace(&line, "cookie_secret_file = \"secret\"");
    rename_to(&running.path(), &running.configuration(OPEN));
    running.reloaded("with the secret in a file").await;

    let browser = Browser::new();
    let is_logged_in =
        async |browser: &Browser, site: &Site| browser.fetch(&site.url("/.vestibule/user")).await.body.contains("alice@example.com");
    browser.log_in(&running.site.url("/.vestibule/login"), "alice").await;
    assert!(is_logged_in(&browser, &running.site).await);
    running.seen = running.site.program.written.len();

    let mut file = File::create(&secret).expect("truncated");
    file.write_all(&SECOND.as_bytes()[..36]).expect("written");
    running.noticed().await;
    running.is_as_before("half a secret").await;
    assert!(is_logged_in(&browser, &running.site).await);
    file.write_all(&SECOND.as_bytes()[36..]).expect("written");
    drop(file);
    running.reloaded("another secret").await;
    assert!(!is_logged_in(&browser, &running.site).await);

    rename_to(&secret, FIRST);
    running.reloaded("the first secret again").await;
    assert!(is_logged_in(&browser, &running.site).await);

    // Named only now, and not there yet.
    fs::remove_file(&secret).expect("removed");
    running.site.program.wait_for("configuration.kept").await;
    assert!(is_logged_in(&browser, &running.site).await);
    fs::write(&secret, SECOND).expect("written");
    running.site.program.wait_for("configuration.reloaded").await;
    assert!(!is_logged_in(&browser, &running.site).await);
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let mut running = Running::start().await;
    let secret = running.path().with_file_name("secret");
    fs::write(&secret, COOKIE_SECRET).expect("written");
    let line = running.common.lines().find(|line| line.starts_with("cookie_secret = ")).expect("a secret").to_owned();
    running.common = running.common.replace(&line, "cookie_secret_file = \"secret\"");
    rename_to(&running.path(), &running.configuration(OPEN));
    running.reloaded("with the secret in a file").await;
    for path in [running.path(), secret] {
        let text = fs::read_to_string(&path).expect("text");
        let fifo = path.with_extension("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
        let began = Instant::now();
        fs::rename(&fifo, &path).expect("renamed");
        let fault = running.site.program.wait_for("configuration.fault").await;
        let message = fault["message"].as_str().expect("a message");
        assert!(message.contains(self::text(&path)) && message.contains("it is a pipe"), "{message}");
        running.site.program.wait_for("configuration.kept").await;
        // A pipe that is waited for takes 10 s.
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(running.probe().await, 200);
        rename_to(&path, &text);
        running.site.program.wait_for("configuration.reloaded").await;
    }
}

#[tokio::test]
async fn a_configuration_that_was_refused_for_permissions_is_taken_when_they_are_mended() {
    let mut running = Running::start().await;
    let set_mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    let folder = running.path().parent().expect("a folder").to_owned();
    let mode = fs::metadata(&folder).expect("a folder").permissions().mode() & 0o7777;
    set_mode(&folder, 0o777);
    rename_to(&running.path(), &running.configuration(CLOSED));
    let fault = running.site.program.wait_for("configuration.fault").await;
    assert!(fault["message"].as_str().is_some_and(|message| message.contains("chmod go-w")), "{fault}");
    running.site.program.wait_for("configuration.kept").await;
    // Half of it is another fault, which is told as well.
    set_mode(&folder, 0o757);
    let fault = running.site.program.wait_for("configuration.fault").await;
    assert!(fault["message"].as_str().is_some_and(|message| message.contains("chmod o-w")), "{fault}");
    running.site.program.wait_for("configuration.kept").await;
    assert_eq!(running.probe().await, 200);
    set_mode(&folder, mode);
    running.site.program.wait_for("configuration.reloaded").await;
    assert_eq!(running.probe().await, 401);
    let kept = running.site.program.written.iter().filter(|line| line.contains("configuration.kept")).count();
    assert_eq!(kept, 2, "each fault is told once");
}

/// A configuration in a folder, for a program that is not started yet.
async fn prepared() -> (tempfile::TempDir, PathBuf, String, vestibule_dev_provider::Running) {
    let provider = Provider::start(Options::default()).await.expect("a provider");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("secrets.toml");
    let toml = secrets_toml(&provider, "http://127.0.0.1:1");
    (folder, config, toml, provider)
}

#[tokio::test]
async fn a_configuration_that_is_being_written_at_the_start_is_waited_for() {
    let (_folder, config, toml, _provider) = prepared().await;
    let mut file = File::create(&config).expect("made");
    file.write_all(halves(&(toml.clone() + OPEN)).0.as_bytes()).expect("written");
    let mut program = Program::start(&["serve", "--config", text(&config), "--listen", "127.0.0.1:0"], &[]);
    program.wait_for("configuration.being_written").await;
    file.write_all(CLOSED.as_bytes()).expect("written");
    drop(file);
    let listening = program.wait_for("listener.listening").await;
    let address = listening["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
    let (head, _) = Wire::connect(address).await.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
    assert_eq!(head.status(), 401);

    let _never_closed = OpenOptions::new().append(true).open(&config).expect("opened");
    let program = Program::start(&["serve", "--config", text(&config), "--listen", "127.0.0.1:0"], &[]);
    let (code, log) = program.ended().await;
    let log = log.join("\n");
    assert!(code == Some(1) && log.contains("is open for writing, so that it may be half written"), "{code:?}: {log}");
}

#[tokio::test]
async fn a_configuration_from_a_pipe_is_read_once_and_kept() {
    let (folder, config, toml, _provider) = prepared().await;
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    fs::write(&config, &toml).expect("written");
    // Standard input as a pipe, as a named pipe, and as a file.
    for kind in ["pipe", "fifo", "file"] {
        let (input, path) = match kind {
            "pipe" => {
                let (reader, writer) = std::io::pipe().expect("a pipe");
                let toml = toml.clone();
                std::thread::spawn(move || {
                    let mut writer = writer;
                    // In pieces, as a program writes that makes it up.
                    toml.as_bytes().chunks(100).try_for_each(|piece| writer.write_all(piece))
                });
                (Stdio::from(reader), "/dev/stdin")
            }
            "fifo" => {
                let (other_end, toml) = (fifo.clone(), toml.clone());
                std::thread::spawn(move || fs::write(other_end, toml));
                (Stdio::null(), text(&fifo))
            }
            _ => (Stdio::from(File::open(&config).expect("opened")), "/dev/stdin"),
        };
        let mut program = Program::start_reading(input, &["serve", "--config", path, "--listen", "127.0.0.1:0"], &[]);
        let listening = program.wait_for("listener.listening").await;
        let address = listening["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
        program.signal(Signal::HUP);
        if kind == "file" {
            program.wait_for("configuration.reloaded").await;
        } else {
            let said = program.wait_for("configuration.read_once").await;
            assert!(said["message"].as_str().is_some_and(|message| message.contains(path)), "{said}");
        }
        let (head, _) = Wire::connect(address).await.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
        assert_eq!(head.status(), 401, "{kind}");
        program.signal(Signal::TERM);
        assert_eq!(program.ended().await.0, Some(0), "{kind}");
    }
}

#[tokio::test]
async fn a_configuration_that_does_not_end_is_refused() {
    let (folder, _, _, _provider) = prepared().await;
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let long = folder.path().join("long.toml");
    fs::write(&long, "#".repeat((1 << 20) + 1)).expect("written");
    for (path, reason) in [(text(&fifo), "gives no end within 10 s"), (text(&long), "is longer than 1048576 bytes")] {
        let program = Program::start(&["serve", "--config", path, "--listen", "127.0.0.1:0"], &[]);
        let (code, log) = program.ended().await;
        let log = log.join("\n");
        assert!(code == Some(1) && log.contains(reason), "{code:?}: {log}");
    }
}
