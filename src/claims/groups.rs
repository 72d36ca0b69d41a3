//! The groups of an account: which claim says them, and in which shape.
//!
//! Most providers send a list. Others send an object that is named by its members (ZITADEL's roles), or one text with all
//! names in it, separated in some way or as JSON. The shape is stated and not guessed: `a,admins` is one group where a list is
//! stated, and two where names are separated by commas. A claim of another shape than the stated one gives nobody a group.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::Claim;

/// How a claim says groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A list of texts, numbers and booleans; a single one is a list of one.
    List,
    /// An object: each member's name is a group, unless its value is `false` or `null`.
    Keys,
    /// A text of names that spaces separate, as in `scope` (RFC 6749 section 3.3).
    Spaces,
    /// A text of names that commas separate, with or without spaces around.
    Commas,
    /// A text of names that semicolons separate, with or without spaces around.
    Semicolons,
    /// A text of names, one a line.
    Lines,
    /// A text that holds a list as JSON.
    Json,
}

/// The claim that says groups, with its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupsClaim {
    name: String,
    shape: Shape,
    near_name: Option<String>,
}

/// Before the name of a claim: the names of its members. A `~` that neither 0 nor 1 follows is in no JSON pointer (RFC 6901
/// section 3), and what begins with `/` is not taken for a claim's name: so that it means nothing else in a session.
const KEYS_OF: &str = "/~keys:";

impl GroupsClaim {
    pub(crate) const DEFAULT_NAME: &str = "groups";

    /// `name` may be a JSON pointer (RFC 6901).
    pub fn new(name: &str, shape: Shape) -> Self {
        let near_name = (shape == Shape::Keys).then(|| format!("{KEYS_OF}{name}"));
        Self { name: name.to_owned(), shape, near_name }
    }

    /// Whether it is another one than that which is looked for where nothing is configured.
    pub(crate) fn is_of_choice(&self) -> bool {
        self.name != Self::DEFAULT_NAME || self.shape != Shape::List
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Under which name a session holds the groups near: of an object, the members' names suffice. A text is read as it is.
    pub(crate) fn near_name(&self) -> &str {
        self.near_name.as_deref().unwrap_or(&self.name)
    }

    /// Whether [`near_name`](Self::near_name) stands for groups that have been read.
    pub(super) fn is_near_read(&self) -> bool {
        self.near_name.is_some()
    }
}

/// The claim of which a near name holds the members' names.
pub(super) fn keys_of(near_name: &str) -> Option<&str> {
    near_name.strip_prefix(KEYS_OF)
}

/// A claim that does not have the shape that is stated for groups. Its content stays out of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// What it is instead.
    pub found: &'static str,
    /// What the operator can do.
    pub remedy: &'static str,
}

const OBJECT: Unusable = Unusable {
    found: "an object",
    remedy: "set groups_shape = \"keys\" if its members are named after groups, or point groups_claim at the list in it",
};
const LIST: Unusable = Unusable { found: "a list", remedy: "set groups_shape = \"list\"" };
const TEXT: Unusable = Unusable {
    found: "a text",
    remedy: "set groups_shape = \"list\", \"spaces\", \"commas\", \"semicolons\", \"lines\" or \"json\", as the names in it are separated",
};
const JSON: Unusable = Unusable { found: "a text that holds JSON", remedy: "set groups_shape = \"json\"" };
const JSON_IN_A_LIST: Unusable = Unusable {
    found: "a list with a text that holds JSON",
    remedy: "have the provider send the names of groups only; if the list has one text, point groups_claim at it (`/groups/0`), with \
             groups_shape = \"json\",",
};
const OTHER_JSON: Unusable = Unusable {
    found: "a text that holds other JSON than a list of names",
    remedy: "have the provider send the names of groups only, or name another claim in groups_claim",
};
const MIXED: Unusable = Unusable {
    found: "a list that holds objects, lists or null",
    remedy: "have the provider send the names of groups only, or name another claim in groups_claim",
};
const NUMBER_OR_BOOLEAN: Unusable = Unusable { found: "a number or a boolean", remedy: "name another claim in groups_claim" };

impl Shape {
    /// The groups that a claim says; `None` of `null`, which is no value (OIDC Core section 5.3.2).
    pub(super) fn read(self, claim: Claim<'_>) -> Result<Option<Claim<'_>>, Unusable> {
        let claim = match claim {
            Claim::Value(Value::String(text)) => Claim::Text(text),
            other => other,
        };
        match (self, claim) {
            (_, Claim::Value(Value::Null)) => Ok(None),
            (Self::List, Claim::Value(Value::Object(_))) => Err(OBJECT),
            (Self::List, Claim::Value(Value::Array(items))) if !items.iter().all(is_scalar) => Err(MIXED),
            (Self::List, Claim::Value(Value::Array(items))) if items.iter().filter_map(Value::as_str).any(holds_json) => {
                Err(JSON_IN_A_LIST)
            }
            (Self::List, Claim::Texts(items)) if items.iter().any(|item| item.as_text().is_some_and(holds_json)) => Err(JSON_IN_A_LIST),
            // Under another shape each piece of it would be a group.
            (Self::List | Self::Keys | Self::Spaces | Self::Commas | Self::Semicolons | Self::Lines, Claim::Text(text))
                if holds_json(text) =>
            {
                Err(JSON)
            }
            (Self::List, claim) => Ok(Some(claim)),
            (Self::Keys, Claim::Value(Value::Object(members))) => Ok(Some(Claim::Keys(members))),
            (Self::Json, Claim::Text(text)) if text.trim().is_empty() => Ok(Some(Claim::Json(text))),
            (Self::Json, Claim::Text(text)) if !holds_json(text) => Err(TEXT),
            (Self::Json, Claim::Text(text)) => match json_items(text) {
                Some(items) if items.iter().all(is_scalar) => Ok(Some(Claim::Json(text))),
                _ => Err(OTHER_JSON),
            },
            (shape, Claim::Text(text)) if let Some(separator) = shape.separator() => Ok(Some(Claim::Parts(text, separator))),
            (_, Claim::Value(Value::Object(_)) | Claim::Keys(_)) => Err(OBJECT),
            (_, Claim::Value(Value::Array(_)) | Claim::Texts(_) | Claim::Guids(_)) => Err(LIST),
            (_, Claim::Value(Value::String(_)) | Claim::Text(_) | Claim::Parts(..) | Claim::Json(_)) => Err(TEXT),
            (_, Claim::Value(Value::Number(_) | Value::Bool(_)) | Claim::Integer(_) | Claim::Truth(_)) => Err(NUMBER_OR_BOOLEAN),
        }
    }

    /// What stands between the names of a text.
    fn separator(self) -> Option<char> {
        match self {
            Self::Spaces => Some(' '),
            Self::Commas => Some(','),
            Self::Semicolons => Some(';'),
            Self::Lines => Some('\n'),
            Self::List | Self::Keys | Self::Json => None,
        }
    }

    /// A mark in a claim that is one group by this shape, and may separate several: then nobody is in any of them.
    pub(crate) fn doubtful_mark(self, claim: Claim<'_>) -> Option<&'static str> {
        const MARKS: [(char, &str); 6] =
            [('\n', "line ends"), (';', "semicolons"), (',', "commas"), ('|', "vertical bars"), ('\t', "tabs"), (' ', "spaces")];
        let (one, is_list) = match claim {
            Claim::Value(Value::Array(items)) if items.len() == 1 => (items.first()?.as_str()?, true),
            Claim::Texts([item]) => (item.as_text()?, true),
            Claim::Value(Value::String(text)) => (text.as_str(), false),
            Claim::Text(text) | Claim::Parts(text, _) => (text, false),
            _ => return None,
        };
        let one = one.trim();
        let separator = self.separator();
        // A text that is separated as it is said to be may have names with other marks.
        let is_separated = separator.is_some_and(|separator| separator != ' ' && one.contains(separator));
        let is_told = |mark: char| match mark {
            _ if is_separated || Some(mark) == separator => false,
            // Names have spaces in them, and distinguished names commas (RFC 4514): an item of a list is rather one of these.
            ',' => !is_list,
            ' ' => !is_list && self == Self::List,
            _ => true,
        };
        MARKS.into_iter().find(|(mark, _)| is_told(*mark) && one.contains(*mark)).map(|(_, name)| name)
    }
}

/// Whether a text is JSON itself: a list, an object or a quoted text.
fn holds_json(text: &str) -> bool {
    text.trim_start().starts_with(['[', '{', '"']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// What a text holds that is a list as JSON; a quoted text is a list of one.
fn json_items(text: &str) -> Option<Vec<Value>> {
    match serde_json::from_str(text).ok()? {
        Value::Array(items) => Some(items),
        Value::String(item) => Some(vec![Value::String(item)]),
        _ => None,
    }
}

/// The groups of a [`Claim::Json`].
pub(crate) fn json_groups(text: &str) -> Value {
    json_items(text).unwrap_or_default().into()
}

fn is_scalar(value: &Value) -> bool {
    value.is_string() || value.is_number() || value.is_boolean()
}

/// The names of an object's members, but for those that are said not to hold.
pub(crate) fn keys(members: &Map<String, Value>) -> impl Iterator<Item = &str> {
    members.iter().filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false))).map(|(name, _)| name.as_str())
}

/// The names in a text.
pub(crate) fn parts(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).map(|part| part.trim_matches([' ', '\r'])).filter(|part| !part.is_empty())
}
