//! Who the application is told the user is.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;

use super::{expect, expect_status, logged_in};
use crate::application::Echo;
use crate::browser::Browser;
use crate::site::Site;
use crate::wire;

const IDENTITY: [&str; 6] = [
    "X-Forwarded-User",
    "X-Forwarded-Provider",
    "X-Forwarded-Email",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Groups",
    "X-Forwarded-Access-Token",
];

/// What nobody is called here.
pub(super) const SPOOFED: &str = "mallory";

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
    let login = asked.location.context("a redirect, or a page that goes on, leads somewhere")?;
    let page = browser.log_in(&login, "alice").await?;
    expect("the page", &page.url, &deep)?;
    let page = browser.navigate(Method::GET, &deep, &said, None).await?;
    expect_status(&page, 200)?;
    let echo = Echo::parse(&page.body)?;
    expect("the request", (echo.method(), echo.target()), ("GET", "/reports?x=1"))?;
    expect("the user", echo.values("x-forwarded-user"), vec!["alice"])
}

/// Ways to the path that a proxy asks at, and to the one where nginx asks for a refusal.
const OF_QUESTIONS: [&str; 14] = [
    "/.vestibule/check",
    "/.vestibule/check?x=1",
    "/.vestibule/check/",
    "/.vestibule/check/data",
    "/.vestibule/check//data",
    "/.vestibule/./check",
    "/.vestibule/login/../check",
    "/.vestibule//check",
    "/%2Evestibule/check",
    "/.vestibule/check%2Fdata",
    "/.vestibule/check;x",
    "/.vestibule/check%3Fx",
    "/.vestibule/refusal",
    "//.vestibule/check",
];

/// What the answer to a question has, and no response to a browser.
const OF_ANSWERS: [&str; 3] = ["X-Envoy-Auth-Headers-To-Remove", "X-Vestibule-Set-Cookie-1", "Cookie"];

/// Otherwise a script in the page could read what is for the application only.
pub(super) async fn the_check_tells_browsers_nothing(site: &Site) -> Result<()> {
    let alice = logged_in(site, "alice").await?;
    let cookies = alice.cookies(&site.url("/")?);
    let address = site.address();
    let mut targets: Vec<_> = OF_QUESTIONS.iter().map(|target| (*target).to_owned()).collect();
    targets.extend([format!("http://{address}/.vestibule/check"), format!("http://{address}/.vestibule/check/data")]);
    for target in targets {
        for (method, path) in [("GET", "/data"), ("POST", "/data"), ("GET", "/public/x")] {
            // In more than one spelling, for a host that replaces one of them.
            let asked = format!(
                "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: {path}\r\nX-Forwarded-Host: {address}\r\nX-Original-Method: GET\r\n\
                 X-Original-URI: {path}\r\nX_Original_URI: {path}\r\nX-Envoy-Original-Path: {path}\r\n"
            );
            for asked in [&*asked, &asked.replace("X_Original_URI", "x-original-uri"), ""] {
                let request = format!(
                    "{method} {target} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookies}\r\nContent-Length: 0\r\nConnection: close\r\n\
                     {asked}\r\n"
                );
                let received = wire::exchange(address, &request).await?;
                let is_told = |name: &str| IDENTITY.iter().chain(&OF_ANSWERS).any(|told| told.eq_ignore_ascii_case(name));
                let told: Vec<_> = received.headers().filter(|(name, _)| is_told(name)).collect();
                ensure!(told.is_empty(), "{method} {target} tells {told:?}");
            }
        }
    }
    Ok(())
}

pub(super) async fn logged_in_where_optional(site: &Site, person: &str) -> Result<Browser> {
    let browser = Browser::new()?;
    let page = browser.log_in(&site.url("/.vestibule/login")?, person).await?;
    expect_status(&page, 200)?;
    Ok(browser)
}
