//! `[[vestibule.rule]]`: who may pass.

use std::collections::BTreeSet;

use super::condition::{Names, REQUIRE_KEYS, list, read_all_of};
use super::section::{Placed, Section};
use super::setting::{Form, Key, Setting, Shape, keys, words};
use crate::claims::{self, GroupsClaim};
use crate::policy::{Access, Condition, NotAPattern, PathPattern, Policy, Rule, RuleId};
use crate::web::origin::PublicOrigin;
use crate::web::route;

/// Found by the first segment of a path: only what begins with a wildcard is compared with every request.
const MAX_RULES: usize = 10_000;

/// So many of the first rules are searched for those that never decide.
const MAX_COMPARED: usize = 500;

/// What `access` may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Public,
    Optional,
    Required,
    Deny,
}

const WORDS: [(&str, Word); 4] =
    [("public", Word::Public), ("optional", Word::Optional), ("required", Word::Required), ("deny", Word::Deny)];

pub(super) const SETTINGS: [Setting; 5] = [
    Setting::new(
        "path",
        Form::List,
        "Patterns of paths. A pattern for Vestibule's own routes only has no effect, and `check` warns of it.",
        "[\"/admin/**\", \"/reports/*/summary\"]",
    )
    .or_said("every path")
    .pattern("^/"),
    Setting::new(
        "methods",
        Form::List,
        "Methods in capitals. `GET` includes `HEAD`. Later rules decide on requests with other methods.",
        "[\"GET\", \"POST\"]",
    )
    .or_said("every method")
    .pattern("^[A-Z-]+$"),
    Setting::new("host", Form::List, "The host of `redirect_uri`, without its port.", "\"app.example.com\"")
        .or_said("every host")
        .pattern(super::internal_hosts::HOST),
    Setting::new("access", Form::Choice(&words(&WORDS)), "The access that the rule gives.", "\"public\"").or("\"required\""),
    Setting::new(
        "require",
        Form::Table(Shape::of(&REQUIRE_KEYS)),
        "The conditions for the user. Only with `access = \"required\"`.",
        "{ groups = \"admins\" }",
    )
    .or_said("any login"),
];

pub(super) static KEYS: [Key; 5] = keys(&SETTINGS);

/// The rules as they are written, to be read once the providers are known.
pub(super) struct Written<'a> {
    sections: Vec<Section<'a>>,
    /// The same rules were read before: nothing is looked for that would only be told.
    was_checked: bool,
}

pub(super) fn find<'a>(vestibule: &Section<'a>, was_checked: bool) -> Written<'a> {
    Written { sections: vestibule.tables("rule"), was_checked }
}

impl<'a> Written<'a> {
    /// In the order of the file.
    pub(super) fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }

    pub(super) fn read(&self, groups: &GroupsClaim, public: Option<&PublicOrigin>, providers: &[String]) -> Option<Policy> {
        if let Some(section) = self.sections.get(MAX_RULES) {
            section.findings.fatal(section.at(), &section.key(""), format!("there are more than {MAX_RULES} rules"), "join some of them");
        }
        let names = Names { groups, public, providers };
        let mut rules: Vec<Rule> = vec![];
        // Those without a fault, among the first: a default stands for what is faulty in another, and can be far wider.
        let mut sound: Vec<Rule> = vec![];
        for (index, section) in self.sections.iter().enumerate().take(MAX_RULES) {
            let found_before = section.findings.count();
            let rule = read_rule(section, index + 1, &names);
            let is_sound = !section.findings.has_fatal_since(found_before);
            let is_compared = !self.was_checked && is_sound && index < MAX_COMPARED;
            if index == MAX_COMPARED && !self.was_checked {
                let problem =
                    format!("is rule {}, and only the first {MAX_COMPARED} rules are compared to find rules that never decide", index + 1);
                section.findings.warning(section.at(), &section.path(), problem, "combine rules, or check their order yourself");
            }
            if !is_compared {
                // Each with all before it: that is for the eyes of an operator, and many times the work of reading them.
            } else if let Some(earlier) = rule.is_shadowed_by(&sound) {
                let remedy = "put it before that rule, or remove it";
                section.findings.warning(
                    section.at(),
                    &section.path(),
                    format!("never decides: {} decides on all its requests", earlier.id),
                    remedy,
                );
            } else if let Some(earlier) = rule.is_respelled_by(&sound) {
                let problem = format!(
                    "differs from {} in the spelling of paths only: requests are answered 400 where the two ask for different things",
                    earlier.id
                );
                let remedy =
                    "write one rule with both spellings, path = [\"/Docs/**\", \"/docs/**\"] for example, or remove one of the two";
                section.findings.warning(section.at(), &section.path(), problem, remedy);
            }
            if is_compared {
                sound.push(rule.clone());
            }
            if !self.was_checked {
                warn_of_claims(section, &rule);
            }
            if !self.was_checked && is_sound {
                warn_of_publicity(section, &rule);
            }
            rules.push(rule);
        }
        if !self.was_checked {
            warn_of_no_rule_for_the_rest(&self.sections, &rules);
        }
        Policy::new(rules)
    }
}

/// A rule of which something is wrong is read all the same: its faults keep it from being used.
fn read_rule(section: &Section<'_>, number: usize, names: &Names<'_>) -> Rule {
    let id = RuleId { number, line: section.line() };
    let paths = list(section, "path", "\"/admin/**\"").into_iter().filter_map(|text| read_pattern(section, &text, names.public)).collect();
    let methods = list(section, "methods", "[\"GET\"]").into_iter().filter_map(|text| read_method(section, text)).collect();
    let served = names.public.map(PublicOrigin::host);
    let hosts = list(section, "host", "\"app.example.com\"").into_iter().filter_map(|text| read_host(section, &text, served)).collect();
    let word = section.choice("access", &WORDS).unwrap_or(Word::Required);
    let require = section.section("require");
    let condition = require.exists().then(|| read_all_of(&require, names, 0));
    if condition.is_some() && word != Word::Required {
        let remedy = "write access = \"required\", or remove `require`";
        section.findings.fatal(require.at(), &section.key("require"), "has no effect with this `access`", remedy);
    }
    section.finish_strict();
    let access = match word {
        Word::Public => Access::Public,
        Word::Optional => Access::Optional,
        Word::Required => Access::Required(condition),
        Word::Deny => Access::Denied,
    };
    Rule { id, paths, methods, hosts, access }
}

fn read_pattern(section: &Section<'_>, text: &Placed<String>, public: Option<&PublicOrigin>) -> Option<PathPattern> {
    let pattern = PathPattern::parse(&text.value);
    if let Err(error) = pattern {
        let remedy = match error {
            NotAPattern::EmptySegment => "write \"/app\", which is meant with a / at its end too, or \"/app/**\" for all below it as well",
            NotAPattern::PartialWildcard => "write * for one whole segment, ** for any number of them: \"/app/*\", \"/app/**\"",
            NotAPattern::Character => "write a path without its query, in plain characters: \"/café/a b\"",
            NotAPattern::LeftOut => "write a segment that has more than dots and white space: some servers drop it, and the rule with it",
            NotAPattern::NoSlash | NotAPattern::DotSegment | NotAPattern::TooLong => {
                "write \"/app\", \"/app/*\" or \"/app/**\" for example"
            }
        };
        section.findings.fatal(text.at, &text.key, format!("`{}` {error}", text.value), remedy);
    }
    let pattern = pattern.ok()?;
    if public.is_some_and(|public| is_ours(&pattern, public)) && !section.findings.has_fatal_at("vestibule.routes") {
        let problem = format!("`{}` is for routes of Vestibule only, on which no rule decides", text.value);
        section.findings.warning(text.at, &text.key, problem, "remove it, or write a path of the application");
    }
    Some(pattern)
}

/// Whether a pattern is, as it is written, for nothing of the application's.
fn is_ours(pattern: &PathPattern, public: &PublicOrigin) -> bool {
    let routes = route::BEHIND_PREFIX.map(|route| public.route(route));
    let prefix = public.prefix();
    let is_reserved = prefix.is_reserved() && pattern.lies_within(public.base_path(), prefix.as_str().trim_start_matches('/'));
    is_reserved || pattern.is_exactly(public.redirect_uri().path()) || routes.iter().any(|route| pattern.is_exactly(route))
}

fn read_method(section: &Section<'_>, text: Placed<String>) -> Option<String> {
    let method = text.value;
    if method == "HEAD" {
        section.findings.fatal(text.at, &text.key, "`HEAD` is judged as `GET`", "write \"GET\"");
    } else if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
        section.findings.fatal(text.at, &text.key, format!("`{method}` is not a method"), "write it in capitals: [\"GET\", \"POST\"]");
    } else {
        return Some(method);
    }
    None
}

fn read_host(section: &Section<'_>, text: &Placed<String>, served: Option<&str>) -> Option<String> {
    let fatal = |problem: String, remedy: &str| section.findings.fatal(text.at, &text.key, problem, remedy);
    let parsed = url::Host::parse(&text.value).ok().map(|host| host.to_string());
    let parsed = parsed.map(|host| host.strip_suffix('.').map(str::to_owned).unwrap_or(host));
    let parsed = parsed.filter(|host| !host.contains('*') && !host.split('.').any(str::is_empty));
    match (parsed, served) {
        (Some(host), Some(served)) if host != served => {
            let problem = format!("`{}` is not the host of redirect_uri, `{served}`, and no other host is served", text.value);
            fatal(
                problem,
                &format!("write \"{served}\" or remove it; run Vestibule once more, with a redirect_uri on that host, to serve it"),
            );
            None
        }
        (Some(host), _) if host == text.value => Some(host),
        _ => {
            let problem = format!("`{}` is not a host name in small letters", text.value);
            fatal(problem, "write it without scheme, port and wildcards: \"app.example.com\"");
            None
        }
    }
}

/// What is legal, and lets fewer people pass than is likely to be meant.
fn warn_of_no_rule_for_the_rest(sections: &[Section<'_>], rules: &[Rule]) {
    if let (Some(section), Some(_)) = (sections.last(), rules.last())
        && !section.findings.has_fatal()
        && !rules.iter().any(Rule::is_for_everything)
        && !rules.iter().any(|rule| rule.paths.iter().any(PathPattern::is_nearly_everything))
    {
        let problem = "is the last rule and does not apply to every request: everything else is denied";
        let remedy =
            "end the list with a rule without a path: `access = \"required\"` for any login, `access = \"deny\"` to say that it is meant";
        section.findings.warning(section.at(), &section.path(), problem, remedy);
    }
}

/// What is legal, and lets more people pass than is likely to be meant.
fn warn_of_publicity(section: &Section<'_>, rule: &Rule) {
    let is_everything = rule.paths.is_empty() || rule.paths.iter().any(PathPattern::is_nearly_everything);
    let problem = match (&rule.access, rule.methods.is_empty(), rule.hosts.is_empty()) {
        (Access::Public, true, true) => "makes every page public",
        (Access::Public, false, _) => "makes every page public for these methods",
        _ => return,
    };
    if is_everything {
        section.findings.warning(section.at(), &section.path(), problem, "name the paths that are public: path = \"/public/**\"");
    }
}

/// The same, of claims that say nothing for certain.
fn warn_of_claims(section: &Section<'_>, rule: &Rule) {
    let Access::Required(Some(condition)) = &rule.access else { return };
    let mut names = BTreeSet::new();
    claim_names(condition, &mut names);
    for name in names.into_iter().filter(|name| is_chosen_by_its_owner(&claims::root(name))) {
        let problem = format!("trusts the claim `{name}`, which people can change at many providers");
        section.findings.warning(section.at(), &section.path(), problem, "ask for email, groups or sub");
    }
}

/// Claims that users fill in themselves (OIDC Core section 5.7: none of them is an identity); `user_metadata` is Auth0's
/// and Supabase's, `custom:…` are attributes of Cognito that an app client may write unless that is switched off.
fn is_chosen_by_its_owner(claim: &str) -> bool {
    const NAMES: [&str; 18] = [
        "birthdate",
        "family_name",
        "gender",
        "given_name",
        "locale",
        "middle_name",
        "name",
        "nickname",
        "phone_number",
        "picture",
        "preferred_username",
        "profile",
        "unique_name",
        "upn",
        "user_metadata",
        "username",
        "website",
        "zoneinfo",
    ];
    NAMES.contains(&claim) || claim.starts_with("custom:")
}

fn claim_names<'a>(condition: &'a Condition, names: &mut BTreeSet<&'a str>) {
    match condition {
        Condition::All(conditions) | Condition::Any(conditions) => conditions.iter().for_each(|inner| claim_names(inner, names)),
        Condition::Claim { name, .. } => drop(names.insert(name)),
        Condition::Groups { claim, .. } => drop(names.insert(claim.name())),
        Condition::Provider(_) | Condition::Email(_) | Condition::EmailDomain(_) => {}
    }
}

#[cfg(test)]
mod tests;
