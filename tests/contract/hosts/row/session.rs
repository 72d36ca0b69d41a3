//! The session's cookies.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cookie::Cookie;
use reqwest::Method;

use super::{expect, expect_status, logged_in};
use crate::application::Echo;
use crate::browser::Page;
use crate::site::Site;

/// What the name of every session cookie begins with, where `redirect_uri` is not https.
const SESSION: &str = "vestibule_session_";

/// Well beyond the time after which a session is renewed, and within its idle timeout.
const RENEWAL: Duration = Duration::from_secs(7);

/// Well beyond the time after which an access token is refreshed.
const REFRESH: Duration = Duration::from_secs(30);

/// Between two requests of a page that is in use.
const PACE: Duration = Duration::from_millis(250);

pub(super) async fn only_other_cookies_arrive(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    browser.edit_cookies(|jar| drop(jar.insert("theme".into(), Cookie::new("theme", "dark"))));
    let page = browser.fetch(&site.url("/data")?).await?;
    expect_status(&page, 200)?;
    let cookies = Echo::parse(&page.body)?.values("cookie").join("; ");
    // The provider's cookie is here too: both are one host, and cookies know no ports.
    let ours = cookies.split("; ").find(|cookie| cookie.starts_with("vestibule_"));
    expect("a cookie of Vestibule's", ours, None)?;
    ensure!(cookies.split("; ").any(|cookie| cookie == "theme=dark"), "the application's own cookie is lost: {cookies:?}");
    ensure!(page.values("set-cookie").contains(&"app=1"), "the application's Set-Cookie is lost: {:?}", page.headers);
    Ok(())
}

pub(super) async fn a_changed_cookie_is_no_session(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    browser.edit_cookies(|jar| {
        for cookie in jar.values_mut().filter(|cookie| cookie.name().starts_with(SESSION)) {
            let mut value = cookie.value().to_owned();
            let last = value.pop();
            value.push(if last == Some('A') { 'Q' } else { 'A' });
            cookie.set_value(value);
        }
    });
    let before = site.application.requests();
    expect_status(&browser.fetch(&site.url("/data")?).await?, 401)?;
    expect("the number of requests for the application", site.application.requests(), before)
}

pub(super) async fn a_session_of_many_cookies(site: &Site) -> Result<()> {
    let browser = logged_in(site, "frank").await?;
    let url = site.url("/data")?;
    let cookies = browser.cookies(&url);
    ensure!(cookies.matches(SESSION).count() > 1, "frank's session fits into one cookie");
    let groups = Echo::parse(&browser.fetch(&url).await?.body)?.values("x-forwarded-groups").join(",");
    expect("the number of groups", groups.split(',').count(), 130)
}

pub(super) async fn a_session_in_use_is_renewed(site: &Site) -> Result<()> {
    let browser = logged_in(site, "frank").await?;
    let renewed = until_renewed(site, &browser).await?;
    expect("the user", Echo::parse(&renewed.body)?.values("x-forwarded-user"), vec!["frank"])?;
    let cookies = renewed.values("set-cookie").iter().filter(|cookie| cookie.starts_with(SESSION)).count();
    expect("the number of session cookies", cookies, 2)?;
    ensure!(renewed.values("set-cookie").contains(&"app=1"), "the application's Set-Cookie is lost: {:?}", renewed.headers);
    expect_status(&browser.fetch(&site.url("/data")?).await?, 200)
}

pub(super) async fn a_renewed_session_is_not_for_caches(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    let renewed = until_renewed(site, &browser).await?;
    let directives = renewed.values("cache-control").join(", ");
    ensure!(directives.contains("no-store"), "Cache-Control is {directives:?}");
    Ok(())
}

/// A page that every cache could keep, at the time when the session is renewed.
async fn until_renewed(site: &Site, browser: &crate::browser::Browser) -> Result<Page> {
    let url = site.url("/cacheable")?;
    let since = Instant::now();
    while since.elapsed() < RENEWAL {
        let page = browser.step(&url).await?;
        expect_status(&page, 200)?;
        if page.values("set-cookie").iter().any(|cookie| cookie.starts_with(SESSION)) {
            return Ok(page);
        }
        tokio::time::sleep(PACE).await;
    }
    None.context("the session is not renewed")
}

/// Twice: the second refresh needs every cookie of the first. The provider accepts each refresh token once.
pub(super) async fn an_access_token_is_refreshed(site: &Site) -> Result<()> {
    let browser = logged_in(site, "frank").await?;
    let url = site.url("/data")?;
    let mut token = access_token(&browser.fetch(&url).await?)?;
    for _ in 0..2 {
        let since = Instant::now();
        let refreshed = loop {
            ensure!(since.elapsed() < REFRESH, "the access token is not refreshed");
            tokio::time::sleep(PACE).await;
            let page = browser.fetch(&url).await?;
            expect_status(&page, 200)?;
            if access_token(&page)? != token {
                break page;
            }
        };
        token = access_token(&refreshed)?;
        for (family, number) in [(SESSION, 2), ("vestibule_tokens_", 1), ("vestibule_refresh_", 1)] {
            let cookies = refreshed.values("set-cookie").iter().filter(|cookie| cookie.starts_with(family)).count();
            expect(&format!("the number of cookies {family}"), cookies, number)?;
        }
        ensure!(refreshed.values("set-cookie").contains(&"app=1"), "the application's Set-Cookie is lost: {:?}", refreshed.headers);
        expect("the user", Echo::parse(&refreshed.body)?.values("x-forwarded-user"), vec!["frank"])?;
    }
    Ok(())
}

fn access_token(page: &Page) -> Result<String> {
    Ok(Echo::parse(&page.body)?.values("x-forwarded-access-token").join(", "))
}

pub(super) async fn a_script_is_answered_and_another_origin_is_not(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    let url = site.url("/.vestibule/refresh")?;
    for (origin, status, code) in
        [(site.origin().as_str(), 429, "refresh.too_soon"), ("https://evil.example", 403, "request.foreign_origin")]
    {
        let answer = browser.send(browser.script(Method::POST, &url).header("origin", origin), &url).await?;
        expect("the status", answer.status().as_u16(), status)?;
        let problem = answer.text().await?;
        ensure!(problem.contains(code), "the answer is {problem}");
    }
    expect_status(&browser.fetch(&site.url("/data")?).await?, 200)
}

pub(super) async fn sessions_go_on_without_the_provider(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    site.provider.faults().script(|script| script.offline = true);
    let page = browser.step(&site.url("/data")?).await;
    site.provider.faults().clear();
    let page = page?;
    expect_status(&page, 200)?;
    expect("the user", Echo::parse(&page.body)?.values("x-forwarded-user"), vec!["alice"])
}
