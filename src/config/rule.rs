//! `[[vestibule.rule]]`: who may pass.

use std::collections::BTreeSet;

use super::condition::{Names, REQUIRE_KEYS, list, read_all_of};
use super::section::{Placed, Section};
use super::setting::{Form, Key, Setting, Shape, keys, words};
use crate::claims::{self, GroupsClaim};
use crate::oidc::provider::Provider;
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

    pub(super) fn read(&self, groups: &GroupsClaim, public: Option<&PublicOrigin>, providers: &[Provider]) -> Option<Policy> {
        if let Some(section) = self.sections.get(MAX_RULES) {
            section.findings.fatal(section.at(), &section.key(""), format!("there are more than {MAX_RULES} rules"), "join some of them");
        }
        let names = Names { groups, public, providers };
        let mut rules: Vec<Rule> = vec![];
        for (index, section) in self.sections.iter().enumerate().take(MAX_RULES) {
            let rule = read_rule(section, index + 1, &names);
            let is_compared = !self.was_checked && index < MAX_COMPARED;
            if index == MAX_COMPARED && !self.was_checked {
                let problem = format!("is not searched for rules that never decide, as all after the first {MAX_COMPARED}");
                section.findings.warning(section.at(), &section.path(), problem, "join rules, or mind their order yourself");
            }
            if !is_compared {
                // Each with all before it: that is for the eyes of an operator, and many times the work of reading them.
            } else if let Some(earlier) = rule.is_shadowed_by(&rules) {
                let remedy = "put it before that rule, or remove it";
                section.findings.warning(section.at(), &section.path(), format!("never decides: {} takes all of it", earlier.id), remedy);
            } else if let Some(earlier) = rule.is_respelled_by(&rules) {
                let problem = format!(
                    "differs from {} in the spelling of paths only: requests are answered 400 where the two ask for different things",
                    earlier.id
                );
                let remedy =
                    "write one rule with both spellings, path = [\"/Docs/**\", \"/docs/**\"] for example, or remove one of the two";
                section.findings.warning(section.at(), &section.path(), problem, remedy);
            }
            rules.push(rule);
        }
        if !self.was_checked {
            warn_of_dangers(&self.sections, &rules);
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
    if public.is_some_and(|public| is_ours(&pattern, public)) {
        let problem = format!("`{}` is for routes of Vestibule only, on which no rule decides", text.value);
        section.findings.warning(text.at, &text.key, problem, "remove it, or write a path of the application");
    }
    Some(pattern)
}

/// Whether a pattern is, as it is written, for nothing of the application's.
fn is_ours(pattern: &PathPattern, public: &PublicOrigin) -> bool {
    let routes = [route::LOGIN, route::LOGOUT, route::LOGGED_OUT, route::USER].map(|route| public.route(route));
    let is_reserved = public.prefix().is_reserved() && pattern.lies_within(&public.route(""));
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

/// What is legal, and lets more people pass than is likely to be meant, or fewer.
fn warn_of_dangers(sections: &[Section<'_>], rules: &[Rule]) {
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
    for (section, rule) in sections.iter().zip(rules) {
        let warn = |problem: &str, remedy: &str| section.findings.warning(section.at(), &section.path(), problem, remedy);
        let is_for_all = rule.methods.is_empty() && rule.hosts.is_empty();
        let is_everything = rule.paths.is_empty() || rule.paths.iter().any(PathPattern::is_nearly_everything);
        if rule.access == Access::Public && is_for_all && is_everything {
            warn("opens every page to everybody", "name the paths that are public: path = \"/public/**\"");
        } else if rule.access == Access::Public && !rule.methods.is_empty() && is_everything {
            warn("opens every page to everybody, for these methods", "name the paths that are public: path = \"/public/**\"");
        }
        if let Access::Required(Some(condition)) = &rule.access {
            let mut names = BTreeSet::new();
            claim_names(condition, &mut names);
            for name in names.into_iter().filter(|name| is_chosen_by_its_owner(&claims::root(name))) {
                warn(&format!("trusts the claim `{name}`, which people can change at many providers"), "ask for email, groups or sub");
            }
        }
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
mod tests {
    use crate::config::condition::MAX_DEPTH;
    use serde_json::Value;

    use super::super::{Config, Fault, Source};
    use super::*;

    const SIX_LINES: &str = "[auth]\nredirect_uri = \"http://localhost:8501/oauth2callback\"\n\
                             cookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\nclient_id = \"a\"\nclient_secret = \"b\"\n\
                             server_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n";

    /// The rules, from line 7 on.
    fn parse(rules: &str) -> Result<Config, Vec<Fault>> {
        Config::parse(&Source::new("secrets.toml", &format!("{SIX_LINES}{rules}")))
    }

    /// Line and key of every fault, in order.
    fn faults(rules: &str) -> Vec<(u32, String)> {
        let faults = parse(rules).map(|config| config.warnings).expect_err(rules);
        faults.into_iter().map(|fault| (fault.line, fault.key)).collect()
    }

    fn warnings(rules: &str) -> Vec<(u32, String)> {
        let config = parse(rules).unwrap_or_else(|faults| panic!("{rules}: {faults:#?}"));
        config.warnings.into_iter().map(|fault| (fault.line, fault.problem)).collect()
    }

    #[test]
    fn every_key_is_read() {
        let config = parse(
            "[[vestibule.rule]]\npath = [\"/a\", \"/b/**\"]\nmethods = [\"GET\", \"POST\"]\nhost = \"localhost\"\naccess = \"optional\"\n\
             [[vestibule.rule]]\npath = \"/admin/**\"\n[vestibule.rule.require]\ngroups = \"admins\"\nany = [{ roles = [\"r\"] }, { email_domain = \"x.example\" }]\n\
             claim = { department = [\"it\", 7], \"/address/country\" = \"DE\" }\nprovider = \"default\"\nemail = \"a@x.example\"\n\
             [[vestibule.rule]]\npath = \"/old\"\naccess = \"deny\"\n[[vestibule.rule]]\naccess = \"required\"\n",
        )
        .unwrap();
        let rules = config.admission.policy.as_ref().unwrap().rules();
        assert_eq!(rules.iter().map(|rule| (rule.id.number, rule.id.line)).collect::<Vec<_>>(), [(1, 7), (2, 12), (3, 20), (4, 23)]);
        assert_eq!(rules[0].paths, ["/a", "/b/**"].map(|path| PathPattern::parse(path).unwrap()));
        assert_eq!(
            (rules[0].methods.as_slice(), rules[0].hosts.as_slice()),
            (&["GET".to_owned(), "POST".to_owned()][..], &["localhost".to_owned()][..])
        );
        assert_eq!(rules[0].access, Access::Optional);
        let claim = |name: &str, values: &[Value]| Condition::Claim { name: name.into(), values: values.to_vec() };
        let require = Condition::All(vec![
            Condition::Any(vec![claim("roles", &["r".into()]), Condition::EmailDomain(vec!["x.example".into()])]),
            Condition::Groups { claim: GroupsClaim::new("groups", claims::Shape::List), values: vec!["admins".into()] },
            Condition::Email(vec!["a@x.example".into()]),
            Condition::Provider(vec!["default".into()]),
            claim("/address/country", &["DE".into()]),
            claim("department", &["it".into(), 7.into()]),
        ]);
        let Access::Required(Some(Condition::All(read))) = &rules[1].access else { panic!("{:?}", rules[1].access) };
        let Condition::All(expected) = require else { unreachable!() };
        assert!(read.len() == expected.len() && expected.iter().all(|condition| read.contains(condition)), "{read:#?}");
        assert_eq!((&rules[2].access, &rules[3].access), (&Access::Denied, &Access::Required(None)));
        assert!(config.warnings.is_empty(), "{:#?}", config.warnings);
    }

    #[test]
    fn every_fault_of_a_rule_is_found_with_its_line() {
        for (rule, line, key) in [
            ("pth = \"/a\"\n", 8, "pth"),
            ("path = \"app\"\n", 8, "path"),
            ("path = [\"/a\", \"/a*\"]\n", 8, "path"),
            ("path = []\n", 7, "path"),
            ("path = 7\n", 8, "path"),
            ("methods = [\"get\"]\n", 8, "methods"),
            ("methods = \"HEAD\"\n", 8, "methods"),
            ("methods = []\n", 7, "methods"),
            ("path = \"/a\u{ff0f}b\"\n", 8, "path"),
            ("access = \"open\"\n", 8, "access"),
            ("path = \"/a\"\naccess = \"public\"\nrequire = { groups = \"a\" }\n", 10, "require"),
            ("require = \"admins\"\n", 8, "require"),
            ("require = {}\n", 8, "require"),
            ("require = { group = \"a\" }\n", 8, "require.group"),
            ("require = { groups = [] }\n", 8, "require.groups"),
            ("require = { groups = [\"\"] }\n", 8, "require.groups"),
            ("require = { email = \"example.com\" }\n", 8, "require.email"),
            ("require = { email = \"@example.com\" }\n", 8, "require.email"),
            ("require = { email = \"a@\" }\n", 8, "require.email"),
            ("require = { email = \"a@example.com \" }\n", 8, "require.email"),
            ("require = { email = \"a@b@example.com\" }\n", 8, "require.email"),
            ("require = { email = \"*@example.com\" }\n", 8, "require.email"),
            ("require = { groups = \"*\" }\n", 8, "require.groups"),
            ("require = { roles = [\"a\", \"*\"] }\n", 8, "require.roles"),
            ("require = { claim = { department = \"*\" } }\n", 8, "require.claim.department"),
            ("require = { email_file = [\"people.txt\"] }\n", 8, "require.email_file"),
            ("require = { email_file = \"people.txt\" }\n", 8, "require.email_file"),
            ("require = { email_domain = \"@example.com\" }\n", 8, "require.email_domain"),
            ("require = { email_domain = \"*.example.com\" }\n", 8, "require.email_domain"),
            ("require = { email_domain = \"com\" }\n", 8, "require.email_domain"),
            ("require = { provider = \"okta\" }\n", 8, "require.provider"),
            ("require = { claim = { email = \"a@example.com\" } }\n", 8, "require.claim.email"),
            ("require = { claim = { \"/email/0\" = \"a@example.com\" } }\n", 8, "require.claim./email/0"),
            ("require = { claim = { \"/a~2\" = \"x\" } }\n", 8, "require.claim./a~2"),
            ("require = { claim = { a = [] } }\n", 8, "require.claim.a"),
            ("require = { claim = { a = { b = 1 } } }\n", 8, "require.claim.a"),
            ("require = { all = [] }\n", 8, "require.all"),
            ("require = { any = [{ groups = \"a\" }, {}] }\n", 8, "require.any[2]"),
            ("require = { any = \"a\" }\n", 8, "require.any"),
        ] {
            assert_eq!(faults(&format!("[[vestibule.rule]]\n{rule}")), [(line, format!("vestibule.rule[1].{key}"))], "{rule}");
        }
        assert_eq!(faults("[vestibule.rule]\npath = \"/a\"\n"), [(7, "vestibule.rule".into())]);
        let nested = |depth: usize| {
            format!("[[vestibule.rule]]\nrequire = {}{{ groups = \"a\" }}{}\n", "{ any = [".repeat(depth), "] }".repeat(depth))
        };
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(faults(&nested(MAX_DEPTH + 1)).len(), 1);
        assert!(parse(&"[[vestibule.rule]]\nmethods = \"GET\"\n".repeat(MAX_RULES)).is_ok());
        assert_eq!(
            faults(&"[[vestibule.rule]]\n".repeat(MAX_RULES + 1)).iter().filter(|(line, _)| *line as usize == MAX_RULES + 7).count(),
            1,
            "one too many, which is not read"
        );
    }

    #[test]
    fn a_rule_for_our_own_routes_is_told_to_have_no_effect() {
        let told = |base: &str, more: &str, path: &str| {
            let toml = SIX_LINES.replace("/oauth2callback", &format!("{base}/oauth2callback"));
            let toml = format!("{toml}{more}[[vestibule.rule]]\npath = {path}\naccess = \"deny\"\n[[vestibule.rule]]\n");
            let config = Config::parse(&Source::new("secrets.toml", &toml)).unwrap_or_else(|faults| panic!("{faults:#?}"));
            let warnings = config.warnings.iter().filter(|fault| fault.problem.contains("on which no rule decides"));
            warnings.map(|fault| (fault.key.clone(), fault.problem.split('`').nth(1).unwrap_or_default().to_owned())).collect::<Vec<_>>()
        };
        for (base, path) in [
            ("", "/.vestibule"),
            ("", "/.vestibule/**"),
            ("", "/.vestibule/*"),
            ("", "/.vestibule/user"),
            ("", "/.Vestibule/**"),
            ("", "/oauth2callback"),
            ("/base", "/base/.vestibule/**"),
        ] {
            assert_eq!(told(base, "", &format!("\"{path}\"")), [("vestibule.rule[1].path".to_owned(), path.to_owned())], "{path}");
        }
        for (base, path) in [("", "/**"), ("", "/*/user"), ("", "/.vestibules/**"), ("", "/oauth2callback/**"), ("/base", "/.vestibule/**")]
        {
            assert_eq!(told(base, "", &format!("\"{path}\"")), [], "{path}");
        }
        assert_eq!(told("", "", "[\"/a\", \"/.vestibule/user\"]").len(), 1);
        // Below another prefix, all but the routes is the application's.
        let elsewhere = "[vestibule]\nroutes = \"/gate\"\n";
        for (path, count) in [("\"/gate/login\"", 1), ("\"/gate/**\"", 0), ("\"/gate/x\"", 0), ("\"/.vestibule/**\"", 0)] {
            assert_eq!(told("", elsewhere, path).len(), count, "{path}");
        }
    }

    #[test]
    fn a_rule_names_no_other_host_than_that_of_redirect_uri() {
        let faults = |authority: &str, hosts: &str| {
            let toml = format!("{SIX_LINES}[[vestibule.rule]]\nhost = {hosts}\n");
            let toml = toml.replace("http://localhost:8501", &format!("https://{authority}"));
            let faults = Config::parse(&Source::new("secrets.toml", &toml)).map(|config| config.warnings);
            faults.map_or_else(|faults| faults.into_iter().filter(|fault| fault.fatal).collect(), |_| vec![])
        };
        for (authority, host) in [
            ("app.example", "app.example"),
            ("app.example:8443", "app.example"),
            ("APP.example", "app.example"),
            ("app.example.", "app.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("[::1]:8443", "[::1]"),
            ("[0:0::0:1]", "[::1]"),
            ("127.1", "127.0.0.1"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(faults(authority, &format!("\"{host}\"")), [], "{authority} {host}");
            assert_eq!(faults(authority, &format!("[\"{host}\", \"{host}\"]")), [], "{authority} {host}");
        }
        for (authority, host) in [
            ("app.example", "other.example"),
            ("app.example", "www.app.example"),
            ("app.example", "example"),
            ("app.example", "app.example.com"),
            ("app.example", "Other.Example"),
            ("app.example", "other.example."),
            ("app.example", "bücher.example"),
            ("app.example", "127.0.0.1"),
            ("app.example", "[::1]"),
            ("bücher.example", "bucher.example"),
            ("localhost", "127.0.0.1"),
            ("127.0.0.1", "localhost"),
            ("127.0.0.1", "127.0.0.2"),
            ("127.0.0.1", "[::ffff:7f00:1]"),
            ("[::1]", "[::2]"),
        ] {
            let [fault] = &faults(authority, &format!("\"{host}\""))[..] else { panic!("{authority} {host}") };
            assert_eq!((fault.line, fault.key.as_str()), (8, "vestibule.rule[1].host"), "{host}");
            let served = url::Url::parse(&format!("https://{authority}")).unwrap().host_str().unwrap().to_owned();
            for name in [host, &served] {
                assert!(fault.problem.contains(&format!("`{name}`")), "{fault}");
            }
            assert!(fault.problem.contains("no other host is served") && fault.remedy.contains(&format!("\"{served}\"")), "{fault}");
        }
        // The right host in another spelling, and what is no host.
        for host in [
            "APP.example",
            "app.example.",
            "app.example:8443",
            "https://app.example",
            "app..example",
            ".app.example",
            "*.example",
            "*",
            "app.example/",
            "user@app.example",
            "%61pp.example",
            "ａpp.example",
            "app.example ",
            "::1",
            "[::1",
            "a b",
            "999.999.999.999",
        ] {
            let [fault] = &faults("app.example", &format!("\"{host}\""))[..] else { panic!("{host}") };
            assert_eq!((fault.line, fault.key.as_str()), (8, "vestibule.rule[1].host"), "{host}");
            assert!(fault.problem.contains(&format!("`{host}` is not a host name in small letters")), "{fault}");
        }
        let listed = faults("app.example", "[\n\"a.example\",\n\"app.example\",\n\"b.example\"]");
        assert_eq!(listed.iter().map(|fault| fault.line).collect::<Vec<_>>(), [9, 11], "each of a list that is wrong");
    }

    #[test]
    fn a_rule_that_never_decides_is_told() {
        let shadowed =
            |rules: &str| warnings(rules).into_iter().filter(|(_, problem)| problem.contains("never decides")).collect::<Vec<_>>();
        let rule = |path: &str, more: &str| format!("[[vestibule.rule]]\npath = \"{path}\"\n{more}");
        let found = shadowed(&(rule("/a/**", "") + &rule("/b", "") + &rule("/a/b", "access = \"public\"\n")));
        assert_eq!(found, [(11, "never decides: rule 1 (line 7) takes all of it".to_owned())]);
        assert_eq!(shadowed(&(rule("/a/**", "methods = [\"GET\", \"PUT\"]\n") + &rule("/a/b", "methods = \"PUT\"\n"))).len(), 1);
        assert_eq!(shadowed(&(rule("/a", "") + &rule("/b", "") + "[[vestibule.rule]]\npath = [\"/a\", \"/b\"]\n")).len(), 1);
        let everything = "[[vestibule.rule]]\naccess = \"required\"\n";
        for last in [rule("/a", "").as_str(), everything] {
            assert_eq!(shadowed(&format!("{everything}{last}")).len(), 1, "{last}");
        }
        for live in [
            rule("/a/b", "") + &rule("/a/**", ""),
            rule("/a/**", "methods = \"GET\"\n") + &rule("/a/b", "methods = \"PUT\"\n"),
            rule("/a/**", "methods = \"GET\"\n") + &rule("/a/b", ""),
            rule("/a/**", "host = \"localhost\"\n") + &rule("/a/b", ""),
            rule("/a", "") + "[[vestibule.rule]]\npath = [\"/a\", \"/b\"]\n",
        ] {
            assert_eq!(shadowed(&live), [], "{live}");
        }
    }

    #[test]
    fn rules_that_differ_in_spelling_only_are_told() {
        let rule = |path: &str, more: &str| format!("[[vestibule.rule]]\npath = {path}\n{more}");
        let respelled = |rules: &str| {
            let told = warnings(rules).into_iter().filter(|(_, problem)| problem.contains("in the spelling of paths only"));
            told.map(|(line, _)| line).collect::<Vec<_>>()
        };
        for (one, other) in [
            ("\"/Admin/**\"", "\"/admin/**\""),
            ("\"/admin/**\"", "\"/ADMIN\""),
            ("\"/a./**\"", "\"/a/b\""),
            ("\"/straße\"", "\"/STRASSE\""),
            ("\"/caf\u{e9}\"", "\"/cafe\u{301}\""),
            ("[\"/A\", \"/b\"]", "[\"/a\", \"/B\"]"),
        ] {
            assert_eq!(respelled(&(rule(one, "access = \"deny\"\n") + &rule(other, ""))), [10], "{one} {other}");
            assert_eq!(respelled(&(rule(one, "host = \"localhost\"\n") + &rule(other, ""))), [0_u32; 0], "{one} {other}");
        }
        for (one, other) in [
            ("\"/admin/**\"", "\"/admin/**\""),
            ("\"/Admin/x\"", "\"/admin/**\""),
            ("\"/a\"", "\"/b\""),
            ("\"/A\"", "[\"/a\", \"/b\"]"),
            ("\"/Admin/**\"", "\"/**\""),
        ] {
            assert_eq!(respelled(&(rule(one, "") + &rule(other, ""))), [0_u32; 0], "{one} {other}");
        }
        assert_eq!(respelled(&rule("[\"/Admin/**\", \"/admin/**\"]", "")), [0_u32; 0], "one rule");
    }

    #[test]
    fn what_is_legal_and_dangerous_is_told() {
        for (rule, warned) in [
            ("path = \"/**\"\naccess = \"public\"\n", true),
            ("access = \"public\"\n", true),
            ("access = \"public\"\nmethods = \"OPTIONS\"\n", true),
            ("path = [\"/\", \"/*/**\"]\naccess = \"public\"\n", true),
            ("path = \"/**/*\"\naccess = \"public\"\n", true),
            ("path = [\"/\", \"/*\"]\naccess = \"public\"\n", false),
            ("path = \"/public/**\"\naccess = \"public\"\n", false),
            ("path = \"/public/**\"\naccess = \"public\"\nmethods = \"GET\"\n", false),
            ("require = { claim = { preferred_username = \"alice\" } }\n", true),
            ("require = { any = [{ claim = { \"/upn\" = \"alice\" } }] }\n", true),
            ("require = { claim = { given_name = \"alice\" } }\n", true),
            ("require = { claim = { \"/user_metadata/role\" = \"admin\" } }\n", true),
            ("require = { claim = { \"custom:role\" = \"admin\" } }\n", true),
            ("require = { claim = { app_metadata = \"admin\" } }\n", false),
            ("require = { claim = { sub = \"1\" } }\n", false),
            ("require = { groups = \"team-*\" }\n", true),
        ] {
            let told = warnings(&format!("[[vestibule.rule]]\n{rule}"));
            assert_eq!(told.iter().any(|(_, problem)| !problem.contains("everything else is denied")), warned, "{rule}");
        }
    }

    #[test]
    fn a_list_without_a_rule_for_the_rest_is_told() {
        let public = "[[vestibule.rule]]\npath = \"/public/**\"\naccess = \"public\"\n";
        for (more, is_told) in [
            ("", true),
            ("[[vestibule.rule]]\npath = [\"/\", \"/app/**\"]\n", true),
            ("[[vestibule.rule]]\nmethods = \"GET\"\n", true),
            ("[[vestibule.rule]]\n", false),
            ("[[vestibule.rule]]\npath = \"/**\"\n", false),
            ("[[vestibule.rule]]\npath = [\"/\", \"/*/**\"]\n", false),
            ("[[vestibule.rule]]\naccess = \"deny\"\n", false),
        ] {
            let told = warnings(&format!("{public}{more}"));
            assert_eq!(told.iter().any(|(_, problem)| problem.contains("everything else is denied")), is_told, "{more}");
        }
    }
}
