//! Claims as a session holds them.
//!
//! What decisions ask for stands near, each claim by itself, and is read where it lies. All other claims are one JSON
//! object, compressed where that makes it shorter ([`crate::deflate`]), and are not looked at before somebody asks for one
//! of them. A claim is held once: those that are near are not in the object, unless they are of a kind that only JSON has.
//! Only what a JSON pointer finds is in both.
//!
//! Near are the claims of [`KNOWN`] that there are, and those that the configuration named when the session was sealed; of an
//! object that says groups, the members' names (`groups.rs`).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::{GUID_BYTES, Id, guid, with_guid};
use super::{Claim, apart, groups, pointer};
use crate::deflate::{compress, decompress};

/// Largest JSON of the claims that are far, in bytes: more than any session has room for, unless it compresses well.
const MAX_FAR_BYTES: usize = 64 * 1024;

const PLAIN: u8 = 0;
/// Without a dictionary, as earlier releases sealed it.
const DEFLATED: u8 = 1;
/// With [`dictionary`].
const DEFLATED_WITH_DICTIONARY: u8 = 2;
/// With [`dictionary`], and random values apart ([`apart`]).
const APART: u8 = 3;

/// What the claims of many providers have between their values, in the order of JSON that is sorted. A part of the format.
const WORDS: &str = concat!(
    r#"{"acct":0,"allowed-origins":["https://"],"amr":["pwd","mfa"],"at_hash":"","c_hash":"","department":"","email_verified":true,"#,
    r#""family_name":"","gender":"","given_name":"","groups":[""],"iat":17,"idp":"","jti":"","locale":"en","middle_name":"","#,
    r#""nickname":"","phone_number":"+","picture":"https://","profile":"https://","realm_access":{"roles":["default-roles-","#,
    r#""offline_access","uma_authorization"]},"resource_access":{"account":{"roles":["manage-account","view-profile"]}},"#,
    r#""session_state":"","typ":"ID","unique_name":"","updated_at":17,"upn":"","xms_pl":"en","xms_tpl":"en","zoneinfo":"Europe/"}"#,
    r#"{"aio":"","aud":"","azp":"","exp":17,"iat":17,"nbf":17,"nonce":"","oid":"","rh":"1.A","sid":"","uti":"","ver":"2.0"}"#,
);

/// Shorter than what refers to a text elsewhere.
const MIN_PART_BYTES: usize = 5;

/// Packed claims, as they lie in the plaintext of a session.
#[derive(Serialize, Deserialize)]
pub(crate) struct Packed<'a> {
    /// How many of [`KNOWN`] there were when it was sealed: of these, what is not near is absent.
    known: u8,
    #[serde(borrow)]
    near: Vec<(Name<'a>, Near<'a>)>,
    #[serde(borrow)]
    far: Cow<'a, [u8]>,
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
    /// A list of nothing else, end to end.
    Guids(#[serde(borrow)] Cow<'a, [u8]>),
    /// A text that stands in another one, as Entra's `tid` in its `iss`.
    Part {
        /// Of the whole text, among those that are near.
        place: u8,
        start: usize,
        bytes: usize,
    },
}

/// A text in a list. Groups are often GUIDs: a long list of them takes less than half the room as numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Item<'a> {
    Text(&'a str),
    Guid([u8; GUID_BYTES]),
}

impl<'a> Item<'a> {
    fn new(text: &'a str) -> Self {
        guid(text).map_or(Self::Text(text), Self::Guid)
    }

    /// `None` of a GUID.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Guid(_) => None,
        }
    }

    /// Shows the text.
    pub(crate) fn with_text<T>(&self, show: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Text(text) => show(text),
            Self::Guid(bytes) => with_guid(bytes, show),
        }
    }
}

impl Packed<'_> {
    /// Whether this program knows every form in it.
    pub(crate) fn is_known(&self) -> bool {
        let is_whole = |near: &Near<'_>| match near {
            Near::Guids(bytes) => bytes.len().is_multiple_of(GUID_BYTES),
            Near::Part { .. } => self.text(near).is_some(),
            _ => true,
        };
        usize::from(self.known) <= KNOWN.len()
            && self.near.iter().all(|(name, near)| name.text().is_some() && is_whole(near))
            && matches!(self.far.first(), Some(&(PLAIN | DEFLATED | DEFLATED_WITH_DICTIONARY | APART)))
    }

    /// The claim of that name, or what that pointer finds: `Some(None)` when it is known to be absent, `None` when only the
    /// whole of the claims can tell.
    pub(super) fn near(&self, name_or_pointer: &str) -> Option<Option<Claim<'_>>> {
        match self.near.iter().find(|(name, _)| name.text() == Some(name_or_pointer)) {
            Some((_, Near::Absent)) => Some(None),
            Some((_, Near::Far)) => None,
            Some((_, Near::Truth(truth))) => Some(Some(Claim::Truth(*truth))),
            Some((_, Near::Integer(number))) => Some(Some(Claim::Integer(*number))),
            Some((_, near @ (Near::Text(_) | Near::Part { .. }))) => Some(self.text(near).map(Claim::Text)),
            Some((_, Near::Texts(items))) => Some(Some(Claim::Texts(items))),
            Some((_, Near::Guids(bytes))) => Some(Some(Claim::Guids(bytes.as_chunks().0))),
            None => KNOWN.iter().take(self.known.into()).any(|known| *known == name_or_pointer).then_some(None),
        }
    }

    fn text<'b>(&'b self, near: &'b Near<'_>) -> Option<&'b str> {
        match *near {
            Near::Text(text) => Some(text),
            Near::Part { place, start, bytes } => match self.near.get(usize::from(place))? {
                (_, Near::Text(whole)) => whole.get(start..start.checked_add(bytes)?),
                _ => None,
            },
            _ => None,
        }
    }

    /// All claims. What we did not seal so is left out. `client_id`: of [`pack`].
    pub(super) fn unpack(&self, client_id: &Id<'_>) -> Map<String, Value> {
        let json = match self.far.split_first() {
            Some((&PLAIN, json)) => Some(Cow::Borrowed(json)),
            Some((&DEFLATED, deflated)) => decompress(deflated, b"", MAX_FAR_BYTES).map(Cow::Owned),
            Some((&DEFLATED_WITH_DICTIONARY, deflated)) => {
                decompress(deflated, &dictionary(&self.near, client_id), MAX_FAR_BYTES).map(Cow::Owned)
            }
            Some((&APART, compressed)) => apart::decompress(compressed, &dictionary(&self.near, client_id), MAX_FAR_BYTES).map(Cow::Owned),
            _ => None,
        };
        let mut whole: Map<String, Value> = json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
        for (name, near) in &self.near {
            if let (Some(name), Some(value)) = (name.text().filter(|name| !name.starts_with('/')), self.value(near)) {
                whole.insert(name.to_owned(), value);
            }
        }
        whole
    }

    fn value(&self, near: &Near<'_>) -> Option<Value> {
        match near {
            Near::Absent | Near::Far => None,
            Near::Truth(truth) => Some(Value::from(*truth)),
            Near::Integer(number) => Some(Value::from(*number)),
            Near::Text(_) | Near::Part { .. } => self.text(near).map(Value::from),
            Near::Texts(items) => Some(items.iter().map(|item| item.with_text(|text| Value::from(text))).collect()),
            Near::Guids(bytes) => Some(bytes.as_chunks().0.iter().map(|guid| with_guid(guid, |text| Value::from(text))).collect()),
        }
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
            Some(Value::Array(items)) => items.iter().map(text).collect::<Option<_>>().map_or(Self::Far, Self::list),
            Some(Value::Null | Value::Object(_)) => Self::Far,
        }
    }

    /// What is no object has no keys: that nobody has a group by it is known as well.
    fn keys_of(value: Option<&'a Value>) -> Self {
        value.and_then(Value::as_object).map_or(Self::Absent, |members| Self::list(groups::keys(members).map(Item::new).collect()))
    }

    fn list(items: Vec<Item<'a>>) -> Self {
        let guid = |item: &Item<'_>| match item {
            Item::Guid(bytes) => Some(*bytes),
            Item::Text(_) => None,
        };
        match items.iter().map(guid).collect::<Option<Vec<_>>>() {
            Some(guids) if !guids.is_empty() => Self::Guids(guids.concat().into()),
            _ => Self::Texts(items),
        }
    }
}

/// Packs claims. `also`: names and JSON pointers that decisions ask for beside the known ones. `client_id`: what is known of
/// them besides, when they are unpacked as well.
pub(crate) fn pack<'a>(claims: &'a Map<String, Value>, also: &'a [String], client_id: &Id<'_>) -> Packed<'a> {
    let known = KNOWN.iter().zip(0..).filter(|(name, _)| claims.contains_key(**name));
    let known = known.map(|(name, place)| (Name::Known(place), Near::of(claims.get(*name))));
    let of = |name: &str| match groups::keys_of(name) {
        Some(object) => Near::keys_of(pointer::find(claims, object)),
        None => Near::of(pointer::find(claims, name)),
    };
    let mut near: Vec<_> = known.chain(others(also).map(|name| (Name::Other(name), of(name)))).collect();
    refer_to_parts(&mut near);
    let far = pack_far(claims, also, &dictionary(&near, client_id));
    Packed { known: KNOWN.len() as u8, near, far: far.into() }
}

/// Texts that stand in one before them are not said again.
fn refer_to_parts(near: &mut [(Name<'_>, Near<'_>)]) {
    for index in 1..near.len() {
        let (before, [(_, own), ..]) = near.split_at_mut(index) else { continue };
        let Near::Text(text) = *own else { continue };
        let whole = |(place, (_, other)): (u8, &(Name<'_>, Near<'_>))| match other {
            Near::Text(whole) => whole.find(text).map(|start| Near::Part { place, start, bytes: text.len() }),
            _ => None,
        };
        if text.len() >= MIN_PART_BYTES
            && let Some(part) = (0..=u8::MAX).zip(&*before).find_map(whole)
        {
            *own = part;
        }
    }
}

/// The claims that do not stand near.
fn pack_far(claims: &Map<String, Value>, also: &[String], dictionary: &[u8]) -> Vec<u8> {
    // A name that begins with `/` would be taken for a pointer.
    let is_near = |name: &str| !name.starts_with('/') && (KNOWN.contains(&name) || also.iter().any(|other| other == name));
    let is_far = |name: &str, value: &Value| !is_near(name) || matches!(Near::of(Some(value)), Near::Far);
    let far: Map<String, Value> =
        claims.iter().filter(|(name, value)| is_far(name, value)).map(|(name, value)| (name.clone(), value.clone())).collect();
    // Claims with names that are strings: nothing in it can fail to become JSON.
    let json = serde_json::to_vec(&far).unwrap_or_default();
    let mut shortest = (PLAIN, Cow::Borrowed(&json));
    if json.len() <= MAX_FAR_BYTES {
        let forms = [(DEFLATED_WITH_DICTIONARY, Some(compress(&json, dictionary))), (APART, apart::compress(&json, dictionary))];
        for (form, bytes) in forms.into_iter().filter_map(|(form, bytes)| Some((form, bytes?))) {
            if bytes.len() < shortest.1.len() {
                shortest = (form, Cow::Owned(bytes));
            }
        }
    }
    let (form, bytes) = shortest;
    [&[form], bytes.as_slice()].concat()
}

/// What claims that are far are likely to repeat.
fn dictionary(near: &[(Name<'_>, Near<'_>)], client_id: &Id<'_>) -> Vec<u8> {
    let texts = near.iter().filter_map(|(_, near)| if let Near::Text(text) = near { Some(*text) } else { None });
    let mut words: String = texts.collect();
    client_id.with_text(|client_id| words.push_str(client_id));
    words.push_str(WORDS);
    words.into_bytes()
}

fn others(also: &[String]) -> impl Iterator<Item = &str> {
    also.iter().map(String::as_str).filter(|name| !KNOWN.contains(name))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn client() -> Id<'static> {
        Id::new("6cb04018-a3f5-46a7-b995-940c78f5aef3".into())
    }

    /// Of the shape of Entra's.
    fn account() -> Map<String, Value> {
        claims(json!({
            "iss": "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
            "tid": "9188040d-6c67-4c5b-b112-36a304b66dad", "aud": "6cb04018-a3f5-46a7-b995-940c78f5aef3", "sub": "alice",
            "email": "alice@example.com", "preferred_username": "alice@example.com", "upn": "alice@example.com",
            "groups": ["8f0a1d5c-7b3e-4f2a-8c6d-8e0f1a2b3c4d", "9188040d-6c67-4c5b-b112-36a304b66dad"], "roles": [],
            "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 1_700_003_900, "ver": "2.0", "nonce": "n",
        }))
    }

    fn packed(account: &Map<String, Value>) -> Vec<u8> {
        postcard::to_allocvec(&pack(account, &[], &client())).unwrap()
    }

    #[test]
    fn what_is_said_once_takes_room_once() {
        let bytes = packed(&account());
        let times = |text: &str| bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
        assert_eq!((times("9188040d-6c67-4c5b-b112-36a304b66dad"), times("alice@example.com")), (1, 1));
        // Issuer and address, 32 bytes of GUIDs, 15 claims.
        assert!(bytes.len() < 73 + 17 + 32 + 15 * 7, "{}", bytes.len());
    }

    /// Every release reads what this one has sealed: the dictionary and the order of the forms may not change.
    #[test]
    fn claims_of_this_form_are_read() {
        let bytes = URL_SAFE_NO_PAD.decode(SEALED).unwrap();
        let packed: Packed<'_> = postcard::from_bytes(&bytes).unwrap();
        assert!(packed.is_known());
        assert_eq!(packed.far.first(), Some(&DEFLATED_WITH_DICTIONARY));
        assert_eq!(packed.unpack(&client()), account());
        assert_eq!(URL_SAFE_NO_PAD.encode(self::packed(&account())), SEALED);
    }

    const SEALED: &str = concat!(
        "DQcAAARLaHR0cHM6Ly9sb2dpbi5taWNyb3NvZnRvbmxpbmUuY29tLzkxODgwNDBkLTZjNjctNGM1Yi1iMTEyLTM2YTMwNGI2NmRhZC92Mi4wAA",
        "EEBWFsaWNlAAIHACIkAAYEEWFsaWNlQGV4YW1wbGUuY29tAAkHAwARAAsGII8KHVx7Pk8qjG2ODxorPE2RiAQNbGdMW7ESNqMEtm2tAAwFACYC",
        "q4ZaRUyCR7jCAAiMLQ0M4K4xgAK4q5AEoK7LU4KFDUZuQ3USAA",
    );

    #[test]
    fn what_no_program_seals_is_not_known() {
        let text = || (Name::Known(0), Near::Text("issuer-ä"));
        let part = |place, start, bytes| (Name::Known(1), Near::Part { place, start, bytes });
        let is_known = |known: u8, near: Vec<(Name<'_>, Near<'_>)>, far: &[u8]| {
            let bytes = postcard::to_allocvec(&Packed { known, near, far: far.into() }).unwrap();
            postcard::from_bytes::<Packed<'_>>(&bytes).unwrap().is_known()
        };
        assert!(is_known(13, vec![text(), part(0, 0, 7)], b"\0"));
        for (place, start, bytes) in [(0, 1, 9), (0, 0, 8), (0, 9, 1), (0, usize::MAX, 2), (1, 0, 1), (2, 0, 1)] {
            assert!(!is_known(13, vec![text(), part(place, start, bytes)], b"\0"), "{place}, {start}, {bytes}");
        }
        for (bytes, expected) in [(0, true), (15, false), (16, true), (17, false), (32, true)] {
            assert_eq!(is_known(13, vec![(Name::Known(11), Near::Guids(vec![0; bytes].into()))], b"\0"), expected, "{bytes}");
        }
        assert!(!is_known(14, vec![], b"\0"));
        assert!(!is_known(13, vec![(Name::Known(13), Near::Absent)], b"\0"));
        for (far, expected) in [(&b""[..], false), (b"\x01", true), (b"\x02", true), (b"\x03", true), (b"\x04", false)] {
            assert_eq!(is_known(13, vec![], far), expected, "{far:?}");
        }
    }

    #[test]
    fn far_claims_are_bounded() {
        let nothing = claims(json!({}));
        let long = |bytes: usize| claims(json!({ "zeros": "0".repeat(bytes - r#"{"zeros":""}"#.len()) }));
        for (bytes, form) in [(MAX_FAR_BYTES, DEFLATED_WITH_DICTIONARY), (MAX_FAR_BYTES + 1, PLAIN)] {
            assert_eq!(pack(&long(bytes), &[], &client()).far.first(), Some(&form), "{bytes}");
        }
        for (form, dictionary) in [(DEFLATED, vec![]), (DEFLATED_WITH_DICTIONARY, dictionary(&[], &client()))] {
            let unpacked = |bytes: usize| {
                let json = serde_json::to_vec(&long(bytes)).unwrap();
                let far = [&[form], compress(&json, &dictionary).as_slice()].concat();
                Packed { known: 13, near: vec![], far: far.into() }.unpack(&client())
            };
            assert_eq!(unpacked(MAX_FAR_BYTES), long(MAX_FAR_BYTES));
            assert_eq!(unpacked(MAX_FAR_BYTES + 1), nothing);
        }
    }
}
