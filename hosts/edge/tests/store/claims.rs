//! A login attempt is used once, on whichever node: claims between nodes, and callbacks at two running programs.

use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use redis::AsyncCommands as _;
use reqwest::Method;
use tokio::time::sleep;
use vestibule_edge::store::{Settings, State};
use vestibule_wasmtime::Claimed;

use crate::browser::Browser;
use crate::node::{Node, now, settings};
use crate::nodes::{Serving, Site, store};
use crate::raw::Wire;
use crate::redis::{Redis, STREAM, USED};

const ONE: [u8; 16] = [1; 16];
const TWO: [u8; 16] = [2; 16];

/// What a claim may take, and a machine that compiles something else at the same time.
const PROMPT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn of_many_claims_on_two_nodes_one_is_granted() {
    let redis = Redis::start().await;
    let nodes = [Node::started(settings(&redis.url())).await, Node::started(settings(&redis.url())).await];
    for number in 0..20 {
        let claims = (0..16).map(|claim| nodes[claim % 2].keeper.claim([number; 16], now() + 60));
        let claimed = join_all(claims).await;
        assert_eq!(claimed.iter().filter(|claimed| **claimed == Claimed::Granted).count(), 1, "{claimed:?}");
        assert_eq!(claimed.iter().filter(|claimed| **claimed == Claimed::Taken).count(), 15, "{claimed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_an_empty_key_of_its_list_that_expires() {
    let redis = Redis::start().await;
    let node = Node::started(settings(&redis.url())).await;
    assert_eq!(node.keeper.claim(ONE, now() + 60).await, Claimed::Granted);
    assert_eq!(node.keeper.claim(TWO, now() + 1).await, Claimed::Granted);
    let key = format!("{STREAM}{USED}AQEBAQEBAQEBAQEBAQEBAQ");
    let (mut connection, keys) = (redis.connection().await, redis.keys().await);
    assert!(keys.contains(&key), "{keys:?}");
    let (value, milliseconds): (String, i64) = (connection.get(&key).await.expect("a value"), connection.pttl(&key).await.expect("a time"));
    assert!(value.is_empty() && (50_000..=60_000).contains(&milliseconds), "{value:?} {milliseconds}");
    sleep(Duration::from_millis(1200)).await;
    assert_eq!(node.keeper.claim(TWO, now() + 60).await, Claimed::Granted, "what it was of is over");
    let other = Node::started(Settings { list: "other".into(), ..settings(&redis.url()) }).await;
    assert_eq!(other.keeper.claim(ONE, now() + 60).await, Claimed::Granted, "another application's");
    // Whatever time is asked for.
    assert_eq!(node.keeper.claim([3; 16], u64::MAX).await, Claimed::Granted);
    let longest: i64 = connection.pttl(format!("{STREAM}{USED}AwMDAwMDAwMDAwMDAwMDAw")).await.expect("a time");
    assert!((0..=3_600_000).contains(&longest), "{longest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_holds_a_claim_up_for_half_a_second_at_most() {
    let mut redis = Redis::start().await;
    let node = Node::started(settings(&redis.url())).await;
    assert_eq!(node.keeper.claim(ONE, now() + 60).await, Claimed::Granted);
    redis.hang();
    let started = Instant::now();
    let claimed = join_all((0..20).map(|_| node.keeper.claim(TWO, now() + 60))).await;
    assert!(claimed.iter().all(|claimed| *claimed == Claimed::Unavailable), "{claimed:?}");
    assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
    redis.go_on();
    redis.kill();
    node.is(State::Patient).await;
    let started = Instant::now();
    assert_eq!(node.keeper.claim(ONE, now() + 60).await, Claimed::Unavailable);
    assert!(started.elapsed() < Duration::from_millis(300), "a store that is known to be away is not waited for: {:?}", started.elapsed());
    redis.start_again().await;
    node.is(State::Current).await;
    assert_eq!(node.keeper.claim([3; 16], now() + 60).await, Claimed::Granted);
    assert_eq!(node.keeper.claim([3; 16], now() + 60).await, Claimed::Taken);
}

/// As an operator has it who has given the user what an earlier release needed.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_claim_keeps_nobody_out() {
    let user = "vestibule on >right ~vestibule:ended:* -@all +xadd +xread +xrange +xdel +pexpire +select";
    let redis = Redis::start_with(&["--user", "default on nopass ~* +@all", "--user", user]).await;
    let node = Node::started(settings(&format!("{}?user=vestibule&pass=right", redis.url()))).await;
    assert_eq!(node.keeper.claim(ONE, now() + 60).await, Claimed::Unavailable);
    assert_eq!(node.keeper.state(), State::Current, "the list is another matter");
    assert!(redis.keys().await.iter().all(|key| !key.contains(USED)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_that_others_use_a_node_is_all_there_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = Node::started(settings(&format!("file:{}", folder.path().join("ended").display()))).await;
    assert_eq!(file.keeper.claim(ONE, now() + 60).await, Claimed::Granted);
    assert_eq!(Node::start(None).keeper.claim(ONE, now() + 60).await, Claimed::Granted);
}

impl Site {
    /// A callback that its browser has not sent yet, and the cookies of that browser.
    async fn callback(&self) -> (String, String) {
        let browser = Browser::new();
        let asked = browser.open(&self.url("/page")).await;
        let mut consent = asked.url.clone();
        consent.set_path("/consent");
        let answered = browser.step(Method::POST, consent, Some("person=alice")).await;
        let callback = answered.location.expect("a redirect back");
        let target = format!("{}?{}", callback.path(), callback.query().unwrap_or_default());
        (target, browser.cookies(&callback))
    }

    /// What a node answers to a callback: the status, and the page.
    async fn calls_back(&self, node: &Serving, (target, cookies): &(String, String)) -> (u16, String) {
        let host = self.public.expect("a first node");
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
             Cookie: {cookies}\r\nConnection: close\r\n\r\n"
        );
        let (head, body) = Wire::connect(node.address).await.exchange(&request).await.expect("a response");
        assert_eq!(head.status() == 302, head.text.contains("vestibule_session_"), "{}", head.text);
        (head.status(), body)
    }
}

fn is_used((status, page): &(u16, String)) -> bool {
    *status == 400 && page.contains("This login was already used")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_same_callback_at_two_nodes_one_logs_in() {
    let (redis, mut site) = (Redis::start().await, Site::start().await);
    let (one, two) = (site.node(&store(&redis)).await, site.node(&store(&redis)).await);
    for _ in 0..5 {
        let callback = site.callback().await;
        let (first, second) = join(site.calls_back(&one, &callback), site.calls_back(&two, &callback)).await;
        let answers = [&first, &second];
        assert_eq!(answers.iter().filter(|answer| answer.0 == 302).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| is_used(answer)).count(), 1, "{answers:?}");
        for node in [&one, &two] {
            assert!(is_used(&site.calls_back(node, &callback).await));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_store_uses_an_attempt_once() {
    let mut site = Site::start().await;
    let one = site.node("").await;
    let callback = site.callback().await;
    let answers = join_all((0..4).map(|_| site.calls_back(&one, &callback))).await;
    assert_eq!(answers.iter().filter(|answer| answer.0 == 302).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| is_used(answer)).count(), 3, "{answers:?}");
}

/// Then each node knows what it has seen itself, and the provider takes a code once.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_does_not_need_the_store() {
    let (mut redis, mut site) = (Redis::start().await, Site::start().await);
    let (one, two) = (site.node(&store(&redis)).await, site.node(&store(&redis)).await);
    redis.kill();
    let callback = site.callback().await;
    let answer = site.calls_back(&one, &callback).await;
    assert_eq!(answer.0, 302, "{answer:?}");
    assert!(is_used(&site.calls_back(&one, &callback).await));
    let elsewhere = site.calls_back(&two, &callback).await;
    assert!(elsewhere.0 != 302 && !is_used(&elsewhere), "it goes to the provider, which refuses the code: {elsewhere:?}");
}
