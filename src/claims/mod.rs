//! What a provider says of somebody: claims, as JSON or as a session holds them (`packed.rs`).
//!
//! Whoever asks for a claim gets the same answer from both. A decision asks for few of them, so that a session's claims are
//! not turned into JSON for it.

pub(crate) mod apart;
mod groups;
mod id;
mod packed;
mod pointer;

use std::cell::OnceCell;
use std::fmt;

use serde_json::{Map, Value};

use crate::time::UnixTime;
pub use groups::{GroupsClaim, Shape};
pub(crate) use groups::{Unusable, json_groups, keys, parts};
pub(crate) use id::{Id, with_guid};
pub(crate) use packed::{Item, Packed, pack};
pub(crate) use pointer::{end_of_way, is_email, is_name_or_pointer, is_same, root};

/// The claims of one account.
pub struct Claims<'a>(Form<'a>);

enum Form<'a> {
    Whole(Map<String, Value>),
    Packed {
        packed: Packed<'a>,
        /// Of [`pack`].
        client_id: Id<'a>,
        whole: OnceCell<Map<String, Value>>,
    },
}

/// One claim, or what a JSON pointer finds in the claims.
#[derive(Clone, Copy, Debug)]
pub enum Claim<'a> {
    Value(&'a Value),
    Text(&'a str),
    Texts(&'a [Item<'a>]),
    /// Texts that are GUIDs.
    Guids(&'a [[u8; 16]]),
    Truth(bool),
    Integer(u64),
    /// An object of which the members' names count ([`Shape::Keys`]).
    Keys(&'a Map<String, Value>),
    /// A text of several, and what separates them ([`Shape::Spaces`], [`Shape::Commas`], [`Shape::Semicolons`], [`Shape::Lines`]).
    Parts(&'a str, char),
    /// A text with a list as JSON ([`Shape::Json`]).
    Json(&'a str),
}

impl From<Map<String, Value>> for Claims<'_> {
    fn from(claims: Map<String, Value>) -> Self {
        Self(Form::Whole(claims))
    }
}

/// The values are people's, and nobody else's business.
impl fmt::Debug for Claims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").finish_non_exhaustive()
    }
}

impl<'a> Claims<'a> {
    /// Claims as they were packed, for the client of that id.
    pub(crate) fn packed(packed: Packed<'a>, client_id: Id<'a>) -> Self {
        Self(Form::Packed { packed, client_id, whole: OnceCell::new() })
    }
}

impl Claims<'_> {
    /// The claim of that name.
    pub fn get(&self, name: &str) -> Option<Claim<'_>> {
        match &self.0 {
            Form::Whole(claims) => claims.get(name).map(Claim::Value),
            // A name that begins with `/` would be taken for a pointer.
            Form::Packed { packed, .. } => match packed.near(name).filter(|_| !name.starts_with('/')) {
                Some(near) => near,
                None => self.whole().get(name).map(Claim::Value),
            },
        }
    }

    /// The claim of that name, or what a JSON pointer (RFC 6901) finds in the claims.
    pub fn find(&self, name_or_pointer: &str) -> Option<Claim<'_>> {
        if !name_or_pointer.starts_with('/') {
            return self.get(name_or_pointer);
        }
        if let Form::Packed { packed, .. } = &self.0
            && let Some(near) = packed.near(name_or_pointer)
        {
            return near;
        }
        pointer::find(self.whole(), name_or_pointer).map(Claim::Value)
    }

    /// The groups, in the shape that is stated for them; `None` when there is no such claim.
    ///
    /// # Errors
    /// [`Unusable`] when the claim has another shape.
    pub(crate) fn groups(&self, groups: &GroupsClaim) -> Result<Option<Claim<'_>>, Unusable> {
        if groups.is_near_read()
            && let Form::Packed { packed, .. } = &self.0
            && let Some(near) = packed.near(groups.near_name())
        {
            return Ok(near);
        }
        self.find(groups.name()).map_or(Ok(None), |claim| groups.shape().read(claim))
    }

    /// The claim of that name, when it is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Claim::as_text)
    }

    /// All of them, as JSON.
    pub fn whole(&self) -> &Map<String, Value> {
        match &self.0 {
            Form::Whole(claims) => claims,
            Form::Packed { packed, client_id, whole } => whole.get_or_init(|| packed.unpack(client_id)),
        }
    }

    /// All of them, as JSON.
    pub fn into_whole(self) -> Map<String, Value> {
        match self.0 {
            Form::Whole(claims) => claims,
            Form::Packed { packed, client_id, whole } => whole.into_inner().unwrap_or_else(|| packed.unpack(&client_id)),
        }
    }

    /// The name of the claim that takes the most room; empty when there is none.
    pub(crate) fn largest(&self) -> &str {
        let sizes = self.whole().iter().map(|(name, value)| (value.to_string().len(), name));
        sizes.max().map(|(_, name)| name.as_str()).unwrap_or_default()
    }
}

impl<'a> Claim<'a> {
    pub fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Value(value) => value.as_str(),
            Self::Text(text) => Some(text),
            Self::Texts(_) | Self::Guids(_) | Self::Truth(_) | Self::Integer(_) | Self::Keys(_) | Self::Parts(..) | Self::Json(_) => None,
        }
    }

    /// Whether it says yes, in one of the ways that providers write it.
    pub(crate) fn is_true(self) -> bool {
        match self {
            Self::Value(value) => *value == true || *value == 1 || *value == "true" || *value == "1",
            Self::Text(text) => text == "true" || text == "1",
            Self::Truth(truth) => truth,
            Self::Integer(number) => number == 1,
            Self::Texts(_) | Self::Guids(_) | Self::Keys(_) | Self::Parts(..) | Self::Json(_) => false,
        }
    }

    /// A NumericDate ([`UnixTime::from_numeric_date`]).
    pub(crate) fn as_numeric_date(self) -> Option<UnixTime> {
        match self {
            Self::Value(value) => UnixTime::from_numeric_date(value),
            Self::Integer(seconds) => UnixTime::from_numeric_date(&seconds.into()),
            Self::Text(_) | Self::Texts(_) | Self::Guids(_) | Self::Truth(_) | Self::Keys(_) | Self::Parts(..) | Self::Json(_) => None,
        }
    }

    /// Whether it is one of `values`, or a list with one of them in it. Types count: the text `1` is not the number.
    pub(crate) fn is_or_holds_one_of(self, values: &[Value]) -> bool {
        let holds = |text: &str| values.iter().any(|value| *value == *text);
        match self {
            Self::Value(Value::Array(items)) => items.iter().any(|item| values.contains(item)),
            Self::Value(single) => values.contains(single),
            Self::Text(text) => holds(text),
            Self::Truth(truth) => values.iter().any(|value| *value == truth),
            Self::Integer(number) => values.iter().any(|value| *value == number),
            Self::Texts(items) => items.iter().any(|item| item.with_text(holds)),
            Self::Guids(guids) => guids.iter().any(|guid| with_guid(guid, holds)),
            Self::Keys(members) => keys(members).any(holds),
            Self::Parts(text, separator) => parts(text, separator).any(holds),
            Self::Json(text) => Claim::Value(&json_groups(text)).is_or_holds_one_of(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    use super::*;

    const NAMES: [&str; 9] = ["sub", "iss", "email", "email_verified", "auth_time", "groups", "department", "level", "nested"];
    const LOOKED_FOR: [&str; 14] = [
        "sub",
        "iss",
        "tid",
        "email",
        "email_verified",
        "auth_time",
        "groups",
        "department",
        "level",
        "nested",
        "/nested/roles",
        "/groups/0",
        "/nested",
        "/email",
    ];

    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "[ab, %1]{0,4}".prop_map(Value::from),
            Just(json!("8f0a1d5c-7b3e-4f2a-8c6d-8e0f1a2b3c4d")),
            Just(json!("8F0A1D5C-7B3E-4F2A-8C6D-8E0F1A2B3C4D")),
            Just(json!("8f0a1d5c7b3e4f2a8c6d8e0f1a2b3c4d")),
            select(vec![json!("true"), json!("1"), json!("")]),
            select(vec![json!("https://op.example/tenant-1/v2.0"), json!("tenant-1"), json!("tenant-1/v2.0"), json!("tenänt-1")]),
            any::<String>().prop_map(Value::from),
        ];
        let single = prop_oneof![
            text.clone(),
            text.clone(),
            any::<bool>().prop_map(Value::from),
            // As they are written: numbers are kept so.
            select(vec!["1e5", "1.50", "-0", "0.0", "123456789012345678901234567890"]).prop_map(|text| serde_json::from_str(text).unwrap()),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            select(vec![json!(null), json!(1), json!(1.0), json!(1.5), json!(-1), json!(0), json!({}), json!({ "roles": ["a"] })]),
        ];
        prop_oneof![
            single.clone(),
            vec(text, 0..4).prop_map(Value::from),
            vec(single.clone(), 0..3).prop_map(Value::from),
            vec(single, 0..3).prop_map(|roles| json!({ "roles": roles })),
        ]
    }

    const SHAPES: [Shape; 7] = [Shape::List, Shape::Keys, Shape::Spaces, Shape::Commas, Shape::Semicolons, Shape::Lines, Shape::Json];

    /// By whichever form a claim is told, what is said of it is the same.
    fn told(claim: Option<Claim<'_>>, values: &[Value]) -> impl PartialEq + fmt::Debug {
        claim.map(|claim| (claim.as_text().map(str::to_owned), claim.is_true(), claim.as_numeric_date(), claim.is_or_holds_one_of(values)))
    }

    proptest! {
        #[test]
        fn packing_changes_no_answer(
            claims in btree_map(select(&NAMES[..]), value(), 0..9),
            also in vec(select(&LOOKED_FOR[..]), 0..5),
            values in vec(value(), 0..4),
        ) {
            let whole: Map<String, Value> = claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let groups: Vec<_> = SHAPES.into_iter().flat_map(|shape| LOOKED_FOR.map(|name| GroupsClaim::new(name, shape))).collect();
            let of_groups = groups.iter().filter(|_| also.len() > 2).map(GroupsClaim::near_name);
            let also: Vec<String> = also.iter().copied().chain(of_groups).map(str::to_owned).collect();
            let bytes = postcard::to_allocvec(&pack(&whole, &also, &Id::new("client-1".into()))).unwrap();
            let packed = postcard::from_bytes::<Packed<'_>>(&bytes).unwrap();
            prop_assert!(packed.is_known());
            let packed = Claims::packed(packed, Id::new("client-1".into()));
            let given = Claims::from(whole.clone());
            let own_values: Vec<Value> = whole.values().cloned().chain(values).collect();
            for name in LOOKED_FOR {
                prop_assert!(told(packed.find(name), &own_values) == told(given.find(name), &own_values), "{name}");
                prop_assert!(told(packed.get(name), &own_values) == told(given.get(name), &own_values), "{name}");
            }
            for claim in &groups {
                // That a claim has another shape is known of the whole; a session may only know that it gives no groups.
                let (near, whole) = (packed.groups(claim).ok().flatten(), given.groups(claim).ok().flatten());
                prop_assert!(told(near, &own_values) == told(whole, &own_values), "{claim:?}");
            }
            prop_assert_eq!(packed.whole(), &whole);
            // Tokens are compressed with it.
            prop_assert_eq!(serde_json::to_string(packed.whole()).unwrap(), serde_json::to_string(&whole).unwrap());
            prop_assert_eq!(packed.largest(), given.largest());
            prop_assert_eq!(packed.into_whole(), whole);
        }
    }
}
