//! `expose_tokens`: which tokens the application receives.

use super::section::Section;
use super::setting::{Form, Setting};
use crate::session::ExposeTokens;

pub(super) const KEY: &str = "expose_tokens";

pub(super) const SETTING: Setting = Setting::new(
    KEY,
    Form::Choices(&["id", "access"]),
    "The tokens that the application receives: `\"id\"`, `\"access\"` or both.",
    "[\"id\", \"access\"]",
);

/// Streamlit's rule: `"id"`, `"access"`, or a list of them.
pub(super) fn read(auth: &Section<'_>) -> ExposeTokens {
    let mut exposed = ExposeTokens::default();
    for token in auth.strings(KEY).unwrap_or_default() {
        match token.value.as_str() {
            "id" => exposed.id = true,
            "access" => exposed.access = true,
            other => {
                let problem = format!("`{other}` is not a token that can be exposed");
                auth.findings.fatal(token.at, &token.key, problem, "write \"id\", \"access\" or [\"id\", \"access\"]");
            }
        }
    }
    exposed
}
