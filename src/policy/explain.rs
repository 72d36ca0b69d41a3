//! `vestibule explain`: which rule decides on a request and why, in lines for an operator.

use std::fmt::Write as _;

use super::{Admission, Condition, Ruling, Verdict, target};
use crate::account::Account;
use crate::web::http::{Malformed, Request, RequestHead};
use crate::web::origin::PublicOrigin;
use crate::web::route::Route;

/// What would become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The application gets it, or it is for a route of our own.
    Passes,
    LoginRequired,
    Denied,
    Malformed,
}

/// An answer, and the way to it: several lines, the answer in the last.
#[derive(Debug)]
pub struct Explained {
    pub answer: Answer,
    pub text: String,
}

/// Goes through the same steps as a decision, and says what each came to. `account`: who is logged in.
pub fn explain(head: &RequestHead, account: Option<&Account<'_>>, admission: &Admission, public: &PublicOrigin) -> Explained {
    let who = account
        .map_or_else(|| "without a session".to_owned(), |account| format!("{} of provider `{}`", account.label(), account.provider.name));
    let mut text = format!("{} {}, {who}\n", head.method, head.path_with_query);
    let answer = walk(&mut text, head, account, admission, public).unwrap_or_else(|malformed| {
        let _ = writeln!(text, "400: the request is malformed: {malformed}");
        Answer::Malformed
    });
    Explained { answer, text }
}

fn walk(
    text: &mut String,
    head: &RequestHead,
    account: Option<&Account<'_>>,
    admission: &Admission,
    public: &PublicOrigin,
) -> Result<Answer, Malformed> {
    let request = Request::parse(head)?;
    match Route::of(request.path, public) {
        Route::Application => {}
        Route::Reserved => {
            say(text, "404: the path is reserved for routes of Vestibule, and is none of them");
            return Ok(Answer::Denied);
        }
        Route::Login
        | Route::Callback
        | Route::Logout
        | Route::LoggedOut
        | Route::BackchannelLogout
        | Route::FrontchannelLogout
        | Route::User
        | Route::Refresh => {
            say(text, "answered: the path is a route of Vestibule, to which no rule applies");
            return Ok(Answer::Passes);
        }
    }
    tell_of_the_host(text, &request, admission, public);
    let ruling = match admission.ruling(&request) {
        Err(malformed @ Malformed::Ambiguous(_)) => {
            tell_readings(text, &request, admission)?;
            return Err(malformed);
        }
        decided => decided?,
    };
    match &admission.policy {
        None => say(text, "  there are no rules: `login` decides"),
        Some(policy) => {
            let decided = ruling.rule.map_or(policy.rules().len(), |rule| rule.number - 1);
            // No rule was compared with a request that breaks a step where all rules ask for the same.
            for (rule, why) in policy.rules().iter().zip(policy.misfits(&request).unwrap_or_default()).take(decided) {
                let line = match why {
                    Some(part) => format!("not for this {part}"),
                    // It would decide, and so would none after it.
                    None => "not public, and therefore not for this host".to_owned(),
                };
                say(text, &format!("  {}: {line}", rule.id));
                if why.is_none() {
                    break;
                }
            }
            match ruling.rule {
                Some(rule) => say(text, &format!("  {rule}: decides")),
                None => say(text, "  no rule fits: the request is denied"),
            }
        }
    }
    Ok(conclude(text, &ruling, account))
}

/// What another host than that of `redirect_uri` changes.
fn tell_of_the_host(text: &mut String, request: &Request<'_>, admission: &Admission, public: &PublicOrigin) {
    let Ok(host) = target::host(request.authority) else { return };
    if host == public.host() {
        return;
    }
    let change = match &admission.policy {
        Some(policy) if policy.admits_to_public_only(Some(&host)) => "a rule names a host, so that other hosts get public pages only",
        _ => "its requests are decided in the same way; browsers keep the session at the host of redirect_uri, where a login leads",
    };
    say(text, &format!("  `{host}` is not the host of redirect_uri, `{}`: {change}", public.host()));
}

/// The two rules between which there is no choice.
fn tell_readings(text: &mut String, request: &Request<'_>, admission: &Admission) -> Result<(), Malformed> {
    let Some(policy) = &admission.policy else { return Ok(()) };
    let rule = |ruling: Ruling<'_>| ruling.rule.map_or("no rule".to_owned(), |rule| rule.to_string());
    let [written, other] = policy.readings(request)?.map(rule);
    say(text, &format!("  {written}: decides, as the request is written"));
    say(text, &format!("  {other}: decides, as some servers read the request"));
    Ok(())
}

fn conclude(text: &mut String, ruling: &Ruling<'_>, account: Option<&Account<'_>>) -> Answer {
    use super::Access;
    if let (Access::Required(Some(condition)), Some(account)) = (ruling.access, account) {
        tell(text, condition, account, 4);
    }
    match (ruling.verdict(account), ruling.access) {
        (Verdict::Pass, Access::Public) => say(text, "forwarded: the rule is public, and the application receives no identity"),
        (Verdict::Pass, _) if account.is_some() => say(text, "forwarded: the application receives the identity"),
        (Verdict::Pass, _) => say(text, "forwarded: the application receives no identity"),
        (Verdict::LoginRequired, _) => say(text, "login: page requests are redirected to it, other requests are answered with 401"),
        (Verdict::Denied, _) => say(text, &format!("403: {}", ruling.denied(account))),
    }
    match ruling.verdict(account) {
        Verdict::Pass => Answer::Passes,
        Verdict::LoginRequired => Answer::LoginRequired,
        Verdict::Denied => Answer::Denied,
    }
}

/// Each condition with its verdict, the parts of one below it.
fn tell(text: &mut String, condition: &Condition, account: &Account<'_>, indent: usize) {
    let met = if condition.is_met(account) { "met:" } else { "not met:" };
    say(text, &format!("{:indent$}{met} {condition}", ""));
    if let Condition::All(inner) | Condition::Any(inner) = condition {
        inner.iter().for_each(|condition| tell(text, condition, account, indent + 4));
    }
}

fn say(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::claims::Claims;
    use crate::config::{Config, Source};

    const CONFIG: &str = r#"
[auth]
redirect_uri = "https://app.example/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
client_id = "a"
client_secret = "b"
server_metadata_url = "https://op.example/.well-known/openid-configuration"
[[vestibule.rule]]
path = "/public/**"
access = "public"
[[vestibule.rule]]
path = "/admin/**"
methods = "GET"
require = { any = [{ groups = "admins" }, { email_domain = "example.com", claim = { level = 2 } }] }
[[vestibule.rule]]
path = "/app"
[[vestibule.rule]]
path = "/open"
access = "optional"
"#;

    fn explained(method: &str, path: &str, claims: Option<Value>) -> Explained {
        let config = Config::parse(&Source::new("f", CONFIG)).unwrap();
        let claims = claims.map(|claims| Claims::from(claims.as_object().unwrap().clone()));
        let account = claims.as_ref().map(|claims| Account { provider: &config.providers[0], claims });
        let head = RequestHead { method: method.into(), ..RequestHead::get(path, "app.example") };
        explain(&head, account.as_ref(), &config.admission, &config.public)
    }

    #[test]
    fn the_rule_that_decides_is_told_with_its_reasons() {
        let denied = explained("GET", "/admin/users?x", Some(json!({ "sub": "1", "email": "a@example.com", "groups": ["staff"] })));
        assert_eq!(denied.answer, Answer::Denied);
        assert_eq!(
            denied.text,
            "GET /admin/users?x, a@example.com of provider `default`\n  rule 1 (line 8): not for this path\n  rule 2 (line 11): decides\n    \
             not met: any of these\n        not met: claim `groups` is or holds \"admins\"\n        not met: all of these\n            \
             not met: verified e-mail address is of example.com\n            not met: claim `level` is or holds 2\n\
             403: rule 2 (line 11) does not admit this account\n"
        );
        let admitted = explained("HEAD", "/admin", Some(json!({ "sub": "1", "groups": ["admins"] })));
        assert!(admitted.answer == Answer::Passes && admitted.text.contains("met: any of these"), "{}", admitted.text);
    }

    #[test]
    fn another_host_is_decided_on_as_the_filter_decides() {
        let explained = |config: &str, path: &str, host: &str| {
            let config = Config::parse(&Source::new("f", config)).unwrap();
            explain(&RequestHead::get(path, host), None, &config.admission, &config.public)
        };
        let named = CONFIG.replace("path = \"/app\"\n", "path = \"/app\"\nhost = \"app.example\"\n");
        for (config, path, answer) in [
            (CONFIG, "/public/a", Answer::Passes),
            (CONFIG, "/open", Answer::Passes),
            (CONFIG, "/app", Answer::LoginRequired),
            (CONFIG, "/elsewhere", Answer::Denied),
            (&named, "/public/a", Answer::Passes),
            (&named, "/open", Answer::Denied),
            (&named, "/app", Answer::Denied),
            (&named, "/admin", Answer::Denied),
            (&named, "/.vestibule/user", Answer::Passes),
            (&named, "/.vestibule/nothing", Answer::Denied),
        ] {
            for (host, name) in [("other.example", "other.example"), ("127.0.0.1:8501", "127.0.0.1"), ("[::1]", "[::1]")] {
                let told = explained(config, path, host);
                assert_eq!(told.answer, answer, "{host} {path}: {}", told.text);
                let line = format!("  `{name}` is not the host of redirect_uri, `app.example`: ");
                assert_eq!(told.text.contains(&line), !path.starts_with("/.vestibule"), "{}", told.text);
            }
            for host in ["app.example", "APP.example", "app.example:8443", "app.example."] {
                assert!(!explained(config, path, host).text.contains("is not the host"), "{host} {path}");
            }
        }
        let told = explained(&named, "/admin", "other.example").text;
        assert_eq!(
            told,
            "GET /admin, without a session\n  `other.example` is not the host of redirect_uri, `app.example`: \
             a rule names a host, so that other hosts get public pages only\n  rule 1 (line 8): not for this path\n  \
             rule 2 (line 11): not public, and therefore not for this host\n  no rule fits: the request is denied\n\
             403: no rule fits this request: access is denied\n"
        );
        let told = explained(CONFIG, "/app", "other.example").text;
        assert!(told.contains("`app.example`: its requests are decided in the same way; "), "{told}");
    }

    #[test]
    fn every_answer_is_that_of_a_decision() {
        for (method, path, logged_in, answer, line) in [
            ("GET", "/public/a", false, Answer::Passes, "forwarded: the rule is public, and the application receives no identity"),
            (
                "GET",
                "/app",
                false,
                Answer::LoginRequired,
                "login: page requests are redirected to it, other requests are answered with 401",
            ),
            ("GET", "/app", true, Answer::Passes, "forwarded: the application receives the identity"),
            ("GET", "/open", false, Answer::Passes, "forwarded: the application receives no identity"),
            ("POST", "/admin", true, Answer::Denied, "403: no rule fits this request: access is denied"),
            ("GET", "/.vestibule/user", false, Answer::Passes, "answered: the path is a route of Vestibule, to which no rule applies"),
            ("GET", "/.vestibule/nothing", true, Answer::Denied, "404: the path is reserved for routes of Vestibule, and is none of them"),
            ("GET", "//app", true, Answer::Malformed, "400: the request is malformed: the path has an empty segment (`//`), in segment 1"),
            (
                "GET",
                "/x/../app",
                true,
                Answer::Malformed,
                "400: the request is malformed: the path has a dot segment (`.` or `..`), or a segment that servers can read as one, in segment 2",
            ),
        ] {
            let explained = explained(method, path, logged_in.then(|| json!({ "sub": "1" })));
            assert_eq!((explained.answer, explained.text.lines().last()), (answer, Some(line)), "{method} {path}");
        }
        let by_method = explained("POST", "/admin", None).text;
        assert!(by_method.contains("rule 2 (line 11): not for this method\n"), "{by_method}");
        let respelled = explained("GET", "/APP", None);
        assert_eq!(respelled.answer, Answer::Malformed);
        let lines = "  no rule: decides, as the request is written\n  rule 3 (line 15): decides, as some servers read the request\n400: ";
        assert!(respelled.text.contains(lines), "{}", respelled.text);
    }
}
