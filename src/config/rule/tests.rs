use serde_json::Value;

use super::super::condition::MAX_DEPTH;
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
    let nested =
        |depth: usize| format!("[[vestibule.rule]]\nrequire = {}{{ groups = \"a\" }}{}\n", "{ any = [".repeat(depth), "] }".repeat(depth));
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
    for (base, path) in [("", "/**"), ("", "/*/user"), ("", "/.vestibules/**"), ("", "/oauth2callback/**"), ("/base", "/.vestibule/**")] {
        assert_eq!(told(base, "", &format!("\"{path}\"")), [], "{path}");
    }
    // What some server takes for such a path comes under the rules.
    for (base, path) in [
        ("", "/.vestibule./**"),
        ("", "/.vestibule /user"),
        ("", "/\u{ff0e}vestibule/**"),
        ("", "/.\u{ff56}estibule/**"),
        ("", "/.vest\u{131}bule"),
        ("", "/**/.vestibule/user"),
        ("/base", "/Base/.vestibule/**"),
        ("/base", "/base./.vestibule/**"),
        ("/base", "/base"),
    ] {
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
    let shadowed = |rules: &str| warnings(rules).into_iter().filter(|(_, problem)| problem.contains("never decides")).collect::<Vec<_>>();
    let rule = |path: &str, more: &str| format!("[[vestibule.rule]]\npath = \"{path}\"\n{more}");
    let found = shadowed(&(rule("/a/**", "") + &rule("/b", "") + &rule("/a/b", "access = \"public\"\n")));
    assert_eq!(found, [(11, "never decides: rule 1 (line 7) decides on all its requests".to_owned())]);
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
