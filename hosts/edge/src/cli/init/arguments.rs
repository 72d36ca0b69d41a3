//! The options of `vestibule init`. On a terminal, it asks for what no option answers.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::arguments::Common;
use crate::cli::init::provider::Kind;

#[derive(Debug, Clone, Args)]
pub struct Init {
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = ".streamlit/secrets.toml")]
    pub config: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    pub force: bool,
    /// Do not ask the provider for its metadata
    #[arg(long)]
    pub offline: bool,
    /// The OpenID provider
    #[arg(long, value_enum)]
    pub provider: Option<Kind>,
    /// The provider's issuer, `https://login.example.com/realms/acme` for example
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// Of Microsoft Entra: the directory (tenant) ID, or a domain of the tenant
    #[arg(long, value_name = "ID")]
    pub tenant: Option<String>,
    /// Of ZITADEL: the ID of the project
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// The public address of the application, `https://app.example.com` for example
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
    /// The client ID that the provider issued
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// The environment variable with the client secret
    #[arg(long, value_name = "NAME", conflicts_with = "client_secret_file")]
    pub client_secret_env: Option<String>,
    /// The file with the client secret, absolute or relative to the folder of the configuration
    #[arg(long, value_name = "FILE")]
    pub client_secret_file: Option<String>,
    /// The application
    #[arg(long, value_enum)]
    pub app: Option<App>,
    /// The application's own address, `http://127.0.0.1:8080` for example
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    #[command(flatten)]
    pub who: Who,
    /// The claim with the groups, if it is not the provider's usual one
    #[arg(long, value_name = "CLAIM", requires = "group")]
    pub groups_claim: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

/// Who may enter: one of these.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub struct Who {
    /// Admit the e-mail addresses of this domain
    #[arg(long, value_name = "DOMAIN")]
    pub email_domain: Vec<String>,
    /// Admit this e-mail address; can be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub email: Vec<String>,
    /// Admit this group; can be given several times
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// Admit everybody who can log in at the provider
    #[arg(long)]
    pub everybody: bool,
}

/// What is behind the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum App {
    /// A Streamlit app: st.login(), st.logout() and st.user work
    Streamlit,
    /// Any other application, which reads request headers
    Other,
}
