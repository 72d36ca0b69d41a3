//! Whom a configuration lets in although nobody here has chosen them.
//!
//! 1. Of Microsoft Entra's multi-tenant endpoints, without `tenants`, any tenant's administrator writes the groups, roles
//!    and other claims of that tenant's accounts. A rule that such a claim alone can meet is a fault.
//! 2. With some providers everybody can have an account. To ask for no more than that is a warning, which names the line
//!    to write.

use serde_json::Value;

use super::provider::{ENTRA_SHARED, sections};
use super::section::Section;
use crate::claims;
use crate::oidc::issuer::ExpectedIssuer;
use crate::oidc::provider::{ENTRA_CONSUMERS, Provider};
use crate::policy::{Access, Condition, Policy, Rule};

/// Claims of an ID token of Entra's that a tenant's administrator cannot choose: who has issued it, and for which object.
const SET_BY_ENTRA: [&str; 4] = ["tid", "iss", "oid", "sub"];

/// Claims that say the same of everybody's account.
const THE_SAME_FOR_ALL: [&str; 6] = ["iss", "aud", "azp", "email_verified", "xms_edov", "ver"];

/// Hosts of metadata with which everybody can have an account.
const OPEN_HOSTS: [&str; 22] = [
    "accounts.google.com",
    "api.login.yahoo.com",
    "login.yahoo.com",
    "account.apple.com",
    "appleid.apple.com",
    "www.facebook.com",
    "limited.facebook.com",
    "www.linkedin.com",
    "gitlab.com",
    "www.amazon.com",
    "slack.com",
    "id.twitch.tv",
    "discord.com",
    "www.paypal.com",
    "www.paypalobjects.com",
    "securetoken.google.com",
    "huggingface.co",
    "accounts.spotify.com",
    "access.line.me",
    "kauth.kakao.com",
    "orcid.org",
    "secure.login.gov",
];

/// Domains below which customers have hosts of their own, most of them open to sign-up unless it is switched off.
const SIGN_UP_DOMAINS: [&str; 12] = [
    "kinde.com",
    "workos.com",
    "auth0.com",
    "okta.com",
    "oktapreview.com",
    "okta-emea.com",
    "amazoncognito.com",
    "amazonaws.com",
    "b2clogin.com",
    "ciamlogin.com",
    "clerk.accounts.dev",
    "supabase.co",
];

/// Domains of addresses that everybody can have.
const PUBLIC_MAIL: [&str; 30] = [
    "gmail.com",
    "googlemail.com",
    "outlook.com",
    "hotmail.com",
    "live.com",
    "msn.com",
    "yahoo.com",
    "icloud.com",
    "me.com",
    "aol.com",
    "gmx.de",
    "gmx.net",
    "web.de",
    "proton.me",
    "hotmail.co.uk",
    "live.co.uk",
    "yahoo.co.uk",
    "yahoo.co.jp",
    "mac.com",
    "protonmail.com",
    "pm.me",
    "fastmail.com",
    "zoho.com",
    "mail.ru",
    "yandex.ru",
    "yandex.com",
    "qq.com",
    "163.com",
    "naver.com",
    "t-online.de",
];

/// The first labels of such domains in many countries: `outlook.de`.
const PUBLIC_MAIL_OF_EVERY_COUNTRY: [&str; 8] = ["gmail", "googlemail", "hotmail", "outlook", "live", "yahoo", "gmx", "yandex"];

/// Who of a provider's accounts can meet a condition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Those whom it names, or nobody.
    Chosen,
    /// Whoever gets such claims from the administrator of a tenant that nobody here has chosen.
    Claimed,
    Everybody,
}

/// What `require` is compared with: a provider, and whether tenants write its claims.
struct Accounts<'a> {
    provider: &'a Provider,
    are_of_any_tenant: bool,
}

/// Rule 1. `rules` are the sections of the rules of `policy`, in order.
pub(super) fn refuse_claims_of_any_tenant(rules: &[Section<'_>], policy: Option<&Policy>, providers: &[Provider]) {
    let findings = rules.first().map(|section| section.findings);
    let is_sound = |provider: &&Provider| {
        let tenants = format!("vestibule.provider.{}", provider.name);
        findings.is_none_or(|findings| !findings.has_fatal_at(&tenants))
    };
    for provider in providers.iter().filter(|provider| is_any_tenant(provider)).filter(is_sound) {
        let accounts = Accounts::of(provider);
        for (section, rule) in rules.iter().zip(policy.map(Policy::rules).unwrap_or_default()) {
            let Access::Required(Some(condition)) = &rule.access else { continue };
            // What is faulty was left out, which makes a condition wider.
            if accounts.reach(condition) == Reach::Claimed && !section.is_key_faulty("require") {
                let name = &provider.name;
                let problem = format!(
                    "can be met by claims that the administrator of any organisation at Microsoft writes: provider `{name}` admits every organisation"
                );
                let remedy = format!(
                    "name the organisations: [vestibule.provider.{name}] tenants = [\"…\"]; or ask for email_domain or the claim `tid` as well"
                );
                section.findings.fatal(section.at(), &section.key("require"), problem, remedy);
            }
        }
    }
}

/// Rule 2, of a file that can be used. `is_open`: it says that a login is optional.
pub(super) fn warn_of_everybody(auth: &Section<'_>, rules: &[Section<'_>], policy: Option<&Policy>, providers: &[Provider], is_open: bool) {
    if auth.findings.has_fatal() {
        return;
    }
    for provider in providers {
        let Some(who) = everybody_of(provider) else { continue };
        let problem = format!("admits {who}");
        let accounts = Accounts::of(provider);
        let is_for_everybody = |rule: &Rule| match &rule.access {
            Access::Required(condition) => condition.as_ref().is_none_or(|condition| accounts.reach(condition) == Reach::Everybody),
            Access::Public | Access::Optional | Access::Denied => false,
        };
        if let Some(policy) = policy {
            if let Some((section, _)) = rules.iter().zip(policy.rules()).find(|(_, rule)| is_for_everybody(rule)) {
                section.findings.warning(section.at(), &section.path(), problem, remedy(provider));
            }
        } else if !is_open {
            let named = sections(auth).into_iter().find(|(name, _)| *name == provider.name);
            let url = named.as_ref().map_or(auth, |(_, section)| section).string("server_metadata_url");
            let (at, key) = url.map(|url| (url.at, url.key)).unwrap_or_default();
            auth.findings.warning(at, &key, problem, remedy(provider));
        }
    }
}

impl<'a> Accounts<'a> {
    fn of(provider: &'a Provider) -> Self {
        Self { provider, are_of_any_tenant: is_any_tenant(provider) }
    }

    fn reach(&self, condition: &Condition) -> Reach {
        let parts = |conditions: &[Condition]| conditions.iter().map(|condition| self.reach(condition)).collect::<Vec<_>>();
        match condition {
            Condition::All(conditions) => parts(conditions).into_iter().min().unwrap_or(Reach::Everybody),
            Condition::Any(conditions) => parts(conditions).into_iter().max().unwrap_or(Reach::Chosen),
            Condition::Provider(names) if names.contains(&self.provider.name) => Reach::Everybody,
            Condition::EmailDomain(domains) if domains.iter().any(|domain| is_public_mail(domain)) => Reach::Everybody,
            // An address counts only where Entra itself has looked at it (`Provider::proven_email`).
            Condition::Provider(_) | Condition::Email(_) | Condition::EmailDomain(_) => Reach::Chosen,
            Condition::Claim { name, values } => self.reach_of_claim(name, values),
            Condition::Groups { claim, values } => self.reach_of_claim(claim.name(), values),
        }
    }

    fn reach_of_claim(&self, name: &str, values: &[Value]) -> Reach {
        let claim = claims::root(name);
        match () {
            // Personal accounts are one tenant, which everybody can be of.
            () if self.are_of_any_tenant && values.iter().filter_map(|value| value.as_str()).any(is_of_consumers) => Reach::Everybody,
            () if self.are_of_any_tenant && !SET_BY_ENTRA.contains(&claim.as_str()) => Reach::Claimed,
            () if !self.are_of_any_tenant && THE_SAME_FOR_ALL.contains(&claim.as_str()) => Reach::Everybody,
            () => Reach::Chosen,
        }
    }
}

fn is_any_tenant(provider: &Provider) -> bool {
    provider.expected_issuer == ExpectedIssuer::EntraAnyTenant && provider.tenants.is_empty()
}

fn is_of_consumers(text: &str) -> bool {
    text.to_ascii_lowercase().contains(ENTRA_CONSUMERS)
}

/// Whether the name of a tenant of Microsoft Entra stands for accounts that everybody can have: for an endpoint of several tenants,
/// for personal accounts, or for a domain of public mail.
pub fn is_open_tenant(tenant: &str) -> bool {
    is_one_of(tenant, &ENTRA_SHARED) || is_of_consumers(tenant) || is_public_mail(tenant)
}

/// Whom the provider lets in without being asked for less; `None` where that is somebody's choice.
fn everybody_of(provider: &Provider) -> Option<String> {
    let host = provider.metadata_url.host_str()?.trim_end_matches('.');
    let first = provider.metadata_url.path_segments().and_then(|mut segments| segments.next()).unwrap_or_default();
    if provider.tenants.iter().any(|tenant| is_of_consumers(tenant)) || (host == "login.microsoftonline.com" && is_of_consumers(first)) {
        return Some("every personal account at Microsoft, and anyone can create one".to_owned());
    }
    if host == "login.microsoftonline.com" && is_public_mail(first) {
        return Some(format!("every account at {first}, and anyone can create one"));
    }
    // With `*` any organisation will do, and everybody can have one.
    let is_chosen = provider.requirements.hosted_domain.as_ref().is_some_and(|domain| domain != "*") || !provider.tenants.is_empty();
    if is_chosen {
        return None;
    }
    if provider.expected_issuer == ExpectedIssuer::EntraAnyTenant {
        return Some(match first {
            "consumers" => "every personal account at Microsoft, and anyone can create one".to_owned(),
            _ => "every account of any organisation at Microsoft".to_owned(),
        });
    }
    let is_below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    if OPEN_HOSTS.contains(&host) {
        Some(format!("every account at {host}, and anyone can create one"))
    } else if SIGN_UP_DOMAINS.iter().any(|domain| is_below(domain)) {
        Some(format!("every account at {host}, and anyone can create one unless sign-up is switched off there"))
    } else {
        None
    }
}

fn remedy(provider: &Provider) -> String {
    let own = match provider.expected_issuer {
        ExpectedIssuer::EntraAnyTenant => format!("name the organisations, [vestibule.provider.{}] tenants = [\"…\"], or ", provider.name),
        _ if provider.metadata_url.host_str() == Some("accounts.google.com") => {
            "name your organisation, client_kwargs = { hd = \"example.com\" }, or ".to_owned()
        }
        _ => String::new(),
    };
    format!(
        "{own}add a condition under [[vestibule.rule]]: require = {{ email_domain = \"example.com\" }}, or email = \"…\", \
         email_file = \"people.txt\", groups = \"…\""
    )
}

/// Whether everybody can have an e-mail address of this domain.
pub fn is_public_mail(domain: &str) -> bool {
    let name = domain.split('.').next().unwrap_or_default();
    is_one_of(domain, &PUBLIC_MAIL) || is_one_of(name, &PUBLIC_MAIL_OF_EVERY_COUNTRY)
}

fn is_one_of(text: &str, known: &[&str]) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests;
