//! Logins that a provider or a user refuses, in the spellings of providers, through the program.

use reqwest::{Method, StatusCode, Url};

use crate::application::Application;
use crate::browser::{Browser, Page};
use crate::login::Site;

async fn site() -> Site {
    // All of these are one client's bad callbacks.
    Site::start_configured("[vestibule.limits]\nbad_callbacks_per_minute = 0\n", Application::start().await, "http", &[], &[]).await
}

/// Where the provider's page was reached, for a login that began at `path`.
async fn at_the_provider(site: &Site, browser: &Browser, path: &str) -> Url {
    let page = browser.open(&site.url(path)).await;
    assert!(page.url.path().ends_with("/authorize"), "not at the provider: {page:?}");
    page.url
}

/// The callback with an error, and with what the authorization request had as `state`.
async fn refused(site: &Site, browser: &Browser, error: &str, authorize: Option<&Url>) -> Page {
    let mut callback: Url = site.url("/oauth2callback").parse().expect("a URL");
    callback.query_pairs_mut().append_pair("error", error);
    if let Some(authorize) = authorize {
        let state = authorize.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
        callback.query_pairs_mut().append_pair("state", &state).append_pair("iss", &site.provider.issuer());
    }
    browser.step(Method::GET, callback, None).await
}

fn leads_to(page: &Page, path: &str) -> bool {
    page.body.contains(&format!("href=\"/.vestibule/login?return_to={path}\""))
}

#[tokio::test]
async fn each_refusal_has_words_of_its_own_and_leads_back_to_the_page() {
    let mut site = site().await;
    let mut said = std::collections::BTreeSet::new();
    for (error, status, code) in [
        ("access_denied", StatusCode::FORBIDDEN, "callback.access_denied"),
        ("consent_required", StatusCode::FORBIDDEN, "callback.provider_error"),
        ("login_required", StatusCode::FORBIDDEN, "callback.provider_error"),
        ("interaction_required", StatusCode::FORBIDDEN, "callback.provider_error"),
        ("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE, "callback.provider_error"),
        ("invalid_scope", StatusCode::BAD_GATEWAY, "callback.provider_error"),
    ] {
        let browser = Browser::new();
        let authorize = at_the_provider(&site, &browser, "/reports").await;
        let page = refused(&site, &browser, error, Some(&authorize)).await;
        assert_eq!(page.status, status, "{error}: {}", page.body);
        assert!(leads_to(&page, "%2Freports"), "{error}: {}", page.body);
        assert!(said.insert(page.body.split("<p>").nth(1).expect("words").to_owned()), "{error} says what another one says");
        let told = site.program.wait_for(code).await;
        assert!(told["message"].as_str().expect("text").contains(error), "{told}");
    }
    assert_eq!(site.app.requests(), 0);
}

#[tokio::test]
async fn cancelling_is_cancelling_in_the_words_of_every_provider() {
    let mut site = site().await;
    for error in ["Access_Denied", "user_cancelled_login", "user_cancelled_authorize", "user_denied", "authorization_declined", "cancelled"]
    {
        let browser = Browser::new();
        let authorize = at_the_provider(&site, &browser, "/a?b=c").await;
        let page = refused(&site, &browser, error, Some(&authorize)).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{error}: {}", page.body);
        assert!(leads_to(&page, "%2Fa%3Fb%3Dc"), "{error}: {}", page.body);
        let told = site.program.wait_for("callback.access_denied").await;
        assert!(told["message"].as_str().expect("text").contains(error), "{told}");
    }
}

#[tokio::test]
async fn without_state_it_is_the_only_login_or_the_page_lists_them() {
    let site = site().await;
    let browser = Browser::new();
    let nowhere = refused(&site, &browser, "access_denied", None).await;
    assert!(nowhere.status == StatusCode::FORBIDDEN && nowhere.body.contains("href=\"/.vestibule/login\""), "{}", nowhere.body);
    let first = at_the_provider(&site, &browser, "/one").await;
    for error in ["access_denied", "login_required", "user_denied"] {
        let one = refused(&site, &browser, error, None).await;
        assert!(one.status == StatusCode::FORBIDDEN && leads_to(&one, "%2Fone"), "{error}: {}", one.body);
    }
    at_the_provider(&site, &browser, "/two").await;
    let several = refused(&site, &browser, "access_denied", None).await;
    assert!(leads_to(&several, "%2Fone") && leads_to(&several, "%2Ftwo"), "{}", several.body);
    // Nothing was spent by it.
    let mut consent = first;
    consent.set_path("/consent");
    let answered = browser.step(Method::POST, consent, Some("person=alice")).await;
    let page = browser.open(answered.location.expect("a redirect back").as_str()).await;
    assert_eq!((page.status, page.url.as_str()), (StatusCode::OK, site.url("/one").as_str()), "{}", page.body);
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_told_as_an_attack() {
    let mut site = site().await;
    let browser = Browser::new();
    let authorize = at_the_provider(&site, &browser, "/reports").await;
    let state = authorize.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let mut callback: Url = site.url("/oauth2callback").parse().expect("a URL");
    callback.query_pairs_mut().append_pair("code", "x").append_pair("state", &state).append_pair("iss", "https://evil.example");
    let asked = site.provider.requests("/token");
    let page = browser.step(Method::GET, callback, None).await;
    assert!(page.status.is_client_error() || page.status.is_server_error(), "{page:?}");
    let told = site.program.wait_for("callback.issuer_mismatch").await;
    assert_eq!((&told["level"], &told["provider"]), (&"WARN".into(), &"default".into()), "{told}");
    assert_eq!(site.provider.requests("/token"), asked, "no code is sent");
    assert!(!page.body.contains("evil.example"), "{}", page.body);
}
