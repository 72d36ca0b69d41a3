//! `[[vestibule.rule]]`: who may pass.

use std::collections::BTreeSet;

use toml::de::DeTable;

use super::Outside;
use super::section::{Placed, Section};
use crate::claims::{self, GroupsClaim};
use crate::policy::{Access, Condition, NotAPattern, PathPattern, Policy, Rule, RuleId};
use crate::web::origin::PublicOrigin;
use crate::web::route;

/// Found by the first segment of a path: only what begins with a wildcard is compared with every request.
const MAX_RULES: usize = 10_000;

/// So many of the first rules are searched for those that never decide.
const MAX_COMPARED: usize = 500;

/// `all` and `any` within each other: deeper than anybody follows when reading.
const MAX_DEPTH: usize = 4;

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

/// The rules as they are written, to be read once the providers are known.
pub(super) struct Written<'a> {
    sections: Vec<Section<'a>>,
    /// The same rules were read before: nothing is looked for that would only be told.
    was_checked: bool,
}

pub(super) fn find<'a>(vestibule: &Section<'a>, was_checked: bool) -> Written<'a> {
    Written { sections: vestibule.tables("rule"), was_checked }
}

/// The files that the rules of a `[vestibule]` name.
pub(super) fn files<'a>(vestibule: &'a DeTable<'a>) -> Vec<&'a str> {
    let tables = |table: &'a DeTable<'a>, key: &str| {
        let items = table.get(key).and_then(|value| value.get_ref().as_array());
        items.into_iter().flat_map(|items| items.iter()).filter_map(|item| item.get_ref().as_table()).collect::<Vec<_>>()
    };
    let require = |rule: &&'a DeTable<'a>| rule.get("require").and_then(|require| require.get_ref().as_table());
    let mut found = vec![];
    let mut level: Vec<_> = tables(vestibule, "rule").iter().filter_map(require).collect();
    for _ in 0..=MAX_DEPTH {
        found.extend(level.iter().filter_map(|table| table.get(EMAIL_FILE)?.get_ref().as_str()));
        level = level.iter().flat_map(|table| [tables(table, "all"), tables(table, "any")].concat()).collect();
    }
    found
}

impl<'a> Written<'a> {
    /// In the order of the file.
    pub(super) fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }

    pub(super) fn read(
        &self,
        groups: &GroupsClaim,
        public: Option<&PublicOrigin>,
        providers: &[String],
        outside: &Outside<'_>,
    ) -> Option<Policy> {
        if let Some(section) = self.sections.get(MAX_RULES) {
            section.findings.fatal(section.at(), &section.key(""), format!("there are more than {MAX_RULES} rules"), "join some of them");
        }
        let names = Names { groups, public, providers, outside };
        let mut rules: Vec<Rule> = vec![];
        // Those without a fault, among the first: a default stands for what is faulty in another, and can be far wider.
        let mut sound: Vec<Rule> = vec![];
        for (index, section) in self.sections.iter().enumerate().take(MAX_RULES) {
            let found_before = section.findings.count();
            let rule = read_rule(section, index + 1, &names);
            let is_sound = !section.findings.has_fatal_since(found_before);
            let is_compared = !self.was_checked && is_sound && index < MAX_COMPARED;
            if index == MAX_COMPARED && !self.was_checked {
                let problem = format!("is not searched for rules that never decide, as all after the first {MAX_COMPARED}");
                section.findings.warning(section.at(), &section.path(), problem, "join rules, or mind their order yourself");
            }
            if !is_compared {
                // Each with all before it: that is for the eyes of an operator, and many times the work of reading them.
            } else if let Some(earlier) = rule.is_shadowed_by(&sound) {
                let remedy = "put it before that rule, or remove it";
                section.findings.warning(section.at(), &section.path(), format!("never decides: {} takes all of it", earlier.id), remedy);
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

/// What rules refer to.
struct Names<'a> {
    groups: &'a GroupsClaim,
    /// Its host is the only one that requests with a session can have.
    public: Option<&'a PublicOrigin>,
    /// Also of those of which something is wrong.
    providers: &'a [String],
    outside: &'a Outside<'a>,
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
    let routes = [route::LOGIN, route::LOGOUT, route::LOGGED_OUT, route::USER].map(|route| public.route(route));
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

/// Every condition of a table, all of which must be met.
fn read_all_of(section: &Section<'_>, names: &Names<'_>, depth: usize) -> Condition {
    let mut conditions = vec![];
    for (key, kind) in [("all", Condition::All as fn(Vec<Condition>) -> Condition), ("any", Condition::Any)] {
        if !section.has(key) {
            continue;
        }
        let nested = section.tables(key);
        if nested.is_empty() && !section.is_faulty() {
            section.findings.fatal(section.at(), &section.key(key), "holds no condition", "write [{ groups = \"admins\" }, …]");
        } else if depth == MAX_DEPTH {
            let problem = format!("is nested more than {MAX_DEPTH} deep");
            section.findings.fatal(section.at(), &section.key(key), problem, "write a rule of its own for some of it");
        } else {
            conditions.push(kind(nested.iter().map(|table| read_all_of(table, names, depth + 1)).collect()));
        }
    }
    let texts = |key: &'static str| Some(list(section, key, "\"…\", or a list")).filter(|items| !items.is_empty());
    let values = |items: Vec<Placed<String>>| {
        items.iter().for_each(|item| refuse_wildcard(section, item.at, &item.key, &item.value));
        items.into_iter().map(|item| item.value.into()).collect()
    };
    conditions.extend(texts("groups").map(|items| Condition::Groups { claim: names.groups.clone(), values: values(items) }));
    conditions.extend(texts("roles").map(|items| Condition::Claim { name: "roles".to_owned(), values: values(items) }));
    conditions.extend(texts("email").map(|items| Condition::Email(read_emails(section, items))));
    conditions.extend(read_email_file(section, names.outside));
    conditions.extend(texts("email_domain").map(|items| Condition::EmailDomain(read_domains(section, items))));
    conditions.extend(texts("provider").map(|items| Condition::Provider(read_providers(section, items, names.providers))));
    conditions.extend(read_claims(section));
    section.finish_strict();
    if conditions.is_empty() && !section.is_faulty() {
        let remedy = "write groups = \"admins\" for example, or remove it where any login will do";
        section.findings.fatal(section.at(), &section.path(), "asks for nothing", remedy);
    }
    match conditions.len() {
        1 => conditions.remove(0),
        _ => Condition::All(conditions),
    }
}

/// Values are compared whole. A `*` stands for itself, and hardly for a group of that name.
fn refuse_wildcard(section: &Section<'_>, at: Option<usize>, key: &str, value: &str) {
    if value == "*" {
        let remedy = "write the values that admit a user; where any login will do, remove `require`";
        section.findings.fatal(at, key, "`*` is not a wildcard here", remedy);
    } else if value.contains('*') {
        let problem = format!("`{value}` is compared whole: `*` is not a wildcard here");
        section.findings.warning(at, key, problem, "write the values in full");
    }
}

fn read_emails(section: &Section<'_>, items: Vec<Placed<String>>) -> Vec<String> {
    for item in items.iter().filter(|item| !is_address(&item.value)) {
        let problem = format!("`{}` is not an e-mail address", item.value);
        section.findings.fatal(item.at, &item.key, problem, ADDRESS_EXAMPLE);
    }
    items.into_iter().map(|item| item.value).collect()
}

const ADDRESS_EXAMPLE: &str = "write \"alice@example.com\"; for a whole domain, email_domain = \"example.com\"";

/// One `@` with something on either side of it, and nothing that separates addresses, is not seen or looks like a wildcard.
fn is_address(text: &str) -> bool {
    let is_one = !text.contains(|c: char| c.is_whitespace() || c.is_control() || ",;<>*".contains(c));
    is_one && text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'))
}

/// `email_file = "people.txt"`: addresses, one a line, and lines and ends of lines that a `#` makes a comment.
fn read_email_file(section: &Section<'_>, outside: &Outside<'_>) -> Option<Condition> {
    let (path, text) = outside.file(section, EMAIL_FILE)?;
    if section.has("email") {
        let remedy = "put all addresses into the file, or write any = [{ email = \"…\" }, { email_file = \"…\" }]";
        section.findings.fatal(path.at, &path.key, "stands beside `email`: an address would have to be in both", remedy);
    }
    let lines = text.expose().trim_start_matches('\u{feff}').lines().zip(1..);
    let lines = lines.map(|(line, number)| (without_comment(line), number)).filter(|(address, _)| !address.is_empty());
    let (addresses, wrong): (Vec<_>, Vec<_>) = lines.partition(|(address, _)| is_address(address));
    for (_, number) in wrong.iter().take(MAX_LINES_TOLD) {
        // What it is instead is not shown: it may be a file of secrets.
        section.findings.fatal_in(&path.value, *number, &path.key, "is not an e-mail address", "write one a line, alice@example.com");
    }
    if addresses.is_empty() && wrong.is_empty() {
        let problem = format!("the file `{}` holds no address: nobody would be admitted", path.value);
        section.findings.fatal(path.at, &path.key, problem, "write addresses into it, one a line, or access = \"deny\"");
    }
    Some(Condition::Email(addresses.into_iter().map(|(address, _)| address.to_owned()).collect()))
}

const EMAIL_FILE: &str = "email_file";

/// Of a file that is something else, all lines are wrong.
const MAX_LINES_TOLD: usize = 10;

/// A `#` begins a comment at the beginning and after a space: it may be part of an address.
fn without_comment(line: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| *at == 0 || line[..*at].ends_with(char::is_whitespace);
    let end = line.match_indices('#').find(begins).map_or(line.len(), |(at, _)| at);
    line[..end].trim()
}

fn read_domains(section: &Section<'_>, items: Vec<Placed<String>>) -> Vec<String> {
    let is_domain = |text: &str| {
        text.contains('.')
            && text.split('.').all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    for item in items.iter().filter(|item| !is_domain(&item.value)) {
        let problem = format!("`{}` is not a domain", item.value);
        let remedy = match url::Host::parse(&item.value) {
            Ok(url::Host::Domain(ascii)) if is_domain(&ascii) && !item.value.is_ascii() => format!("write its ASCII form: \"{ascii}\""),
            _ => "write \"example.com\", without @ and *; each sub-domain by itself".to_owned(),
        };
        section.findings.fatal(item.at, &item.key, problem, remedy);
    }
    items.into_iter().map(|item| item.value).collect()
}

fn read_providers(section: &Section<'_>, items: Vec<Placed<String>>, providers: &[String]) -> Vec<String> {
    for item in items.iter().filter(|item| !providers.contains(&item.value)) {
        let problem = format!("there is no provider `{}` in [auth]", item.value);
        section.findings.fatal(item.at, &item.key, problem, format!("name one of: {}", providers.join(", ")));
    }
    items.into_iter().map(|item| item.value).collect()
}

/// `claim = { department = "sales", "/address/country" = ["DE", "AT"] }`.
fn read_claims(section: &Section<'_>) -> Vec<Condition> {
    let mut conditions = vec![];
    for entry in section.value_lists("claim").unwrap_or_default() {
        let (name, values) = entry.value;
        let refuse = |problem: &str, remedy: &str| section.findings.fatal(entry.at, &entry.key, problem, remedy);
        if claims::is_email(&name) {
            refuse("is a claim that anybody may write where nobody looks whether it is verified", "write email or email_domain");
        } else if !claims::is_name_or_pointer(&name) {
            refuse("is neither a claim's name nor a JSON pointer", "write department or \"/address/country\" for example");
        } else if values.is_empty() {
            refuse("holds no value, so that nobody would have it", "write a value, or a list of them");
        } else {
            values.iter().filter_map(|value| value.as_str()).for_each(|text| refuse_wildcard(section, entry.at, &entry.key, text));
            conditions.push(Condition::Claim { name, values });
        }
    }
    conditions
}

/// A string or a list of them. One that is empty would mean everything or nothing, which is not what it looks like.
fn list(section: &Section<'_>, name: &'static str, example: &str) -> Vec<Placed<String>> {
    let items = section.strings(name);
    if items.as_ref().is_some_and(|items| items.is_empty() || items.iter().any(|item| item.value.is_empty())) {
        section.findings.fatal(section.at(), &section.key(name), "is empty", format!("write {example}, or remove it"));
        return vec![];
    }
    items.unwrap_or_default()
}

/// What is legal, and lets fewer people pass than is likely to be meant.
fn warn_of_no_rule_for_the_rest(sections: &[Section<'_>], rules: &[Rule]) {
    if let (Some(section), Some(_)) = (sections.last(), rules.last())
        && !section.findings.has_fatal()
        && !rules.iter().any(Rule::is_for_everything)
        && !rules.iter().any(|rule| rule.paths.iter().any(PathPattern::is_nearly_everything))
    {
        let problem = "is the last one, and not for every request: everything else is denied";
        let remedy =
            "end the list with a rule without a path: `access = \"required\"` for any login, `access = \"deny\"` to say that it is meant";
        section.findings.warning(section.at(), &section.path(), problem, remedy);
    }
}

/// What is legal, and lets more people pass than is likely to be meant.
fn warn_of_publicity(section: &Section<'_>, rule: &Rule) {
    let is_everything = rule.paths.is_empty() || rule.paths.iter().any(PathPattern::is_nearly_everything);
    let problem = match (&rule.access, rule.methods.is_empty(), rule.hosts.is_empty()) {
        (Access::Public, true, true) => "opens every page to everybody",
        (Access::Public, false, _) => "opens every page to everybody, for these methods",
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
