//! Other proxies that ask Vestibule about each request: those of `examples/`, with the ports of the site.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use tokio::process::Command;

use super::{Process, Shape, Started, built, of_tree};
use crate::row;
use crate::site::{Setting, free_address};

/// Ports of the examples: where browsers go, where Vestibule listens, where the application does.
const PORTS: [&str; 3] = ["8501", "8502", "8080"];

/// In place of the names of the session's cookies, which Traefik must know.
const SESSION_COOKIES: &str = "SESSION_COOKIES";

/// A proxy, and the file that it is configured with.
pub struct Beside {
    name: &'static str,
    title: &'static str,
    /// Files of `examples/<name>`; the first is given to the program.
    files: &'static [&'static str],
    /// What comes before the file's path.
    arguments: &'static [&'static str],
    exempt: &'static [(&'static str, &'static str)],
}

pub const ENVOY: Beside = Beside {
    name: "envoy",
    title: "Envoy",
    files: &["envoy.yaml"],
    // One thread, and no memory shared with another Envoy of the machine.
    arguments: &["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning", "--config-path"],
    exempt: &[],
};

pub const TRAEFIK: Beside = Beside {
    name: "traefik",
    title: "Traefik",
    files: &["traefik.yaml", "routes.yaml"],
    arguments: &["--configFile"],
    exempt: &[(row::NOT_FOR_CACHES, "Traefik takes cookies from an answer and no other header of the response")],
};

pub const CADDY: Beside = Beside {
    name: "caddy",
    title: "Caddy",
    files: &["Caddyfile", "removed-headers.caddy"],
    arguments: &["run", "--adapter", "caddyfile", "--config"],
    exempt: &[],
};

pub const NGINX: Beside =
    Beside { name: "nginx", title: "nginx", files: &["nginx.conf", "removed-headers.conf"], arguments: &["-c"], exempt: &[] };

#[async_trait]
impl Shape for Beside {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn exempt(&self, row: &str) -> Option<&'static str> {
        self.exempt.iter().find(|(name, _)| *name == row).map(|(_, reason)| *reason)
    }

    async fn start(&self, setting: &Setting) -> Result<Started> {
        let vestibule = free_address().await?;
        let secrets = setting.write_secrets("mode = \"authz\"\n", &format!("[vestibule.authz]\nproxy = \"{}\"\n", self.name))?;
        let mut serve = Command::new(built("dist/vestibule")?);
        serve.args(["serve", "--listen", &vestibule.to_string()]).arg("--config").arg(&secrets);
        let serve = Process::start(&mut serve, &setting.folder)?;

        let cookies = session_cookies(&secrets).await?;
        let ports = [setting.public, vestibule, setting.upstream];
        let proxy = self.start_proxy(setting, "examples", |text| with_ports(text, ports).replace(SESSION_COOKIES, &cookies))?;
        Ok(Started::processes(vec![serve, proxy]))
    }

    async fn start_plain(&self, setting: &Setting) -> Result<Started> {
        let ports = [setting.public, setting.public, setting.upstream];
        Ok(Started::processes(vec![self.start_proxy(setting, "tests/contract/plain", |text| with_ports(text, ports))?]))
    }
}

impl Beside {
    /// Starts the proxy with the files of a folder of the tree, edited.
    fn start_proxy(&self, setting: &Setting, folder: &str, edit: impl Fn(&str) -> String) -> Result<Process> {
        for (index, file) in self.files.iter().enumerate() {
            let path = of_tree(folder).join(self.name).join(file);
            // Without the login, the first is all that some need.
            if index == 0 || path.exists() {
                std::fs::write(setting.folder.join(file), edit(&std::fs::read_to_string(path)?))?;
            }
        }
        let mut proxy = Command::new(server(self.name)?);
        // Absolute, for nginx looks elsewhere; the folder of files that a configuration names is the working one.
        proxy.args(self.arguments).arg(setting.folder.join(self.files[0])).current_dir(&setting.folder);
        proxy.env("HOME", &setting.folder);
        if self.name == "nginx" {
            proxy.arg("-p").arg(&setting.folder);
        }
        Process::start(&mut proxy, &setting.folder)
    }
}

/// The program of a proxy.
fn server(name: &str) -> Result<PathBuf> {
    let path = of_tree("target/servers/bin").join(name);
    ensure!(path.exists(), "{} is not there; run `scripts/check-servers.sh`", path.display());
    Ok(path)
}

/// The same configuration with other ports.
fn with_ports(text: &str, addresses: [SocketAddr; 3]) -> String {
    // By way of words that no port can be taken for.
    let marked = PORTS.iter().enumerate().fold(text.to_owned(), |text, (index, port)| text.replace(port, &format!("<port {index}>")));
    let ports = addresses.iter().enumerate();
    ports.fold(marked, |text, (index, address)| text.replace(&format!("<port {index}>"), &address.port().to_string()))
}

/// What `vestibule check` says of them, as a list.
async fn session_cookies(secrets: &Path) -> Result<String> {
    const LABEL: &str = "cookies that an answer can set: ";
    let mut check = Command::new(built("dist/vestibule")?);
    let output = check.arg("check").arg("--config").arg(secrets).output().await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.strip_prefix(LABEL));
    line.map(str::to_owned)
        .with_context(|| format!("`vestibule check` does not name them: {said}{}", String::from_utf8_lossy(&output.stderr)))
}
