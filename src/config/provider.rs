//! One OpenID Provider, as `[auth]` or `[auth.<name>]` describes it.

use std::time::Duration;

use url::Url;

use super::client_options::{CLIENT_KEYS, ClientOptions};
use super::cookie_secret::{is_placeholder, is_sample};
use super::section::{Placed, Section};
use super::setting::{Form, Key, Setting, keys};
use super::{own_logout, plain_http, post_logout};
use crate::oidc::issuer::{ExpectedIssuer, is_guid};
use crate::oidc::logout_url::LogoutUrl;
use crate::oidc::provider::{ClientAuthentication, Provider};
use crate::secret::Secret;
use crate::web::origin::PublicOrigin;

/// Name of the provider whose settings stand in `[auth]` itself.
pub(super) const UNNAMED: &str = "default";

/// The end of every metadata URL (OpenID Connect Discovery 1.0, section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Endpoints of Microsoft Entra where accounts of more than one tenant log in.
pub(super) const ENTRA_SHARED: [&str; 3] = ["common", "organizations", "consumers"];

/// Streamlit's default.
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(2 * 60);

/// With more, an ID token would hardly expire.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);

/// What stands in `[auth]` or `[auth.<name>]`.
pub(super) const SETTINGS: [Setting; 5] = [
    Setting::new("client_id", Form::Text, "The client ID that the provider issued.", "\"shop\"").required(),
    Setting::secret("client_secret", Form::Text, "The client secret that the provider issued.", "\"CLIENT_SECRET\"").required(),
    Setting::new(
        "server_metadata_url",
        Form::Url,
        "The provider's metadata. It ends in `/.well-known/openid-configuration`.",
        "\"https://login.example.com/.well-known/openid-configuration\"",
    )
    .required()
    .pattern("^[Hh][Tt][Tt][Pp][Ss]?://[^#]+$"),
    Setting::new(
        "client_kwargs",
        Form::Entries(&CLIENT_KEYS),
        "Parameters of the authorization request.",
        "{ prompt = \"login\", max_age = 3600 }",
    ),
    Setting::new(
        "authorize_params",
        Form::Entries(&CLIENT_KEYS),
        "The same as `client_kwargs`, under Streamlit's other name for it.",
        "{ login_hint = \"alice@example.com\" }",
    ),
];

pub(super) static KEYS: [Key; 5] = keys(&SETTINGS);

/// What stands in `[vestibule.provider.<name>]`.
pub(super) const EXTRAS: [Setting; 9] = [
    Setting::new("title", Form::Text, "The provider's name on the button: \"Log in with …\".", "\"Example Ltd\"")
        .or_said("the name, capitalised"),
    Setting::new(
        "issuer",
        Form::Url,
        "The issuer that the metadata must name. Vestibule also accepts it with `/` at its end.",
        "\"https://login.example.com/realms/acme\"",
    )
    .or_said("from `server_metadata_url`")
    .pattern("^[Hh][Tt][Tt][Pp][Ss]?://[^?#]+$"),
    Setting::new(
        "tenants",
        Form::List,
        "Microsoft Entra tenants that can log in: GUIDs, compared with the claim `tid`.",
        "[\"8eaef023-2b34-4da1-9baa-8bc8c9d6a490\"]",
    )
    .or_said("all")
    .pattern("^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"),
    Setting::new("audiences", Form::List, "Values that `aud` of an ID token can have beside `client_id`.", "[\"312909075211944344\"]"),
    Setting::new(
        "logout_url",
        Form::Text,
        "The provider's logout, if it has a form of its own.",
        "\"https://login.example.com/logout?client_id={client_id}&returnTo={return_to}\"",
    )
    .or_said("from the metadata"),
    post_logout::SETTING,
    Setting::new(
        "clock_skew",
        Form::Duration,
        "Largest accepted difference between the provider's clock and this one, at most 15 minutes.",
        "\"30s\"",
    )
    .or("\"2m\""),
    Setting::new("userinfo", Form::Boolean, "`true` adds claims from the provider's userinfo endpoint.", "true").or("false"),
    Setting::new(
        "trust_email",
        Form::Boolean,
        "For rules: `true` accepts an e-mail address if the provider does not state whether it is verified.",
        "true",
    )
    .or("false"),
];

pub(super) static EXTRA_KEYS: [Key; 9] = keys(&EXTRAS);

/// `http_hosts` may be asked by plain http.
pub(super) fn read_all(
    auth: &Section<'_>,
    extras: &Section<'_>,
    public: Option<&PublicOrigin>,
    http_hosts: &[Placed<String>],
    is_streamlit: bool,
) -> Vec<Provider> {
    let mut providers = vec![];
    let unnamed = read(UNNAMED, auth, extras, public, http_hosts, is_streamlit);
    let named = sections(auth);
    let has_unnamed = unnamed.is_given;
    if has_unnamed || named.is_empty() {
        providers.extend(unnamed.finish(auth));
    }
    for (name, section) in &named {
        if name == UNNAMED && has_unnamed {
            auth.findings.fatal(section.at(), &auth.key(name), "is the name of the provider in [auth] itself", "choose another name");
            continue;
        }
        providers.extend(read(name, section, extras, public, http_hosts, is_streamlit).finish(section));
        section.finish_lenient(name);
    }
    let known = names(auth);
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    for (name, section) in extras.sections(&known) {
        let remedy = format!("name one of: {}", known.join(", "));
        extras.findings.fatal(section.at(), &extras.key(&name), "there is no such provider in [auth]", remedy);
    }
    for (name, at) in extras.scalars() {
        let remedy = format!(
            "write it under [{}.<name>]; for the provider in [auth] itself the name is {UNNAMED}",
            extras.key("").trim_end_matches('.')
        );
        extras.findings.fatal(Some(at), &extras.key(&name), "is not below a provider", remedy);
    }
    providers
}

/// The names of all, also of those of which something is wrong.
pub(super) fn names(auth: &Section<'_>) -> Vec<String> {
    let named = sections(auth).into_iter().map(|(name, _)| name);
    let mut names: Vec<_> = is_given(auth).then(|| UNNAMED.to_owned()).into_iter().chain(named).collect();
    if names.is_empty() {
        names.push(UNNAMED.to_owned());
    }
    names
}

/// Whether a provider is in a section, whatever is wrong with it.
fn is_given(section: &Section<'_>) -> bool {
    ["client_id", "client_secret", "server_metadata_url"].into_iter().any(|key| section.has(key))
}

/// The sections of the named providers, in the order of the file.
pub(super) fn sections<'a>(auth: &Section<'a>) -> Vec<(String, Section<'a>)> {
    auth.sections(&[])
}

/// What stands in one section, before it is known whether it is complete.
struct Draft {
    is_given: bool,
    missing: Vec<&'static str>,
    provider: Option<Provider>,
}

impl Draft {
    /// Complains of everything that is missing in one message, as Streamlit does.
    fn finish(self, section: &Section<'_>) -> Option<Provider> {
        if !self.missing.is_empty() {
            let key = section.key(self.missing[0]);
            let problem = format!("missing: {}", self.missing.join(", "));
            section.findings.fatal(
                section.at(),
                &key,
                problem,
                "add the value that the provider gave you when you registered the application",
            );
        }
        self.provider
    }
}

fn read(
    name: &str,
    section: &Section<'_>,
    extras: &Section<'_>,
    public: Option<&PublicOrigin>,
    http_hosts: &[Placed<String>],
    is_streamlit: bool,
) -> Draft {
    let client_id = section.string("client_id");
    let client_secret = section.string("client_secret");
    let metadata = section.string("server_metadata_url");
    let options = ClientOptions::read(section);
    let extra = extras.sections(&[]).into_iter().find(|(given, _)| given == name).map(|(_, extra)| extra);

    let is_given = is_given(section);
    let is_public = options.client_authentication == Some(ClientAuthentication::None);
    // What is there and faulty is not missing.
    let is_absent = |key: &str| !section.has(key);
    let mut missing = vec![];
    missing.extend(is_absent("client_id").then_some("client_id"));
    // A public client has none; with another authentication that cannot be read, it is not known whether it has.
    let needs_secret = !is_public && !section.is_key_faulty("client_kwargs.token_endpoint_auth_method");
    missing.extend((needs_secret && is_absent("client_secret")).then_some("client_secret"));
    missing.extend(is_absent("server_metadata_url").then_some("server_metadata_url"));
    for text in [&client_id, &client_secret].into_iter().flatten().filter(|text| is_sample(&text.value)) {
        let remedy = "write the value that the provider gave you when you registered the application";
        let problem = if text.value.trim().is_empty() { "is empty" } else { "is a sample, not a value" };
        section.findings.fatal(text.at, &text.key, problem, remedy);
    }

    let extra = extra.as_ref();
    let issuer = extra.and_then(|extra| extra.string("issuer"));
    let has_faulty_issuer = issuer.is_none() && extra.is_some_and(|extra| extra.has("issuer"));
    let metadata_url = metadata.and_then(|text| Some((read_metadata_url(section, &text, http_hosts)?, text.at)));
    let given = metadata_url.as_ref().filter(|_| !has_faulty_issuer);
    let expected_issuer = given.and_then(|(url, at)| expected_issuer(section, url, *at, issuer, http_hosts));
    let metadata_url = metadata_url.map(|(url, _)| url);
    let title = extra.and_then(|extra| extra.string("title")).map_or_else(|| title_of(name), |text| text.value);
    let userinfo = extra.and_then(|extra| extra.boolean("userinfo")).unwrap_or(false);
    let trust_email = extra.and_then(|extra| extra.boolean("trust_email")).unwrap_or(false);
    let tenants = extra.map(read_tenants).unwrap_or_default();
    let audiences = extra.and_then(|extra| extra.strings("audiences")).unwrap_or_default();
    let logout_url = extra.and_then(read_logout_url);
    let has_logout_url = extra.is_some_and(|extra| extra.has("logout_url"));
    if let Some(issuer) = expected_issuer.as_ref().filter(|_| !has_logout_url) {
        own_logout::warn(name, issuer, section.at(), section.findings);
    }
    let post_logout_redirect_uri = extra.and_then(|extra| post_logout::read(extra, public, logout_url.as_ref()));
    let clock_skew = extra.and_then(read_clock_skew).unwrap_or(DEFAULT_CLOCK_SKEW);
    if let Some(extra) = extra {
        extra.finish_strict();
    }
    let provider = match (client_id, metadata_url, expected_issuer) {
        (Some(client_id), Some(metadata_url), Some(expected_issuer)) => Some(Provider {
            name: name.to_owned(),
            title,
            client_id: client_id.value,
            client_secret: client_secret.map(|text| Secret::new(text.value)),
            metadata_url,
            expected_issuer,
            tenants,
            audiences: audiences.into_iter().map(|audience| audience.value).collect(),
            clock_skew,
            logout_url,
            post_logout_redirect_uri,
            requirements: options.requirements,
            scope: options.scope,
            asks_for_account: options.prompt.is_none() && is_streamlit,
            authorize_params: options.authorize_params,
            client_authentication: options.client_authentication,
            userinfo,
            trust_email,
        }),
        _ => None,
    };
    Draft { is_given, missing, provider }
}

/// A list that holds nothing would let everybody in who was meant to be kept out.
fn read_tenants(extra: &Section<'_>) -> Vec<String> {
    let Some(tenants) = extra.strings("tenants") else { return vec![] };
    let remedy = "write the GUIDs of the tenants that may log in, or remove the key to let all of them in";
    if tenants.is_empty() {
        extra.findings.fatal(extra.at(), &extra.key("tenants"), "is empty", remedy);
    }
    for tenant in tenants.iter().filter(|tenant| !is_guid(&tenant.value)) {
        extra.findings.fatal(tenant.at, &tenant.key, format!("`{}` is not a tenant's GUID", tenant.value), remedy);
    }
    tenants.into_iter().map(|tenant| tenant.value).collect()
}

fn read_logout_url(extra: &Section<'_>) -> Option<LogoutUrl> {
    let text = extra.string("logout_url")?;
    let parsed = LogoutUrl::parse(&text.value);
    if let Err(error) = &parsed {
        let remedy = "write \"https://…/logout?client_id={client_id}&logout_uri={return_to}\" for example; {id_token_hint}, {logout_hint} \
                      and {state} are known as well";
        extra.findings.fatal(text.at, &text.key, error.to_string(), remedy);
    }
    parsed.ok()
}

fn read_clock_skew(extra: &Section<'_>) -> Option<Duration> {
    let clock_skew = extra.duration("clock_skew")?;
    if clock_skew > MAX_CLOCK_SKEW {
        // Not the value itself, which may be outside the file.
        let problem = "is longer than 15 minutes";
        extra.findings.fatal(extra.at(), &extra.key("clock_skew"), problem, "synchronise the clocks, and write \"2m\" for example");
    }
    Some(clock_skew)
}

fn read_metadata_url(section: &Section<'_>, text: &Placed<String>, http_hosts: &[Placed<String>]) -> Option<Url> {
    let fatal = |problem: String, remedy: &str| section.findings.fatal(text.at, &text.key, problem, remedy);
    if let Some(placeholder) = text.value.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(name, _)| name) {
        fatal(format!("still holds the placeholder {{{placeholder}}}"), "put your own value in its place");
        return None;
    }
    // As it is written: a URL has its host in small letters.
    if let Some(placeholder) = text.value.split(['/', '.', ':']).find(|part| is_placeholder(part)) {
        fatal(format!("still holds the placeholder `{placeholder}`"), "put your own value in its place");
        return None;
    }
    let example = "write the URL that the provider documents: \"https://accounts.google.com/.well-known/openid-configuration\"";
    match Url::parse(&text.value) {
        Ok(url)
            if plain_http::may_be_asked(&url, http_hosts)
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none() =>
        {
            Some(url)
        }
        Ok(url) if url.scheme() == "http" && !plain_http::may_be_asked(&url, http_hosts) => {
            let remedy = "write https://; for a host on a network that you alone use, see insecure_http_hosts in docs/settings.md";
            // Its host may be in a list that cannot be read.
            if !section.findings.has_fatal_at(&format!("vestibule.{}", plain_http::KEY)) {
                fatal("is plain http: anyone on the network path can log in as any user".into(), remedy);
            }
            None
        }
        _ => {
            fatal("is not the address of a provider's metadata".into(), example);
            None
        }
    }
}

fn expected_issuer(
    section: &Section<'_>,
    metadata_url: &Url,
    at: Option<usize>,
    issuer: Option<Placed<String>>,
    http_hosts: &[Placed<String>],
) -> Option<ExpectedIssuer> {
    if let Some(issuer) = issuer {
        let good = Url::parse(&issuer.value)
            .is_ok_and(|url| plain_http::may_be_asked(&url, http_hosts) && url.query().is_none() && url.fragment().is_none());
        if !good {
            section.findings.fatal(issuer.at, &issuer.key, "is not an issuer identifier", "write the https URL that its metadata names");
        }
        return good.then_some(ExpectedIssuer::Exact(issuer.value));
    }
    let is_entra = metadata_url.host_str() == Some("login.microsoftonline.com");
    if is_entra {
        let tenant = metadata_url.path_segments().and_then(|mut segments| segments.next()).unwrap_or_default();
        if ENTRA_SHARED.contains(&tenant) {
            return Some(ExpectedIssuer::EntraAnyTenant);
        }
        if tenant.contains('.') {
            return Some(ExpectedIssuer::EntraDomain);
        }
    }
    let mut url = metadata_url.clone();
    url.set_query(None);
    let Some(issuer) = url.as_str().strip_suffix(WELL_KNOWN) else {
        let remedy = format!("write the issuer's URL with {WELL_KNOWN} behind it, or give [vestibule.provider.<name>] issuer = \"…\"");
        section.findings.fatal(at, &section.key("server_metadata_url"), format!("does not end in {WELL_KNOWN}"), remedy);
        return None;
    };
    // Entra takes a tenant's GUID in capitals, and answers with small letters.
    Some(ExpectedIssuer::Exact(if is_entra { issuer.to_ascii_lowercase() } else { issuer.to_owned() }))
}

/// `microsoft` is `Microsoft` on a button; a name with capitals of its own is left as it is.
fn title_of(name: &str) -> String {
    let spaced = name.replace(['_', '-'], " ");
    let mut letters = spaced.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
