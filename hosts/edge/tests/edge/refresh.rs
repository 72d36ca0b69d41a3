//! Refresh and revocation of tokens, with the real component and a real provider.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use tokio::time::{sleep, timeout};
use vestibule_dev_provider::{Options, Provider};

use crate::application::Application;
use crate::browser::Browser;
use crate::login::Site;

const AUTO: &str = "[vestibule.session]\nrefresh = \"auto\"\n";

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the provider takes for everything: well beyond what an answer of the edge takes.
const SLOWLY: Duration = Duration::from_secs(2);

async fn site(more: &str, refresh_tokens: bool) -> Site {
    let options = Options { refresh_tokens, ..Options::default() };
    let provider = Provider::start(options).await.expect("a provider");
    Site::start_at(provider, more, Application::start().await, "http", &[], &[]).await
}

async fn logged_in(site: &Site) -> Browser {
    let browser = Browser::new();
    let page = browser.log_in(&site.url("/"), "alice").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    browser
}

async fn until_revoked(site: &Site, number: usize) {
    let revoked = async {
        while site.provider.requests("/revoke") < number {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, revoked).await.expect("the provider is asked");
}

#[tokio::test]
async fn a_logout_revokes_the_refresh_token_and_the_user_does_not_wait() {
    let mut site = site(AUTO, true).await;
    let browser = logged_in(&site).await;
    site.provider.faults().script(|script| script.latency = 2 * SLOWLY);
    let began = Instant::now();
    let answer = browser.step(Method::GET, site.url("/.vestibule/logout").parse().expect("a URL"), None).await;
    assert_eq!(answer.location.expect("a logout at the provider").path(), "/end_session");
    assert!(began.elapsed() < 2 * SLOWLY, "{:?}", began.elapsed());
    until_revoked(&site, 1).await;
    let revoked = site.program.wait_for("logout.revoked").await;
    assert_eq!(revoked["provider"], "default");
}

#[tokio::test]
async fn a_revocation_that_fails_is_in_the_log_and_nowhere_else() {
    let mut site = site(AUTO, true).await;
    let browser = logged_in(&site).await;
    site.provider.faults().script(|script| script.offline = true);
    let answer = browser.step(Method::GET, site.url("/.vestibule/logout").parse().expect("a URL"), None).await;
    assert_eq!(answer.location.expect("a logout at the provider").path(), "/end_session");
    let failed = site.program.wait_for("logout.not_revoked").await;
    let message = failed["message"].as_str().expect("text");
    assert!(message.contains("the revocation endpoint") && message.contains("503"), "{message}");
    assert_eq!(browser.fetch(&site.url("/data")).await.status, StatusCode::UNAUTHORIZED, "logged out all the same");
}

#[tokio::test]
async fn nothing_is_revoked_where_no_token_is_kept() {
    let mut site = site("", true).await;
    let browser = logged_in(&site).await;
    browser.step(Method::GET, site.url("/.vestibule/logout").parse().expect("a URL"), None).await;
    site.program.wait_for("logout").await;
    assert_eq!(site.provider.requests("/revoke"), 0);
}

/// More than an instance takes: none is lost without a word, and decisions go on meanwhile.
#[tokio::test]
async fn many_revocations_at_a_slow_provider_hold_up_nobody() {
    let mut site = site(AUTO, true).await;
    let mut browsers = Vec::new();
    for _ in 0..24 {
        browsers.push(logged_in(&site).await);
    }
    let other = logged_in(&site).await;
    site.provider.faults().script(|script| script.latency = SLOWLY);
    let began = Instant::now();
    for browser in &browsers {
        let answer = browser.step(Method::GET, site.url("/.vestibule/logout").parse().expect("a URL"), None).await;
        assert_eq!(answer.location.expect("a logout at the provider").path(), "/end_session");
    }
    assert_eq!(other.fetch(&site.url("/data")).await.status, StatusCode::OK);
    assert!(began.elapsed() < 8 * SLOWLY, "one after the other would take {:?}", 24 * SLOWLY);
    let (mut revoked, mut not_revoked) = (0, 0);
    while revoked + not_revoked < browsers.len() {
        let line = site.program.wait_for_any(&["logout.revoked", "logout.not_revoked"]).await;
        if line["code"] == "logout.revoked" { revoked += 1 } else { not_revoked += 1 }
    }
    assert!(revoked >= 16, "{revoked} are revoked, {not_revoked} are not");
}

#[tokio::test]
async fn a_script_is_answered_on_the_wire() {
    let site = site(AUTO, true).await;
    let browser = logged_in(&site).await;
    let (url, origin) = (site.url("/.vestibule/refresh"), site.url(""));
    for (browser, origin, status, code) in [
        (&browser, origin.as_str(), StatusCode::TOO_MANY_REQUESTS, "refresh.too_soon"),
        (&browser, "https://evil.example", StatusCode::FORBIDDEN, "request.foreign_origin"),
        (&Browser::new(), origin.as_str(), StatusCode::UNAUTHORIZED, "request.login_required"),
    ] {
        let answer = browser.post(&url, origin).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(&format!("\"code\":\"{code}\"")), "{}", answer.body);
    }
    assert_eq!(browser.fetch(&url).await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!((site.provider.requests("/token"), site.app.saw("/.vestibule/refresh")), (1, 0));
}
