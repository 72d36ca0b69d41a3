//! The library in a server written in Rust: its own example, with the application in the same process.

use std::any::Any;

use anyhow::Result;
use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use vestibule_wasmtime::{ConfigurationFile, Filter, FilterComponent, FilterOptions, Runtime, RuntimeOptions};

use super::{Shape, Started, built, component_cache};
use crate::site::Setting;

#[path = "../../../../hosts/wasmtime/examples/axum.rs"]
#[expect(dead_code, reason = "its command line and its application are not for here")]
mod example;

pub struct Library;

#[async_trait]
impl Shape for Library {
    fn name(&self) -> &'static str {
        "library"
    }

    fn title(&self) -> &'static str {
        "library"
    }

    fn exempt(&self, row: &str) -> Option<&'static str> {
        let exempt = [
            (crate::row::CONNECTION, "the library does not remove `Connection` and the headers that it names"),
            (crate::row::REQUEST_NAME, "the client's header is forwarded: no proxy is in front that is known to set it"),
            (crate::row::ADDRESS, "the library does not change these headers: the server must judge them"),
        ];
        exempt.iter().find(|(name, _)| *name == row).map(|(_, reason)| *reason)
    }

    async fn start(&self, setting: &Setting) -> Result<Started> {
        let secrets = setting.write_secrets("", "")?;
        let runtime = Runtime::new(&RuntimeOptions { max_instances: 8, ..RuntimeOptions::default() })?;
        let component = FilterComponent::from_file(&runtime, &built("dist/vestibule.wasm")?, Some(&component_cache()))?;
        let configuration = ConfigurationFile::read(&component, &secrets, Some(setting.public.port())).await?;
        let filter = Filter::load(&component, configuration, FilterOptions { instances: 1, ..FilterOptions::default() }).await?;
        let listener = TcpListener::bind(setting.public).await?;
        let server = example::behind(filter, setting.application.router());
        let task = tokio::spawn(async move { axum::serve(listener, server).await });
        Ok(Started::other(Aborted(task)))
    }
}

/// A server that ends with its shape.
struct Aborted<T: Any>(JoinHandle<T>);

impl<T: Any> Drop for Aborted<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
