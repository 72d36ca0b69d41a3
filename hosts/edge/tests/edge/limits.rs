//! How many logins and bad callbacks a client has, through the whole program. Here the peer is a trusted proxy, so that a
//! test can be several clients.

use std::time::Duration;

use rustix::process::Signal;

use crate::application::Application;
use crate::browser::Browser;
use crate::login::Site;
use crate::raw::{Head, Wire};

/// Far beyond the limits of these tests: they are so low that an account takes a minute to have something again, and what is
/// expected to be refused was spent just before.
const MANY: usize = 50;

/// Decisions of one client that may wait for a provider at once.
const TURNS: usize = 4;

/// More than anything here takes, on a machine that compiles something else at the same time.
const HANG: Duration = Duration::from_secs(60);

/// The peer itself, which tells of no other client.
const PEER: &str = "";

async fn site(logins: u32, bad_callbacks: u32, trusted: &str) -> Site {
    let more = format!(
        "trusted_proxies = {trusted}\n[vestibule.limits]\nlogins_per_minute = {logins}\nbad_callbacks_per_minute = {bad_callbacks}\n"
    );
    Site::start_configured(&more, Application::start().await, "http", &[], &[]).await
}

/// A visit by a client, with these cookies.
async fn visit(site: &Site, client: &str, path: &str, cookies: &str) -> (Head, String) {
    let told = if client == PEER { String::new() } else { format!("X-Forwarded-For: {client}\r\n") };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n{told}Cookie: {cookies}\r\nConnection: close\r\n\r\n",
        site.address
    );
    Wire::connect(site.address).await.exchange(&request).await.expect("a response")
}

/// Visits until it is refused; how often it was not, each time with this status.
async fn visits(site: &Site, client: &str, path: &str, status: u16) -> usize {
    for count in 0..MANY {
        let (head, body) = visit(site, client, path, "").await;
        if head.status() == 429 {
            is_refusal(&head, &body);
            return count;
        }
        assert_eq!(head.status(), status, "{body}");
    }
    panic!("{client} is not limited")
}

fn is_refusal(head: &Head, body: &str) {
    let seconds: u64 = head.values("retry-after")[0].parse().expect("seconds");
    assert!((1..=120).contains(&seconds), "{seconds}");
    assert!(body.contains("Too many logins") && body.contains("Reference number"), "{body}");
    assert!(head.values("set-cookie").is_empty() && head.values("location").is_empty(), "{}", head.text);
    assert!(head.values("content-security-policy")[0].starts_with("default-src 'none'"), "{}", head.text);
}

#[tokio::test]
async fn a_client_starts_so_many_logins_and_nobody_else_notices() {
    let mut site = site(1, 0, "\"127.0.0.1\"").await;
    let browser = Browser::new();
    let page = browser.log_in(&site.url("/page"), "alice").await;
    assert_eq!(page.status.as_u16(), 200, "{}", page.body);
    let cookies = browser.cookies(&page.url);

    // The login of that client was its only one.
    visits(&site, PEER, "/page", 302).await;
    let limited = site.program.wait_for("login.limited").await;
    assert_eq!((&limited["client"], &limited["level"]), (&"127.0.0.1".into(), &"INFO".into()), "{limited}");
    let (head, body) = visit(&site, PEER, "/.vestibule/login", "").await;
    assert_eq!(head.status(), 429, "{body}");

    // Who is logged in goes on, whatever others do behind the same address; so does what starts no login.
    let before = site.app.requests();
    for _ in 0..5 {
        let (head, body) = visit(&site, PEER, "/page", &cookies).await;
        assert_eq!(head.status(), 200, "{body}");
    }
    assert_eq!(site.app.requests(), before + 5);
    assert_eq!(Browser::new().fetch(&site.url("/page")).await.status.as_u16(), 401);

    // Other clients have accounts of their own; a network of IPv6 has one.
    assert!(visits(&site, "192.0.2.7", "/.vestibule/login", 302).await >= 1);
    // What stands left of it in the list makes nobody another client.
    assert_eq!(visit(&site, "6.6.6.6, 192.0.2.7", "/page", "").await.0.status(), 429);
    assert!(visits(&site, "2001:db8::1", "/page", 302).await >= 1);
    assert_eq!(visit(&site, "2001:db8::ffff:7", "/page", "").await.0.status(), 429);
    assert_eq!(visit(&site, "2001:db8:0:1::1", "/page", "").await.0.status(), 302);

    // Nor does a reload give anything back.
    assert!(visits(&site, "192.0.2.8", "/page", 302).await >= 1);
    let text = std::fs::read_to_string(&site.config).expect("read");
    std::fs::write(&site.config, format!("{text}# changed\n")).expect("written");
    site.program.signal(Signal::HUP);
    site.program.wait_for("configuration.reloaded").await;
    assert_eq!(visit(&site, "192.0.2.8", "/page", "").await.0.status(), 429);
}

#[tokio::test]
async fn a_made_up_address_is_no_other_client() {
    let site = site(1, 0, "[]").await;
    assert!(visits(&site, "192.0.2.1", "/page", 302).await >= 1);
    for client in ["192.0.2.2", "2001:db8::2", "127.0.0.1", "unknown"] {
        let (head, body) = visit(&site, client, "/page", "").await;
        assert_eq!(head.status(), 429, "{client}: {body}");
    }
}

#[tokio::test]
async fn bad_callbacks_are_limited_and_good_logins_go_on() {
    let mut site = site(0, 1, "\"127.0.0.1\"").await;
    assert!(visits(&site, "192.0.2.66", "/oauth2callback?code=x&state=y", 400).await >= 1);
    let limited = site.program.wait_for("callback.limited").await;
    assert_eq!(limited["client"], "192.0.2.66", "{limited}");

    // Whoever has kept an attempt's cookie makes one request to the provider, and is limited as with any other.
    let attacker = Browser::new();
    let asked = attacker.open(&site.url("/page")).await.url;
    let state = asked.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let kept = attacker.cookies(&site.url("/").parse().expect("a URL"));
    let iss = asked.origin().ascii_serialization();
    let made_up = format!("/oauth2callback?code=made-up&state={state}&iss={iss}");
    let mut refused = 0;
    while visit(&site, "192.0.2.67", &made_up, &kept).await.0.status() != 429 {
        refused += 1;
        assert!(refused < MANY, "not limited");
    }
    assert!(refused >= 1 && site.provider.requests("/token") == 1, "{refused}, {}", site.provider.requests("/token"));

    // Somebody else logs in. Through the limited client the same callback is refused, and not spent.
    let browser = Browser::new();
    let asked = browser.open(&site.url("/page")).await;
    let mut consent = asked.url.clone();
    consent.set_path("/consent");
    let answered = browser.step(reqwest::Method::POST, consent, Some("person=alice")).await;
    let callback = answered.location.expect("a redirect back");
    let path = format!("{}?{}", callback.path(), callback.query().expect("a response"));
    let (head, body) = visit(&site, "192.0.2.67", &path, &browser.cookies(&callback)).await;
    assert_eq!(head.status(), 429, "{body}");
    is_refusal(&head, &body);
    assert_eq!(site.provider.requests("/token"), 1, "the provider was asked");
    let page = browser.open(callback.as_str()).await;
    assert_eq!(page.status.as_u16(), 200, "{}", page.body);

    // The limited client's user is still logged in where they were before, and others log in as often as they like.
    let cookies = browser.cookies(&page.url);
    assert_eq!(visit(&site, "192.0.2.67", "/page", &cookies).await.0.status(), 200);
    for _ in 0..5 {
        assert_eq!(Browser::new().log_in(&site.url("/page"), "bob").await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn bad_callbacks_of_one_client_do_not_take_a_slow_providers_places() {
    /// More than exchanges may wait for one provider.
    const CALLBACKS: usize = 48;

    let site = site(60_000, 60_000, "\"127.0.0.1\"").await;
    // An attempt of its own lets each of them reach the token endpoint.
    let attempts = futures::future::join_all((0..CALLBACKS).map(async |_| {
        let attacker = Browser::new();
        let asked = attacker.open(&site.url("/page")).await.url;
        let state = asked.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
        let kept = attacker.cookies(&site.url("/").parse().expect("a URL"));
        (format!("/oauth2callback?code=made-up&state={state}&iss={}", asked.origin().ascii_serialization()), kept)
    }));
    let attempts = attempts.await;
    let browser = Browser::new();
    let asked = browser.open(&site.url("/page")).await;
    let mut consent = asked.url.clone();
    consent.set_path("/consent");
    let callback = browser.step(reqwest::Method::POST, consent, Some("person=alice")).await.location.expect("a redirect back");

    site.provider.faults().script(|it| it.latency = Duration::from_secs(2));
    let attack = futures::future::join_all(attempts.iter().map(|(made_up, kept)| visit(&site, "192.0.2.66", made_up, kept)));
    let login = async {
        let waiting = async {
            while site.provider.requests("/token") < TURNS {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(HANG, waiting).await.expect("all its turns are taken");
        // All that were going to come have come.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let taken = site.provider.requests("/token");
        let path = format!("{}?{}", callback.path(), callback.query().expect("a response"));
        (taken, visit(&site, "192.0.2.7", &path, &browser.cookies(&callback)).await)
    };
    let (answers, (taken, (head, body))) = tokio::join!(attack, login);
    assert!(taken <= TURNS, "{taken} of its callbacks wait for the provider at once");
    assert_eq!(head.status(), 302, "the login of another client: {body}");
    assert!(!head.values("set-cookie").is_empty(), "{}", head.text);
    // Those that wait for too long are told when to come again.
    let limited: Vec<_> = answers.iter().filter(|(head, _)| head.status() == 429).collect();
    assert!(!limited.is_empty() && limited.len() < CALLBACKS, "{}", limited.len());
    limited.iter().for_each(|(head, body)| is_refusal(head, body));
    assert!(answers.iter().all(|(head, _)| head.status() != 503), "no place was missing");

    // A client that has nothing of the kind under way waits for nobody.
    site.provider.faults().clear();
    let (head, _) = visit(&site, "192.0.2.66", "/page", "").await;
    assert_eq!(head.status(), 302);
}

#[tokio::test]
async fn without_limits_there_are_none() {
    let site = site(0, 0, "[]").await;
    for _ in 0..MANY {
        assert_eq!(visit(&site, PEER, "/oauth2callback?code=x&state=y", "").await.0.status(), 400);
    }
}
