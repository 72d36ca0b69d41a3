//! Claims as a session holds them.
//!
//! What decisions ask for stands near, each claim by itself, and is read where it lies. All other claims are one JSON
//! object, compressed where that makes it shorter (DEFLATE, RFC 1951), and are not looked at before somebody asks for one
//! of them. A claim is held once: those that are near are not in the object, unless they are of a kind that only JSON has.
//! Only what a JSON pointer finds is in both.
//!
//! Near are the claims of [`KNOWN`] that there are, and those that the configuration named when the session was sealed; of an
//! object that says groups, the members' names (`groups.rs`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::{Claim, groups, pointer};

/// Largest JSON of the claims that are far, in bytes: more than any session has room for, unless it compresses well.
const MAX_FAR_BYTES: usize = 64 * 1024;

/// The level at which DEFLATE takes the shortest time to nearly the shortest result.
const DEFLATE_LEVEL: u8 = 6;

const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;

/// Packed claims, as they lie in the plaintext of a session.
#[derive(Serialize, Deserialize)]
pub(crate) struct Packed<'a> {
    /// How many of [`KNOWN`] there were when it was sealed: of these, what is not near is absent.
    known: u8,
    #[serde(borrow)]
    near: Vec<(Name<'a>, Near<'a>)>,
    far: &'a [u8],
}

/// Claims that the login flow itself asks for. The order is the format's: new ones go to the end.
const KNOWN: [&str; 13] =
    ["iss", "sub", "tid", "acr", "auth_time", "hd", "email", "email_verified", "xms_edov", "preferred_username", "name", "groups", "roles"];

#[derive(Serialize, Deserialize)]
enum Name<'a> {
    /// Place in [`KNOWN`].
    Known(u8),
    /// Any other name, or a JSON pointer.
    Other(&'a str),
}

#[derive(Serialize, Deserialize)]
enum Near<'a> {
    Absent,
    /// Of a kind that only JSON has.
    Far,
    Truth(bool),
    Integer(u64),
    Text(&'a str),
    #[serde(borrow)]
    Texts(Vec<Item<'a>>),
}

/// A text in a list. Groups are often GUIDs: a long list of them takes less than half the room as numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Item<'a> {
    Text(&'a str),
    /// In lower case with hyphens, as RFC 9562 section 4 writes it.
    Guid([u8; 16]),
}

impl<'a> Item<'a> {
    fn new(text: &'a str) -> Self {
        match Uuid::try_parse(text) {
            Ok(guid) if guid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text => Self::Guid(guid.into_bytes()),
            _ => Self::Text(text),
        }
    }

    /// Shows the text.
    pub(crate) fn with_text<T>(&self, show: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Text(text) => show(text),
            Self::Guid(bytes) => show(Uuid::from_bytes_ref(bytes).hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH])),
        }
    }
}

impl Packed<'_> {
    /// Whether this program knows every form in it.
    pub(crate) fn is_known(&self) -> bool {
        usize::from(self.known) <= KNOWN.len()
            && self.near.iter().all(|(name, _)| name.text().is_some())
            && matches!(self.far.first(), Some(&PLAIN | &DEFLATED))
    }

    /// The claim of that name, or what that pointer finds: `Some(None)` when it is known to be absent, `None` when only the
    /// whole of the claims can tell.
    pub(super) fn near(&self, name_or_pointer: &str) -> Option<Option<Claim<'_>>> {
        match self.near.iter().find(|(name, _)| name.text() == Some(name_or_pointer)) {
            Some((_, Near::Absent)) => Some(None),
            Some((_, Near::Far)) => None,
            Some((_, Near::Truth(truth))) => Some(Some(Claim::Truth(*truth))),
            Some((_, Near::Integer(number))) => Some(Some(Claim::Integer(*number))),
            Some((_, Near::Text(text))) => Some(Some(Claim::Text(text))),
            Some((_, Near::Texts(items))) => Some(Some(Claim::Texts(items))),
            None => KNOWN.iter().take(self.known.into()).any(|known| *known == name_or_pointer).then_some(None),
        }
    }

    /// All claims. What we did not seal so is left out.
    pub(super) fn unpack(&self) -> Map<String, Value> {
        let mut whole: Map<String, Value> = match self.far.split_first() {
            Some((&PLAIN, json)) => serde_json::from_slice(json).unwrap_or_default(),
            Some((&DEFLATED, deflated)) => miniz_oxide::inflate::decompress_to_vec_with_limit(deflated, MAX_FAR_BYTES)
                .ok()
                .and_then(|json| serde_json::from_slice(&json).ok())
                .unwrap_or_default(),
            _ => Map::new(),
        };
        for (name, near) in &self.near {
            if let (Some(name), Some(value)) = (name.text().filter(|name| !name.starts_with('/')), near.to_value()) {
                whole.insert(name.to_owned(), value);
            }
        }
        whole
    }
}

impl Name<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Known(place) => KNOWN.get(usize::from(*place)).copied(),
            Self::Other(text) => Some(text),
        }
    }
}

impl<'a> Near<'a> {
    fn of(value: Option<&'a Value>) -> Self {
        let text = |item: &'a Value| item.as_str().map(Item::new);
        match value {
            None => Self::Absent,
            Some(Value::Bool(truth)) => Self::Truth(*truth),
            Some(Value::String(text)) => Self::Text(text),
            Some(Value::Number(number)) => number.as_u64().map_or(Self::Far, Self::Integer),
            Some(Value::Array(items)) => items.iter().map(text).collect::<Option<_>>().map_or(Self::Far, Self::Texts),
            Some(Value::Null | Value::Object(_)) => Self::Far,
        }
    }

    /// What is no object has no keys: that nobody has a group by it is known as well.
    fn keys_of(value: Option<&'a Value>) -> Self {
        value.and_then(Value::as_object).map_or(Self::Absent, |members| Self::Texts(groups::keys(members).map(Item::new).collect()))
    }

    fn to_value(&self) -> Option<Value> {
        match self {
            Self::Absent | Self::Far => None,
            Self::Truth(truth) => Some(Value::from(*truth)),
            Self::Integer(number) => Some(Value::from(*number)),
            Self::Text(text) => Some(Value::from(*text)),
            Self::Texts(items) => Some(items.iter().map(|item| item.with_text(|text| Value::from(text))).collect()),
        }
    }
}

/// Packs claims. `also`: names and JSON pointers that decisions ask for beside the known ones; `far`: of [`pack_far`].
pub(crate) fn pack_near<'a>(claims: &'a Map<String, Value>, also: &'a [String], far: &'a [u8]) -> Packed<'a> {
    let known = KNOWN.iter().zip(0..).filter(|(name, _)| claims.contains_key(**name));
    let known = known.map(|(name, place)| (Name::Known(place), Near::of(claims.get(*name))));
    let near = |name: &str| match groups::keys_of(name) {
        Some(object) => Near::keys_of(pointer::find(claims, object)),
        None => Near::of(pointer::find(claims, name)),
    };
    let others = others(also).map(|name| (Name::Other(name), near(name)));
    Packed { known: KNOWN.len() as u8, near: known.chain(others).collect(), far }
}

/// The claims that do not stand near, for [`pack_near`].
pub(crate) fn pack_far(claims: &Map<String, Value>, also: &[String]) -> Vec<u8> {
    // A name that begins with `/` would be taken for a pointer.
    let is_near = |name: &str| !name.starts_with('/') && (KNOWN.contains(&name) || also.iter().any(|other| other == name));
    let is_far = |name: &str, value: &Value| !is_near(name) || matches!(Near::of(Some(value)), Near::Far);
    let far: Map<String, Value> =
        claims.iter().filter(|(name, value)| is_far(name, value)).map(|(name, value)| (name.clone(), value.clone())).collect();
    // Claims with names that are strings: nothing in it can fail to become JSON.
    let json = serde_json::to_vec(&far).unwrap_or_default();
    let deflated = miniz_oxide::deflate::compress_to_vec(&json, DEFLATE_LEVEL);
    let (form, bytes) = if deflated.len() < json.len() && json.len() <= MAX_FAR_BYTES { (DEFLATED, deflated) } else { (PLAIN, json) };
    [&[form], bytes.as_slice()].concat()
}

fn others(also: &[String]) -> impl Iterator<Item = &str> {
    also.iter().map(String::as_str).filter(|name| !KNOWN.contains(name))
}
