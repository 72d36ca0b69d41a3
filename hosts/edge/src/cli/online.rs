//! `vestibule check --online`: what each provider says of itself, read as a login would read it; and how what was found is printed.

mod request;

use std::fmt;
use std::time::SystemTime;

use serde_json::Value;
use vestibule::config::Config;
use vestibule::oidc::jwks::KeySet;
use vestibule::oidc::metadata::ProviderMetadata;
use vestibule::oidc::provider::{ClientAuthentication, Provider};
use vestibule::oidc::signature::Algorithm;
use vestibule::web::http::{OutboundError, OutboundRequest, OutboundResponse};
use vestibule_wasmtime::{Filter, ProviderError};

use crate::store;

/// What was found at one provider.
#[derive(Debug)]
pub struct Found {
    /// The configuration's name for it.
    pub name: String,
    /// Nobody can log in.
    pub faults: Vec<String>,
    pub warnings: Vec<String>,
    lines: Vec<String>,
}

impl Found {
    /// A fault as text for a terminal, with the name of the provider, which some texts have already.
    pub fn of_provider(&self, fault: &str) -> String {
        let provider = format!("provider `{}`", self.name);
        printable(&if fault.contains(&provider) { fault.to_owned() } else { format!("{provider}: {fault}") })
    }
}

/// As text for a terminal.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "provider `{}`", self.name)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "  {}", printable(line)))
    }
}

/// What was found at a store, as text for a terminal.
pub struct StoreLines<'a>(pub &'a store::Found);

impl fmt::Display for StoreLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "store {}", printable(&self.0.place))?;
        self.0.lines.iter().try_for_each(|line| writeln!(f, "  {}", printable(line)))
    }
}

/// A provider has a part in every line, and does not get to steer the terminal.
pub fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Asks every provider of the configuration, one after another.
pub async fn look(filter: &Filter, config: &Config) -> Vec<Found> {
    let mut all = Vec::new();
    for provider in &config.providers {
        let mut found = Found { name: provider.name.clone(), faults: vec![], warnings: vec![], lines: vec![] };
        look_at(filter, provider, config.sessions.refresh.is_some(), &mut found).await;
        all.push(found);
    }
    all
}

async fn look_at(filter: &Filter, provider: &Provider, refreshes: bool, found: &mut Found) {
    let answer = ask(filter, ProviderMetadata::request(provider)).await;
    let clock = answer.as_ref().ok().and_then(clock);
    let document: Value = answer.as_ref().ok().and_then(|answer| serde_json::from_slice(&answer.body).ok()).unwrap_or_default();
    let metadata = match ProviderMetadata::parse(answer, provider) {
        Ok(metadata) => metadata,
        Err(error) => return found.faults.push(error.to_string()),
    };
    found.lines.push(format!("issuer: {}", metadata.issuer));
    found.warnings.extend(metadata.ignored.iter().map(|ignored| format!("{ignored}; logins go on without it")));
    tell_of_clock(clock, provider, found);
    tell_of_protocol(&metadata, found);
    tell_of_logout(&metadata, &document, provider, found);
    request::compare(&document, &metadata, provider, refreshes, found);
    let keys = match KeySet::parse(ask(filter, KeySet::request(&metadata.jwks_uri)).await, provider) {
        Ok(keys) => keys,
        Err(error) => return found.faults.push(error.to_string()),
    };
    tell_of_keys(&metadata, &keys, found);
}

async fn ask(filter: &Filter, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
    match filter.ask_provider(request.url.as_str(), request.max_response_bytes).await {
        Ok(answer) => Ok(OutboundResponse { status: answer.status, headers: answer.headers, body: answer.body }),
        Err(ProviderError::NotAllowed) => Err(OutboundError::NotAllowed),
        Err(ProviderError::TimedOut) => Err(OutboundError::TimedOut),
        Err(ProviderError::TooLarge) => Err(OutboundError::TooLarge),
        Err(ProviderError::Protocol(reason)) => Err(OutboundError::Protocol(reason)),
        Err(error) => Err(OutboundError::Unreachable(error.to_string())),
    }
}

/// Seconds that the provider's clock is ahead of this one, or behind it.
fn clock(answer: &OutboundResponse) -> Option<i64> {
    let header =
        |wanted: &str| answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_slice());
    // A cache's answer has the date of when it was made (RFC 9111 section 4.2.3).
    if header("age").is_some() {
        return None;
    }
    let date = httpdate::parse_http_date(std::str::from_utf8(header("date")?).ok()?).ok()?;
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok());
    Some(seconds(date)? - seconds(SystemTime::now())?)
}

fn tell_of_clock(clock: Option<i64>, provider: &Provider, found: &mut Found) {
    let Some(difference) = clock else { return found.lines.push("clock: its answer has no date".into()) };
    let relation = if difference < 0 { "behind" } else { "ahead of" };
    let difference = difference.unsigned_abs();
    found.lines.push(format!("clock: {difference} s {relation} this one"));
    if difference > provider.clock_skew.as_secs() {
        let borne = provider.clock_skew.as_secs();
        found
            .faults
            .push(format!("its clock is {difference} s {relation} this one, and `clock_skew` allows {borne} s; synchronise the clocks"));
    }
}

fn tell_of_protocol(metadata: &ProviderMetadata, found: &mut Found) {
    let way = match metadata.client_authentication {
        ClientAuthentication::Basic => "client_secret_basic",
        ClientAuthentication::Post => "client_secret_post",
        ClientAuthentication::None => "none",
    };
    found.lines.push(format!("client authentication: {way}"));
    if let Some(words) = &metadata.lacks_userinfo {
        found.faults.push(format!("the metadata cannot be used: {words}, and the configuration has userinfo = true; remove that"));
    }
}

fn tell_of_logout(metadata: &ProviderMetadata, document: &Value, provider: &Provider, found: &mut Found) {
    let logout = match (&provider.logout_url, &metadata.end_session_endpoint) {
        (Some(_), _) => "at logout_url".to_owned(),
        (None, Some(endpoint)) => format!("at {endpoint}"),
        (None, None) => {
            "at Vestibule only: the metadata has no usable end_session_endpoint; if the provider has a logout, set logout_url".to_owned()
        }
    };
    found.lines.push(format!("logout: {logout}"));
    if provider.logout_url.is_none() && metadata.end_session_endpoint.is_none() && is_auth0(metadata, document) {
        let origin = metadata.token_endpoint.origin().ascii_serialization();
        found.warnings.push(format!(
            "a logout does not end the session at Auth0: switch on \"RP-Initiated Logout End Session Endpoint Discovery\" of the tenant, or set \
             vestibule.provider.{}.logout_url = \"{origin}/v2/logout?client_id={{client_id}}&returnTo={{return_to}}\"",
            provider.name
        ));
    }
}

/// By its domain, or, under a domain of the tenant's own, by an endpoint that no standard has.
fn is_auth0(metadata: &ProviderMetadata, document: &Value) -> bool {
    let is_auth0s = |host: &str| host == "auth0.com" || host.ends_with(".auth0.com");
    metadata.token_endpoint.host_str().is_some_and(is_auth0s)
        || document["mfa_challenge_endpoint"].as_str().is_some_and(|endpoint| endpoint.ends_with("/mfa/challenge"))
}

fn tell_of_keys(metadata: &ProviderMetadata, keys: &KeySet, found: &mut Found) {
    let listed = metadata.signing_algorithms.as_deref();
    let signs = |algorithm: &Algorithm| listed.is_none_or(|listed| listed.contains(algorithm)) && keys.has_one_for(*algorithm);
    let usable: Vec<_> = Algorithm::ALL.iter().filter(|algorithm| signs(algorithm)).map(|algorithm| algorithm.name()).collect();
    found.lines.push(format!("keys: {keys}"));
    if usable.is_empty() {
        found.faults.push(
            "none of its keys can verify a signature with an algorithm that it lists; configure it to sign ID tokens with RS256".into(),
        );
    } else {
        found.lines.push(format!("signatures: {}", usable.join(", ")));
    }
}
