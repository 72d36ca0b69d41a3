//! What every target stands in front of: a deployment with fixed secrets, and a time that stands still.

use vestibule::config::{Config, Fault, Source};
use vestibule::decision::{Decision, Outcome};
use vestibule::entropy::Fixed;
use vestibule::filter::{Filter, Step, Surroundings};
use vestibule::oidc::cache::ProviderCache;
use vestibule::session::{Claimed, NothingEnded};
use vestibule::time::UnixTime;
use vestibule::web::http::{Header, RequestHead, Response};

pub const HOST: &str = "app.example";
pub const ORIGIN: &str = "https://app.example";
pub const ISSUER: &str = "https://op.example";
pub const CLIENT_ID: &str = "client-1";
pub const COOKIE_SECRET: &str = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5";

/// 14 November 2023.
pub const NOW: u64 = 1_700_000_000;

/// One provider, https, nothing unusual.
pub const PLAIN: &str = r#"
[auth]
redirect_uri = "https://app.example/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
client_id = "client-1"
client_secret = "a~secret/of the client"
server_metadata_url = "https://op.example/.well-known/openid-configuration"
"#;

/// The plain site, with more below it.
pub fn filter(more: &str) -> Filter {
    of(&format!("{PLAIN}{more}"))
}

/// A site of its own.
pub fn of(toml: &str) -> Filter {
    match parse(toml) {
        Ok(config) => Filter::new(config),
        Err(faults) => panic!("{faults:#?}"),
    }
}

/// The plain site with `more` below it, if that is a configuration.
pub fn configured(more: &str) -> Option<Filter> {
    parse(&format!("{PLAIN}{more}")).ok().map(Filter::new)
}

/// With the routes where the corpora have them.
fn parse(toml: &str) -> Result<Config, Vec<Fault>> {
    const SECTION: &str = "[vestibule]\n";
    const ROUTES: &str = "routes = \"/auth\"\n";
    let toml = match toml.split_once(SECTION) {
        Some((before, after)) => format!("{before}{SECTION}{ROUTES}{after}"),
        None => format!("{SECTION}{ROUTES}{toml}"),
    };
    Config::parse(&Source::new("secrets.toml", &toml))
}

/// The first step on an instance that has seen nothing yet; of a callback the one after its claim.
pub fn begin(filter: &Filter, head: &RequestHead, body: Option<&[u8]>) -> Step {
    let (mut cache, mut entropy) = (ProviderCache::default(), Fixed::default());
    let mut around = Surroundings { cache: &mut cache, now: UnixTime::from_secs(NOW), entropy: &mut entropy, ended: &NothingEnded };
    granted(filter.begin(head.clone(), body, &mut around), filter, &mut around)
}

/// The step after a claim, which nothing was before.
pub fn granted(step: Step, filter: &Filter, around: &mut Surroundings<'_>) -> Step {
    match step {
        Step::Look(_, waiting) => waiting.resume(Claimed::Granted, filter, around),
        step => step,
    }
}

/// The response of a step that needs no provider and no application.
pub fn response(step: Step) -> Option<Response> {
    match step {
        Step::Done(Decision { outcome: Outcome::Respond(response), .. }) => Some(response),
        _ => None,
    }
}

/// Name and value of the cookies that are set, those that are deleted left out.
pub fn cookies_set(headers: &[Header]) -> impl Iterator<Item = (String, String)> {
    let lines = headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| String::from_utf8_lossy(value));
    lines.filter(|line| !line.contains("; Max-Age=0")).filter_map(|line| {
        let (name, value) = line.split(';').next()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    })
}

/// Whether a cookie of this name holds a session or a part of one.
pub fn is_session(name: &str) -> bool {
    name.starts_with("__Host-vestibule_session_") || name.starts_with("vestibule_session_")
}
