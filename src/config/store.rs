//! `[vestibule.session] store`: where a host with several nodes, or one that restarts, keeps which sessions have ended.

use std::time::Duration;

use super::section::Section;
use super::setting::{Form, Setting};
use super::store_place::{NoStorePlace, RedisServer, StorePlace};
use crate::secret::Secret;
use crate::session::{EntryKey, list_name};

const DEFAULT_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// How much longer entries are kept than a session lasts: for the login that was under way, and for clocks that differ.
const KEPT_LONGER: Duration = Duration::from_secs(24 * 60 * 60);

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
     means at once. It must be shorter than `max_age` to have an effect.",
    "\"30s\"",
)
.or_said("`\"5m\"`");

/// Where a host keeps which sessions have ended.
#[derive(Debug)]
pub struct StoreSettings {
    pub place: StorePlace,
    /// The line of the configuration that names the place, from 1.
    pub line: u32,
    /// The key that does, by its dotted path: with `_env` or `_file` at its end where the value is elsewhere.
    pub key: String,
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
    place: StorePlace,
    line: u32,
    key: String,
    patience: Duration,
}

impl Written {
    pub(super) fn settings(self, secrets: &[Secret], redirect_uri: &str, max_age: Duration) -> StoreSettings {
        let Self { place, line, key, patience } = self;
        let keys = secrets.iter().map(|secret| EntryKey::derive(secret, redirect_uri)).collect();
        StoreSettings { place, line, key, patience, retention: max_age + KEPT_LONGER, list: list_name(redirect_uri), keys }
    }
}

/// Faults are told. `max_age`: how long a session lasts; `None` where that is faulty.
pub(super) fn read(section: &Section<'_>, max_age: Option<Duration>) -> Option<Written> {
    let place = section.string(STORE.key.name);
    let patience = section.duration_or_none(PATIENCE.key.name);
    let Some(place) = place else {
        if patience.is_some() && !section.is_key_faulty(STORE.key.name) {
            let remedy = NoStorePlace::Form.remedy();
            section.findings.warning(section.at(), &section.key(PATIENCE.key.name), "has no effect without `store`", remedy);
        }
        return None;
    };
    let parsed = match StorePlace::parse(&place.value) {
        Ok(parsed) => parsed,
        Err(fault) => {
            section.findings.fatal(place.at, &place.key, fault.to_string(), fault.remedy());
            return None;
        }
    };
    let has_password = matches!(&parsed, StorePlace::Redis(RedisServer { login: Some(_), .. }));
    if has_password && place.key.ends_with(STORE.key.name) {
        let remedy = "write the URL into a file of its own or a variable, and name it with `store_file` or `store_env`";
        section.findings.warning(place.at, &place.key, "has a password, which everyone who reads this file knows", remedy);
    }
    let is_never = |patience: Duration| max_age.is_some_and(|max_age| patience >= max_age);
    if !section.is_key_faulty(PATIENCE.key.name) && is_never(patience.unwrap_or(DEFAULT_PATIENCE)) {
        let problem =
            "is not shorter than `max_age`, so that no session is refused while the store is out of reach; it is 5 minutes by default";
        section.findings.warning(
            section.at(),
            &section.key(PATIENCE.key.name),
            problem,
            "make it shorter than max_age, \"30s\" for example",
        );
    }
    let line = section.findings.line(place.at);
    Some(Written { place: parsed, line, key: place.key, patience: patience.unwrap_or(DEFAULT_PATIENCE) })
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Reference, Source, references};
    use crate::secret::Secret;

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
            assert!(is_whole && told.starts_with("secrets.toml:10:") && !told.contains("s3cret"), "{told}");
            for outside in ["store_file = \"store\"", "store_env = \"STORE\""] {
                assert_eq!(warnings(outside, url), [""; 0]);
            }
        }
        for url in ["redis://redis", "rediss://redis:6380/1", "file:/var/lib/vestibule/a:b@c"] {
            assert_eq!(warnings(&format!("store = \"{url}\""), ""), [""; 0]);
        }
    }
}
