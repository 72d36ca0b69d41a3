//! What holds of every store.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::time::sleep;
use vestibule_edge::store::{Entry, Settings, State, What};

use crate::node::{Node, entry, now, session, settings};
use crate::redis::Redis;

/// A place for a list, which a node that is started again finds.
enum Place {
    Memory,
    File(TempDir),
    Redis(Redis),
}

impl Place {
    async fn all() -> [Self; 3] {
        [Self::Memory, Self::File(tempfile::tempdir().expect("a folder")), Self::Redis(Redis::start().await)]
    }

    fn settings(&self) -> Option<Settings> {
        Some(settings(&match self {
            Self::Memory => return None,
            Self::File(folder) => format!("file:{}", folder.path().join("ended").display()),
            Self::Redis(redis) => redis.url(),
        }))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File(_) => "file",
            Self::Redis(_) => "redis",
        }
    }

    fn is_kept(&self) -> bool {
        !matches!(self, Self::Memory)
    }

    async fn node(&self) -> Node {
        let node = Node::start(self.settings());
        node.is(if self.is_kept() { State::Current } else { State::Alone }).await;
        node
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_known_at_once_and_after_a_restart_where_it_is_kept() {
    for place in Place::all().await {
        let node = place.node().await;
        let ended = [What::Session, What::Account, What::ProviderSession, What::LogoutToken].map(|what| entry(what, 1));
        node.ends(&ended);
        assert!(ended.iter().all(|entry| node.knows(entry)), "{}", place.name());
        node.has_written().await;
        node.kill().await;
        let node = place.node().await;
        for entry in &ended {
            assert_eq!(node.at(entry), place.is_kept().then_some(entry.at), "{}", place.name());
        }
        assert!(!node.knows(&session(2)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_expires() {
    for place in Place::all().await {
        let node = place.node().await;
        let (over, lasting) = (Entry { until: now() + 1, ..session(1) }, session(2));
        node.ends(&[over, lasting]);
        node.has_written().await;
        node.kill().await;
        sleep(Duration::from_secs(2)).await;
        let node = place.node().await;
        assert_eq!((node.knows(&over), node.knows(&lasting)), (false, place.is_kept()), "{}", place.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_entries_are_written_and_read() {
    const NUMBER: usize = 10_000;
    for place in Place::all().await {
        let node = place.node().await;
        let ended: Vec<_> = (0..NUMBER).map(session).collect();
        // One by one, as they end.
        ended.iter().for_each(|entry| node.ends(std::slice::from_ref(entry)));
        node.has_written().await;
        node.kill().await;
        let started = Instant::now();
        let node = place.node().await;
        let took = started.elapsed();
        let known = ended.iter().filter(|entry| node.knows(entry)).count();
        assert_eq!(known, if place.is_kept() { NUMBER } else { 0 }, "{}", place.name());
        assert!(took < Duration::from_secs(10), "{}: {took:?}", place.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_ends_the_later_counts_in_whatever_order_they_are_told() {
    for place in Place::all().await.into_iter().filter(Place::is_kept) {
        let node = place.node().await;
        let first = entry(What::Account, 1);
        let later = Entry { at: first.at + 3, until: first.until + 3, ..first };
        node.ends(&[later]);
        node.has_written().await;
        node.ends(&[later]);
        node.has_written().await;
        node.kill().await;
        assert_eq!(place.node().await.at(&first), Some(later.at), "{}", place.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_in_the_future_counts_as_now() {
    for place in Place::all().await.into_iter().filter(Place::is_kept) {
        let node = place.node().await;
        let wrong = Entry { at: now() + 86_400, until: u64::MAX, ..entry(What::Account, 1) };
        node.ends(&[wrong]);
        node.has_written().await;
        node.kill().await;
        let at = place.node().await.at(&wrong).expect("it is known");
        assert!((now()..=now() + 5).contains(&at), "{}: {at}", place.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_place_gets_what_memory_has() {
    let places = Place::all().await;
    let node = places[0].node().await;
    node.ends(&[session(1)]);
    for place in &places[1..] {
        node.keep(place).await;
    }
    node.keep(&places[0]).await;
    node.kill().await;
    for place in &places[1..] {
        assert!(place.node().await.knows(&session(1)), "{}", place.name());
    }
}

impl Node {
    /// The configuration names this place now.
    async fn keep(&self, place: &Place) {
        self.keeper.keep(place.settings());
        // What was true of the place before is not true of this one until it has been read.
        sleep(Duration::from_millis(300)).await;
        self.is(if place.is_kept() { State::Current } else { State::Alone }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_one_process_s_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ended");
    let settings = settings(&format!("file:{}", path.display()));
    let first = Node::started(settings.clone()).await;
    assert_eq!(path.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
    let second = Node::start(Some(settings));
    sleep(Duration::from_millis(700)).await;
    assert_eq!(second.keeper.state(), State::Unknown);
    first.ends(&[session(1)]);
    first.has_written().await;
    first.kill().await;
    second.learns(&session(1)).await;
    second.is(State::Current).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_others_can_change_is_not_used() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().expect("a folder");
    let [path, link, open] = ["ended", "link", "open"].map(|name| folder.path().join(name));
    let url = |path: &std::path::Path| settings(&format!("file:{}", path.display()));
    Node::started(url(&path)).await.kill().await;
    symlink(&path, &link).expect("a link");
    std::fs::create_dir(&open).expect("a folder");
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).expect("changed");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).expect("changed");
    for unsafe_path in [path, link, open.join("ended")] {
        let node = Node::start(Some(url(&unsafe_path)));
        sleep(Duration::from_millis(700)).await;
        assert_eq!(node.keeper.state(), State::Unknown, "{}", unsafe_path.display());
    }
    assert!(!open.join("ended").exists());
}

/// To open a pipe would wait for a writer, and with it whatever comes afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_or_a_folder_is_not_opened_and_what_takes_its_place_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let [pipe, inner] = ["pipe", "inner"].map(|name| folder.path().join(name));
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).expect("a pipe");
    std::fs::create_dir(&inner).expect("a folder");
    for path in [&pipe, &inner] {
        let node = Node::start(Some(settings(&format!("file:{}", path.display()))));
        sleep(Duration::from_millis(700)).await;
        assert_eq!(node.keeper.state(), State::Unknown, "{}", path.display());
        if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) }.expect("removed");
        node.is(State::Current).await;
        node.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_is_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ended");
    let text = "a file of somebody else's\n".repeat(1000);
    std::fs::write(&path, &text).expect("written");
    let node = Node::start(Some(settings(&format!("file:{}", path.display()))));
    sleep(Duration::from_millis(700)).await;
    assert_eq!(node.keeper.state(), State::Unknown);
    assert_eq!(std::fs::read_to_string(&path).expect("text"), text);
}
