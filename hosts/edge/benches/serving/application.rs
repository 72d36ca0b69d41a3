//! The application behind every side: the same bytes to everything, so that a login changes nothing of what it does.
//!
//! An upgrade becomes an echo of bytes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::request::{BODY, WEBSOCKET_KEY};

/// No application has the answer to an upgrade at once.
const UPGRADE_AFTER: Duration = Duration::from_millis(5);

/// Serves on a free port of loopback.
pub async fn serve(announce: fn(SocketAddr)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    announce(listener.local_addr().expect("an address"));
    loop {
        let (connection, _) = listener.accept().await.expect("a connection");
        connection.set_nodelay(true).expect("an option of sockets");
        // A proxy may close its connection whenever it likes.
        tokio::spawn(async move { _ = answer(connection).await });
    }
}

async fn answer(mut connection: TcpStream) -> std::io::Result<()> {
    let page = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len());
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut received = Vec::with_capacity(16 * 1024);
    // The requests are without a body, and one at a time.
    while connection.read_buf(&mut received).await? > 0 {
        if !received.ends_with(b"\r\n\r\n") {
            continue;
        }
        if memchr::memmem::find(&received, WEBSOCKET_KEY.as_bytes()).is_none() {
            connection.write_all(page.as_bytes()).await?;
            received.clear();
            continue;
        }
        drop(received);
        // Pingora 0.9.1 may close an upgraded connection whose `101` is there at its first look (`src/upgrade/socket.rs`).
        sleep(UPGRADE_AFTER).await;
        connection.write_all(switch).await?;
        return echo(connection).await;
    }
    Ok(())
}

async fn echo(mut connection: TcpStream) -> std::io::Result<()> {
    loop {
        // An idle connection has no buffer.
        connection.readable().await?;
        let mut bytes = [0; 256];
        match connection.read(&mut bytes).await? {
            0 => return Ok(()),
            length => connection.write_all(&bytes[..length]).await?,
        }
    }
}
