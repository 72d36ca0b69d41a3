//! What does not pass, and what is said instead.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, header};
use serde_json::Value;

use super::{expect, expect_status, logged_in};
use crate::application::Echo;
use crate::browser::Browser;
use crate::site::Site;
use crate::wire;

/// Longer than a provider is left alone after a failure.
const LEFT_ALONE: Duration = Duration::from_secs(15);

pub(super) async fn a_script_learns_where_to_log_in(site: &Site) -> Result<()> {
    let before = site.application.requests();
    let page = Browser::new()?.fetch(&site.url("/data?x=1")?).await?;
    expect_status(&page, 401)?;
    expect("the content type", page.values("content-type"), vec!["application/problem+json"])?;
    let problem: Value = serde_json::from_str(&page.body).with_context(|| page.body.clone())?;
    expect("the way to the login", &problem["login"], &Value::from("/.vestibule/login"))?;
    expect("the number of requests for the application", site.application.requests(), before)
}

pub(super) async fn a_form_without_a_session_is_not_passed_on(site: &Site) -> Result<()> {
    let before = site.application.requests();
    let page = Browser::new()?.navigate(Method::POST, &site.url("/save")?, &[], Some("a=1")).await?;
    expect_status(&page, 401)?;
    ensure!(page.body.contains("/.vestibule/login"), "no way to the login: {}", page.body);
    expect("the number of requests for the application", site.application.requests(), before)
}

pub(super) async fn an_image_logs_nobody_out(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    let url = site.url("/.vestibule/logout")?;
    let image = browser.script(Method::GET, &url).header("sec-fetch-mode", "no-cors").header("sec-fetch-dest", "image");
    expect("the status", browser.send(image, &url).await?.status().as_u16(), 403)?;
    expect_status(&browser.fetch(&site.url("/data")?).await?, 200)
}

/// Hosts may bring such a path to one reading before they ask, or refuse it themselves. What must not be is that the
/// application gets it as it is.
pub(super) async fn a_path_with_two_readings_does_not_pass(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    for path in ["/public/..%2fapp", "/public%5C..%5Capp", "/public%00"] {
        let page = browser.step(&site.url(path)?).await?;
        if let Ok(echo) = Echo::parse(&page.body) {
            ensure!(echo.target() != path, "the application got {path}");
        } else {
            ensure!((400..500).contains(&page.status), "{path}: {} {}", page.status, page.body);
        }
    }
    Ok(())
}

/// Overlong UTF-8: servers that decode it read two dots, and leave `/public`. Over HTTP/2 as well, where the host speaks it: a path
/// is any bytes there, and a proxy can ask about others than it forwards.
pub(super) async fn bytes_that_are_no_text_lead_past_no_rule(site: &Site) -> Result<()> {
    let before = site.application.requests();
    let paths: [&[u8]; 3] = [b"/public/\xc0\xae\xc0\xae/app", b"/public/%c0%ae%c0%ae/app", b"/\xff/../public/\xc0\xae\xc0\xae/app"];
    for path in paths {
        let request =
            [b"GET ", path, b" HTTP/1.1\r\nHost: ", site.address().to_string().as_bytes(), b"\r\nConnection: close\r\n\r\n"].concat();
        wire::send(site.address(), &request).await?;
        wire::send(site.address(), &wire::http_2_request(path, &site.address().to_string())?).await?;
        expect("the number of requests for the application", site.application.requests(), before)
            .with_context(|| String::from_utf8_lossy(path).into_owned())?;
    }
    // Such a request does arrive in this way where the path is an ordinary one and the host speaks HTTP/2 here.
    let answer = wire::send(site.address(), &wire::http_2_request(b"/public/app", &site.address().to_string())?).await?;
    let arrived = usize::from(wire::is_http_2(&answer));
    expect("the number of requests for the application", site.application.requests(), before + arrived)
}

/// RabbitMQ calls a virtual host `/`, GitLab a project `group/name`, npm a package `@scope/name`. No rule here is between two
/// ways to read them.
pub(super) async fn an_encoded_slash_arrives_as_it_came(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    for path in ["/api/queues/%2F/q", "/api/v4/projects/group%2Fname", "/@scope%2fname", "/files/a%5Cb"] {
        let page = browser.step(&site.url(path)?).await?;
        expect_status(&page, 200)?;
        // Some servers write hexadecimal digits in capitals, which is the same (RFC 3986 section 6.2.2.1).
        let echo = Echo::parse(&page.body)?;
        ensure!(echo.target().eq_ignore_ascii_case(path), "the path {path} arrived as {}", echo.target());
    }
    Ok(())
}

/// The fault is the client's, whatever server finds it.
pub(super) async fn a_malformed_host_does_not_pass(site: &Site) -> Result<()> {
    let before = site.application.requests();
    for host in ["a@b", "a b", "a@b:1"] {
        let request = format!("GET /data HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        expect("the status", wire::exchange(site.address(), &request).await?.status()?, 400).with_context(|| format!("Host: {host}"))?;
    }
    expect("the number of requests for the application", site.application.requests(), before)
}

pub(super) async fn a_provider_that_is_down_stops_new_logins(site: &Site) -> Result<()> {
    site.provider.faults().script(|script| script.offline = true);
    let before = site.application.requests();
    let page = Browser::new()?.open(&site.url("/")?).await?;
    site.provider.faults().clear();
    expect_status(&page, 503)?;
    expect("the content type", page.values(header::CONTENT_TYPE.as_str()), vec!["text/html; charset=utf-8"])?;
    expect("the number of requests for the application", site.application.requests(), before)
}

/// Addresses that no network here has: a host that asked them would answer late, and would have opened a connection.
pub(super) async fn an_endpoint_on_another_network_is_not_asked(site: &Site) -> Result<()> {
    let endpoint = "https://169.254.169.254/latest/meta-data/";
    site.provider.faults().script(|script| {
        script.edit_metadata = Some(Box::new(move |metadata| drop(metadata.insert("token_endpoint".into(), endpoint.into()))));
    });
    let before = site.application.requests();
    let url = site.url("/")?;
    // A provider that was down, as in the row above, is left alone for a while.
    let since = Instant::now();
    while Browser::new()?.open(&url).await?.status == 503 && since.elapsed() < LEFT_ALONE {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let page = Browser::new()?.log_in(&url, "alice").await;
    site.provider.faults().clear();
    let page = page?;
    expect_status(&page, 503)?;
    expect("the number of requests for the application", site.application.requests(), before)
}
