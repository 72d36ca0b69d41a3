//! Finding a claim by its name, or by a JSON pointer into the claims.

use serde_json::{Map, Value};

/// The claim of that name, or what a JSON pointer (RFC 6901) finds in the claims.
pub(super) fn find<'a>(claims: &'a Map<String, Value>, name_or_pointer: &str) -> Option<&'a Value> {
    let Some(path) = name_or_pointer.strip_prefix('/') else { return claims.get(name_or_pointer) };
    match path.split_once('/') {
        Some((first, rest)) => claims.get(&decoded(first))?.pointer(&format!("/{rest}")),
        None => claims.get(&decoded(path)),
    }
}

/// What is not there of a name or a pointer by which [`find`] finds nothing, or `null`, in words for the log: they repeat the pointer and
/// nothing of the claims.
pub(crate) fn end_of_way(claims: &Map<String, Value>, name_or_pointer: &str) -> String {
    let Some(path) = name_or_pointer.strip_prefix('/') else { return format!("there is no claim `{name_or_pointer}`") };
    let mut pointer = String::new();
    for segment in path.split('/') {
        let before = pointer.clone();
        pointer = format!("{pointer}/{segment}");
        if find(claims, &pointer).is_none_or(Value::is_null) {
            return match before.as_str() {
                "" => format!("there is no claim `{}`", decoded(segment)),
                before => format!("`{before}` has no `{}`", decoded(segment)),
            };
        }
    }
    format!("`{name_or_pointer}` leads to nothing")
}

/// Whether that is the claim `email`, or something in it: an address proves nothing unless it is verified.
pub(crate) fn is_email(name_or_pointer: &str) -> bool {
    if name_or_pointer.starts_with('/') { root(name_or_pointer) == "email" } else { name_or_pointer == "email" }
}

/// The name of the claim that it is, or that it points into.
pub(crate) fn root(name_or_pointer: &str) -> String {
    match name_or_pointer.strip_prefix('/') {
        Some(path) => decoded(path.split('/').next().unwrap_or_default()),
        None => name_or_pointer.to_owned(),
    }
}

/// Whether [`find`] finds the same by both: `/groups` is the claim `groups`.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let way = |text: &str| match text.strip_prefix('/') {
        Some(path) => path.split('/').map(decoded).collect(),
        None => vec![text.to_owned()],
    };
    way(one) == way(other)
}

/// Whether a text that begins with `/` is a JSON pointer: `~` stands only before 0 or 1 (RFC 6901 section 3).
pub(crate) fn is_pointer(text: &str) -> bool {
    text.len() > 1 && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

/// Whether [`find`] can find something by it.
pub(crate) fn is_name_or_pointer(text: &str) -> bool {
    !text.is_empty() && (!text.starts_with('/') || is_pointer(text))
}

fn decoded(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}
