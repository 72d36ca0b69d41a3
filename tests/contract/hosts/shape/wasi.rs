//! The components for `wasi:http`, in hosts that run components by themselves.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use tokio::process::Command;

use super::{Process, Shape, Started, built, of_tree};
use crate::row;
use crate::site::Setting;

const NO_UPGRADES: &str = "`wasi:http` has no upgrades";

const OF_CLIENT: &str = "the client's header is forwarded: no proxy is in front that is known to set it";

/// What no host of components does.
const NONE: [(&str, &str); 3] = [(row::WEBSOCKET, NO_UPGRADES), (row::SOCKET_FOREIGN, NO_UPGRADES), (row::REQUEST_NAME, OF_CLIENT)];

const OF_HOST: &str = "`wasmtime serve` does not tell a component of 0.3 the host, so that it is not checked";
const OF_SPIN: &str = "`spin-*` headers are forwarded, and a host other than Spin does not replace them";

/// A component in a host.
pub struct Wasi {
    name: &'static str,
    title: &'static str,
    exempt: &'static [(&'static str, &'static str)],
    start: fn(&Setting) -> Result<Command>,
    start_plain: fn(&Setting) -> Result<Command>,
}

pub const MIDDLEWARE: Wasi = Wasi {
    name: "middleware",
    title: "middleware in `wasmtime serve`",
    exempt: &[(row::MALFORMED_HOST, OF_HOST), (row::SPIN, OF_SPIN)],
    start: middleware,
    start_plain: plain_service,
};

pub const PROXY: Wasi = Wasi { name: "proxy", title: "proxy in `wasmtime serve`", exempt: &[], start: proxy, start_plain: plain_proxy };

pub const JCO: Wasi = Wasi { name: "jco", title: "proxy in `jco serve`", exempt: &[], start: proxy_in_jco, start_plain: plain_in_jco };

#[async_trait]
impl Shape for Wasi {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn exempt(&self, row: &str) -> Option<&'static str> {
        NONE.iter().chain(self.exempt).find(|(name, _)| *name == row).map(|(_, reason)| *reason)
    }

    async fn start(&self, setting: &Setting) -> Result<Started> {
        Ok(Started::processes(vec![Process::start(&mut (self.start)(setting)?, &setting.folder)?]))
    }

    async fn start_plain(&self, setting: &Setting) -> Result<Started> {
        Ok(Started::processes(vec![Process::start(&mut (self.start_plain)(setting)?, &setting.folder)?]))
    }
}

/// The application, too, is a component: one that passes everything on to the real one.
fn middleware(setting: &Setting) -> Result<Command> {
    setting.write_secrets("", "")?;
    let composed = setting.folder.join("composed.wasm");
    let mut wac = std::process::Command::new(tool("target/tools/bin/wac")?);
    wac.arg("plug").arg("--plug").arg(built("dist/vestibule-relay.wasm")?).arg(built("dist/vestibule-middleware.wasm")?);
    ensure!(wac.arg("-o").arg(&composed).status()?.success(), "wac cannot compose the middleware with the application");
    wasmtime(setting, &composed)
}

fn proxy(setting: &Setting) -> Result<Command> {
    setting.write_secrets(&upstream(setting), "")?;
    wasmtime(setting, &built("dist/vestibule-proxy.wasm")?)
}

fn proxy_in_jco(setting: &Setting) -> Result<Command> {
    let secrets = setting.write_secrets(&upstream(setting), "")?;
    let mut command = jco(setting, &built("dist/vestibule-proxy.wasm")?)?;
    command.env("VESTIBULE_CONFIG", std::fs::read_to_string(secrets)?);
    Ok(command)
}

fn plain_service(setting: &Setting) -> Result<Command> {
    wasmtime(setting, &built("dist/vestibule-relay.wasm")?)
}

fn plain_proxy(setting: &Setting) -> Result<Command> {
    wasmtime(setting, &built("dist/vestibule-plain-proxy.wasm")?)
}

fn plain_in_jco(setting: &Setting) -> Result<Command> {
    let mut command = jco(setting, &built("dist/vestibule-plain-proxy.wasm")?)?;
    command.env("APPLICATION", format!("http://{}", setting.upstream));
    Ok(command)
}

fn wasmtime(setting: &Setting, component: &Path) -> Result<Command> {
    let mut command = Command::new(tool("target/tools/bin/wasmtime")?);
    command.args(["serve", "-S", "cli", "--addr", &setting.public.to_string(), "--dir"]);
    command.arg(format!("{}::/", setting.folder.display()));
    command.arg("--env").arg(format!("APPLICATION=http://{}", setting.upstream)).arg(component);
    Ok(command)
}

fn jco(setting: &Setting, component: &Path) -> Result<Command> {
    let mut command = Command::new(tool("e2e/wasi/node_modules/.bin/jco")?);
    command.args(["serve", "--host", "127.0.0.1", "--port", &setting.public.port().to_string(), "--jco-dir"]);
    command.arg(setting.folder.join("jco")).arg(component);
    Ok(command)
}

fn upstream(setting: &Setting) -> String {
    format!("upstream = \"http://{}\"\n", setting.upstream)
}

fn tool(path: &str) -> Result<PathBuf> {
    let path = of_tree(path);
    ensure!(path.exists(), "{} is not there; run `scripts/check-wasi-hosts.sh`", path.display());
    Ok(path)
}
