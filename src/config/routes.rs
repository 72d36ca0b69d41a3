//! `routes`: where our own routes lie.

use super::origin::CALLBACK;
use super::section::Section;
use super::setting::{Form, Setting};
use crate::web::route_prefix::RoutePrefix;

pub(super) const SETTING: Setting =
    Setting::new("routes", Form::Text, "The path of Vestibule's own routes, below the base path.", "\"/login-gate\"")
        .or_said("`\"/.vestibule\"`; with `app` `\"/auth\"`")
        .pattern("^/[A-Za-z0-9._~/-]{0,62}[A-Za-z0-9._~-]$");

/// The prefix that is written, or the one that is right for the application. A fault is told, and another prefix taken.
pub(super) fn read(vestibule: &Section<'_>, is_streamlit: bool) -> RoutePrefix {
    let default = if is_streamlit { RoutePrefix::of_streamlit() } else { RoutePrefix::reserved() };
    let Some(text) = vestibule.string("routes") else { return default };
    let fatal = |problem: String, remedy: &str| vestibule.findings.fatal(text.at, &text.key, problem, remedy);
    let prefix = match RoutePrefix::parse(&text.value) {
        Ok(prefix) => prefix,
        Err(error) => {
            let remedy = "write a path below which Vestibule answers, \"/.vestibule\" or \"/auth\" for example";
            fatal(format!("`{}` {error}", text.value), remedy);
            return default;
        }
    };
    if is_streamlit && prefix != default {
        let problem = format!("is `{}`, but `st.login()` and `st.logout()` send the browser to `{}`", text.value, default.as_str());
        fatal(problem, "remove it, or write \"/auth\"");
    } else if prefix.as_str() == CALLBACK || prefix.as_str().strip_prefix(CALLBACK).is_some_and(|rest| rest.starts_with('/')) {
        fatal(
            format!("`{}` is the path to which providers redirect the browser", text.value),
            "write another path, \"/.vestibule\" for example",
        );
    }
    prefix
}
