//! `groups_claim` and `groups_shape` under `[vestibule.identity]`: which claim says the groups, and in which shape.

use super::identity::NO_CLAIM;
use super::section::Section;
use super::setting::{Form, Setting, words};
use crate::claims::{self, GroupsClaim, Shape};
use crate::identity::headers;

const SHAPES: [(&str, Shape); 7] = [
    ("list", Shape::List),
    ("keys", Shape::Keys),
    ("spaces", Shape::Spaces),
    ("commas", Shape::Commas),
    ("semicolons", Shape::Semicolons),
    ("lines", Shape::Lines),
    ("json", Shape::Json),
];

pub(super) const CLAIM: Setting = Setting::new(
    "groups_claim",
    Form::Text,
    "The claim with the user's groups, for `X-Forwarded-Groups` and for `groups` in rules.",
    "\"/realm_access/roles\"",
)
.or("\"groups\"");

pub(super) const SHAPE: Setting =
    Setting::new("groups_shape", Form::Choice(&words(&SHAPES)), "The shape of that claim.", "\"keys\"").or("\"list\"");

/// Claims that are texts wherever there is one (OIDC Core sections 2 and 5.1).
const TEXTS: [&str; 22] = [
    "acr",
    "azp",
    "birthdate",
    "email",
    "family_name",
    "gender",
    "given_name",
    "iss",
    "jti",
    "locale",
    "middle_name",
    "name",
    "nickname",
    "nonce",
    "phone_number",
    "picture",
    "preferred_username",
    "profile",
    "scope",
    "sub",
    "website",
    "zoneinfo",
];

/// Faults are told.
pub(super) fn read(section: &Section<'_>) -> GroupsClaim {
    let written = section.string("groups_claim");
    if let Some(text) = written.as_ref().filter(|text| !claims::is_name_or_pointer(&text.value)) {
        section.findings.fatal(text.at, &text.key, NO_CLAIM, "write groups_claim = \"roles\" or \"/realm_access/roles\" for example");
    }
    let shape = section.choice("groups_shape", &SHAPES).unwrap_or(Shape::List);
    let name = written.map_or_else(|| GroupsClaim::DEFAULT_NAME.to_owned(), |text| text.value);
    if shape == Shape::Keys && TEXTS.contains(&name.as_str()) {
        let problem = format!("`{name}` is a text, which has no keys");
        section.findings.fatal(
            section.at(),
            &section.key("groups_shape"),
            problem,
            "write \"spaces\" or \"commas\" for example, or name an object",
        );
    }
    GroupsClaim::new(&name, shape)
}

/// Whether an entry of `headers` would tell the application other groups than rules see.
pub(super) fn contradicts(groups: &GroupsClaim, claim: &str, header: &str) -> bool {
    groups.shape() != Shape::List && claims::is_same(claim, groups.name()) && headers::is_groups(header)
}
