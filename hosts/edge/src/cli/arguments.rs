//! The command line.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::cli::address;
use crate::cli::health::DEFAULT_ADMIN;
use crate::cli::init::arguments::Init;
use crate::observe::log;

/// An edge proxy that puts the OpenID Connect login of secrets.toml in front of any application.
#[derive(Debug, Parser)]
#[command(name = "vestibule", version)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve an application behind the login
    Serve(Serve),
    /// Write a configuration file from a few answers, and check it
    Init(Box<Init>),
    /// Check a configuration: print every fault and every warning
    Check(Check),
    /// Tell which rule decides on a request, and why
    ///
    /// Sends nothing, and needs no secret of the configuration. The exit code tells the answer: 0 if the request is forwarded, 3 if it
    /// gets the login, 4 if it is denied, 5 if it is malformed, and 1 if that cannot be told.
    Explain(Explain),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Ask a running `vestibule serve` whether it is ready: exit code 0 if it is, 1 if not
    ///
    /// Sends one request to /readyz at the address of `vestibule serve --admin`, waits at most 2 seconds, and prints one line. It
    /// follows no redirect and uses no proxy. For the health check of a container: HEALTHCHECK CMD ["vestibule", "health"].
    Health(Health),
    /// End sessions of a running `vestibule serve`
    #[command(subcommand)]
    Sessions(Sessions),
    /// Print a new random secret for `cookie_secret`
    CookieSecret,
    /// Print the completion script of a shell
    Completions(Completions),
    /// Print a manual page in roff, which `man -l -` displays
    Man(Man),
    /// Compile the component that a program is linked with; a step of the build
    #[command(hide = true)]
    Carry(Carry),
}

#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// The configuration: Streamlit's secrets.toml, with [vestibule] for settings that Streamlit does not have. env:NAME reads it
    /// from an environment variable [default: env:VESTIBULE_CONFIG if it is set, else .streamlit/secrets.toml]
    #[arg(long, value_name = "FILE", default_value_os_t = configuration(), hide_default_value = true)]
    pub config: PathBuf,
    /// Address and port to listen on [default: vestibule.listen, else 127.0.0.1:8501]
    #[arg(long, value_name = "HOST:PORT", value_parser = address::listen)]
    pub listen: Option<String>,
    /// The address of the application's server, for example http://127.0.0.1:8080 [default: vestibule.upstream]
    #[arg(long, value_name = "URL", value_parser = address::upstream)]
    pub upstream: Option<String>,
    /// How long the application may send nothing while it answers, in seconds, at least 0.1; WebSocket connections have no limit
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = patience)]
    pub upstream_timeout: Duration,
    /// Address and port for /healthz, /readyz and /metrics, which have no login [default: none, they are off]
    #[arg(long, value_name = "HOST:PORT", value_parser = address::admin)]
    pub admin: Option<String>,
    /// /readyz also needs the application: it answers 503 while no connection to `upstream` can be made
    #[arg(long, requires = "admin")]
    pub ready_needs_upstream: bool,
    /// Unix socket for `vestibule sessions end`, for the user who runs this program only [default: none]
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Certificate chain (PEM): listen with TLS and HTTP/2 [default: none, listen without TLS]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// How long requests in flight may take after SIGTERM or SIGINT, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub grace: Duration,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Args)]
pub struct Check {
    /// The configuration. env:NAME reads it from an environment variable
    /// [default: env:VESTIBULE_CONFIG if it is set, else .streamlit/secrets.toml]
    #[arg(long, value_name = "FILE", default_value_os_t = configuration(), hide_default_value = true)]
    pub config: PathBuf,
    /// End with exit code 1 on warnings as well
    #[arg(long)]
    pub strict: bool,
    /// Request the metadata and the keys of each provider, connect to the store of the configuration, and report on them
    #[arg(long)]
    pub online: bool,
    /// The address of the application's server that `vestibule serve` gets [default: vestibule.upstream]
    #[arg(long, value_name = "URL", value_parser = address::upstream)]
    pub upstream: Option<String>,
    /// Certificate chain (PEM) that `vestibule serve` gets: check it as well
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// The method of the request, for example GET
    #[arg(value_name = "METHOD")]
    pub method: String,
    /// The path of the request, percent-encoded as it is sent, with its query
    #[arg(value_name = "PATH")]
    pub path: String,
    /// The configuration. env:NAME reads it from an environment variable
    /// [default: env:VESTIBULE_CONFIG if it is set, else .streamlit/secrets.toml]
    #[arg(long, value_name = "FILE", default_value_os_t = configuration(), hide_default_value = true)]
    pub config: PathBuf,
    /// The claims of the logged-in user, a JSON object such as the answer of /.vestibule/user [default: no user is logged in]
    #[arg(long = "as", value_name = "FILE")]
    pub account: Option<PathBuf>,
    /// The provider of that user [default: `provider` in that file, else the only provider of the configuration]
    #[arg(long, value_name = "NAME", requires = "account")]
    pub provider: Option<String>,
    /// The host and port of the request [default: those of redirect_uri]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Sessions {
    /// End sessions at once, and close their open connections
    ///
    /// Ends the sessions of one user, one session, or all, of a running `vestibule serve` that has --control. Run this as the user who
    /// runs that program, or as root. With a store, the sessions end on every node; without one, on the node that is asked. Sessions at
    /// the provider continue. Prints what has ended, with exit code 0, or why nothing was ended, with exit code 1.
    End(EndSessions),
}

#[derive(Debug, Clone, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["user", "session", "all"])))]
pub struct EndSessions {
    /// End all sessions of a user: `iss` and `sub` of the ID token, exactly as /.vestibule/user shows them
    #[arg(long, num_args = 2, value_names = ["ISSUER", "SUB"])]
    pub user: Vec<String>,
    /// End one session: its name, the 22 characters of `session` in the audit
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    /// End all sessions, of every user
    #[arg(long)]
    pub all: bool,
    /// With --all, end only the sessions that began until this time, in UTC: 2026-01-31T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME", requires = "all", value_parser = time)]
    pub before: Option<SystemTime>,
    /// The socket: the path that `vestibule serve --control` has
    #[arg(long, value_name = "PATH")]
    pub control: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub struct Health {
    /// The address of `vestibule serve --admin`. For 0.0.0.0 and ::, the loopback address is asked
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_ADMIN, value_parser = address::admin)]
    pub admin: String,
}

#[derive(Debug, Clone, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(Debug, Clone, Args)]
pub struct Man {
    /// The command that the page describes, for example `serve` or `sessions end` [default: vestibule itself]
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub struct Carry {
    /// The component
    #[arg(value_name = "FILE")]
    pub component: PathBuf,
    /// Where the program that is built next looks for it [default: only verify that this program carries it]
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct Common {
    /// A component to use instead of the one in this program. Compiling it takes seconds at each start [default: none]
    #[arg(long, value_name = "FILE")]
    pub component: Option<PathBuf>,
    /// A folder that keeps the compiled code of --component for the next start [default: none]
    #[arg(long, value_name = "FOLDER")]
    pub cache: Option<PathBuf>,
    /// The form of the log on stderr. With VESTIBULE_LOG=debug, it has more lines
    #[arg(long, value_enum, default_value = "human")]
    pub log: log::Format,
}

/// The configuration if `--config` is absent: the text in `VESTIBULE_CONFIG`, else Streamlit's file.
fn configuration() -> PathBuf {
    let is_set = std::env::var_os("VESTIBULE_CONFIG").is_some();
    if is_set { "env:VESTIBULE_CONFIG" } else { ".streamlit/secrets.toml" }.into()
}

/// More than anybody waits, and not beyond what timers take.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Less than this is a slip: no application answers in no time.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(100);

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds, 10 for example".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|duration| *duration <= DAY);
    duration.ok_or_else(|| format!("a number of seconds from 0 to {}", DAY.as_secs()))
}

fn time(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339(text).map_err(|error| format!("{error}; write a time in UTC, 2026-01-31T12:00:00Z for example"))
}

fn patience(text: &str) -> Result<Duration, String> {
    let patience = seconds(text)?;
    if patience < SHORTEST_PATIENCE { Err("0.1 seconds or more".to_owned()) } else { Ok(patience) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_have_bounds() {
        let parse = |option: &str, value: &str| Arguments::try_parse_from(["vestibule", "serve", option, value]).is_ok();
        for value in ["0.2", "120", "86400"] {
            assert!(parse("--upstream-timeout", value), "{value}");
        }
        for value in ["0", "0.05", "86401", "1e18", "-1", "inf", "NaN", "ten"] {
            assert!(!parse("--upstream-timeout", value), "{value}");
        }
        assert!(parse("--grace", "0") && !parse("--grace", "1e18"));
    }

    #[test]
    fn tls_needs_both_files() {
        for command in ["serve", "check"] {
            let error = Arguments::try_parse_from(["vestibule", command, "--tls-cert", "a.pem"]).expect_err("half of it");
            assert!(error.to_string().contains("--tls-key"), "{error}");
        }
    }
}
