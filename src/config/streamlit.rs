//! `app = "streamlit"` and `[vestibule.streamlit]`: what is in front of us, and what it needs.

use super::section::Section;
use super::setting::{Form, Key, Setting, keys, words};
use crate::identity::streamlit::{CookieForm, StreamlitApp};

/// The applications that there is a preset for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum App {
    Streamlit,
}

/// The preset, and headers that the application takes for identity although we do not set them.
pub(super) struct Preset {
    pub(super) app: Option<StreamlitApp>,
    pub(super) refused_headers: Vec<String>,
}

/// Where Streamlit took the user's address from before it had a login, and for a while after.
const OWN_USER_HEADER: &str = "X-Streamlit-User";

const APPS: [(&str, App); 1] = [("streamlit", App::Streamlit)];

const FORMS: [(&str, Option<CookieForm>); 3] =
    [("auto", None), ("itsdangerous", Some(CookieForm::Itsdangerous)), ("tornado", Some(CookieForm::Tornado))];

pub(super) const APP: Setting = Setting::new(
    "app",
    Form::Choice(&words(&APPS)),
    "`\"streamlit\"` takes over the login of a Streamlit app: see [Put Vestibule in front of a Streamlit app](streamlit.md).",
    "\"streamlit\"",
);

pub(super) const SETTINGS: [Setting; 3] = [
    Setting::new(
        "cookies",
        Form::Choice(&words(&FORMS)),
        "`\"itsdangerous\"` for an app on Starlette, `\"tornado\"` for one on Tornado.",
        "\"tornado\"",
    )
    .or("\"auto\""),
    Setting::new(
        "drop_claims",
        Form::List,
        "Claims that Vestibule leaves out, in this order, if the app's cookie is too large.",
        "[\"groups\"]",
    ),
    Setting::new(
        "trusted_user_headers",
        Form::List,
        "The headers in the app's `server.trustedUserHeaders`. Vestibule removes them from requests.",
        "[\"X-User\"]",
    )
    .pattern("^[A-Za-z0-9_-]+$"),
];

pub(super) static KEYS: [Key; 3] = keys(&SETTINGS);

pub(super) fn read(vestibule: &Section<'_>) -> Preset {
    let app = vestibule.choice("app", &APPS);
    let section = vestibule.section("streamlit");
    let cookie_form = section.choice("cookies", &FORMS).flatten();
    let drop_claims = section.strings("drop_claims").unwrap_or_default().into_iter().map(|claim| claim.value).collect();
    let trusted_user_headers = read_header_names(&section);
    section.finish_strict();
    if section.exists() && app.is_none() && !vestibule.is_key_faulty("app") {
        let remedy = "write app = \"streamlit\" under [vestibule], or remove the section";
        vestibule.findings.fatal(section.at(), &vestibule.key("streamlit"), "has no effect", remedy);
    }
    let refused_headers = if app.is_some() { [vec![OWN_USER_HEADER.to_owned()], trusted_user_headers].concat() } else { vec![] };
    Preset { app: app.map(|App::Streamlit| StreamlitApp { cookie_form, drop_claims }), refused_headers }
}

/// The names in the application's `server.trustedUserHeaders`.
fn read_header_names(section: &Section<'_>) -> Vec<String> {
    let names = section.strings("trusted_user_headers").unwrap_or_default();
    let mut good = vec![];
    for name in names {
        let is_name = !name.value.is_empty() && name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if is_name && !crate::identity::headers::is_reserved(&name.value) {
            good.push(name.value);
        } else {
            let problem = format!("`{}` is not the name of a header that says who a user is", name.value);
            section.findings.fatal(name.at, &name.key, problem, "write the names in the application's server.trustedUserHeaders");
        }
    }
    good
}
