//! The development provider alone: `cargo run --release -p vestibule-dev-provider --example serve`, with a port as argument
//! or on one that is free. Ctrl-C ends it.

#![expect(clippy::print_stdout, reason = "the address is what it is run for")]

use vestibule_dev_provider::{Options, Provider};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let listen = (std::net::Ipv4Addr::LOCALHOST, port).into();
    let provider = Provider::start(Options { listen, ..Options::default() }).await?;
    println!("{}", provider.issuer());
    tokio::signal::ctrl_c().await?;
    provider.shutdown().await;
    Ok(())
}
