//! What `require` asks of an account.

use std::fmt;

use serde_json::Value;

use super::Account;

/// A condition on an account. Texts are compared exactly, but for e-mail addresses and domains, in which letters of
/// ASCII are the same in either case.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    /// It is with one of these providers.
    Provider(Vec<String>),
    /// Its e-mail address is proven, and one of these.
    Email(Vec<String>),
    /// Its e-mail address is proven, and of one of these domains: the domain itself, no sub-domain.
    EmailDomain(Vec<String>),
    /// The claim, by name or JSON pointer (RFC 6901), is one of these values, or a list with one of them in it. Types
    /// count: the text `1` is not the number.
    Claim {
        name: String,
        values: Vec<Value>,
    },
}

impl Condition {
    /// Whether the account is as it must be.
    pub fn is_met(&self, account: &Account<'_>) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.is_met(account)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.is_met(account)),
            Self::Provider(names) => names.contains(&account.provider.name),
            Self::Email(addresses) => account.email().is_some_and(|email| is_one_of(email, addresses)),
            Self::EmailDomain(domains) => account.email().and_then(domain).is_some_and(|domain| is_one_of(domain, domains)),
            Self::Claim { name, values } => account.claim(name).is_some_and(|claim| match claim {
                Value::Array(items) => items.iter().any(|item| values.contains(item)),
                single => values.contains(single),
            }),
        }
    }
}

fn is_one_of(text: &str, wanted: &[String]) -> bool {
    wanted.iter().any(|item| item.eq_ignore_ascii_case(text))
}

/// The domain of an address that has one reading: one `@`, and no character that stands for something else in an
/// address (RFC 5322 section 3.2.3), so that `"a@evil.example"@good.example` is none.
pub(super) fn domain(email: &str) -> Option<&str> {
    let (local, domain) = email.split_once('@')?;
    let means_more = |c: char| c.is_whitespace() || c.is_control() || "()<>[]:;@\\,\"".contains(c);
    (!local.is_empty() && !domain.is_empty() && !local.contains(means_more) && !domain.contains(means_more)).then_some(domain)
}

/// In the words of an operator.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(_) => f.write_str("all of these"),
            Self::Any(_) => f.write_str("any of these"),
            Self::Provider(names) => write!(f, "provider is {}", alternatives(names)),
            Self::Email(addresses) => write!(f, "verified e-mail address is {}", alternatives(addresses)),
            Self::EmailDomain(domains) => write!(f, "verified e-mail address is of {}", alternatives(domains)),
            Self::Claim { name, values } => {
                let values: Vec<_> = values.iter().map(Value::to_string).collect();
                write!(f, "claim `{name}` is or holds {}", alternatives(&values))
            }
        }
    }
}

fn alternatives(items: &[String]) -> String {
    items.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_two_readings_has_no_domain() {
        assert_eq!(domain("a@good.example"), Some("good.example"));
        assert_eq!(domain("a.b+c@Good.example"), Some("Good.example"));
        for email in [
            "",
            "a",
            "@good.example",
            "a@",
            "a@evil.example@good.example",
            "\"a@evil.example\"@good.example",
            "a@evil.example,b@good.example",
            "<a@evil.example>@good.example",
            "evil.example:a@good.example",
            "a@evil.example\n@good.example",
            "a b@good.example",
            "a@good.example ",
            "a@good.example\0",
            "a(x)@good.example",
        ] {
            assert_eq!(domain(email), None, "{email:?}");
        }
    }
}
