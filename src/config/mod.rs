//! The configuration: `secrets.toml` as Streamlit users write it, plus `[vestibule]` for what Streamlit has no word for.
//!
//! [`Config::parse`] is the only way to make a [`Config`], and finds every fault in one go. A value of that type is
//! usable: secrets are strong, URLs are URLs, nothing is left to be discovered at the first login.

mod address;
mod admission;
mod authz;
mod client_options;
mod condition;
mod cookie_secret;
mod cors;
mod embedding;
mod fault;
mod findings;
mod groups;
mod hidden;
mod identity;
mod internal_hosts;
mod limits;
mod log;
mod origin;
mod outside;
mod own_logout;
mod pages;
mod plain_http;
mod post_logout;
mod provider;
mod refresh;
mod routes;
mod rule;
pub mod schema;
mod secret_strength;
mod section;
mod session;
pub mod setting;
mod store;
mod store_place;
mod streamlit;
mod streamlit_pages;
mod summary;
mod syntax;
pub mod tables;
mod tokens;
mod trusted_proxies;
mod unknown;

use std::sync::Arc;

use toml::de::DeTable;

pub use admission::{is_open_tenant, is_public_mail};
pub use client_options::is_hosted_domain;
pub use fault::Fault;
pub use outside::{references, secret_references, stand_in};
pub use store::StoreSettings;
pub use store_place::{NoStorePlace, RedisAddress, RedisLogin, RedisServer, StorePlace};
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
use crate::session::{CookieNames, KeyRing, SessionSettings};
use crate::web::cors::Cors;
use crate::web::embedding::Embedding;
use crate::web::origin::PublicOrigin;
use crate::web::route::{self, Route};
use crate::web::trusted_proxies::TrustedProxies;
use fault::MAKE_SECRET;
use findings::Findings;
use outside::Outside;
use section::Section;

/// Longest accepted configuration text, in bytes.
pub const MAX_LENGTH: usize = 1024 * 1024;

/// What `login` may be.
const LOGIN: [(&str, Login); 2] = [("required", Login::Required), ("optional", Login::Optional)];

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
    /// Whether the configuration or a rule is about groups, so that a login without them is worth a word.
    pub wants_groups: bool,
    /// For `app = "streamlit"`.
    pub streamlit: Option<StreamlitApp>,
    /// Where a logout ends; `None` for our own page that says so.
    pub after_logout: Option<crate::web::return_to::ReturnTo>,
    /// Whether a login keeps the fragment of the address that it begins at: with one provider, `None` begins it on a page that
    /// knows the fragment where a browser says that it navigates, `Some(true)` always; `Some(false)`: no page keeps one.
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
    /// `None`: the list of ended sessions is in the host's memory only.
    pub store: Option<StoreSettings>,
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
            (Counted::BadLogoutToken, bad_callbacks, self.public.route(route::BACKCHANNEL_LOGOUT)),
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
    let outside = Outside::new(&source.resolved);
    let root = Section::root(findings, &outside, document.get_ref(), tables::ROOT);
    let auth = root.section("auth");
    let vestibule = root.section("vestibule");
    root.finish_foreign();
    let extras = vestibule.section("provider");

    let login = vestibule.choice("login", &LOGIN);
    let session_section = vestibule.section("session");
    let session::Sessions { lifetime, refresh, previous, store } = session::read(&session_section);
    let preset = streamlit::read(&vestibule);
    let prefix = routes::read(&vestibule, preset.app.is_some());
    let identity = identity::read(&vestibule.section("identity"), preset.refused_headers);
    let after_logout = vestibule.string("after_logout");
    let keep_fragment = vestibule.boolean("keep_fragment");
    let upstream = address::read_upstream(&vestibule);
    let internal_hosts = internal_hosts::read(&vestibule);
    let http_hosts = plain_http::read(&vestibule);
    let in_front = trusted_proxies::read(&vestibule);
    let (authz, who_may_ask) = authz::read(&vestibule, upstream.is_some()).unzip();
    let listen = address::read_listen(&vestibule);
    let per_minute = limits::read(&vestibule.section("limits"));
    let cors = cors::read(&vestibule.section("cors"), authz.is_some());
    let embedding_section = vestibule.section("embedding");
    let embedding = embedding::read(&embedding_section);
    let log = log::read(&vestibule.section("log"));
    let branding = pages::read(&vestibule.section(pages::PAGES));
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
    let cookie_secret = cookie_secret::read(&auth);
    let expose_tokens = tokens::read(&auth);
    let providers = provider::read_all(&auth, &extras, public.as_ref(), &http_hosts, preset.app.is_some());
    let known = cookie_secret::known_texts(&providers);
    if let Some(text) = &cookie_secret {
        cookie_secret::check(findings, text, &known, MAKE_SECRET);
    }
    // They open sessions as the secret in use does: whoever guesses one can log in as anybody.
    let remedy = "remove it; the sessions that it has sealed end, and their users log in again";
    previous.iter().for_each(|secret| cookie_secret::check(findings, secret, &known, remedy));
    auth.finish_lenient(provider::UNNAMED);
    for (name, section) in provider::sections(&auth) {
        let is_ours = name == vestibule.path() || vestibule.knows(&name);
        if is_ours && !section.has("client_id") && !section.has("server_metadata_url") {
            let place = if name == vestibule.path() { name } else { vestibule.key(&name) };
            let remedy = format!("write [{place}]");
            findings.fatal(section.at(), &section.path(), "is read as a provider of that name, and has no settings of a provider", remedy);
        }
    }
    if !source.was_checked {
        auth.warn_of_variables();
    }
    plain_http::warn(&vestibule, &http_hosts, &providers);
    let policy = rules.read(&identity.groups, public.as_ref(), &provider::names(&auth));
    admission::refuse_claims_of_any_tenant(rules.sections(), policy.as_ref(), &providers);
    if policy.is_some() && login.is_some() {
        let remedy = "remove it, and give the last rule, without a `path`, the `access` that is meant for the rest";
        findings.warning(vestibule.at(), &vestibule.key("login"), "has no effect where there are rules", remedy);
    }

    if !source.was_checked {
        vestibule.warn_of_variables();
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
        let problem = "lets every client set these headers: no proxy in front is named that sets them";
        findings.warning(
            vestibule.at(),
            &vestibule.key("identity.pass"),
            problem,
            "name the proxy in vestibule.trusted_proxies, or remove `pass`",
        );
    }
    if let Some(refresh) = &refresh {
        let exposed = (!auth.is_key_faulty(tokens::KEY)).then_some(expose_tokens);
        refresh::check(&session_section, refresh, &lifetime, exposed);
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
                Route::BackchannelLogout | Route::FrontchannelLogout => "is a route for providers, not a page",
                Route::Refresh => "is a route for scripts, not a page",
                Route::Reserved => "is reserved for routes of Vestibule, and is not one of them",
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
    let store = store.map(|store| store.settings(&secrets, public.redirect_uri().as_str(), lifetime.max_age));
    let near_claims = identity::near_claims(&identity, policy.as_ref());
    let is_asked_for = |policy: &Policy| policy.claims().any(|claim| claim == identity.groups.near_name());
    let wants_groups = identity.groups.is_of_choice() || policy.as_ref().is_some_and(is_asked_for);
    Some(Config {
        providers,
        // A Streamlit app asks for the login itself, by `st.login()`.
        admission: Admission { login: login.unwrap_or(if preset.app.is_some() { Login::Optional } else { Login::Required }), policy },
        sessions: SessionSettings {
            lifetime,
            expose_tokens,
            refresh,
            near_claims,
            keys,
            cookie_names: Arc::new(CookieNames::new(
                &public,
                preset.app.is_some().then_some(streamlit_app::is_login_cookie),
                embedding.is_on(),
            )),
        },
        identity,
        wants_groups,
        after_logout,
        keep_fragment,
        authz,
        per_minute,
        cors,
        embedding,
        branding,
        log_subjects: log.subjects,
        audit: log.audit,
        store,
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

#[cfg(test)]
mod tests;
