//! Many callbacks at once after the provider has changed its keys, each of another client, through the whole program.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt as _;
use futures::stream;
use reqwest::{Method, Url};
use vestibule_dev_provider::{Options, Provider, SigningAlgorithm};

use crate::application::Application;
use crate::browser::Browser;
use crate::login::Site;
use crate::raw::{Head, Wire};

/// More than exchanges with one origin are under way at once, and more than half of what may wait for one.
const LOGINS: usize = 300;

/// How many browsers are on their way to the callback at once, so that preparing them takes no limit.
const BROWSERS: usize = 16;

/// What a client brings to its callback.
struct Waiting {
    client: String,
    target: String,
    cookies: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_callbacks_after_a_change_of_keys_wait_for_one_request_and_succeed() {
    // The one that is fastest to sign with, and to make a key for.
    let options = Options { signing_algorithm: SigningAlgorithm::EdDsa, ..Options::default() };
    let provider = Provider::start(options).await.expect("a provider");
    let more = "trusted_proxies = \"127.0.0.1\"\n[vestibule.limits]\nlogins_per_minute = 0\nbad_callbacks_per_minute = 20\n";
    let site = Site::start_at(provider, more, Application::start().await, "http", &[], &[]).await;
    // The instances know the old keys.
    for _ in 0..4 {
        assert_eq!(Browser::new().log_in(&site.url("/page"), "alice").await.status.as_u16(), 200);
    }
    let prepared: Vec<Waiting> = stream::iter(0..LOGINS).map(|number| prepare(&site, number)).buffer_unordered(BROWSERS).collect().await;
    site.provider.rotate_key().await.expect("a key");
    site.provider.faults().script(|script| script.latency = Duration::from_millis(50));
    let asked = site.provider.requests("/jwks");
    let answers = futures::future::join_all(prepared.iter().map(|waiting| call_back(&site, waiting))).await;
    let statuses: std::collections::BTreeMap<u16, usize> = answers.iter().fold(Default::default(), |mut statuses, (head, _)| {
        *statuses.entry(head.status()).or_default() += 1;
        statuses
    });
    assert_eq!(statuses, [(302, LOGINS)].into(), "{:?}", answers.iter().find(|(head, _)| head.status() != 302).map(|(_, body)| body));
    assert!(answers.iter().all(|(head, _)| head.values("set-cookie").iter().any(|cookie| cookie.contains("vestibule_session"))));
    // By each exchange as many as wait when it begins; the tokens come in batches.
    let asked = site.provider.requests("/jwks") - asked;
    assert!((1..=LOGINS / 4).contains(&asked), "asked {asked} times");
}

/// A login up to its callback.
async fn prepare(site: &Site, number: usize) -> Waiting {
    let browser = Browser::new();
    let mut consent = browser.open(&site.url("/page")).await.url;
    consent.set_path("/consent");
    let answered = browser.step(Method::POST, consent, Some("person=alice")).await;
    let callback: Url = answered.location.expect("a redirect back");
    Waiting {
        client: format!("198.51.{}.{}", 100 + number / 250, number % 250 + 1),
        target: format!("{}?{}", callback.path(), callback.query().expect("a response")),
        cookies: browser.cookies(&callback),
    }
}

async fn call_back(site: &Site, Waiting { client, target, cookies }: &Waiting) -> (Head, String) {
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\nX-Forwarded-For: {client}\r\nCookie: {cookies}\r\nConnection: close\r\n\r\n",
        site.address
    );
    Wire::connect(site.address).await.exchange(&request).await.expect("a response")
}

/// As many as are tried: within the time that a decision may compute.
#[tokio::test]
async fn a_token_without_kid_finds_its_key_among_all_that_are_tried() {
    let site = Site::start_configured("", Application::start().await, "http", &[], &[]).await;
    site.provider.faults().script(|script| {
        script.omit_kid = true;
        script.edit_jwks = Some(Box::new(|keys| {
            let keys = keys["keys"].as_array_mut().expect("a list");
            let right = keys.remove(0);
            for number in 0..127_u16 {
                let mut other = right.clone();
                let n = right["n"].as_str().expect("a modulus");
                // Still of 2048 bits, and odd.
                other["n"] =
                    format!("{}{}{}", &n[..100], URL_SAFE_NO_PAD.encode([0, number.to_be_bytes()[0], number.to_be_bytes()[1]]), &n[104..])
                        .into();
                keys.push(other);
            }
            keys.push(right);
        }));
    });
    let page = Browser::new().log_in(&site.url("/page"), "alice").await;
    assert_eq!(page.status.as_u16(), 200, "{}", page.body);
}
