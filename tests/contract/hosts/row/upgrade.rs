//! Upgrades to another protocol than `websocket`: inside of one, the application takes requests that nobody has decided on.

use anyhow::{Result, ensure};

use super::{expect, logged_in};
use crate::application::Echo;
use crate::site::Site;
use crate::wire;

/// What asks for one, as lines of a request. `{settings}` is HTTP/2's (RFC 7540 section 3.2.1).
const ASKING: [&str; 16] = [
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n{settings}",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\n{settings}{settings}",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nUpgrade: h2c\r\n{settings}",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: websocket, h2c\r\n{settings}",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c,websocket\r\n{settings}",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n{settings}",
    "Connection: upgrade\r\nConnection: http2-settings\r\nupgrade: h2c\r\n{settings}",
    "Connection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
    "Connection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket/13\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket,\r\n h2c\r\n{settings}",
    "Connection: Upgrade\r\nUpgrade: ,h2c\r\n{settings}",
    "Connection: Upgrade\r\nUpgrade:\th2c\t\r\n",
    "Connection: close, Upgrade\r\nUpgrade: spdy/3\r\n",
    "Connection: Upgrade\r\nUpgrade:\r\nUpgrade: h2c\r\n",
    "Upgrade: h2c\r\n{settings}",
];

/// `websocket` first, and another one in a second line: a host may pass on the first.
const MIXED: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n";

const SETTINGS: &str = "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";

/// What a client would go on with.
const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) async fn no_other_upgrade_arrives(site: &Site) -> Result<()> {
    let alice = logged_in(site, "alice").await?;
    let cookies = format!("Cookie: {}\r\n", alice.cookies(&site.url("/")?));
    for (path, session) in [("/public/x", ""), ("/public/x", &*cookies), ("/optional/x", ""), ("/optional/x", &cookies), ("/x", &cookies)] {
        for asking in ASKING.into_iter().chain([MIXED]) {
            let asking = asking.replace("{settings}", SETTINGS);
            let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\n{session}{asking}\r\n", site.address());
            let received = wire::exchange(site.address(), &head).await?;
            expect("the number of other protocols", site.application.tunnels(), 0)?;
            let status = received.status()?;
            if let Ok(echo) = Echo::parse(received.json()) {
                let seen: Vec<_> = ["upgrade", "http2-settings"].iter().flat_map(|name| echo.values(name)).collect();
                ensure!(seen.is_empty() || (asking == MIXED && seen == ["websocket"]), "{asking:?} arrives as {seen:?}");
            } else {
                ensure!((400..500).contains(&status), "{path} with {asking:?}: {}", received.0);
            }
        }
    }
    // What is sent along with it is at most another request, and decided on.
    let asking = ASKING[0].replace("{settings}", SETTINGS);
    let hidden = format!("GET /hidden HTTP/1.1\r\nHost: {}\r\nX-Forwarded-User: mallory\r\n\r\n", site.address());
    for behind in [PREFACE, &hidden] {
        let request = format!("GET /public/x HTTP/1.1\r\nHost: {}\r\n{asking}\r\n{behind}", site.address());
        let received = wire::exchange_all(site.address(), &request).await?;
        ensure!(!received.0.contains("/hidden\"") && !received.0.contains("mallory"), "{}", received.0);
        expect("the number of other protocols", site.application.tunnels(), 0)?;
    }
    Ok(())
}
