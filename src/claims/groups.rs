//! The groups of an account: which claim says them, and in which shape.
//!
//! Most providers send a list. Others send an object that is named by its members (ZITADEL's roles), or one text with all
//! names in it. The shape is stated and not guessed: `a,admins` is one group where a list is stated, and two where names are
//! separated by commas. A claim of another shape than the stated one gives nobody a group.

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
    /// `name` may be a JSON pointer (RFC 6901).
    pub fn new(name: &str, shape: Shape) -> Self {
        let near_name = (shape == Shape::Keys).then(|| format!("{KEYS_OF}{name}"));
        Self { name: name.to_owned(), shape, near_name }
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
const TEXT: Unusable = Unusable { found: "a text", remedy: "set groups_shape = \"list\", \"spaces\" or \"commas\"" };
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
            (Self::List, claim) => Ok(Some(claim)),
            (Self::Keys, Claim::Value(Value::Object(members))) => Ok(Some(Claim::Keys(members))),
            (Self::Spaces, Claim::Text(text)) => Ok(Some(Claim::Parts(text, ' '))),
            (Self::Commas, Claim::Text(text)) => Ok(Some(Claim::Parts(text, ','))),
            (_, Claim::Value(Value::Object(_)) | Claim::Keys(_)) => Err(OBJECT),
            (_, Claim::Value(Value::Array(_)) | Claim::Texts(_) | Claim::Guids(_)) => Err(LIST),
            (_, Claim::Value(Value::String(_)) | Claim::Text(_) | Claim::Parts(..)) => Err(TEXT),
            (_, Claim::Value(Value::Number(_) | Value::Bool(_)) | Claim::Integer(_) | Claim::Truth(_)) => Err(NUMBER_OR_BOOLEAN),
        }
    }
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
    text.split(separator).map(|part| part.trim_matches(' ')).filter(|part| !part.is_empty())
}
