//! The metadata as it comes: a JSON object of which some members are required, and some cost no more than their feature.
//!
//! 1. Members that are not known are ignored (OpenID Connect Discovery 1.0 section 3), twice or not.
//! 2. A required member that is absent, no text, or there twice makes the document unusable: of two issuers or key sets, another
//!    reader could take the other one.
//! 3. An optional member that is there twice, or of no use, counts as absent, and that is said. `null` is absent.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use url::Url;

use super::metadata::endpoint;
use super::outbound::{self, RawMembers};
use super::provider::Provider;

/// Longest endpoint that is optional, in bytes. A login attempt carries it in a cookie.
const MAX_ENDPOINT_BYTES: usize = 1024;

pub(super) struct Document {
    object: RawMembers,
    ignored: Vec<String>,
}

impl Document {
    /// # Errors
    /// What it is instead, in words.
    pub(super) fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let object = outbound::raw_members(body).map_err(|_| outbound::form_of(body))?;
        Ok(Self { object, ignored: vec![] })
    }

    /// # Errors
    /// Why it cannot be used, in words.
    pub(super) fn required(&self, name: &str) -> Result<String, String> {
        match self.object.members.get(name) {
            None => Err(format!("it has no `{name}`")),
            Some(_) if self.object.repeated.contains(name) => Err(format!("its `{name}` comes twice")),
            Some(value) if is_null(value) => Err(format!("its `{name}` is null")),
            Some(value) => serde_json::from_str(value.get()).map_err(|_| format!("its `{name}` is not a text")),
        }
    }

    pub(super) fn endpoint_if_any(&mut self, name: &str, provider: &Provider) -> Option<Url> {
        self.endpoint(name, provider).unwrap_or_else(|words| {
            self.ignore(words);
            None
        })
    }

    /// One that is optional.
    ///
    /// # Errors
    /// Why it cannot be used, in words.
    pub(super) fn endpoint(&self, name: &str, provider: &Provider) -> Result<Option<Url>, String> {
        let Some(value) = self.object.members.get(name).filter(|value| !is_null(value)) else { return Ok(None) };
        if self.object.repeated.contains(name) {
            return Err(format!("its {name} comes twice"));
        }
        let text: String = serde_json::from_str(value.get()).map_err(|_| format!("its {name} is not a text"))?;
        if text.len() > MAX_ENDPOINT_BYTES {
            return Err(format!("its {name} is longer than {MAX_ENDPOINT_BYTES} bytes"));
        }
        endpoint(name, &text, provider).map(Some)
    }

    /// An empty list says nothing of what there is.
    pub(super) fn names_if_any(&mut self, name: &str) -> Option<Vec<String>> {
        match self.optional::<Vec<String>>(name)? {
            Some(names) if !names.is_empty() => return Some(names),
            Some(_) => self.ignore(format!("its {name} is empty")),
            None => self.ignore(format!("its {name} is not a list of names")),
        }
        None
    }

    pub(super) fn truth_if_any(&mut self, name: &str) -> bool {
        match self.optional(name) {
            Some(Some(truth)) => return truth,
            Some(None) => self.ignore(format!("its {name} is not true or false")),
            None => {}
        }
        false
    }

    pub(super) fn is_null(&self, name: &str) -> bool {
        self.object.members.get(name).is_some_and(|value| is_null(value))
    }

    pub(super) fn ignore(&mut self, words: String) {
        self.ignored.push(words);
    }

    /// What cannot be used, in words.
    pub(super) fn into_ignored(self) -> Vec<String> {
        self.ignored
    }

    /// A member that is there; `Some(None)` where it is of another type.
    fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Option<Option<T>> {
        let value = self.object.members.get(name).filter(|value| !is_null(value))?;
        if self.object.repeated.contains(name) {
            self.ignore(format!("its {name} comes twice"));
            return None;
        }
        Some(serde_json::from_str(value.get()).ok())
    }
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}
