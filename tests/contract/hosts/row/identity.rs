//! Who the application is told the user is.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;

use super::{expect, expect_status, logged_in};
use crate::application::Echo;
use crate::browser::Browser;
use crate::site::Site;

const IDENTITY: [&str; 6] = [
    "X-Forwarded-User",
    "X-Forwarded-Provider",
    "X-Forwarded-Email",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Groups",
    "X-Forwarded-Access-Token",
];

/// What nobody is called here.
const SPOOFED: &str = "mallory";

pub(super) async fn claims_of_the_client_do_not_arrive(site: &Site) -> Result<()> {
    // Each twice: a host that replaces the first line only would pass the second.
    let claims: Vec<_> = IDENTITY.iter().chain(&IDENTITY).map(|name| (*name, SPOOFED)).collect();
    let (stranger, alice) = (Browser::new()?, logged_in_where_optional(site, "alice").await?);
    for (browser, user) in [(stranger, vec![]), (alice, vec!["alice"])] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let page = browser.navigate(method.clone(), &site.url("/data")?, &claims, None).await?;
            expect_status(&page, 200)?;
            ensure!(!page.body.contains(SPOOFED), "{}", page.body);
            let echo = Echo::parse(&page.body)?;
            expect("the method", echo.method(), method.as_str())?;
            expect("the user", echo.values("x-forwarded-user"), user.clone())?;
        }
    }
    Ok(())
}

/// A host may take them away, or refuse the request.
pub(super) async fn lookalikes_do_not_arrive(site: &Site) -> Result<()> {
    let (stranger, alice) = (Browser::new()?, logged_in_where_optional(site, "alice").await?);
    for browser in [stranger, alice] {
        for name in ["X_Forwarded_User", "x-forwarded_user", "X.Forwarded.Email", "X!Forwarded!Groups", "X_FORWARDED_PREFERRED_USERNAME"] {
            let page = browser.navigate(Method::GET, &site.url("/data")?, &[(name, SPOOFED)], None).await?;
            ensure!(!page.body.contains(SPOOFED), "{name}: {}", page.body);
            ensure!(Echo::parse(&page.body).is_ok() || page.status == 400, "{name}: {} {}", page.status, page.body);
        }
    }
    Ok(())
}

/// RFC 9110 section 7.6.1 has a proxy remove what `Connection` names: before the identity is set, not after.
pub(super) async fn connection_takes_no_identity_away(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    let headers = [("connection", "close, X-Forwarded-User, x-forwarded-email"), ("x-forwarded-user", SPOOFED)];
    let page = browser.navigate(Method::GET, &site.url("/data")?, &headers, None).await?;
    expect_status(&page, 200)?;
    let echo = Echo::parse(&page.body)?;
    expect("the user", echo.values("x-forwarded-user"), vec!["alice"])?;
    expect("the address", echo.values("x-forwarded-email"), vec!["alice@example.com"])?;
    expect("`Connection`", echo.values("connection").iter().filter(|value| value.contains("forwarded")).count(), 0)
}

/// What a proxy says of a request to the service that it asks, said by the client instead.
pub(super) async fn the_client_has_no_say_in_what_is_asked(site: &Site) -> Result<()> {
    let deep = site.url("/reports?x=1")?;
    let said = [
        ("x-forwarded-method", "OPTIONS"),
        ("x-forwarded-uri", "/other"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "ftp"),
        ("x-original-method", "OPTIONS"),
        ("x-original-uri", "/other"),
        ("x-original-url", "http://evil.example/other"),
        ("x-envoy-original-path", "/other"),
        ("x-envoy-auth-headers-to-remove", "x-forwarded-user"),
    ];
    let browser = Browser::new()?;
    let asked = browser.navigate(Method::GET, &deep, &said, None).await?;
    expect_status(&asked, 302)?;
    let login = asked.location.context("a redirect leads somewhere")?;
    let page = browser.log_in(&login, "alice").await?;
    expect("the page", &page.url, &deep)?;
    let page = browser.navigate(Method::GET, &deep, &said, None).await?;
    expect_status(&page, 200)?;
    let echo = Echo::parse(&page.body)?;
    expect("the request", (echo.method(), echo.target()), ("GET", "/reports?x=1"))?;
    expect("the user", echo.values("x-forwarded-user"), vec!["alice"])
}

/// Otherwise a script in the page could read what is for the application only.
pub(super) async fn the_check_tells_browsers_nothing(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    let asked = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", "/"),
        ("x-forwarded-host", "localhost"),
        ("x-original-uri", "/"),
        ("x-original-method", "GET"),
    ];
    for path in ["/auth/check", "/auth/check/", "/auth/check/data"] {
        let page = browser.navigate(Method::GET, &site.url(path)?, &asked, None).await?;
        let told: Vec<_> = IDENTITY.iter().flat_map(|name| page.values(name)).collect();
        ensure!(told.is_empty(), "{path} tells {told:?}");
    }
    Ok(())
}

async fn logged_in_where_optional(site: &Site, person: &str) -> Result<Browser> {
    let browser = Browser::new()?;
    let page = browser.log_in(&site.url("/auth/login")?, person).await?;
    expect_status(&page, 200)?;
    Ok(browser)
}
