//! What every request to a provider has in common.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{self, DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::Url;

use super::error::{Endpoint, Error, shown};
use crate::web::http::{Header, OutboundError, OutboundRequest, OutboundResponse};

/// For a whole exchange: a person is waiting.
const TIMEOUT_MS: u32 = 10_000;

/// A `GET` for JSON of at most `max_response_bytes`.
pub(super) fn get_json(url: Url, max_response_bytes: u32) -> OutboundRequest {
    let headers = headers();
    OutboundRequest { method: "GET", url, headers, body: vec![], max_response_bytes, timeout_ms: TIMEOUT_MS, shared_for_ms: None }
}

/// A form `POST` that answers with JSON of at most `max_response_bytes`.
pub(super) fn post_form(url: Url, form: String, max_response_bytes: u32) -> OutboundRequest {
    let mut headers = headers();
    headers.push(("content-type".to_owned(), b"application/x-www-form-urlencoded".to_vec()));
    OutboundRequest {
        method: "POST",
        url,
        headers,
        body: form.into_bytes(),
        max_response_bytes,
        timeout_ms: TIMEOUT_MS,
        shared_for_ms: None,
    }
}

/// Nothing here decompresses an answer.
fn headers() -> Vec<Header> {
    [("accept", "application/json"), ("accept-encoding", "identity")]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
        .into()
}

/// The body of an answer with status 200, within the limit that the request set.
pub(super) fn success(
    answer: Result<OutboundResponse, OutboundError>,
    max_response_bytes: u32,
    provider: &str,
    what: Endpoint,
) -> Result<Vec<u8>, Error> {
    let answer = answer.map_err(|error| Error::Unreachable { provider: provider.to_owned(), what, error })?;
    if answer.status != 200 {
        return Err(Error::Status { provider: provider.to_owned(), what, status: answer.status, detail: String::new() });
    }
    // The host has promised this; a host that breaks its promise does not get to make us parse 50 MB.
    if answer.body.len() > max_response_bytes as usize {
        return Err(Error::Unreachable { provider: provider.to_owned(), what, error: OutboundError::TooLarge });
    }
    if let Some(coding) = coding(&answer) {
        let fault = format!("the answer is compressed ({coding}), though it was asked for as it is (`accept-encoding: identity`)");
        return Err(unacceptable(provider, what, fault));
    }
    Ok(answer.body)
}

/// How the body of an answer is encoded that is no text as it came (RFC 9110 section 8.4), as the provider says, or by its first bytes.
pub(super) fn coding(answer: &OutboundResponse) -> Option<String> {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    if std::str::from_utf8(&answer.body).is_ok() {
        return None;
    }
    let codings = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
    let coding = codings.map(|(_, coding)| String::from_utf8_lossy(coding)).find(|coding| !coding.trim().eq_ignore_ascii_case("identity"));
    let said = coding.map(|coding| format!("`content-encoding: {}`", shown(&coding)));
    said.or_else(|| answer.body.starts_with(GZIP).then(|| "gzip".to_owned()))
}

/// What a JSON object says. Without this look at its beginning, serde would take an array of the members' values for it.
pub(super) fn object<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    if is_object(json) { serde_json::from_slice(json) } else { Err(de::Error::custom("not an object")) }
}

/// The members of a JSON object, each of which may be there once.
pub(super) fn members(json: &[u8]) -> serde_json::Result<Map<String, Value>> {
    object::<Members>(json).map(|Members(members)| members)
}

/// The members of an object, each once: of two with one name, some readers take the first, and others the last (RFC 7519
/// section 4).
struct Members(Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        object.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
        let mut members = Map::new();
        while let Some((name, value)) = object.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member comes twice"));
            }
        }
        Ok(Members(members))
    }
}

/// The members of a JSON object as they are written, and the names of those that come more than once, whose last value stands.
/// However deep one is nested, the others are there.
pub(super) fn raw_members(json: &[u8]) -> serde_json::Result<RawMembers> {
    object(json)
}

pub(super) struct RawMembers {
    pub(super) members: BTreeMap<String, Box<RawValue>>,
    pub(super) repeated: BTreeSet<String>,
}

impl<'de> Deserialize<'de> for RawMembers {
    fn deserialize<D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        object.deserialize_map(RawMembersVisitor)
    }
}

struct RawMembersVisitor;

impl<'de> Visitor<'de> for RawMembersVisitor {
    type Value = RawMembers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<RawMembers, A::Error> {
        let (mut members, mut repeated) = (BTreeMap::new(), BTreeSet::new());
        while let Some((name, value)) = object.next_entry::<String, Box<RawValue>>()? {
            if members.insert(name.clone(), value).is_some() {
                repeated.insert(name);
            }
        }
        Ok(RawMembers { members, repeated })
    }
}

/// What a body is that is not the JSON object which was asked for, in words for the log that hold nothing of it.
pub(super) fn form_of(body: &[u8]) -> &'static str {
    let text = body.trim_ascii();
    match serde_json::from_slice::<&RawValue>(text) {
        _ if text.is_empty() => "the answer is empty",
        Ok(_) if is_object(text) => "the answer is a JSON object, and a member comes twice or has another type than the standard says",
        Ok(_) => "the answer is JSON, and not an object",
        Err(_) if text.first() == Some(&b'<') => "the answer is HTML or XML, and not JSON",
        Err(_) if text.first() == Some(&b'{') => "the answer is not complete JSON",
        Err(_) => "the answer is not JSON",
    }
}

/// Whether JSON, if it is any, is an object.
pub(super) fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{')
}

/// An answer that was understood and is not acceptable.
pub(super) fn unacceptable(provider: &str, what: Endpoint, fault: impl Into<String>) -> Error {
    Error::Answer { provider: provider.to_owned(), what, fault: fault.into() }
}
