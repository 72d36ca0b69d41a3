//! Bytes on their way: bodies that stream, and WebSockets.

use std::convert::Infallible;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use reqwest::{Body, Method};
use tokio_tungstenite::tungstenite::{self, Message};

use super::{expect, logged_in};
use crate::browser::Browser;
use crate::site::Site;

/// Enough to get out of every buffer on the way.
const PIECE: usize = 64 * 1024;
/// 8 MiB in all: more than any buffer takes.
const PIECES: usize = 128;

pub(super) async fn a_response_streams(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    let url = site.url("/slow")?;
    let mut response = browser.send(browser.script(Method::GET, &url), &url).await?;
    let mut received = Vec::new();
    // The application sends no more before it is let go.
    while !received.ends_with(b"first") {
        received.extend(response.chunk().await?.context("it ends early")?);
    }
    site.application.release();
    while let Some(piece) = response.chunk().await? {
        received.extend(piece);
    }
    expect("the body", String::from_utf8_lossy(&received).as_ref(), "firstlast")
}

pub(super) async fn a_request_body_streams(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    let url = site.url("/upload")?;
    let (mut sender, receiver) = futures::channel::mpsc::channel::<Result<Bytes, Infallible>>(1);
    let request = browser.script(Method::POST, &url).body(Body::wrap_stream(receiver));
    let piece = Bytes::from(vec![b'x'; PIECE]);
    let sending = async {
        sender.send(Ok(piece.clone())).await?;
        // The rest is sent when the application has the beginning.
        site.application.upload_started().await;
        for _ in 1..PIECES {
            sender.send(Ok(piece.clone())).await?;
        }
        drop(sender);
        anyhow::Ok(())
    };
    let answering = async { anyhow::Ok(browser.send(request, &url).await?.text().await?) };
    let (sent, answer) = tokio::join!(sending, answering);
    sent?;
    expect("the number of bytes", answer?, (PIECES * PIECE).to_string())
}

/// Proxies have limits of their own for bodies, also where they only ask about a request.
pub(super) async fn an_upload_of_known_length_arrives(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    let url = site.url("/upload")?;
    let body = vec![b'x'; PIECES / 2 * PIECE];
    let length = body.len();
    let response = browser.send(browser.script(Method::POST, &url).body(body), &url).await?;
    expect("the status", response.status().as_u16(), 200)?;
    expect("the number of bytes", response.text().await?, length.to_string())
}

pub(super) async fn a_websocket_opens(site: &Site) -> Result<()> {
    let browser = logged_in(site, "alice").await?;
    let mut socket = browser.connect(&site.url("/ws")?, &site.origin()).await?;
    for text in ["hello", &"x".repeat(200_000)] {
        socket.send(Message::text(text)).await?;
        let echoed = socket.next().await.context("the connection is closed")??;
        ensure!(echoed == Message::text(text), "{} bytes instead of an echo", echoed.len());
    }
    Ok(())
}

pub(super) async fn a_websocket_without_a_session_is_refused(site: &Site) -> Result<()> {
    refused(site, &Browser::new()?, &site.origin(), 401).await
}

pub(super) async fn a_websocket_of_another_origin_is_refused(site: &Site) -> Result<()> {
    refused(site, &logged_in(site, "alice").await?, "https://sibling.example", 403).await
}

async fn refused(site: &Site, browser: &Browser, origin: &str, status: u16) -> Result<()> {
    let before = site.application.requests();
    match browser.connect(&site.url("/ws")?, origin).await {
        Err(tungstenite::Error::Http(response)) => expect("the status", response.status().as_u16(), status)?,
        Err(error) => return Err(error.into()),
        Ok(_) => bail!("the socket is open"),
    }
    expect("the number of requests for the application", site.application.requests(), before)
}
