//! The configuration: `secrets.toml` as Streamlit users write it, plus `[vestibule]` for what Streamlit has no word for.
//!
//! [`Config::parse`] is the only way to make a [`Config`], and finds every fault in one go. A value of that type is
//! usable: secrets are strong, URLs are URLs, nothing is left to be discovered at the first login.

mod admission;
mod authz;
mod cors;
mod embedding;
mod fault;
mod findings;
mod groups;
mod internal_hosts;
mod log;
mod origin;
mod pages;
mod plain_http;
mod post_logout;
mod provider;
mod routes;
mod rule;
mod secret_strength;
mod section;
mod streamlit;
mod streamlit_pages;
mod summary;
mod syntax;
mod trusted_proxies;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

pub use fault::Fault;
pub use summary::{Authorization, Summary};

use crate::audit::AuditSettings;
use crate::authz::Authz;
use crate::branding::Branding;
use crate::identity::headers::IdentityHeaders;
use crate::identity::streamlit::{self as streamlit_app, StreamlitApp};
use crate::limit::{Counted, Limit, PerMinute};
use crate::oidc::provider::Provider;
use crate::policy::{Admission, Login, Policy};
use crate::secret::Secret;
use crate::session::{CookieNames, ExposeTokens, KeyRing, Lifetime, SessionSettings};
use crate::web::cors::Cors;
use crate::web::embedding::Embedding;
use crate::web::origin::PublicOrigin;
use crate::web::route::{self, Route};
use crate::web::trusted_proxies::TrustedProxies;
use fault::MAKE_SECRET;
use findings::Findings;
use section::{Placed, Section};

/// Longest accepted configuration text, in bytes.
pub const MAX_LENGTH: usize = 1024 * 1024;

/// Shortest accepted cookie secret, in bytes: 256 bits when it is random, as RFC 7518 section 3.2 asks of HS256 keys.
const MIN_COOKIE_SECRET: usize = 32;

/// A thousand in a second: a limit beyond that limits nobody.
const MAX_PER_MINUTE: u32 = 60_000;

/// Streamlit's lifetime of a login.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The text of a configuration, and all that it refers to.
#[derive(Clone)]
pub struct Source {
    /// For messages only.
    pub file_name: String,
    pub toml: String,
    /// An answer for each of [`references`] of the same text.
    pub resolved: Vec<(Reference, Option<Secret>)>,
    /// Replaces `{port}` in `redirect_uri`.
    pub port: Option<u16>,
    /// The very same was parsed before: warnings about rules, which take long to find, are left out. Every fault that is fatal
    /// is still found.
    pub was_checked: bool,
}

/// The text holds secrets.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("file_name", &self.file_name).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Source {
    /// A configuration that refers to nothing outside itself.
    pub fn new(file_name: &str, toml: &str) -> Self {
        Self { file_name: file_name.into(), toml: toml.into(), resolved: vec![], port: None, was_checked: false }
    }
}

/// Something outside the file that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    Environment(String),
    File(String),
}

/// A usable configuration.
#[derive(Debug)]
pub struct Config {
    pub providers: Vec<Provider>,
    pub public: PublicOrigin,
    pub admission: Admission,
    pub sessions: SessionSettings,
    pub identity: IdentityHeaders,
    /// For `app = "streamlit"`.
    pub streamlit: Option<StreamlitApp>,
    /// Where a logout ends; `None` for our own page that says so.
    pub after_logout: Option<crate::web::return_to::ReturnTo>,
    /// Whether the login begins on a page of ours that knows the fragment of its address, also with one provider (`true`), or no
    /// page looks at it (`false`); `None`: the pages that there are anyway keep it.
    pub keep_fragment: Option<bool>,
    /// Answers another proxy instead of being one; `None`: requests go on to the application.
    pub authz: Option<Authz>,
    /// Whose word on where a request comes from is believed; of proxies that ask, who may ask.
    pub trusted_proxies: TrustedProxies,
    /// Whether the file has such a list, also an empty one.
    pub names_trusted_proxies: bool,
    pub per_minute: PerMinute,
    /// Pages of other origins.
    pub cors: Cors,
    /// Pages of other sites that show the application in a frame.
    pub embedding: Embedding,
    /// What our own pages show of the application.
    pub branding: Branding,
    /// Whether events, and lines of the audit, say who they are about.
    pub log_subjects: bool,
    /// `None`: there is no audit.
    pub audit: Option<AuditSettings>,
    /// Where a provider's metadata may name endpoints that are not on the internet, in the spelling of URLs.
    pub internal_hosts: Vec<String>,
    pub upstream: Option<String>,
    pub listen: Option<String>,
    pub warnings: Vec<Fault>,
    pub(crate) cookie_secret: Secret,
}

impl Config {
    /// Parses and checks everything; fails with every fault that there is, warnings included (but not that of whom the
    /// configuration would let in).
    pub fn parse(source: &Source) -> Result<Self, Vec<Fault>> {
        let findings = Findings::new(&source.file_name, &source.toml);
        let config = read(source, &findings);
        let mut faults = findings.into_faults();
        match config {
            Some(mut config) if !faults.iter().any(|fault| fault.fatal) => {
                config.warnings.append(&mut faults);
                Ok(config)
            }
            _ => Err(faults),
        }
    }

    /// What of the application to ask for when it matters which server it is, and it has not said so.
    pub fn application_probe(&self) -> Option<String> {
        let app = self.streamlit.as_ref().filter(|app| app.cookie_form.is_none());
        app.map(|_| self.public.page(crate::identity::streamlit::HEALTH))
    }

    /// What is counted for each client, and where.
    pub fn limits(&self) -> Vec<Limit> {
        let PerMinute { logins, bad_callbacks } = self.per_minute;
        let limits = [
            (Counted::LoginStart, logins, self.public.route(route::LOGIN)),
            (Counted::BadCallback, bad_callbacks, self.public.redirect_uri().path().to_owned()),
        ];
        let limited = limits.into_iter().filter(|(_, per_minute, _)| *per_minute > 0);
        limited.map(|(counted, per_minute, path)| Limit { counted, per_minute, path }).collect()
    }

    /// Whether there is a proxy whose word is believed.
    pub fn has_trusted_proxies(&self) -> bool {
        self.trusted_proxies != TrustedProxies::default()
    }

    pub fn provider(&self, name: &str) -> Option<&Provider> {
        Provider::find(&self.providers, name)
    }
}

/// Every environment variable and file that the text names. A text that cannot be parsed names none.
pub fn references(toml: &str) -> Vec<Reference> {
    let Ok(document) = DeTable::parse(toml) else { return vec![] };
    let mut found = vec![];
    let auth = document.get_ref().get("auth").and_then(|auth| auth.get_ref().as_table());
    let vestibule = document.get_ref().get("vestibule").and_then(|vestibule| vestibule.get_ref().as_table());
    let section = |name: &str| vestibule.and_then(|vestibule| vestibule.get(name)?.get_ref().as_table());
    let mut collect = |table: &DeTable<'_>| {
        for name in REFERABLE {
            let text = |suffix: &str| table.get(format!("{name}{suffix}").as_str())?.get_ref().as_str().map(str::to_owned);
            found.extend(text("_env").map(Reference::Environment));
            found.extend(text("_file").map(Reference::File));
        }
    };
    if let Some(auth) = auth {
        collect(auth);
        auth.values().filter_map(|value| value.get_ref().as_table()).for_each(&mut collect);
    }
    section("session").into_iter().for_each(collect);
    let logo = section(pages::PAGES).and_then(|table| table.get(pages::LOGO_FILE)?.get_ref().as_str());
    for file in vestibule.into_iter().flat_map(rule::files).chain(logo) {
        let file = Reference::File(file.to_owned());
        // A file that is named several times is read once.
        if !found.contains(&file) {
            found.push(file);
        }
    }
    found
}

/// Keys that may stand with `_env` or `_file` behind them.
const REFERABLE: [&str; 4] = ["cookie_secret", "client_id", "client_secret", "previous_cookie_secrets"];

fn read(source: &Source, findings: &Findings<'_>) -> Option<Config> {
    if source.toml.len() > MAX_LENGTH {
        findings.fatal(None, "(file)", "the file is larger than 1 MiB", "give the file that holds [auth]");
        return None;
    }
    let (document, errors) = DeTable::parse_recoverable(&source.toml);
    if !errors.is_empty() {
        syntax::tell(findings, &source.toml, &errors);
        return None;
    }
    let root = Section::root(findings, document.get_ref());
    let auth = root.section("auth");
    let vestibule = root.section("vestibule");
    root.finish_foreign();
    let outside = Outside { resolved: &source.resolved };
    let extras = vestibule.section("provider");

    let login = vestibule.choice("login", &[("required", Login::Required), ("optional", Login::Optional)]);
    let lifetime_section = vestibule.section("session");
    let lifetime = Lifetime {
        max_age: lifetime_section.duration("max_age").unwrap_or(DEFAULT_MAX_AGE),
        idle_timeout: lifetime_section.duration("idle_timeout"),
    };
    let previous = read_previous_secrets(&lifetime_section, &outside);
    let is_max_age_known = !lifetime_section.is_key_faulty("max_age");
    if let Some(idle_timeout) = lifetime.idle_timeout.filter(|idle| is_max_age_known && *idle > lifetime.max_age) {
        let problem = format!("`{}` is longer than the session lasts", humantime::format_duration(idle_timeout));
        findings.fatal(lifetime_section.at(), &lifetime_section.key("idle_timeout"), problem, "make it shorter than max_age, or remove it");
    }
    lifetime_section.finish_strict();
    let preset = streamlit::read(&vestibule);
    let prefix = routes::read(&vestibule, preset.app.is_some());
    let identity = read_identity(&vestibule.section("identity"), preset.refused_headers);
    let after_logout = vestibule.string("after_logout");
    let keep_fragment = vestibule.boolean("keep_fragment");
    let upstream = read_url(&vestibule, "upstream");
    let internal_hosts = internal_hosts::read(&vestibule);
    let http_hosts = plain_http::read(&vestibule);
    let in_front = trusted_proxies::read(&vestibule);
    let (authz, who_may_ask) = authz::read(&vestibule, upstream.is_some()).unzip();
    let listen = read_listen(&vestibule);
    let per_minute = read_limits(&vestibule.section("limits"));
    let cors = cors::read(&vestibule.section("cors"), authz.is_some());
    let embedding_section = vestibule.section("embedding");
    let embedding = embedding::read(&embedding_section);
    let log = log::read(&vestibule.section("log"));
    let branding = pages::read(&vestibule.section(pages::PAGES), &outside);
    let rules = rule::find(&vestibule, source.was_checked);
    vestibule.finish_strict();

    if root.is_key_faulty("auth") && !auth.exists() {
        return None;
    }
    if !auth.exists() {
        let remedy = "add [auth] with redirect_uri, cookie_secret, client_id, client_secret and server_metadata_url";
        findings.fatal(None, "auth", "the section is missing", remedy);
        return None;
    }
    let public = origin::read(&auth, source.port, prefix);
    let cookie_secret = read_cookie_secret(&auth, &outside);
    let expose_tokens = read_expose_tokens(&auth);
    let providers = provider::read_all(&auth, &extras, public.as_ref(), &http_hosts, preset.app.is_some(), &outside);
    let known = known_texts(&providers);
    if let Some(text) = cookie_secret.as_ref().filter(|text| text.at.is_some()) {
        check_cookie_secret(findings, text, &known, MAKE_SECRET);
    }
    // They open sessions as the secret in use does: whoever guesses one can log in as anybody.
    let remedy = "remove it; the sessions that it has sealed end, and their users log in again";
    previous.iter().for_each(|secret| check_cookie_secret(findings, secret, &known, remedy));
    auth.finish_lenient(|name| {
        vestibule.knows(name).then(|| vestibule.path()).or_else(|| provider::place_of_extra(name, provider::UNNAMED))
    });
    if !source.was_checked {
        auth.warn_of_variables();
        vestibule.warn_of_variables();
    }
    for (name, section) in provider::sections(&auth) {
        if vestibule.knows(&name) && !section.has("client_id") && !section.has("server_metadata_url") {
            let remedy = format!("write [{}]", vestibule.key(&name));
            findings.fatal(section.at(), &section.path(), "is taken for a provider of that name, and is none", remedy);
        }
    }
    plain_http::warn(&vestibule, &http_hosts, &providers);
    let policy = rules.read(&identity.groups, public.as_ref(), &provider::names(&auth), &outside);
    admission::refuse_claims_of_any_tenant(rules.sections(), policy.as_ref(), &providers);
    if policy.is_some() && login.is_some() {
        let remedy = "remove it, and give the last rule, without a `path`, the `access` that is meant for the rest";
        findings.warning(vestibule.at(), &vestibule.key("login"), "has no effect where there are rules", remedy);
    }

    let public = public?;
    embedding::check(&embedding, &embedding_section, &public);
    if let Some(policy) = policy.as_ref().filter(|_| preset.app.is_some() && !vestibule.is_key_faulty("rule")) {
        streamlit_pages::check(rules.sections(), policy, public.base_path());
    }
    if authz.is_none()
        && !findings.has_fatal()
        && !identity.passed.is_empty()
        && in_front.as_ref().is_none_or(|in_front| *in_front == TrustedProxies::default())
    {
        let problem = "lets every client write these headers: no proxy in front is named that would write them itself";
        findings.warning(
            vestibule.at(),
            &vestibule.key("identity.pass"),
            problem,
            "name the proxy in vestibule.trusted_proxies, or remove `pass`",
        );
    }
    if authz.is_none() && !vestibule.is_key_faulty("mode") && !vestibule.is_key_faulty("authz") {
        trusted_proxies::warn_of_silence(&vestibule, listen.as_deref(), &public);
    }
    let after_logout = after_logout.and_then(|text| {
        let parsed = crate::web::return_to::ReturnTo::parse(&text.value, public.redirect_uri());
        let problem = match &parsed {
            Err(_) => "is not a page of the public origin",
            // Where our own routes lie is not known.
            Ok(_) if vestibule.is_key_faulty("routes") => return parsed.ok(),
            Ok(page) => match Route::of(page.path(), &public) {
                Route::Application | Route::Login | Route::User => return parsed.ok(),
                Route::Callback | Route::Logout | Route::LoggedOut => "is a route that leads to `after_logout` itself",
                Route::Reserved => "is reserved for routes of Vestibule, and none has it",
            },
        };
        findings.fatal(text.at, &text.key, problem, "write a path of the application, \"/goodbye\" for example");
        None
    });
    let cookie_secret = Secret::new(cookie_secret?.value);
    let previous = previous.into_iter().map(|secret| Secret::new(secret.value));
    let secrets: Vec<_> = std::iter::once(cookie_secret.clone()).chain(previous).collect();
    admission::warn_of_everybody(&auth, rules.sections(), policy.as_ref(), &providers, login == Some(Login::Optional));
    let keys = KeyRing::derive(&secrets, public.redirect_uri().as_str());
    let near_claims = near_claims(&identity, policy.as_ref());
    Some(Config {
        providers,
        // A Streamlit app asks for the login itself, by `st.login()`.
        admission: Admission { login: login.unwrap_or(if preset.app.is_some() { Login::Optional } else { Login::Required }), policy },
        sessions: SessionSettings {
            lifetime,
            expose_tokens,
            near_claims,
            keys,
            cookie_names: Arc::new(CookieNames::new(
                &public,
                preset.app.is_some().then_some(streamlit_app::is_login_cookie),
                embedding.is_on(),
            )),
        },
        identity,
        after_logout,
        keep_fragment,
        authz,
        per_minute,
        cors,
        embedding,
        branding,
        log_subjects: log.subjects,
        audit: log.audit,
        names_trusted_proxies: vestibule.has(trusted_proxies::KEY),
        trusted_proxies: who_may_ask.or(in_front).unwrap_or_default(),
        internal_hosts,
        upstream,
        listen,
        warnings: vec![],
        cookie_secret,
        streamlit: preset.app,
        public,
    })
}

/// What the references of the file stand for.
struct Outside<'a> {
    resolved: &'a [(Reference, Option<Secret>)],
}

impl Outside<'_> {
    /// A value written as it is, named by an environment variable (`<name>_env`) or kept in a file (`<name>_file`).
    fn string(&self, section: &Section<'_>, name: &'static str, env: &'static str, file: &'static str) -> Option<Placed<String>> {
        let written = section.string(name);
        let elsewhere = self.elsewhere(section, env, file);
        if written.is_some() && elsewhere.is_some() {
            let problem = format!("more than one of {name}, {env} and {file} is given");
            section.findings.fatal(section.at(), &section.key(name), problem, "keep one of them");
        }
        elsewhere.or(written)
    }

    /// A value named by an environment variable or kept in a file; empty when there is none, which is said.
    fn elsewhere(&self, section: &Section<'_>, env: &'static str, file: &'static str) -> Option<Placed<String>> {
        let from_env = section.string(env).map(|text| (Reference::Environment(text.value.clone()), text));
        let from_file = section.string(file).map(|text| (Reference::File(text.value.clone()), text));
        if from_env.is_some() && from_file.is_some() {
            section.findings.fatal(section.at(), &section.key(env), format!("both {env} and {file} are given"), "keep one of them");
        }
        let (reference, text) = from_env.or(from_file)?;
        if let Some(value) = self.found(&reference) {
            return Some(Placed { value: value.expose().to_owned(), at: text.at, key: text.key });
        }
        let (problem, remedy) = match &reference {
            Reference::Environment(name) => {
                (format!("the environment variable `{name}` is not set"), format!("set `{name}` for the process that reads this file"))
            }
            Reference::File(path) => no_file(path),
        };
        section.findings.fatal(text.at, &text.key, problem, remedy);
        // So that the value's absence is not complained of a second time.
        Some(Placed { value: String::new(), at: None, key: text.key })
    }

    /// The name of a file and its text; `None` where there is none, which is said.
    fn file(&self, section: &Section<'_>, name: &'static str) -> Option<(Placed<String>, &Secret)> {
        let path = section.string(name)?;
        let found = self.found(&Reference::File(path.value.clone()));
        if found.is_none() {
            let (problem, remedy) = no_file(&path.value);
            section.findings.fatal(path.at, &path.key, problem, remedy);
        }
        Some((path, found?))
    }

    fn found(&self, reference: &Reference) -> Option<&Secret> {
        self.resolved.iter().find(|(known, _)| known == reference).and_then(|(_, value)| value.as_ref())
    }
}

/// What is wrong with the name of a file that is not there, and what to write.
fn no_file(path: &str) -> (String, String) {
    (format!("the file `{path}` cannot be read"), "write a path that exists, absolute or relative to this file".to_owned())
}

fn read_cookie_secret(auth: &Section<'_>, outside: &Outside<'_>) -> Option<Placed<String>> {
    let Some(text) = outside.string(auth, "cookie_secret", "cookie_secret_env", "cookie_secret_file") else {
        if ["cookie_secret", "cookie_secret_env", "cookie_secret_file"].into_iter().any(|key| auth.has(key)) {
            return None;
        }
        auth.findings.fatal(auth.at(), &auth.key("cookie_secret"), "is missing", MAKE_SECRET);
        return None;
    };
    Some(text)
}

/// What others than the operator know: the providers' names, addresses, clients and the secrets of these.
fn known_texts(providers: &[Provider]) -> Vec<&str> {
    let mut known = vec![];
    for provider in providers {
        known.extend([provider.name.as_str(), provider.client_id.as_str()]);
        known.extend(provider.client_secret.as_ref().map(Secret::expose));
        known.extend(provider.metadata_url.host_str());
        known.extend(provider.metadata_url.path_segments().into_iter().flatten());
    }
    known.retain(|text| text.len() >= secret_strength::MIN_KNOWN);
    known
}

/// A string or a list; from outside, one secret a line.
fn read_previous_secrets(section: &Section<'_>, outside: &Outside<'_>) -> Vec<Placed<String>> {
    let written = section.strings("previous_cookie_secrets").unwrap_or_default();
    let elsewhere = outside.elsewhere(section, "previous_cookie_secrets_env", "previous_cookie_secrets_file");
    let lines = elsewhere.into_iter().flat_map(|text| {
        let lines = text.value.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect::<Vec<_>>();
        lines.into_iter().map(move |value| Placed { value, at: text.at, key: text.key.clone() })
    });
    written.into_iter().chain(lines).collect()
}

fn check_cookie_secret(findings: &Findings<'_>, text: &Placed<String>, known: &[&str], remedy: &str) {
    let secret = &text.value;
    let problem = if secret.trim().is_empty() {
        "is empty".to_owned()
    } else if is_sample(secret) {
        "is the sample of the documentation, known to everybody".to_owned()
    } else if secret.len() < MIN_COOKIE_SECRET {
        format!("has {} bytes; whoever guesses it can log in as anybody, so at least {MIN_COOKIE_SECRET} are needed", secret.len())
    } else if secret_strength::is_guessable(secret, &[]) {
        "can be guessed: it is made of words, dates, sequences or repetitions, or it is published".to_owned()
    } else if secret_strength::is_guessable(secret, known) {
        "is made of what others know: a client id, a client secret or the address of a provider".to_owned()
    } else {
        return;
    };
    findings.fatal(text.at, &text.key, problem, remedy);
}

/// Values that documentation shows and people forget to replace: one character over and over, text in brackets, and
/// texts of nothing but the words of a placeholder (`your-client-id.apps.googleusercontent.com`, `<client secret>`).
fn is_sample(value: &str) -> bool {
    /// What such a text asks for.
    const REQUESTS: [&str; 13] =
        ["your", "replace", "insert", "enter", "paste", "put", "here", "change", "changeme", "changeit", "tbd", "fixme", "placeholder"];
    /// What stands around that.
    const REST: [&str; 46] = [
        "a",
        "an",
        "and",
        "api",
        "app",
        "application",
        "apps",
        "auth0",
        "by",
        "client",
        "com",
        "cookie",
        "entra",
        "example",
        "from",
        "generated",
        "github",
        "gitlab",
        "gocspx",
        "google",
        "googleusercontent",
        "id",
        "in",
        "it",
        "key",
        "keycloak",
        "me",
        "microsoft",
        "my",
        "oauth",
        "oauth2",
        "of",
        "oidc",
        "okta",
        "own",
        "please",
        "provider",
        "random",
        "real",
        "sample",
        "secret",
        "string",
        "the",
        "this",
        "value",
        "with",
    ];
    let text = value.trim().to_ascii_lowercase();
    let mut characters = text.chars();
    let first = characters.next();
    let repeated = characters.all(|c| Some(c) == first) && (text.len() >= 3 || first == Some('x'));
    // Not for long, what was made at random may begin and end with any character.
    let bracketed = [('<', '>'), ('{', '}'), ('[', ']')].into_iter().any(|(open, close)| {
        let inside = text.strip_prefix(open).and_then(|text| text.strip_suffix(close));
        let is_words = |inside: &str| inside.bytes().all(|b| b.is_ascii_lowercase() || b" _-<>{}[]".contains(&b));
        inside.is_some_and(|inside| inside.len() < MIN_COOKIE_SECRET - 2 || is_words(inside))
    });
    let is_x = |word: &str| word.len() >= 2 && word.bytes().all(|b| b == b'x');
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).peekable();
    let asks = words.clone().any(|word| REQUESTS.contains(&word) || is_x(word));
    let says_nothing = words.peek().is_some() && words.all(|word| REQUESTS.contains(&word) || REST.contains(&word) || is_x(word));
    text.is_empty()
        || repeated
        || bracketed
        || ["todo", "secret", "client-secret", "client_secret", "client-id", "client_id", "..."].contains(&text.as_str())
        || text.starts_with("your-")
        || text.starts_with("your_")
        || (asks && says_nothing)
}

/// Streamlit's rule: `"id"`, `"access"`, or a list of them.
fn read_expose_tokens(auth: &Section<'_>) -> ExposeTokens {
    let mut exposed = ExposeTokens::default();
    for token in auth.strings("expose_tokens").unwrap_or_default() {
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

const NO_CLAIM: &str = "is neither a claim's name nor a JSON pointer";

fn read_identity(section: &Section<'_>, refused: Vec<String>) -> IdentityHeaders {
    let groups = groups::read(section);
    let mut from_claims = vec![];
    let mut seen = BTreeMap::new();
    for entry in section.entries("headers").unwrap_or_default() {
        let (claim, header) = &entry.value;
        let name = header.as_str().unwrap_or_default();
        let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !crate::claims::is_name_or_pointer(claim) {
            section.findings.fatal(entry.at, &entry.key, NO_CLAIM, "write department or \"/address/country\" for example");
        } else if !valid {
            let remedy = "write a header name of letters, digits and hyphens: { department = \"X-Department\" }";
            section.findings.fatal(entry.at, &entry.key, "is not the name of a header", remedy);
        } else if crate::identity::headers::is_reserved(name) {
            let remedy = "use a name of your own, beginning with X- for example";
            section.findings.fatal(entry.at, &entry.key, format!("`{name}` has a meaning of its own in HTTP"), remedy);
        } else if let Some(other) = seen.insert(name.to_ascii_lowercase(), claim.clone()) {
            let problem = format!("the claim `{other}` already goes into `{name}`");
            section.findings.fatal(entry.at, &entry.key, problem, "give every claim a header of its own");
        } else if groups::contradicts(&groups, claim, name) {
            let problem = format!("fills `{name}` with the claim as it is, and groups_shape reads it in another shape");
            section.findings.fatal(entry.at, &entry.key, problem, "remove the entry: groups_claim fills X-Forwarded-Groups");
        } else {
            from_claims.push((claim.clone(), name.to_owned()));
        }
    }
    let passed = read_passed(section, &from_claims, &refused);
    section.finish_strict();
    IdentityHeaders { groups, from_claims, refused, passed }
}

/// The claims that decisions ask for: headers are made of them, and rules look at them.
fn near_claims(identity: &IdentityHeaders, policy: Option<&Policy>) -> Vec<String> {
    let of_headers = identity.from_claims.iter().map(|(claim, _)| claim.as_str()).chain([identity.groups.near_name()]);
    let of_rules = policy.into_iter().flat_map(Policy::claims);
    let mut names: Vec<String> = of_headers.chain(of_rules).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// Headers of [`crate::web::proxy_headers`] that a client's own proxy writes, and that the application is to get.
fn read_passed(section: &Section<'_>, from_claims: &[(String, String)], refused: &[String]) -> Vec<String> {
    let mut passed = vec![];
    for name in section.strings("pass").unwrap_or_default() {
        let ours = from_claims.iter().map(|(_, header)| header).chain(refused).map(String::as_str);
        let is_name = name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let problem = if !is_name {
            "is not the name of a header: each name is written in full"
        } else if crate::identity::headers::is_own(&name.value, ours) {
            "says who the user is: no client may send it"
        } else if !crate::web::proxy_headers::is_listed(&name.value) {
            "is not removed anyway"
        } else {
            passed.push(name.value);
            continue;
        };
        let remedy = "name a header of the list in docs/identity.md under \"Headers that clients must not send\", or remove it";
        section.findings.fatal(name.at, &name.key, format!("`{}` {problem}", name.value), remedy);
    }
    passed
}

fn read_limits(section: &Section<'_>) -> PerMinute {
    let default = PerMinute::default();
    let logins = section.number("logins_per_minute", MAX_PER_MINUTE).unwrap_or(default.logins);
    let bad_callbacks = section.number("bad_callbacks_per_minute", MAX_PER_MINUTE).unwrap_or(default.bad_callbacks);
    section.finish_strict();
    PerMinute { logins, bad_callbacks }
}

fn read_url(section: &Section<'_>, name: &'static str) -> Option<String> {
    let text = section.string(name)?;
    let parsed = url::Url::parse(&text.value).ok();
    let good = parsed.is_some_and(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if !good {
        let problem = format!("`{}` is not the address of a server", text.value);
        section.findings.fatal(text.at, &text.key, problem, "write scheme, host and port: \"http://127.0.0.1:8080\"");
    }
    good.then_some(text.value)
}

fn read_listen(section: &Section<'_>) -> Option<String> {
    let text = section.string("listen")?;
    let good = text.value.parse::<std::net::SocketAddr>().is_ok() || is_name_and_port(&text.value);
    if !good {
        let problem = format!("`{}` is not an address and a port", text.value);
        section.findings.fatal(text.at, &text.key, problem, "write \"127.0.0.1:8501\", or \"0.0.0.0:8501\" for every interface");
    }
    good.then_some(text.value)
}

/// `localhost:8501`, or another name, which is looked up when it is listened on.
fn is_name_and_port(text: &str) -> bool {
    let Some((name, port)) = text.split_once(':') else { return false };
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    // What looks like a number is an address, and a wrong one.
    let is_name = name.split('.').all(label) && !name.split('.').next_back().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    is_name && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests;
