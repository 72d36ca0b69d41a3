//! Others who write to the same Redis, and what this program asks of it.

use std::time::Duration;

use redis::AsyncCommands as _;
use tokio::time::sleep;
use vestibule_edge::store::{Keys, Settings, State};

use crate::node::{Node, session, settings};
use crate::redis::{Redis, STREAM};

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_ends_nothing() {
    let redis = Redis::start().await;
    let node = Node::started(settings(&redis.url())).await;
    let other_secret = Settings { keys: Keys::new([2; 32], []), ..settings(&redis.url()) };
    let stranger = Node::started(other_secret).await;
    stranger.ends(&[session(1)]);
    stranger.has_written().await;
    let mut connection = redis.connection().await;
    let lines: [(&[u8], &[u8]); 5] = [
        (b"e", b""),
        (b"e", b"session AAAAAAAAAAAAAAAAAAAAAA 1 9999999999 AAAAAAAAAAAAAAAAAAAAAA"),
        (b"\xff", b"\xff"),
        (b"x", b"y"),
        (b"e", &[b'a'; 10_000]),
    ];
    for (field, value) in lines {
        let _: String = connection.xadd(STREAM, "*", &[(field, value)]).await.expect("added");
    }
    node.ends(&[session(2)]);
    let new = Node::started(settings(&redis.url())).await;
    new.learns(&session(2)).await;
    assert!(!new.knows(&session(1)));
    assert!(!node.knows(&session(1)));
    assert_eq!(node.keeper.state(), State::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_another_list_is_none_of_this_one() {
    let redis = Redis::start().await;
    let other = Node::started(Settings { list: "other".into(), ..settings(&redis.url()) }).await;
    other.ends(&[session(1)]);
    other.has_written().await;
    let mut connection = redis.connection().await;
    let _: bool = connection.copy("vestibule:ended:other", STREAM, redis::CopyOptions::default()).await.expect("copied");
    let node = Node::started(settings(&redis.url())).await;
    assert!(!node.knows(&session(1)));
    assert_eq!(redis.length().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_an_older_secret_are_known() {
    let redis = Redis::start().await;
    let before = Node::started(settings(&redis.url())).await;
    before.ends(&[session(1)]);
    before.has_written().await;
    let after = Node::started(Settings { keys: Keys::new([2; 32], [[1; 32]]), ..settings(&redis.url()) }).await;
    assert!(after.knows(&session(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_any_length_is_not_read() {
    let redis = Redis::start().await;
    let node = Node::started(settings(&redis.url())).await;
    let long = vec![b'a'; 4 << 20];
    let _: String = redis.connection().await.xadd(STREAM, "*", &[("e", &long)]).await.expect("added");
    node.is(State::Patient).await;
    let _: () = redis.connection().await.del(STREAM).await.expect("deleted");
    node.is(State::Current).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_nothing_any_more_is_deleted() {
    let redis = Redis::start().await;
    let node = Node::started(Settings { retention: Duration::from_secs(8), ..settings(&redis.url()) }).await;
    node.ends(&[session(1), session(2)]);
    node.has_written().await;
    sleep(Duration::from_secs(4)).await;
    node.ends(&[session(3)]);
    node.has_written().await;
    assert_eq!(redis.length().await, 3);
    sleep(Duration::from_millis(4500)).await;
    node.ends(&[session(4)]);
    node.has_written().await;
    // Deleted behind the last that was written.
    redis.has(2).await;
    assert_eq!(node.keeper.state(), State::Current);
    redis.has(0).await;
    let exists: bool = redis.connection().await.exists(STREAM).await.expect("an answer");
    assert!(!exists, "a list that is not written to expires");
    sleep(Duration::from_millis(1200)).await;
    assert_eq!(node.keeper.state(), State::Current, "that is no loss");
}

/// Those that docs/store.md names are enough, and fewer are not.
#[tokio::test(flavor = "multi_thread")]
async fn the_user_of_the_documentation_may_do_what_is_needed() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/store.md")).expect("the page");
    let line = page.lines().find_map(|line| line.strip_prefix("user vestibule on ")).expect("the user of the page");
    let rules: Vec<_> = line.split_whitespace().filter(|rule| !rule.starts_with('>')).collect();
    let commands: Vec<_> = rules.iter().filter(|rule| rule.starts_with('+')).copied().collect();
    assert!(rules.contains(&"-@all") && commands.len() > 3, "{line}");
    let of_page = format!("vestibule on >right {}", rules.join(" "));
    let redis = Redis::start_with(&["--user", "default on nopass ~* +@all", "--user", &of_page]).await;
    let url = format!("{}?user=vestibule&pass=right", redis.url());
    let retention = Duration::from_secs(8);
    let node = Node::started(Settings { retention, ..settings(&url) }).await;
    node.ends(&[session(1)]);
    node.has_written().await;
    // Until something is to be deleted.
    sleep(Duration::from_millis(4500)).await;
    node.ends(&[session(2)]);
    node.has_written().await;
    sleep(Duration::from_secs(4)).await;
    node.ends(&[session(3)]);
    node.has_written().await;
    redis.has(2).await;
    assert_eq!(node.keeper.state(), State::Current);
    for left_out in ["+xadd", "+xread", "+xrange", "+pexpire"] {
        assert!(commands.contains(&left_out), "{left_out}");
        let rules = of_page.replace(left_out, "");
        let redis = Redis::start_with(&["--user", "default on nopass ~* +@all", "--user", &rules]).await;
        let node = Node::start(Some(settings(&format!("{}?user=vestibule&pass=right", redis.url()))));
        node.ends(&[session(1)]);
        sleep(Duration::from_millis(1500)).await;
        assert_ne!(node.keeper.state(), State::Current, "without {left_out}");
    }
}
