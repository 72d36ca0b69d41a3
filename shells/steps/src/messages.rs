//! The messages, and nothing else: each type is one of `docs/hosts/steps.md`. Types of the core have no form of their own here, so
//! that a change of theirs is no change of the encoding.
//!
//! A member that the module does not know is an error: it would be a mistake of the host's that nobody sees.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of a header field: each character is one byte (ISO 8859-1).
pub(crate) struct Latin1(pub(crate) Vec<u8>);

impl Serialize for Latin1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.iter().copied().map(char::from).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for Latin1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = if text.is_ascii() { Ok(text.into_bytes()) } else { text.chars().map(u8::try_from).collect() };
        bytes.map(Self).map_err(|_| D::Error::custom("a header field has a character above U+00FF: give its bytes, one character each"))
    }
}

/// A body: base64 with padding (RFC 4648 section 4).
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(|_| D::Error::custom("a body is not base64 with padding"))
    }
}

/// Name and value, one for each line.
pub(crate) type Header = (String, Latin1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    pub(crate) file_name: String,
    pub(crate) toml: String,
    #[serde(default)]
    pub(crate) resolved: Vec<Resolved>,
    #[serde(default)]
    pub(crate) port: Option<u16>,
    #[serde(default)]
    pub(crate) was_checked: bool,
    #[serde(default)]
    pub(crate) remembers_ended: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resolved {
    pub(crate) reference: Reference,
    pub(crate) value: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reference {
    Environment(String),
    File(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begin {
    pub(crate) method: String,
    pub(crate) target: String,
    #[serde(default)]
    pub(crate) authority: Option<String>,
    pub(crate) headers: Vec<Header>,
    #[serde(default)]
    pub(crate) body: Option<Base64>,
    #[serde(default)]
    pub(crate) websocket: bool,
    pub(crate) tls: bool,
    #[serde(default)]
    pub(crate) client: Option<IpAddr>,
    #[serde(default)]
    pub(crate) application_server: Option<String>,
    #[serde(default)]
    pub(crate) was_forwarded: bool,
    #[serde(default)]
    pub(crate) failure: Option<Failure>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    Filter,
    Overloaded,
    ApplicationUnreachable,
    ApplicationTimedOut,
    BodyTooLarge,
    BodyTooSlow,
    TooManyRequests,
    TooManyLogins { retry_after: u64 },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resume {
    pub(crate) id: u32,
    pub(crate) result: FetchResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FetchResult {
    Response(FetchResponse),
    NotAllowed,
    Unreachable(String),
    TimedOut,
    TooLarge,
    Protocol(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FetchResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Base64,
    #[serde(default)]
    pub(crate) address: Option<IpAddr>,
}

/// What an export returns.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Loaded(Summary),
    Unresolved(Vec<Reference>),
    Faults(Vec<Fault>),
    Fetch(Fetch),
    Decided(Decision),
    Finished { events: Vec<Event> },
    Malformed(String),
}

#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) public_origin: String,
    pub(crate) base_path: String,
    pub(crate) upstream: Option<String>,
    pub(crate) listen: Option<String>,
    pub(crate) metadata_urls: Vec<String>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) trusted_proxies: Vec<String>,
    pub(crate) streamlit: bool,
    pub(crate) audit: Option<Audit>,
    pub(crate) warnings: Vec<Fault>,
}

#[derive(Serialize)]
pub(crate) struct Limit {
    pub(crate) counted: Counted,
    pub(crate) per_minute: u32,
    pub(crate) path: String,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Counted {
    LoginStart,
    BadCallback,
    BadLogoutToken,
}

#[derive(Serialize)]
pub(crate) struct Audit {
    /// `None`: between the lines of the log.
    pub(crate) file: Option<String>,
    pub(crate) requests: bool,
}

#[derive(Serialize)]
pub(crate) struct Fault {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) key: String,
    pub(crate) problem: String,
    pub(crate) remedy: String,
    pub(crate) fatal: bool,
}

#[derive(Serialize)]
pub(crate) struct Fetch {
    pub(crate) id: u32,
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Base64,
    pub(crate) max_response_bytes: u32,
    pub(crate) timeout_ms: u32,
    pub(crate) shared_for_ms: Option<u32>,
}

#[derive(Serialize)]
pub(crate) struct Decision {
    pub(crate) outcome: Outcome,
    pub(crate) events: Vec<Event>,
    pub(crate) rule: Option<u32>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) audited: Option<Audited>,
    pub(crate) afterwards: Option<Fetch>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Forward(Forward),
    Respond(Respond),
    NeedBody(u32),
}

#[derive(Serialize)]
pub(crate) struct Forward {
    pub(crate) headers: Vec<Header>,
    pub(crate) response: ResponseEdits,
    pub(crate) expires_at: Option<u64>,
    pub(crate) session: Option<String>,
}

#[derive(Default, Serialize)]
pub(crate) struct ResponseEdits {
    pub(crate) remove: Vec<&'static str>,
    pub(crate) add: Vec<Header>,
}

#[derive(Serialize)]
pub(crate) struct Respond {
    pub(crate) status: u16,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Base64,
    pub(crate) counts_as: Option<Counted>,
}

#[derive(Serialize)]
pub(crate) struct Event {
    pub(crate) level: &'static str,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) reference: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) rule: Option<u32>,
    pub(crate) request_id: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) what: EndedWhat,
    pub(crate) at: u64,
    pub(crate) until: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndedWhat {
    Session,
    Account,
    ProviderSession,
    LogoutToken,
}

#[derive(Serialize)]
pub(crate) struct Audited {
    pub(crate) event: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) provider: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) code: Option<&'static str>,
    pub(crate) rule: Option<u32>,
}
