//! Every table of settings, in one list: each part describes its own beside the code that reads it.

use super::setting::{Form, Key, Setting, Shape, Table, keys, words};
use super::{
    LOGIN, address, authz, client_options, condition, cookie_secret, cors, embedding, identity, internal_hosts, limits, log, origin, pages,
    plain_http, provider, routes, rule, session, streamlit, tokens, trusted_proxies,
};

/// The file. Other tables in it are other programs'.
pub(super) const ROOT: Shape = Shape::of(&ROOT_KEYS);

static ROOT_KEYS: [Key; 2] = [
    Key { name: "auth", form: Form::Table(Shape { keys: &AUTH_KEYS, named: Some(&provider::KEYS) }) },
    Key::table("vestibule", &VESTIBULE_KEYS),
];

/// `[auth]`: what is for every provider, and the settings of the one that has no name.
const AUTH: [Setting; 8] = [
    origin::SETTING,
    cookie_secret::SETTING,
    provider::SETTINGS[0],
    provider::SETTINGS[1],
    provider::SETTINGS[2],
    provider::SETTINGS[3],
    provider::SETTINGS[4],
    tokens::SETTING,
];

static AUTH_KEYS: [Key; 8] = keys(&AUTH);

/// `[vestibule]` itself.
const VESTIBULE: [Setting; 11] = [
    streamlit::APP,
    Setting::new(
        "login",
        Form::Choice(&words(&LOGIN)),
        "`\"optional\"` forwards requests without a session, without an identity. It has no effect on requests if there are rules.",
        "\"optional\"",
    )
    .or_said("`\"required\"`; with `app` `\"optional\"`"),
    routes::SETTING,
    Setting::new(
        "mode",
        Form::Choice(&authz::MODES),
        "`\"authz\"` answers another proxy: see [Use Vestibule beside Envoy, Traefik, Caddy or nginx](authz.md).",
        "\"authz\"",
    )
    .or("\"proxy\""),
    address::UPSTREAM,
    address::LISTEN,
    Setting::new("after_logout", Form::Text, "The page on which a logout ends: a path or a URL.", "\"/goodbye\""),
    Setting::new(
        "keep_fragment",
        Form::Boolean,
        "Whether a login keeps the `#…` of the address: see [Fragments](guides/fragments.md).",
        "false",
    )
    .or_said("for navigations of browsers"),
    trusted_proxies::SETTING,
    internal_hosts::SETTING,
    plain_http::SETTING,
];

/// The tables below `[vestibule]`.
static SECTIONS: [Key; 11] = [
    Key::table("authz", &authz::KEYS),
    Key::table("cors", &cors::KEYS),
    Key::table("embedding", &embedding::KEYS),
    Key::table("identity", &identity::KEYS),
    Key::table("limits", &limits::KEYS),
    Key::table("log", &log::KEYS),
    Key::table(pages::PAGES, &pages::KEYS),
    Key { name: "provider", form: Form::Table(Shape { keys: &[], named: Some(&provider::EXTRA_KEYS) }) },
    Key { name: "rule", form: Form::Tables(|| &rule::KEYS) },
    Key::table("session", &session::KEYS),
    Key::table("streamlit", &streamlit::KEYS),
];

static VESTIBULE_KEYS: [Key; 22] = joined(&keys(&VESTIBULE), &SECTIONS);

/// The table that a key of that name belongs to, as its header is written, where it stands below `[auth]`; `provider` is the name of
/// the provider there.
pub(super) fn place_of(name: &str, provider: &str) -> Option<String> {
    let has = |keys: &'static [Key]| Key::find(keys, name).or_else(|| Key::find_outside(keys, name));
    match has(&VESTIBULE_KEYS).map(|key| key.form) {
        Some(Form::Table(_)) => return Some(format!("[vestibule.{name}]")),
        Some(Form::Tables(_)) => return Some(format!("[[vestibule.{name}]]")),
        Some(_) => return Some("[vestibule]".to_owned()),
        None => {}
    }
    if has(&provider::EXTRA_KEYS).is_some() {
        return Some(format!("[vestibule.provider.{provider}]"));
    }
    let holds = |section: &&Key| matches!(section.form, Form::Table(shape) if has(shape.keys).is_some());
    if let Some(section) = SECTIONS.iter().find(holds) {
        return Some(format!("[vestibule.{}]", section.name));
    }
    // What is for all providers is no provider's.
    has(&AUTH_KEYS).map(|_| "[auth]".to_owned())
}

/// Every setting, by the table that it is in.
pub const ALL: &[Table] = &[
    Table { path: "auth", settings: &AUTH },
    Table { path: "auth.<name>", settings: &provider::SETTINGS },
    Table { path: "auth.client_kwargs", settings: &client_options::CLIENT_SETTINGS },
    Table { path: "vestibule", settings: &VESTIBULE },
    Table { path: "vestibule.authz", settings: &authz::SETTINGS },
    Table { path: "vestibule.limits", settings: &limits::SETTINGS },
    Table { path: "vestibule.log", settings: &log::SETTINGS },
    Table { path: "vestibule.cors", settings: &cors::SETTINGS },
    Table { path: "vestibule.embedding", settings: &embedding::SETTINGS },
    Table { path: "vestibule.pages", settings: &pages::SETTINGS },
    Table { path: "vestibule.session", settings: &session::SETTINGS },
    Table { path: "vestibule.identity", settings: &identity::SETTINGS },
    Table { path: "vestibule.streamlit", settings: &streamlit::SETTINGS },
    Table { path: "vestibule.provider.<name>", settings: &provider::EXTRAS },
    Table { path: "vestibule.rule", settings: &rule::SETTINGS },
    Table { path: "vestibule.rule.require", settings: &condition::REQUIRE },
];

const fn joined<const M: usize, const N: usize, const SUM: usize>(first: &[Key; M], second: &[Key; N]) -> [Key; SUM] {
    assert!(M + N == SUM);
    let mut joined = [Key { name: "", form: Form::Boolean }; SUM];
    let mut index = 0;
    while index < SUM {
        joined[index] = if index < M { first[index] } else { second[index - M] };
        index += 1;
    }
    joined
}
