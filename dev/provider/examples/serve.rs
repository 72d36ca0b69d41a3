//! The development provider alone: `cargo run --release -p vestibule-dev-provider --example serve`. Ctrl-C ends it.

#![expect(clippy::print_stdout, reason = "the address is what it is run for")]

use vestibule_dev_provider::{Options, Provider};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let provider = Provider::start(Options::default()).await?;
    println!("{}", provider.issuer());
    tokio::signal::ctrl_c().await?;
    provider.shutdown().await;
    Ok(())
}
