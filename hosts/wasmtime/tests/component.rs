//! The component itself, `dist/vestibule.wasm`, in this host, with a real provider: whole logins, and what must not
//! become one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

mod provider;
mod rotating;
mod visitor;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use provider::HeldProvider;
use rotating::RotatingTokens;
use tokio::time::timeout;
use vestibule_dev_provider::{Options, Provider, Running, SigningAlgorithm};
use vestibule_wasmtime::{Configuration, ConfigurationFile, Filter, FilterComponent, FilterOptions, LoadError, Runtime, RuntimeOptions};
use visitor::{ORIGIN, Visitor, answer_at_provider, codes, forward, location, respond, told};

/// Longer than anything here takes: a test that reaches it has hung.
const HANG: Duration = Duration::from_secs(60);

/// By default, 30 days.
const SESSION_SECONDS: u64 = 30 * 24 * 60 * 60;

fn component_path() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/vestibule.wasm");
    assert!(path.is_file(), "{}: no component there; run `make build`", path.display());
    path
}

fn component() -> FilterComponent {
    let runtime = Runtime::new(&RuntimeOptions { max_instances: 8, ..RuntimeOptions::default() }).unwrap();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache");
    FilterComponent::from_file(&runtime, &component_path(), Some(&cache)).unwrap_or_else(|error| panic!("{error}"))
}

async fn configuration(component: &FilterComponent, toml: &str) -> Configuration {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.toml");
    std::fs::write(&path, toml).unwrap();
    ConfigurationFile::read(component, &path, Some(8501)).await.unwrap()
}

fn secrets(metadata_url: &str) -> String {
    format!(
        r#"
[auth]
redirect_uri = "http://localhost:{{port}}/oauth2callback"
cookie_secret = "6be1f0c84d7a92e5b3185fd06c49e7a21b8d30f59ce467a2"
client_id = "vestibule-demo"
client_secret = "vestibule-demo-secret"
server_metadata_url = "{metadata_url}"
"#
    )
}

/// A filter of one instance.
async fn filter(component: &FilterComponent, metadata_url: &str) -> Filter {
    let configuration = configuration(component, &secrets(metadata_url)).await;
    let options = FilterOptions { instances: 1, ..FilterOptions::default() };
    Filter::load(component, configuration, options).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A provider and a filter that sends people there.
async fn site() -> (Running, Filter) {
    // RSA keys take seconds to make.
    let options = Options { signing_algorithm: SigningAlgorithm::Es256, ..Options::default() };
    let provider = Provider::start(options).await.unwrap();
    let filter = filter(&component(), &provider.metadata_url()).await;
    (provider, filter)
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// Nobody is logged in as far as the filter can see.
async fn assert_stranger(visitor: &mut Visitor, filter: &Filter) {
    let decision = visitor.fetch(filter, "/data").await;
    assert_eq!((respond(&decision).status, codes(&decision)), (401, vec![]));
}

#[tokio::test]
async fn a_person_logs_in_is_known_and_logs_out() {
    let (provider, filter) = site().await;
    let mut visitor = Visitor::default();

    let back = visitor.log_in(&filter, "/reports/2026?x=1&y=%2F", "alice").await;
    assert_eq!(back.as_str(), format!("{ORIGIN}/reports/2026?x=1&y=%2F"));

    let decision = visitor.open(&filter, "/reports/2026?x=1&y=%2F").await;
    let forwarded = forward(&decision);
    assert_eq!(told(forwarded, "x-forwarded-email"), "alice@example.com");
    assert_eq!(forwarded.remove_headers().collect::<Vec<_>>(), [visitor::SPOOFED, "cookie"], "what the visitor claims to be");
    let lifetime = forwarded.expires_at.unwrap().checked_sub(unix_now()).unwrap();
    assert!((SESSION_SECONDS - 60..=SESSION_SECONDS).contains(&lifetime), "{lifetime}");

    let decision = visitor.fetch(&filter, "/.vestibule/user").await;
    let user: serde_json::Value = serde_json::from_slice(&respond(&decision).body).unwrap();
    assert_eq!((&user["is_logged_in"], &user["email"]), (&true.into(), &"alice@example.com".into()), "{user}");

    let mut other_tab = visitor.clone();
    let decision = visitor.open(&filter, "/.vestibule/logout").await;
    let end_session = location(respond(&decision));
    assert_eq!(end_session.origin().ascii_serialization(), provider.issuer());
    assert!(visitor.cookies.keys().all(|name| name.contains("_logout_")), "{:?}", visitor.cookies);
    assert_stranger(&mut visitor, &filter).await;
    // Sealed cookies are their own proof: a copy of them is good until it expires.
    forward(&other_tab.open(&filter, "/").await);
}

#[tokio::test]
async fn a_login_ends_on_another_instance_than_it_began_on() {
    let (provider, first) = site().await;
    let mut visitor = Visitor::default();
    let callback = visitor.until_callback(&first, "/here", "bob").await;
    let asked = provider.requests("/.well-known/openid-configuration");
    drop(first);

    let second = filter(&component(), &provider.metadata_url()).await;
    let back = location(respond(&visitor.open(&second, &callback).await));
    assert_eq!(back.path(), "/here");
    assert_eq!(provider.requests("/.well-known/openid-configuration"), asked, "the attempt's cookie has what the callback needs");
    forward(&visitor.open(&second, "/here").await);
}

/// What of keys has a name: those in the key set, and those that tokens are signed with.
#[derive(Clone, Copy, Debug)]
enum Named {
    Both,
    OnlyInTokens,
    OnlyInTheKeySet,
}

/// Without the instances' own memory, and without what they share, there would be as many requests as logins.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callbacks_at_once_after_the_keys_have_changed_all_succeed_and_ask_a_few_times() {
    const LOGINS: usize = 20;
    const INSTANCES: usize = 2;
    let options = Options { signing_algorithm: SigningAlgorithm::EdDsa, ..Options::default() };
    let provider = Provider::start(options).await.unwrap();
    let component = component();
    for named in [Named::Both, Named::OnlyInTokens, Named::OnlyInTheKeySet] {
        let configuration = configuration(&component, &secrets(&provider.metadata_url())).await;
        let options = FilterOptions { instances: INSTANCES, ..FilterOptions::default() };
        let filter = Filter::load(&component, configuration, options).await.unwrap();
        provider.faults().script(|script| {
            script.latency = Duration::from_millis(20);
            script.omit_kid = matches!(named, Named::OnlyInTheKeySet);
            script.edit_jwks = matches!(named, Named::OnlyInTokens).then_some(Box::new(|keys| {
                let keys = keys["keys"].as_array_mut().unwrap();
                keys.iter_mut().for_each(|key| drop(key.as_object_mut().unwrap().remove("kid")));
            }));
        });
        // Both instances know the old keys.
        let known = (0..2 * INSTANCES).map(|_| async { Visitor::default().log_in(&filter, "/", "alice").await });
        futures::future::join_all(known).await;
        let mut visitors = Vec::new();
        for number in 0..LOGINS {
            let mut visitor = Visitor::default();
            let callback = visitor.until_callback(&filter, &format!("/{number}"), "alice").await;
            visitors.push((visitor, callback));
        }
        provider.rotate_key().await.unwrap();
        let asked = provider.requests("/jwks");
        let logins = visitors.into_iter().enumerate().map(|(number, (mut visitor, callback))| {
            let filter = filter.clone();
            tokio::spawn(async move {
                let decision = visitor.open(&filter, &callback).await;
                assert_eq!(codes(&decision).last(), Some(&"login.succeeded"), "{named:?}: {decision:?}");
                assert_eq!(location(respond(&decision)).path(), format!("/{number}"));
            })
        });
        for login in logins.collect::<Vec<_>>() {
            login.await.unwrap();
        }
        // An instance asks until it has its first answer: in the exchange that is under way, and in the next.
        let asked = provider.requests("/jwks") - asked;
        assert!((1..=2 * INSTANCES).contains(&asked), "{named:?}: asked {asked} times");
    }
}

#[tokio::test]
async fn many_people_log_in_at_once_on_one_instance() {
    let (provider, filter) = site().await;
    provider.faults().script(|script| script.latency = Duration::from_millis(50));
    let logins = (0..20).map(|number| {
        let filter = filter.clone();
        async move {
            let mut visitor = Visitor::default();
            let path = format!("/{number}");
            let person = ["alice", "bob", "chloe"][number % 3];
            assert_eq!(visitor.log_in(&filter, &path, person).await.path(), path);
            let decision = visitor.open(&filter, &path).await;
            let email = told(forward(&decision), "x-forwarded-email").to_owned();
            assert_eq!(email, format!("{person}@example.com"), "one person's login became another's");
        }
    });
    timeout(HANG, futures::future::join_all(logins)).await.expect("the logins hang");
}

#[tokio::test]
async fn access_denied_is_a_page_and_no_session() {
    let (_provider, filter) = site().await;
    let mut visitor = Visitor::default();
    let authorize = location(respond(&visitor.open(&filter, "/").await));
    let callback = answer_at_provider(authorize, "deny=yes").await;
    let decision = visitor.open(&filter, &callback).await;
    assert_eq!((respond(&decision).status, codes(&decision)), (403, vec!["callback.access_denied"]));
    assert_stranger(&mut visitor, &filter).await;
}

#[tokio::test]
async fn a_callback_of_somebody_else_grants_nothing() {
    let (_provider, filter) = site().await;
    let callback = Visitor::default().until_callback(&filter, "/", "alice").await;
    let mut victim = Visitor::default();
    victim.open(&filter, "/").await;
    let decision = victim.open(&filter, &callback).await;
    assert_eq!((respond(&decision).status, codes(&decision)), (400, vec!["callback.unknown_state"]));
    assert_stranger(&mut victim, &filter).await;
}

#[tokio::test]
async fn a_callback_works_once() {
    let (_provider, filter) = site().await;
    let mut visitor = Visitor::default();
    let callback = visitor.until_callback(&filter, "/", "alice").await;
    let mut thief = visitor.clone();
    location(respond(&visitor.open(&filter, &callback).await));
    let session = visitor.cookies.clone();

    // Even with the cookies from before: the attempt is used, and the provider is not asked.
    let decision = thief.open(&filter, &callback).await;
    assert_eq!((respond(&decision).status, codes(&decision)), (400, vec!["callback.used"]));
    assert_stranger(&mut thief, &filter).await;

    // In the same browser, a reload leads home and changes nothing.
    let decision = visitor.open(&filter, &callback).await;
    assert_eq!(location(respond(&decision)).path(), "/");
    assert_eq!(visitor.cookies, session);
}

#[tokio::test]
async fn a_changed_cookie_is_a_stranger() {
    let (_provider, filter) = site().await;
    let mut visitor = Visitor::default();
    visitor.log_in(&filter, "/", "alice").await;
    forward(&visitor.fetch(&filter, "/data").await);
    let name = visitor.cookies.keys().find(|name| name.contains("session")).unwrap().clone();
    let sealed = visitor.cookies[&name].clone();
    for position in [3, sealed.len() / 2, sealed.len() - 2] {
        let mut changed = sealed.clone().into_bytes();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        visitor.cookies.insert(name.clone(), String::from_utf8(changed).unwrap());
        let decision = visitor.fetch(&filter, "/data").await;
        assert_eq!(respond(&decision).status, 401, "changed at {position}");
        visitor.cookies.insert(name.clone(), sealed.clone());
    }
    forward(&visitor.fetch(&filter, "/data").await);
}

#[tokio::test]
async fn an_id_token_that_fails_verification_grants_nothing() {
    let (provider, filter) = site().await;
    type Misbehave = fn(&mut vestibule_dev_provider::Script);
    let cases: [(&str, Misbehave); 4] = [
        ("id_token.signature", |script| script.break_signature = true),
        ("id_token.nonce", |script| script.edit_id_token = Some(Box::new(|claims| drop(claims.insert("nonce".into(), "other".into()))))),
        ("id_token.audience", |script| script.edit_id_token = Some(Box::new(|claims| drop(claims.insert("aud".into(), "other".into()))))),
        ("id_token.expired", |script| script.edit_id_token = Some(Box::new(|claims| drop(claims.insert("exp".into(), 1_000_000.into()))))),
    ];
    for (code, misbehave) in cases {
        provider.faults().clear();
        provider.faults().script(misbehave);
        let mut visitor = Visitor::default();
        let callback = visitor.until_callback(&filter, "/", "alice").await;
        let decision = visitor.open(&filter, &callback).await;
        assert_eq!((respond(&decision).status, codes(&decision)), (502, vec![code]));
        assert_stranger(&mut visitor, &filter).await;
    }
    provider.faults().clear();
    forward(&{
        let mut visitor = Visitor::default();
        visitor.log_in(&filter, "/", "alice").await;
        visitor.open(&filter, "/").await
    });
}

/// The hosts of `internal_hosts` are told, and one that is not among them is refused: by its address, before anything is sent.
#[tokio::test]
async fn metadata_that_names_another_network_ends_the_login() {
    let (provider, filter) = site().await;
    for endpoint in [
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/token",
        "https://[fd00:ec2::254]/token",
        "https://[::ffff:192.168.0.1]/token",
        "https://3232235521/token",
    ] {
        provider.faults().script(|script| {
            script.edit_metadata = Some(Box::new(move |metadata| drop(metadata.insert("token_endpoint".into(), endpoint.into()))));
        });
        // What was learned of the provider before goes with the instances.
        let filter = self::filter(&component(), &provider.metadata_url()).await;
        let mut visitor = Visitor::default();
        let callback = visitor.until_callback(&filter, "/", "alice").await;
        let decision = visitor.open(&filter, &callback).await;
        assert_eq!((respond(&decision).status, codes(&decision)), (503, vec!["provider.unreachable"]), "{endpoint}");
        assert_stranger(&mut visitor, &filter).await;
    }
    assert_eq!(filter.summary().internal_hosts, Vec::<String>::new());
}

#[tokio::test]
async fn a_provider_that_is_down_stops_logins_and_nobody_who_is_logged_in() {
    let (provider, filter) = site().await;
    let mut known = Visitor::default();
    known.log_in(&filter, "/", "alice").await;
    let callback = {
        let mut visitor = Visitor::default();
        let callback = visitor.until_callback(&filter, "/", "bob").await;
        provider.shutdown().await;
        let decision = visitor.open(&filter, &callback).await;
        // In case that the endpoint has moved.
        assert_eq!((respond(&decision).status, codes(&decision)), (503, vec!["metadata.refetch", "provider.unreachable"]));
        assert_stranger(&mut visitor, &filter).await;
        callback
    };
    assert!(callback.contains("code="));
    forward(&known.open(&filter, "/").await);
}

#[tokio::test]
async fn a_login_that_waits_for_the_provider_holds_up_nothing_on_its_instance() {
    let mut provider = HeldProvider::start().await;
    let filter = filter(&component(), &provider.url).await;
    assert_eq!(filter.summary().metadata_urls, [provider.url.clone()]);
    assert_eq!(filter.summary().public_origin, ORIGIN);

    let login = tokio::spawn({
        let filter = filter.clone();
        async move { Visitor::default().open(&filter, "/").await }
    });
    timeout(HANG, provider.arrived(1)).await.expect("the login asks the provider");
    for _ in 0..100 {
        let decision = Visitor::default().fetch(&filter, "/api").await;
        assert_eq!(respond(&decision).status, 401);
    }
    assert!(!login.is_finished(), "the provider has not answered");
    // This provider's metadata is empty: the login ends with an error page.
    provider.answer(100);
    let decision = timeout(HANG, login).await.expect("the login ends").unwrap();
    assert_eq!((respond(&decision).status, codes(&decision)), (502, vec!["metadata.invalid"]));
}

#[tokio::test]
async fn logins_that_wait_for_a_provider_hold_up_nobody_else() {
    let mut provider = HeldProvider::start().await;
    let component = component();
    let configuration = configuration(&component, &secrets(&provider.url)).await;
    let options = FilterOptions { instances: 1, in_flight_per_instance: 4, ..FilterOptions::default() };
    let filter = Filter::load(&component, configuration, options).await.unwrap_or_else(|error| panic!("{error}"));

    let open = |filter: Filter| async move { Visitor::default().open(&filter, "/").await };
    let waiting: Vec<_> = (0..2).map(|_| tokio::spawn(open(filter.clone()))).collect();
    timeout(HANG, provider.arrived(2)).await.expect("two logins ask the provider");
    for _ in 0..20 {
        let decision = open(filter.clone()).await;
        assert_eq!((respond(&decision).status, codes(&decision)), (503, vec!["provider.unreachable"]));
        let decision = Visitor::default().fetch(&filter, "/api").await;
        assert_eq!(respond(&decision).status, 401);
    }
    assert!(waiting.iter().all(|login| !login.is_finished()), "the provider has not answered");
}

#[tokio::test]
async fn faults_name_file_line_key_and_remedy() {
    let component = component();
    let toml = secrets("https://provider.example/").replace("cookie_secret = \"6be1f0", "cookie_secret = \"xxx\" # ");
    let configuration = configuration(&component, &toml).await;
    let error = Filter::load(&component, configuration, FilterOptions::default()).await.err();
    let Some(LoadError::Faults(faults)) = error else { panic!("{error:?}") };
    let fault = faults.iter().find(|fault| fault.key == "auth.cookie_secret").expect("the weak secret");
    assert!(fault.to_string().starts_with("secrets.toml:4: auth.cookie_secret: "), "{fault}");
    assert!(fault.fatal && !fault.remedy.is_empty());
}

/// At once, and after a reload.
#[tokio::test]
async fn a_page_of_thirty_requests_uses_a_refresh_token_once() {
    let provider = Provider::start(Options { signing_algorithm: SigningAlgorithm::Es256, ..Options::default() }).await.unwrap();
    let tokens = RotatingTokens::in_front_of(&provider).await;
    let component = component();
    let toml = secrets(&provider.metadata_url()).replace("client_secret", "expose_tokens = \"access\"\nclient_secret");
    let toml = format!("{toml}[vestibule.session]\nrefresh = \"auto\"\n");
    let load = async || {
        let options = FilterOptions { instances: 1, ..FilterOptions::default() };
        Filter::load(&component, configuration(&component, &toml).await, options).await.unwrap_or_else(|error| panic!("{error}"))
    };
    let filter = load().await;
    let mut visitor = Visitor::default();
    visitor.log_in(&filter, "/", "alice").await;
    // No provider is asked more often than every ten seconds, whatever lifetime it states.
    tokio::time::sleep(Duration::from_secs(11)).await;

    let page = |filter: Filter, visitor: &Visitor| {
        let requests = (0..30).map(|_| {
            let (filter, mut visitor) = (filter.clone(), visitor.clone());
            async move {
                let decision = visitor.open(&filter, "/").await;
                (told(forward(&decision), "x-forwarded-access-token").to_owned(), visitor)
            }
        });
        futures::future::join_all(requests)
    };
    let seen = page(filter.clone(), &visitor).await;
    assert!(seen.iter().all(|(token, _)| token == "access-1"), "{:?}", seen.iter().map(|(token, _)| token).collect::<Vec<_>>());
    assert_eq!(tokens.seen(), (1, false));
    // The browser has dropped every answer, and the configuration is loaded again.
    drop(filter);
    let filter = load().await;
    let seen = page(filter.clone(), &visitor).await;
    assert!(seen.iter().all(|(token, _)| token == "access-1"));
    assert_eq!(tokens.seen(), (1, false));
    // It keeps one of them at last.
    let (_, mut visitor) = seen.into_iter().next_back().unwrap();
    assert_eq!(told(forward(&visitor.open(&filter, "/").await), "x-forwarded-access-token"), "access-1");
    assert_eq!(tokens.seen(), (1, false));
}
