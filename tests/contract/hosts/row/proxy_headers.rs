//! Headers that applications take from a proxy in front of them: the lists of the core.

use anyhow::{Result, ensure};
use reqwest::Method;
use vestibule::web::proxy_headers::{ARRIVAL, FAMILIES, IDENTITY, STEERING};

use super::identity::{SPOOFED, logged_in_where_optional};
use super::{expect, expect_status};
use crate::application::Echo;
use crate::browser::Browser;
use crate::site::Site;
use crate::wire;

/// Few enough for every server beside what a browser sends.
const AT_ONCE: usize = 40;

/// The family that has a row of its own.
const OF_SPIN: &str = "spin-";

fn names() -> impl Iterator<Item = &'static str> {
    STEERING.into_iter().chain(IDENTITY)
}

pub(super) async fn no_header_of_the_lists_arrives(site: &Site) -> Result<()> {
    let names: Vec<_> = names().collect();
    let (stranger, alice) = (Browser::new()?, logged_in_where_optional(site, "alice").await?);
    for browser in [stranger, alice] {
        for names in names.chunks(AT_ONCE) {
            // Each twice: a host that replaces the first line only would pass the second.
            let claims: Vec<_> = names.iter().chain(names).map(|name| (*name, SPOOFED)).collect();
            let page = browser.navigate(Method::GET, &site.url("/data")?, &claims, None).await?;
            expect_status(&page, 200)?;
            ensure!(!page.body.contains(SPOOFED), "{}", page.body);
            Echo::parse(&page.body)?;
        }
    }
    Ok(())
}

/// A host may take them away, or refuse the request.
pub(super) async fn no_other_spelling_arrives(site: &Site) -> Result<()> {
    let spelled = names().chain(ARRIVAL).filter(|name| name.contains('-'));
    let spelled = spelled.flat_map(|name| [name.replace('-', "_"), name.to_uppercase().replacen('-', "_", 1), name.replace('-', ".")]);
    let families = FAMILIES.into_iter().filter(|family| *family != OF_SPIN).map(|family| format!("{family}contract"));
    let alice = logged_in_where_optional(site, "alice").await?;
    for name in spelled.chain(families) {
        arrives_not(site, &alice, &name).await?;
    }
    Ok(())
}

/// What `Connection` names is between the client and the host (RFC 9110 section 7.6.1): a host that keeps it from
/// Vestibule keeps it from the application.
pub(super) async fn connection_hides_nothing(site: &Site) -> Result<()> {
    let alice = logged_in_where_optional(site, "alice").await?;
    let cookies = alice.cookies(&site.url("/")?);
    for name in ["X!Forwarded!User", "X_Forwarded_User", "X-Remote-User", "x.remote.user", "X-Remote-Contract", "X-Original-URL"] {
        for named in [name, &format!("close, {name}"), &format!("Upgrade, {name}"), &format!("{name}\r\nConnection: close")] {
            let request = format!(
                "GET /data HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nCookie: {cookies}\r\nConnection: {named}\r\n\
                 {name}: {SPOOFED}\r\n\r\n",
                site.address()
            );
            let received = wire::exchange(site.address(), &request).await?;
            ensure!(!received.0.contains(SPOOFED), "{named:?}: {}", received.0);
            ensure!(received.status()? == 400 || Echo::parse(received.json()).is_ok(), "{named:?}: {}", received.0);
        }
    }
    Ok(())
}

/// Logs and audits of all who get the name know the request by it.
pub(super) async fn the_client_does_not_name_its_request(site: &Site) -> Result<()> {
    let (stranger, alice) = (Browser::new()?, logged_in_where_optional(site, "alice").await?);
    for browser in [stranger, alice] {
        let names = [("X-Request-Id", SPOOFED), ("x-request-id", SPOOFED)];
        for names in [&names[..1], &names] {
            let page = browser.navigate(Method::GET, &site.url("/data")?, names, None).await?;
            expect_status(&page, 200)?;
            ensure!(!page.body.contains(SPOOFED), "{}", page.body);
            Echo::parse(&page.body)?;
        }
    }
    Ok(())
}

pub(super) async fn the_clients_word_on_its_address_does_not_arrive(site: &Site) -> Result<()> {
    const INVENTED: &str = "192.0.2.66";
    let browser = Browser::new()?;
    for value in [INVENTED, "for=192.0.2.66", "192.0.2.66, 127.0.0.1"] {
        let said: Vec<_> = ARRIVAL.iter().chain(&ARRIVAL).map(|name| (*name, value)).collect();
        let page = browser.navigate(Method::GET, &site.url("/data")?, &said, None).await?;
        expect_status(&page, 200)?;
        ensure!(!page.body.contains(INVENTED), "{}", page.body);
        Echo::parse(&page.body)?;
    }
    Ok(())
}

/// `spin-path-info` and the like are what Spin tells an application of its own about a request.
pub(super) async fn what_spin_says_is_not_the_clients(site: &Site) -> Result<()> {
    let browser = Browser::new()?;
    for name in ["spin-path-info", "Spin-Full-URL", "spin-client-addr", "spin-path-match-user", "spin_path_info"] {
        arrives_not(site, &browser, name).await?;
    }
    Ok(())
}

async fn arrives_not(site: &Site, browser: &Browser, name: &str) -> Result<()> {
    let page = browser.navigate(Method::GET, &site.url("/data")?, &[(name, SPOOFED)], None).await?;
    ensure!(!page.body.contains(SPOOFED), "{name}: {}", page.body);
    match Echo::parse(&page.body) {
        Ok(_) => Ok(()),
        Err(_) => expect(&format!("the status with {name}"), page.status, 400),
    }
}
