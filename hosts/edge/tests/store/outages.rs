//! Several nodes and one Redis, and what happens when it is away.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::sleep;
use vestibule_edge::store::{Settings, State};

use crate::node::{Node, session, settings};
use crate::redis::Redis;
use crate::relay::Relay;

const SECOND: Duration = Duration::from_secs(1);

fn with_patience(redis: &Redis, patience: Duration) -> Settings {
    Settings { patience, ..settings(&redis.url()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_known_on_every_node_within_a_second() {
    let redis = Redis::start().await;
    let (one, two, three) = (
        Node::started(settings(&redis.url())).await,
        Node::started(settings(&redis.url())).await,
        Node::started(settings(&redis.url())).await,
    );
    for number in 0..20 {
        one.ends(&[session(number)]);
        assert!(two.learns(&session(number)).await < SECOND && three.learns(&session(number)).await < SECOND, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_comes_back_with_its_data_is_caught_up_with_within_a_second() {
    let mut redis = Redis::start_keeping().await;
    let (one, two) = (Node::started(settings(&redis.url())).await, Node::started(settings(&redis.url())).await);
    one.ends(&[session(0)]);
    two.learns(&session(0)).await;
    redis.kill();
    one.is(State::Patient).await;
    two.is(State::Patient).await;
    // Queued, in order.
    let meanwhile: Vec<_> = (1..=5).map(session).collect();
    meanwhile.iter().for_each(|entry| one.ends(std::slice::from_ref(entry)));
    redis.start_again().await;
    assert!(two.learns(&session(5)).await < SECOND);
    let told = two.known.told.lock().expect("no test panics here").clone();
    let names: Vec<_> = meanwhile.iter().map(|entry| entry.name).collect();
    assert!(told.windows(names.len()).any(|window| window == names), "the order is another");
    one.is(State::Current).await;
    two.is(State::Current).await;
    assert!(Node::started(settings(&redis.url())).await.knows(&session(0)), "it was written before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_comes_back_without_its_data_has_them_again() {
    let mut redis = Redis::start().await;
    let (one, two) = (Node::started(settings(&redis.url())).await, Node::started(settings(&redis.url())).await);
    one.ends(&[session(0), session(1)]);
    two.learns(&session(1)).await;
    one.kill().await;
    redis.kill();
    redis.start_again().await;
    two.is(State::Current).await;
    let new = Node::started(settings(&redis.url())).await;
    new.learns(&session(0)).await;
    new.learns(&session(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_emptied_has_its_data_again() {
    let redis = Redis::start().await;
    let one = Node::started(settings(&redis.url())).await;
    one.ends(&[session(0), session(1)]);
    one.has_written().await;
    let _: String = redis::cmd("FLUSHALL").query_async(&mut redis.connection().await).await.expect("emptied");
    one.until(|| one.known.told.lock().expect("no test panics here").len() >= 4, "nothing is written again").await;
    assert_eq!(redis.length().await, 2);
    let new = Node::started(settings(&redis.url())).await;
    assert!(new.knows(&session(0)) && new.knows(&session(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_connection_is_cut_in_a_command() {
    let redis = Redis::start().await;
    let relay = Relay::start(redis.socket()).await;
    let one = Node::started(settings(&relay.url)).await;
    let two = Node::started(settings(&redis.url())).await;
    for (number, bytes) in [1, 17, 40, 90, 150, 170].into_iter().enumerate() {
        relay.cut_after(bytes);
        one.ends(&[session(2 * number), session(2 * number + 1)]);
        two.learns(&session(2 * number)).await;
        two.learns(&session(2 * number + 1)).await;
        one.until(|| relay.cuts() > number, "the connection is not cut").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_is_out_of_reach() {
    let redis = Redis::start().await;
    let node = Node::started(with_patience(&redis, Duration::from_secs(10))).await;
    redis.hang();
    let took = node.is(State::Patient).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    node.is(State::Stale).await;
    node.ends(&[session(1)]);
    redis.go_on();
    node.is(State::Current).await;
    node.has_written().await;
    assert!(Node::started(settings(&redis.url())).await.knows(&session(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_answers_slowly_is_in_reach() {
    let redis = Redis::start().await;
    let node = Node::started(with_patience(&redis, Duration::ZERO)).await;
    for number in 0..3 {
        redis.hang();
        node.ends(&[session(number)]);
        sleep(Duration::from_millis(500)).await;
        assert_eq!(node.keeper.state(), State::Current);
        redis.go_on();
        node.has_written().await;
    }
    assert_eq!(redis.length().await, 3, "nothing was written twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_ends_and_without_any_it_ends_at_once() {
    let mut redis = Redis::start().await;
    let patient = Node::started(with_patience(&redis, Duration::from_secs(4))).await;
    let impatient = Node::started(with_patience(&redis, Duration::ZERO)).await;
    redis.kill();
    impatient.is(State::Stale).await;
    // Each notices it by its own connection.
    patient.is(State::Patient).await;
    patient.is(State::Stale).await;
    redis.start_again().await;
    patient.is(State::Current).await;
    impatient.is(State::Current).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_never_reached_its_store_knows_nothing() {
    let mut redis = Redis::start_keeping().await;
    let other = Node::started(settings(&redis.url())).await;
    other.ends(&[session(1)]);
    other.has_written().await;
    redis.kill();
    let node = Node::start(Some(settings(&redis.url())));
    sleep(SECOND).await;
    assert_eq!(node.keeper.state(), State::Unknown);
    // It ends sessions all the same.
    node.ends(&[session(2)]);
    redis.start_again().await;
    node.is(State::Current).await;
    assert!(node.knows(&session(1)));
    other.learns(&session(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_opens_no_store() {
    let redis = Redis::start_with(&["--user", "default on nopass ~* +@all", "--user", "vestibule on >right ~* +@all"]).await;
    let url = |password: &str| format!("{}?user=vestibule&pass={password}", redis.url());
    let node = Node::start(Some(settings(&url("wrong"))));
    sleep(SECOND).await;
    assert_eq!(node.keeper.state(), State::Unknown);
    node.ends(&[session(1)]);
    node.keeper.keep(Some(settings(&url("right"))));
    node.is(State::Current).await;
    node.has_written().await;
    assert_eq!(redis.length().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_opens_no_store() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.into_os_string().into_string().expect("text")
    };
    let (certificate, key) = (write("cert.pem", cert.pem()), write("key.pem", signing_key.serialize_pem()));
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port().to_string();
    let files = ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &certificate];
    let arguments = [&["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"][..], &files].concat();
    let redis = Redis::start_with(&arguments).await;

    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let tls = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());

    let wrong = Node::start_with(Some(settings(&format!("rediss://127.0.0.1:{port}"))), Some(tls.clone()));
    let unbelieved = Node::start(Some(settings(&format!("rediss://localhost:{port}"))));
    let right = Node::start_with(Some(settings(&format!("rediss://localhost:{port}"))), Some(tls));
    right.is(State::Current).await;
    right.ends(&[session(1)]);
    right.has_written().await;
    sleep(SECOND).await;
    assert_eq!((wrong.keeper.state(), unbelieved.keeper.state()), (State::Unknown, State::Unknown));
    assert!(!wrong.knows(&session(1)) && !unbelieved.knows(&session(1)));
    assert_eq!(redis.length().await, 1);
}
