//! One host with the login in it, its provider and its application.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::net::TcpListener;
use url::Url;
use vestibule_dev_provider::{Options, Person, Provider, Running};

use crate::application::Application;
use crate::browser::Browser;
use crate::shape::{Shape, Started};

/// A secret that no log may show.
const COOKIE_SECRET: &str = "contract-bTr3Vq0nXw8sKd5yLz2eHg7m";

/// How long a host may take to start on a machine that compiles something else.
const START: Duration = Duration::from_secs(120);

/// The lifetime of an access token, which Vestibule refreshes after ten seconds at the earliest.
const ACCESS_TOKEN: Duration = Duration::from_secs(11);

/// The pause between two looks at a host that starts: it has no event to wait for.
const LOOK: Duration = Duration::from_millis(50);

/// What a site is configured for. Each is started once for a shape, and its rows take turns on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `login = "required"`.
    Required,
    /// `login = "optional"`.
    Optional,
    /// As the first, and nothing is known of the provider yet.
    Fresh,
    /// As the first, and sessions end soon when they are not used.
    Renewing,
    /// As the first, and access tokens, which the application receives, are refreshed.
    Refreshing,
    /// With rules: `/public/**` and `/optional/**` are what they are called, nobody may see `/.vestibule/**`, and the rest asks
    /// for a login.
    Ruled,
}

const RULES: &str = "[[vestibule.rule]]\npath = \"/public/**\"\naccess = \"public\"\n\
                     [[vestibule.rule]]\npath = \"/optional/**\"\naccess = \"optional\"\n\
                     [[vestibule.rule]]\npath = \"/.vestibule/**\"\naccess = \"deny\"\n\
                     [[vestibule.rule]]\npath = \"/**\"\n";

impl Kind {
    pub const ALL: [Self; 6] = [Self::Required, Self::Optional, Self::Fresh, Self::Renewing, Self::Refreshing, Self::Ruled];

    fn login(self) -> &'static str {
        if self == Self::Optional { "optional" } else { "required" }
    }

    fn session(self) -> &'static str {
        match self {
            Self::Renewing => "[vestibule.session]\nidle_timeout = \"8s\"\n",
            Self::Refreshing => "[vestibule.session]\nrefresh = \"auto\"\n",
            _ => "",
        }
    }

    /// Keys of `[auth]`.
    fn auth(self) -> &'static str {
        if self == Self::Refreshing { "expose_tokens = \"access\"\n" } else { "" }
    }

    /// The provider for it: access tokens that are refreshed as soon as one can be.
    fn provider(self) -> Options {
        let token_lifetime = if self == Self::Refreshing { ACCESS_TOKEN } else { Options::default().token_lifetime };
        Options { token_lifetime, refresh_tokens: self == Self::Refreshing, ..Options::default() }
    }

    fn rules(self) -> &'static str {
        if self == Self::Ruled { RULES } else { "" }
    }
}

/// What a shape is started with.
pub struct Setting {
    /// Where browsers go, and where the shape must listen: a port of loopback that is free.
    pub public: SocketAddr,
    /// Where the application listens.
    pub upstream: SocketAddr,
    /// The application itself, for a shape that runs it in its own process.
    pub application: Application,
    pub metadata_url: String,
    pub kind: Kind,
    /// For whatever files the shape needs.
    pub folder: PathBuf,
}

impl Setting {
    /// Writes the configuration and returns its path. `keys` are further lines of `[vestibule]`, `sections` stand behind.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_secrets(&self, keys: &str, sections: &str) -> Result<PathBuf> {
        let path = self.folder.join("secrets.toml");
        let text = format!(
            "[auth]\nredirect_uri = \"http://{}/oauth2callback\"\ncookie_secret = \"{COOKIE_SECRET}\"\nclient_id = \"vestibule-demo\"\n\
             client_secret = \"vestibule-demo-secret\"\nserver_metadata_url = \"{}\"\n{}[vestibule]\nlogin = \"{}\"\n{keys}{}{}{sections}",
            self.public,
            self.metadata_url,
            self.kind.auth(),
            self.kind.login(),
            self.kind.session(),
            self.kind.rules(),
        );
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

/// A shape that runs, ready to take requests.
pub struct Site {
    pub provider: Running,
    pub application: Application,
    public: SocketAddr,
    // Stopped before its folder goes.
    _started: Started,
    _folder: TempDir,
}

/// Fixed ports, for a person who opens it in a browser; or any that are free.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    pub public: u16,
    pub application: u16,
}

impl Site {
    /// # Errors
    /// Something of it does not start; the message holds the end of its log.
    pub async fn start(shape: &dyn Shape, kind: Kind, ports: Ports) -> Result<Self> {
        Self::start_as(shape, kind, ports, Login::With).await
    }

    async fn start_as(shape: &dyn Shape, kind: Kind, ports: Ports, login: Login) -> Result<Self> {
        let people = Person::ready_made().into_iter().chain([frank()]).collect();
        let provider = Provider::start(Options { people, ..kind.provider() }).await?;
        let application = Application::default();
        let upstream = application.listen(ports.application).await.context("the application has no port")?;
        let folder = tempfile::tempdir()?;
        let public = if ports.public == 0 { free_address().await? } else { (Ipv4Addr::LOCALHOST, ports.public).into() };
        let setting = Setting {
            public,
            upstream,
            application: application.clone(),
            metadata_url: provider.metadata_url(),
            kind,
            folder: folder.path().to_owned(),
        };
        let started = match login {
            Login::With => shape.start(&setting).await,
            Login::Without => shape.start_plain(&setting).await,
        };
        let mut started = started.with_context(|| format!("{} does not start", shape.name()))?;
        until_ready(public, login, &mut started).await.with_context(|| format!("{} does not get ready", shape.name()))?;
        Ok(Self { provider, application, public, _started: started, _folder: folder })
    }

    /// The same host without the login.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_plain(shape: &dyn Shape) -> Result<Self> {
        Self::start_as(shape, Kind::Required, Ports::default(), Login::Without).await
    }

    /// A URL of the site, as a browser writes it.
    ///
    /// # Errors
    /// The path is none.
    pub fn url(&self, path: &str) -> Result<Url> {
        Ok(Url::parse(&format!("http://{}{path}", self.public))?)
    }

    /// Where the site listens.
    pub fn address(&self) -> SocketAddr {
        self.public
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.public)
    }
}

/// An address of loopback that nobody listens on.
///
/// # Errors
/// There is no free port.
pub async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?)
}

/// Somebody whose session needs two cookies.
fn frank() -> Person {
    let groups = (1..=130).map(|number| format!("division-of-department-{number:03}")).collect();
    let ready_made = Person::ready_made().into_iter().next();
    let alice = ready_made.unwrap_or_else(|| unreachable!("the development provider knows somebody"));
    Person { sub: "frank".into(), preferred_username: "frank".into(), groups, ..alice }
}

/// Whether a host has the login in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Login {
    With,
    Without,
}

/// Until a route of Vestibule's own answers, or the application: every part of the host is there then.
async fn until_ready(public: SocketAddr, login: Login, started: &mut Started) -> Result<()> {
    let sign = if login == Login::With { "is_logged_in" } else { "application" };
    let url = Url::parse(&format!("http://{public}/.vestibule/user"))?;
    let browser = Browser::new()?;
    let looking = async {
        let mut last = String::from("nothing listens");
        loop {
            if let Some(ended) = started.ended() {
                bail!("{ended}");
            }
            match browser.fetch(&url).await {
                Ok(page) if page.status == 200 && page.body.contains(sign) => return Ok(()),
                Ok(page) => last = format!("{} {}", page.status, page.body),
                Err(error) => _ = error,
            }
            if started.is_overdue(START) {
                bail!("last seen: {last}\n{}", started.logs());
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    looking.await
}
