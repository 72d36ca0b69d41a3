//! `vestibule serve`: the edge proxy.

use anyhow::Result;
use async_trait::async_trait;
use tokio::process::Command;

use super::{Process, Shape, Started, built};
use crate::site::Setting;

pub struct Serve;

#[async_trait]
impl Shape for Serve {
    fn name(&self) -> &'static str {
        "serve"
    }

    fn title(&self) -> &'static str {
        "`vestibule serve`"
    }

    async fn start(&self, setting: &Setting) -> Result<Started> {
        let secrets = setting.write_secrets(&format!("upstream = \"http://{}\"\n", setting.upstream), "")?;
        let mut command = Command::new(built("dist/vestibule")?);
        command.args(["serve", "--listen", &setting.public.to_string()]).arg("--config").arg(secrets);
        Ok(Started::processes(vec![Process::start(&mut command, &setting.folder)?]))
    }
}
