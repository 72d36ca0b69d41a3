//! Whole configurations, generated: every section that has a bearing on what a browser may do, in any combination.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::json;
use toml::{Table, Value};

use crate::rig::{CLIENT_ID, ISSUER, Provider};

pub(crate) const PORTAL: &str = "https://portal.example";
pub(crate) const READER: &str = "https://reader.example";
pub(crate) const LOCAL: &str = "http://localhost:3000";
const INSIDE: &str = "http://op.auth.svc:8080/realm";

/// What a generated configuration says, for a test to judge by.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Of the path of `redirect_uri`, without `/oauth2callback`.
    pub base: &'static str,
    pub routes: Option<&'static str>,
    pub streamlit: bool,
    pub login: Option<&'static str>,
    /// The names of the providers; none for the one in `[auth]` itself. The rig's is the first.
    pub names: Vec<&'static str>,
    pub provider: ProviderSection,
    pub rules: Rules,
    pub preflight: Option<&'static str>,
    pub readers: Vec<&'static str>,
    pub frames: Vec<&'static str>,
    pub pages: PagesSection,
    pub after_logout: Option<&'static str>,
    pub keep_fragment: Option<bool>,
    pub lifetimes: Option<(u64, Option<u64>)>,
    pub expose_tokens: Vec<&'static str>,
    pub user_header: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ProviderSection {
    pub title: Option<String>,
    pub audiences: Vec<&'static str>,
    pub logout_url: Option<&'static str>,
    /// Behind the public origin and the base path; `LOGGED_OUT` stands for the route.
    pub post_logout: Option<&'static str>,
    pub clock_skew: Option<&'static str>,
    pub userinfo: Option<bool>,
    pub trust_email: Option<bool>,
    pub prompt: Option<&'static str>,
    /// Asked by plain http at an internal address, with a public issuer.
    pub plain_http: bool,
    pub secret: String,
}

#[derive(Clone, Debug)]
pub(crate) struct PagesSection {
    pub name: Option<String>,
    pub support: Option<String>,
    pub accent: Option<String>,
}

/// Who may see `/private/…`, and whether `/open/…` is for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    None,
    /// Everybody who is logged in.
    Anyone,
    /// One of the groups that the rig's users have.
    Staff,
    /// A group that they do not have.
    Board,
}

pub(crate) const LOGGED_OUT: &str = "LOGGED_OUT";

impl Site {
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn redirect_uri(&self) -> String {
        format!("https://app.example{}/oauth2callback", self.base)
    }

    pub(crate) fn is_login_required(&self) -> bool {
        match self.rules {
            Rules::None => self.login.unwrap_or(if self.streamlit { "optional" } else { "required" }) == "required",
            _ => true,
        }
    }

    fn prefix(&self) -> &str {
        self.routes.unwrap_or(if self.streamlit { "/auth" } else { "/.vestibule" })
    }

    /// Where the provider shall send the browser after a logout.
    pub(crate) fn post_logout_redirect_uri(&self) -> String {
        match self.provider.post_logout {
            None => self.redirect_uri(),
            Some(LOGGED_OUT) => format!("https://app.example{}{}/logged-out", self.base, self.prefix()),
            Some(page) => format!("https://app.example{}{page}", self.base),
        }
    }

    pub(crate) fn toml(&self) -> String {
        self.table().to_string()
    }

    pub(crate) fn table(&self) -> Table {
        let provider = &self.provider;
        let metadata_url = format!("{}/.well-known/openid-configuration", if provider.plain_http { INSIDE } else { ISSUER });
        let mut client = Table::new();
        set(&mut client, "client_id", Some(CLIENT_ID));
        set(&mut client, "client_secret", Some(provider.secret.as_str()));
        set(&mut client, "server_metadata_url", Some(metadata_url.as_str()));
        if let Some(prompt) = provider.prompt {
            client.insert("client_kwargs".into(), Value::Table(Table::from_iter([("prompt".to_owned(), Value::from(prompt))])));
        }
        let mut auth = Table::new();
        set(&mut auth, "redirect_uri", Some(self.redirect_uri()));
        set(&mut auth, "cookie_secret", Some("8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"));
        list(&mut auth, "expose_tokens", &self.expose_tokens);

        let mut section = Table::new();
        set(&mut section, "title", provider.title.clone());
        list(&mut section, "audiences", &provider.audiences);
        set(&mut section, "logout_url", provider.logout_url);
        set(&mut section, "post_logout_redirect_uri", provider.post_logout.map(|_| self.post_logout_redirect_uri()));
        set(&mut section, "clock_skew", provider.clock_skew);
        set(&mut section, "userinfo", provider.userinfo);
        set(&mut section, "trust_email", provider.trust_email);
        set(&mut section, "issuer", provider.plain_http.then_some(ISSUER));

        let mut sections = Table::new();
        if self.names.is_empty() {
            auth.extend(client);
            sections.insert("default".into(), Value::Table(section));
        } else {
            for (at, name) in self.names.iter().enumerate() {
                auth.insert((*name).to_owned(), Value::Table(client.clone()));
                if at == 0 || provider.plain_http {
                    sections.insert((*name).to_owned(), Value::Table(section.clone()));
                }
            }
        }

        let mut vestibule = Table::new();
        set(&mut vestibule, "routes", self.routes);
        set(&mut vestibule, "app", self.streamlit.then_some("streamlit"));
        set(&mut vestibule, "login", self.login);
        set(&mut vestibule, "after_logout", self.after_logout.map(|page| self.path(page)));
        set(&mut vestibule, "keep_fragment", self.keep_fragment);
        if provider.plain_http {
            list(&mut vestibule, "insecure_http_hosts", &["op.auth.svc"]);
        }
        vestibule.insert("provider".into(), Value::Table(sections));
        let mut cors = Table::new();
        set(&mut cors, "preflight", self.preflight);
        list(&mut cors, "origins", &self.readers);
        put(&mut vestibule, "cors", cors);
        let mut embedding = Table::new();
        list(&mut embedding, "origins", &self.frames);
        put(&mut vestibule, "embedding", embedding);
        let mut pages = Table::new();
        set(&mut pages, "name", self.pages.name.clone());
        set(&mut pages, "support", self.pages.support.clone());
        set(&mut pages, "accent", self.pages.accent.clone());
        put(&mut vestibule, "pages", pages);
        let mut session = Table::new();
        if let Some((max_age, idle)) = self.lifetimes {
            set(&mut session, "max_age", Some(format!("{max_age}s")));
            set(&mut session, "idle_timeout", idle.map(|idle| format!("{idle}s")));
        }
        put(&mut vestibule, "session", session);
        let mut identity = Table::new();
        if self.user_header {
            identity.insert("headers".into(), Value::Table(Table::from_iter([("name".to_owned(), Value::from("X-Full-Name"))])));
        }
        put(&mut vestibule, "identity", identity);
        if self.rules != Rules::None {
            vestibule.insert("rule".into(), Value::Array(self.rule_tables().into_iter().map(Value::Table).collect()));
        }
        Table::from_iter([("auth".to_owned(), Value::Table(auth)), ("vestibule".to_owned(), Value::Table(vestibule))])
    }

    fn rule_tables(&self) -> Vec<Table> {
        let mut open = Table::new();
        set(&mut open, "path", Some(self.path("/open/**")));
        set(&mut open, "access", Some("public"));
        let mut rest = Table::new();
        if let Some(group) = match self.rules {
            Rules::Staff => Some("staff"),
            Rules::Board => Some("board"),
            _ => None,
        } {
            rest.insert("require".into(), Value::Table(Table::from_iter([("groups".to_owned(), Value::from(group))])));
        }
        vec![open, rest]
    }

    /// The rig's provider, as this configuration expects it.
    pub(crate) fn simulated(&self) -> Provider {
        let mut simulated = Provider::new(ISSUER);
        if self.provider.plain_http {
            simulated.metadata_url = format!("{INSIDE}/.well-known/openid-configuration");
            simulated.edit_metadata = Some(Box::new(|metadata| {
                for (name, path) in [("token_endpoint", "token"), ("jwks_uri", "jwks"), ("userinfo_endpoint", "userinfo")] {
                    metadata[name] = format!("{INSIDE}/{path}").into();
                }
            }));
        }
        if let [audience, ..] = self.provider.audiences[..] {
            simulated.edit_claims = Some(Box::new(move |claims| {
                claims.insert("aud".into(), json!([CLIENT_ID, audience]));
                claims.insert("azp".into(), CLIENT_ID.into());
            }));
        }
        simulated
    }
}

fn set<V: Into<Value>>(table: &mut Table, key: &str, value: Option<V>) {
    table.extend(value.map(|value| (key.to_owned(), value.into())));
}

fn list(table: &mut Table, key: &str, values: &[&str]) {
    set(table, key, (!values.is_empty()).then(|| values.iter().map(|value| Value::from(*value)).collect::<Vec<_>>()));
}

fn put(table: &mut Table, key: &str, section: Table) {
    if !section.is_empty() {
        table.insert(key.to_owned(), Value::Table(section));
    }
}

fn provider_section() -> impl Strategy<Value = ProviderSection> {
    let logout_urls = [
        "https://op.example/v2/logout?client_id={client_id}&returnTo={return_to}",
        "https://op.example/logout?client_id={client_id}&logout_uri={return_to}&state={state}&hint={id_token_hint}",
        "https://op.example/bye?x=%26&back={return_to}&who={logout_hint}",
    ];
    let any = (
        prop::option::of(words()),
        subsequence(vec!["project-1", "https://api.example"], 0..=2),
        prop::option::weighted(0.4, select(logout_urls.to_vec())),
        prop::option::of(select(vec!["/goodbye", "/", "/a/b?c=d", LOGGED_OUT])),
        prop::option::of(select(vec!["1s", "30s", "15m"])),
        any::<Option<bool>>(),
        any::<Option<bool>>(),
        prop::option::of(select(vec!["", "login", "select_account", "consent"])),
        prop::bool::weighted(0.3),
        "[ -~]{20,40}",
    );
    any.prop_map(|(title, audiences, logout_url, post_logout, clock_skew, userinfo, trust_email, prompt, plain_http, secret)| {
        ProviderSection {
            title,
            audiences,
            logout_url,
            post_logout,
            clock_skew,
            userinfo,
            trust_email,
            prompt,
            plain_http,
            // Neither a placeholder nor a form of one.
            secret: format!("~{}~", secret.replace(['{', '}', '<', '>', '$', '*', '?', '[', ']'], ".")),
        }
    })
}

/// One line of what people write, with what HTML would read as its own.
fn words() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9 '\"<>&/äß漢]{0,30}[A-Za-z0-9>]"
}

fn pages_section() -> impl Strategy<Value = PagesSection> {
    let accent = prop::option::of("#[0-9a-f]{3}|#[0-9A-Fa-f]{6}");
    (prop::option::of(words()), prop::option::of(words()), accent).prop_map(|(name, support, accent)| PagesSection {
        name,
        support,
        accent,
    })
}

/// Configurations that are in order.
pub(crate) fn site() -> impl Strategy<Value = Site> {
    let place = (select(vec!["", "/base", "/a/b-c"]), prop::option::of(select(vec!["/.vestibule", "/auth", "/login-gate", "/x/y"])));
    let application = (prop::bool::weighted(0.25), prop::option::of(select(vec!["required", "optional"])));
    let people = (
        select(vec![vec![], vec!["one"], vec!["one", "two"], vec!["a", "b", "c"]]),
        provider_section(),
        select(vec![Rules::None, Rules::None, Rules::Anyone, Rules::Staff, Rules::Board]),
    );
    let others = (
        prop::option::of(select(vec!["refuse", "forward"])),
        subsequence(vec![PORTAL, READER, LOCAL], 0..=3),
        subsequence(vec![PORTAL, LOCAL], 0..=2),
    );
    let looks = (pages_section(), prop::option::of(select(vec!["/goodbye", "/"])), any::<Option<bool>>());
    let sessions =
        (prop::option::of((600_u64..86_400, prop::option::of(60_u64..600))), subsequence(vec!["id", "access"], 0..=2), any::<bool>());
    (place, application, people, others, looks, sessions).prop_map(
        |(
            (base, routes),
            (streamlit, login),
            (names, provider, rules),
            (preflight, readers, frames),
            (pages, after_logout, keep_fragment),
            (lifetimes, expose_tokens, user_header),
        )| {
            Site {
                base,
                routes: if streamlit { None } else { routes },
                streamlit,
                login,
                names,
                provider,
                rules,
                preflight,
                readers: if preflight == Some("forward") { vec![] } else { readers },
                frames,
                pages,
                after_logout,
                keep_fragment,
                lifetimes,
                expose_tokens,
                user_header,
            }
        },
    )
}
