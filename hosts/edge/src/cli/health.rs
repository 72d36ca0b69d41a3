//! `vestibule health`: asks a running program on this machine whether it is ready, for the health check of a container.
//!
//! One request to `/readyz` ([`crate::observe::admin`]), with no redirect followed and no proxy used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::causes;
use crate::cli::arguments::Health;
use crate::observe::admin::READY;

/// Where `vestibule health` asks if it is not told otherwise.
pub const DEFAULT_ADMIN: &str = "127.0.0.1:9180";
/// Its port.
pub const DEFAULT_ADMIN_PORT: u16 = 9180;

/// For everything: a health check that hangs says less than one that fails.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of the response; ours has some hundred.
const MAX_HEAD_BYTES: u64 = 4096;
const MAX_FIELDS: usize = 32;

/// Prints one line: `ready`, with exit code 0, or to stderr why not, with exit code 1.
#[expect(clippy::print_stdout, reason = "the verdict is what was asked for")]
pub async fn run(arguments: &Health) -> ExitCode {
    let asked = timeout(PATIENCE, status(&arguments.admin)).await;
    let problem = match asked {
        Ok(Ok(200)) => {
            println!("ready");
            return ExitCode::SUCCESS;
        }
        Ok(Ok(status)) => format!("http://{}{READY} answers {status}", arguments.admin),
        Ok(Err(error)) => causes::told(&error),
        Err(_) => format!("http://{}{READY} does not answer within {} s", arguments.admin, PATIENCE.as_secs()),
    };
    eprintln!("vestibule: not ready: {}", problem.replace(char::is_control, "\u{fffd}"));
    ExitCode::FAILURE
}

/// The status of the answer.
async fn status(admin: &str) -> anyhow::Result<u16> {
    let mut stream = connect(admin)
        .await
        .map_err(|error| anyhow!("no connection to {admin}: {error}; give --admin the address that `vestibule serve --admin` has"))?;
    let request = format!("GET {READY} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("the request cannot be sent")?;
    let mut read = Vec::new();
    let mut limited = stream.take(MAX_HEAD_BYTES);
    loop {
        let length = limited.read_buf(&mut read).await.context("the response cannot be read")?;
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        if response.parse(&read).context("the response is no HTTP/1.1")?.is_complete() {
            return response.code.context("the response has no status");
        }
        if length == 0 {
            bail!("the response has no end, or a head of more than {MAX_HEAD_BYTES} bytes");
        }
    }
}

/// An address to listen on may be every one of this machine; of these, the loopback is asked.
async fn connect(admin: &str) -> std::io::Result<TcpStream> {
    match admin.parse::<SocketAddr>() {
        Ok(address) => TcpStream::connect(reachable(address)).await,
        Err(_) => TcpStream::connect(admin).await,
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_the_machine_is_asked_on_loopback() {
        for (given, asked) in
            [("0.0.0.0:9180", "127.0.0.1:9180"), ("[::]:9180", "[::1]:9180"), ("192.0.2.7:1", "192.0.2.7:1"), ("[::1]:2", "[::1]:2")]
        {
            assert_eq!(reachable(given.parse().expect("an address")).to_string(), asked);
        }
    }
}
