//! The login and the logout.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{expect, expect_status, logged_in};
use crate::application::Echo;
use crate::browser::Browser;
use crate::site::Site;

pub(super) async fn anybody_passes_where_the_login_is_optional(site: &Site) -> Result<()> {
    let page = Browser::new()?.step(&site.url("/public?x=1")?).await?;
    expect_status(&page, 200)?;
    let echo = Echo::parse(&page.body)?;
    expect("the target", echo.target(), "/public?x=1")?;
    expect("the user", echo.values("x-forwarded-user"), vec![])
}

pub(super) async fn a_page_leads_to_the_login(site: &Site) -> Result<()> {
    let before = site.application.requests();
    let browser = Browser::new()?;
    let url = site.url("/reports?x=1")?;
    // A proxy that asks redirects; the others answer with the page that keeps the fragment of the address.
    let first = browser.step(&url).await?;
    let page =
        if first.status == 302 { browser.step(first.location.as_ref().context("a redirect leads somewhere")?).await? } else { first };
    expect_status(&page, 200)?;
    ensure!(page.body.contains("location.replace("), "the page does not go on: {}", page.body);
    expect("`Cache-Control`", page.values("cache-control"), vec!["no-store"])?;
    let next = page.location.context("a page that goes on leads somewhere")?;
    ensure!(next.query_pairs().any(|(name, value)| name == "return_to" && value == "/reports?x=1"), "no way back in {next}");
    let asked = browser.open(&url).await?;
    ensure!(asked.url.as_str().starts_with(&site.provider.issuer()), "not at the provider but at {}", asked.url);
    expect_status(&asked, 200)?;
    expect("the number of requests for the application", site.application.requests(), before)
}

pub(super) async fn the_application_knows_who_logged_in(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    let echo = Echo::parse(&browser.fetch(&site.url("/data")?).await?.body)?;
    for (name, value) in [
        ("x-forwarded-user", "alice"),
        ("x-forwarded-provider", "default"),
        ("x-forwarded-email", "alice@example.com"),
        ("x-forwarded-preferred-username", "alice"),
        ("x-forwarded-groups", "staff,admins"),
    ] {
        expect(name, echo.values(name), vec![value])?;
    }
    let other = logged_in(site, "dan").await?;
    let echo = Echo::parse(&other.fetch(&site.url("/data")?).await?.body)?;
    expect("dan's user", echo.values("x-forwarded-user"), vec!["dan"])?;
    expect("the address that dan has not", echo.values("x-forwarded-email"), vec![])
}

pub(super) async fn a_login_ends_where_it_began(site: &Site) -> Result<()> {
    let deep = site.url("/reports/2026?x=1&y=%2F")?;
    let page = Browser::new()?.log_in(&deep, "bob").await?;
    expect_status(&page, 200)?;
    expect("the page", &page.url, &deep)?;
    expect("the target", Echo::parse(&page.body)?.target(), "/reports/2026?x=1&y=%2F")
}

pub(super) async fn scripts_learn_who_is_logged_in(site: &Site) -> Result<()> {
    let url = site.url("/.vestibule/user")?;
    let nobody: Value = serde_json::from_str(&Browser::new()?.fetch(&url).await?.body)?;
    expect("a stranger's is_logged_in", &nobody["is_logged_in"], &Value::Bool(false))?;
    let alice: Value = serde_json::from_str(&logged_in(site, "alice").await?.fetch(&url).await?.body)?;
    expect("alice's address", &alice["email"], &Value::from("alice@example.com"))
}

pub(super) async fn a_callback_of_somebody_else_is_refused(site: &Site) -> Result<()> {
    let callback = Browser::new()?.until_callback(&site.url("/")?, "alice").await?;
    let victim = Browser::new()?;
    expect_status(&victim.open(&callback).await?, 400)?;
    let user: Value = serde_json::from_str(&victim.fetch(&site.url("/.vestibule/user")?).await?.body)?;
    expect("is_logged_in", &user["is_logged_in"], &Value::Bool(false))
}

pub(super) async fn a_logout_ends_the_session(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    let page = browser.open(&site.url("/.vestibule/logout")?).await?;
    expect_status(&page, 200)?;
    let before = site.application.requests();
    expect_status(&browser.fetch(&site.url("/data")?).await?, 401)?;
    expect("the number of requests for the application", site.application.requests(), before)
}
