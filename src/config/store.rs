//! `[vestibule.session] store`: where a host with several nodes, or one that restarts, keeps which sessions have ended.

use std::time::Duration;

use url::Url;

use super::section::Section;
use super::setting::{Form, Setting};
use crate::secret::Secret;
use crate::session::{EntryKey, list_name};

const DEFAULT_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// How much longer entries are kept than a session lasts: for the login that was under way, and for clocks that differ.
const KEPT_LONGER: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest path that systems take, in bytes (`PATH_MAX` of Linux).
const MAX_PATH: usize = 4096;

const REMEDY: &str =
    "write \"redis://host:6379\", \"rediss://host:6379\", \"redis+unix:///run/redis/redis.sock\", or \"file:\" with an absolute path";

pub(super) const STORE: Setting = Setting::new(
    "store",
    Form::Text,
    "Where the list of ended sessions is kept beyond the process: `\"file:\"` with an absolute path, or the URL of a Redis server. A URL \
     with a password belongs in `store_env` or `store_file`. See [End sessions on every node](store.md).",
    "\"rediss://redis.internal:6379\"",
)
.or_said("none: the list is in memory")
.pattern("^(rediss?://.+|redis\\+unix:///.+|file:/.*[^/])$");

pub(super) const PATIENCE: Setting = Setting::new(
    "store_patience",
    Form::Duration,
    "How long sessions stay in force while the store is out of reach. After that, requests with a session are answered 503. `\"0s\"` \
     means at once.",
    "\"30s\"",
)
.or_said("`\"5m\"`");

/// Where a host keeps which sessions have ended.
#[derive(Debug)]
pub struct StoreSettings {
    /// `redis://`, `rediss://`, `redis+unix://`, or `file:` with an absolute path. May hold a password.
    pub url: Secret,
    /// How long sessions go on without the store.
    pub patience: Duration,
    /// For how long an entry is kept at most.
    pub retention: Duration,
    /// Names the list among others in the same store: characters of base64url.
    pub list: String,
    /// What entries are authenticated with: the first writes, each reads.
    pub keys: Vec<EntryKey>,
}

/// What the file says of it.
pub(super) struct Written {
    url: Secret,
    patience: Duration,
}

impl Written {
    pub(super) fn settings(self, secrets: &[Secret], redirect_uri: &str, max_age: Duration) -> StoreSettings {
        let Self { url, patience } = self;
        let keys = secrets.iter().map(|secret| EntryKey::derive(secret, redirect_uri)).collect();
        StoreSettings { url, patience, retention: max_age + KEPT_LONGER, list: list_name(redirect_uri), keys }
    }
}

/// Faults are told.
pub(super) fn read(section: &Section<'_>) -> Option<Written> {
    let url = section.string(STORE.key.name);
    let patience = section.duration_or_none(PATIENCE.key.name);
    let Some(url) = url else {
        if patience.is_some() && !section.is_key_faulty(STORE.key.name) {
            section.findings.warning(section.at(), &section.key(PATIENCE.key.name), "has no effect without `store`", REMEDY);
        }
        return None;
    };
    if !is_place(&url.value) {
        // The value may hold a password.
        section.findings.fatal(url.at, &url.key, "is no place for a store", REMEDY);
        return None;
    }
    let is_in_the_file = url.key.ends_with(STORE.key.name);
    if is_in_the_file && has_password(&url.value) {
        let remedy = "write the URL into a file of its own or a variable, and name it with `store_file` or `store_env`";
        section.findings.warning(url.at, &url.key, "has a password, which everyone who reads this file knows", remedy);
    }
    Some(Written { url: Secret::new(url.value), patience: patience.unwrap_or(DEFAULT_PATIENCE) })
}

/// In the authority, or for a socket in the query.
fn has_password(text: &str) -> bool {
    let in_query = |url: &Url| url.query_pairs().any(|(name, value)| ["pass", "password"].contains(&&*name) && !value.is_empty());
    Url::parse(text).is_ok_and(|url| url.password().is_some_and(|password| !password.is_empty()) || in_query(&url))
}

fn is_place(text: &str) -> bool {
    if let Some(path) = text.strip_prefix("file:") {
        // Relative to which folder would be anybody's guess.
        return path.len() <= MAX_PATH && path.starts_with('/') && !path.ends_with('/') && !path.contains(char::is_control);
    }
    let Ok(url) = Url::parse(text) else { return false };
    let is_database = |path: &str| path.trim_start_matches('/').bytes().all(|byte| byte.is_ascii_digit());
    let is_right = match url.scheme() {
        "redis" | "rediss" => url.host_str().is_some_and(|host| !host.is_empty()) && is_database(url.path()) && url.query().is_none(),
        "redis+unix" => url.host_str().is_none_or(str::is_empty) && url.path().len() > 1,
        _ => false,
    };
    // A fragment would switch the verification of certificates off in other programs.
    is_right && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Reference, Source, references};

    #[test]
    fn a_password_in_the_file_is_a_warning() {
        const AUTH: &str = "[auth]\nredirect_uri = \"https://app.example.com/oauth2callback\"\n\
                            cookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\nclient_id = \"shop\"\n\
                            client_secret = \"q7Rz8fKw2mQLbXeR4tY9uVn3\"\n\
                            server_metadata_url = \"https://login.example.com/.well-known/openid-configuration\"\n\
                            [[vestibule.rule]]\nrequire = { email_domain = \"example.com\" }\n[vestibule.session]\n";
        let warnings = |line: &str, outside: &str| {
            let toml = format!("{AUTH}{line}\n");
            let resolved = references(&toml).into_iter().map(|reference: Reference| (reference, Some(Secret::new(outside))));
            let config = Config::parse(&Source { resolved: resolved.collect(), ..Source::new("secrets.toml", &toml) }).unwrap();
            config.warnings.iter().map(ToString::to_string).filter(|warning| warning.contains("store")).collect::<Vec<_>>()
        };
        for url in ["redis://:s3cret@redis", "rediss://vestibule:s3cret@redis:6380", "redis+unix:///run/redis.sock?db=1&pass=s3cret"] {
            let [told] = &warnings(&format!("store = \"{url}\""), "")[..] else { panic!("no warning of {url}") };
            let is_whole =
                told.contains("warning: vestibule.session.store: has a password") && told.contains("`store_file` or `store_env`");
            assert!(is_whole && told.starts_with("secrets.toml:9:") && !told.contains("s3cret"), "{told}");
            for outside in ["store_file = \"store\"", "store_env = \"STORE\""] {
                assert_eq!(warnings(outside, url), [""; 0]);
            }
        }
        for url in ["redis://redis", "rediss://vestibule@redis:6380", "redis://:@redis", "file:/var/lib/vestibule/a:b@c"] {
            assert_eq!(warnings(&format!("store = \"{url}\""), ""), [""; 0]);
        }
    }

    #[test]
    fn places_for_a_store() {
        for place in [
            "file:/var/lib/vestibule/ended",
            "redis://redis.internal",
            "redis://10.0.0.7:7000/3",
            "rediss://vestibule:p%40ss@redis.internal:6380",
            "redis://:secret@[fd00::7]:6379/0",
            "redis+unix:///run/redis/redis.sock?db=1",
        ] {
            assert!(is_place(place), "{place}");
        }
        for text in [
            "",
            "file:",
            "file:ended",
            "file:/var/lib/",
            "file:///",
            "redis://",
            "redis://host/name",
            "redis://host/0?protocol=resp3",
            "rediss://host/#insecure",
            "redis+unix://",
            "redis+unix://host/run/s",
            "http://host",
            "redis.internal:6379",
        ] {
            assert!(!is_place(text), "{text}");
        }
    }
}
