//! What `vestibule check --online` finds at a store.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore};
use vestibule_edge::store::{Found, Settings, look};

use crate::node::{Node, session, settings};
use crate::redis::Redis;

const ONCE_EVERYWHERE: &str = "login attempts: each is used once, on whichever node";

async fn found(url: &str) -> Found {
    look(&settings(url), None).await
}

/// The fault, which has this cause and this remedy.
fn assert_fault(found: &Found, cause: &str, remedy: &str) {
    let fault = found.fault.as_deref().unwrap_or_else(|| panic!("no fault: {found:?}"));
    assert!(fault.starts_with(cause) && fault.contains(remedy), "{fault}");
    assert!(!fault.contains("wrong-password"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_order_is_told_with_what_it_has() {
    let redis = Redis::start().await;
    let node = Node::started(settings(&redis.url())).await;
    node.ends(&[session(1), session(2)]);
    node.has_written().await;
    let found = found(&redis.url()).await;
    assert_eq!(found.place, redis.url());
    assert_eq!(found.lines, ["connection: Unix socket", "login: none", "list: 2 entries, and it can be written to", ONCE_EVERYWHERE]);
    assert_eq!(found.fault, None);
    assert_eq!(redis.length().await, 2, "nothing is added");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_passwords_are_tried() {
    let user = "vestibule on >right ~vestibule:ended:* -@all +xadd +xread +xrange +xdel +pexpire +set +select";
    let older = user.replace("vestibule on", "older on").replace(" +set", "");
    let reader = "reader on >right ~* -@all +xread +xrange +select";
    let redis = Redis::start_with(&["--user", "default on nopass -@all +ping", "--user", user, "--user", &older, "--user", reader]).await;
    let as_user = |user: &str, password: &str| format!("{}?user={user}&pass={password}", redis.url());
    let right = found(&as_user("vestibule", "right")).await;
    assert_eq!((right.lines[1].as_str(), right.fault), ("login: user `vestibule`, with a password", None));
    assert_eq!(right.lines[3], ONCE_EVERYWHERE);
    let older = found(&as_user("older", "right")).await;
    let told = &older.lines[3];
    assert!(older.fault.is_none() && told.contains("once on each node") && told.contains("docs/store.md lists"), "{told}");
    for url in [as_user("vestibule", "wrong-password"), as_user("nobody", "right")] {
        assert_fault(&found(&url).await, "the store refuses the user or the password: ", "write user and password of the store");
    }
    for url in [as_user("reader", "right"), redis.url()] {
        assert_fault(&found(&url).await, "the store refuses: ", "docs/store.md lists");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_or_does_not_answer_is_a_fault() {
    for url in ["redis://127.0.0.1:1", "redis+unix:///no/such/socket"] {
        assert_fault(&found(url).await, "no connection: ", "start the store");
    }
    // A name server may take its time to say that there is no such name.
    let nowhere = found("redis://no-such-host.invalid").await;
    let is_late = nowhere.fault.as_ref().is_some_and(|fault| fault.starts_with("no answer in time"));
    assert_fault(&nowhere, if is_late { "no answer in time" } else { "no connection: " }, "the store");
    let redis = Redis::start().await;
    redis.hang();
    assert_fault(&found(&redis.url()).await, "no answer in time", "let this machine connect");
    redis.go_on();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_certificate_and_its_authority_are_verified() {
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
    let _redis = Redis::start_with(&[&["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"][..], &files].concat()).await;

    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let tls = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());

    let at = |host: &str| settings(&format!("rediss://{host}:{port}"));
    let right = look(&at("localhost"), Some(tls.clone())).await;
    assert_eq!((right.lines[0].as_str(), right.fault), ("connection: TLS, with a certificate for localhost", None));
    let wrong_name = look(&at("127.0.0.1"), Some(tls)).await;
    assert_fault(&wrong_name, "TLS: ", "give the store a certificate for 127.0.0.1 from an authority");
    assert_fault(&look(&at("localhost"), None).await, "TLS: ", "give the store a certificate for localhost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_looked_at_and_not_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ended");
    let of = |path: &Path| -> Settings { settings(&format!("file:{}", path.display())) };
    let new = look(&of(&path), None).await;
    assert_eq!((new.lines, new.fault), (vec!["list: there is none yet; `vestibule serve` makes the file".to_owned()], None));
    assert!(!path.exists());

    let node = Node::started(of(&path)).await;
    node.ends(&[session(1)]);
    node.has_written().await;
    let used = look(&of(&path), None).await;
    assert!(used.lines[0].starts_with("list: in use by another process") && used.fault.is_none(), "{used:?}");
    node.kill().await;
    let there = look(&of(&path), None).await;
    assert_eq!((there.lines, there.fault), (vec!["list: 1 entry, and it can be written to".to_owned()], None));

    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("changed");
    assert_fault(&look(&of(&path), None).await, "I/O error: ", "other users can change it");
    let nowhere = look(&of(&folder.path().join("no/such/ended")), None).await;
    assert_fault(&nowhere, "", "correct this, or the path in `store`");
    let other = folder.path().join("other");
    std::fs::write(&other, "a file of another program\n".repeat(1000)).expect("written");
    assert_fault(&look(&of(&other), None).await, "", "correct this, or the path in `store`");
}
