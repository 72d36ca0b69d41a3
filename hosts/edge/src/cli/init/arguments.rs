//! The options of `vestibule init`. On a terminal, it asks for what no option answers.

#![allow(rustdoc::bare_urls, reason = "clap prints these comments as they are")]

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::arguments::Common;
use crate::cli::init::provider::Kind;

#[derive(Debug, Clone, Args)]
pub struct Init {
    /// The file to write. With --force, its owner and its permissions stay as they are; a new one is for its owner only (mode 600)
    #[arg(long, value_name = "FILE", default_value = ".streamlit/secrets.toml")]
    pub config: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    pub force: bool,
    /// Do not connect to the provider: its metadata and keys are not checked
    #[arg(long)]
    pub offline: bool,
    /// The OpenID provider
    #[arg(long, value_enum)]
    pub provider: Option<Kind>,
    /// The provider's issuer, for example https://login.example.com/realms/acme [default for GitLab: https://gitlab.com]
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// For Microsoft Entra: the directory (tenant) ID, or a domain of the tenant
    #[arg(long, value_name = "ID")]
    pub tenant: Option<String>,
    /// For ZITADEL: the ID of the project
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// For Amazon Cognito: the domain of the user pool, for example acme.auth.eu-central-1.amazoncognito.com
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// The public address of the application, for example https://app.example.com
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
    /// The client ID that the provider issued
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// The name of the environment variable that holds the client secret
    #[arg(long, value_name = "NAME", conflicts_with = "client_secret_file")]
    pub client_secret_env: Option<String>,
    /// The file that holds the client secret: an absolute path, or one relative to the folder of the configuration
    #[arg(long, value_name = "FILE")]
    pub client_secret_file: Option<String>,
    /// The kind of application
    #[arg(long, value_enum)]
    pub app: Option<App>,
    /// The address of the application's server, for example http://127.0.0.1:8080 [default for Streamlit: http://127.0.0.1:8601]
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    #[command(flatten)]
    pub who: Who,
    /// The claim that holds the user's groups [default: the provider's usual one]
    #[arg(long, value_name = "CLAIM", requires = "group")]
    pub groups_claim: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

/// Who may enter: one kind of these.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub struct Who {
    /// Admit the e-mail addresses of this domain; can be given several times
    #[arg(long, value_name = "DOMAIN")]
    pub email_domain: Vec<String>,
    /// Admit this e-mail address; can be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub email: Vec<String>,
    /// Admit this group; can be given several times
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// Admit every user who can log in at the provider
    #[arg(long)]
    pub everybody: bool,
}

/// What is behind the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum App {
    /// A Streamlit app: st.login(), st.logout() and st.user work
    Streamlit,
    /// Any other application: it reads the user from request headers
    Other,
}
