//! What `require` asks of an account.

use std::fmt;

use serde_json::Value;

use crate::account::Account;
use crate::claims::{GroupsClaim, Shape};

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
    /// One of these is among its groups.
    Groups {
        claim: GroupsClaim,
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
            Self::Claim { name, values } => account.claim(name).is_some_and(|claim| claim.is_or_holds_one_of(values)),
            Self::Groups { claim, values } => account.groups(claim).is_some_and(|groups| groups.is_or_holds_one_of(values)),
        }
    }
}

impl Condition {
    /// Names of the claims, and JSON pointers to them, that it looks at, as sessions hold them near.
    pub(super) fn claims(&self) -> Vec<&str> {
        match self {
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().flat_map(Self::claims).collect(),
            Self::Claim { name, .. } => vec![name],
            Self::Groups { claim, .. } => vec![claim.near_name()],
            Self::Provider(_) | Self::Email(_) | Self::EmailDomain(_) => vec![],
        }
    }

    /// Whether every account that meets this meets `other` as well; sometimes `false` where that is so.
    pub(super) fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::All(others)) => others.iter().all(|other| self.implies(other)),
            (Self::Any(conditions), _) => conditions.iter().all(|condition| condition.implies(other)),
            (_, Self::Any(others)) if others.iter().any(|other| self.implies(other)) => true,
            (Self::All(conditions), _) => conditions.iter().any(|condition| condition.implies(other)),
            (Self::Provider(names), Self::Provider(others)) => names.iter().all(|name| others.contains(name)),
            (Self::Email(addresses), Self::Email(others)) => addresses.iter().all(|address| is_one_of(address, others)),
            (Self::Email(addresses), Self::EmailDomain(domains)) => {
                addresses.iter().all(|address| domain(address).is_some_and(|domain| is_one_of(domain, domains)))
            }
            (Self::EmailDomain(domains), Self::EmailDomain(others)) => domains.iter().all(|domain| is_one_of(domain, others)),
            (Self::Claim { name, values }, Self::Claim { name: other, values: others }) => {
                name == other && values.iter().all(|value| others.contains(value))
            }
            (Self::Groups { claim, values }, Self::Groups { claim: other, values: others }) => {
                claim == other && values.iter().all(|value| others.contains(value))
            }
            (Self::Groups { claim, values }, Self::Claim { name, values: others }) => {
                claim.shape() == Shape::List && claim.name() == name && values.iter().all(|value| others.contains(value))
            }
            _ => false,
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
                write!(f, "claim `{name}` is or holds {}", alternatives(&told(values)))
            }
            Self::Groups { claim, values } => {
                let how = match claim.shape() {
                    Shape::List => "is or holds",
                    Shape::Keys => "has the key",
                    Shape::Spaces => "holds, between spaces,",
                    Shape::Commas => "holds, between commas,",
                    Shape::Semicolons => "holds, between semicolons,",
                    Shape::Lines => "holds, on a line,",
                    Shape::Json => "holds, as JSON,",
                };
                write!(f, "claim `{}` {how} {}", claim.name(), alternatives(&told(values)))
            }
        }
    }
}

fn told(values: &[Value]) -> Vec<String> {
    values.iter().map(Value::to_string).collect()
}

/// More than these are counted, not told.
const MAX_TOLD: usize = 20;

fn alternatives(items: &[String]) -> String {
    if items.len() > MAX_TOLD { format!("one of {}", items.len()) } else { items.join(" or ") }
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
    #[test]
    fn one_condition_implies_another_where_it_is_no_wider() {
        let texts = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect::<Vec<_>>();
        let groups = |items: &[&str]| Condition::Claim { name: "groups".into(), values: items.iter().map(|&item| item.into()).collect() };
        let (email, domain) = (|items| Condition::Email(texts(items)), |items| Condition::EmailDomain(texts(items)));
        let provider = |items| Condition::Provider(texts(items));
        let role = || Condition::Claim { name: "roles".into(), values: vec!["a".into()] };
        for (narrow, wide) in [
            (groups(&["a"]), groups(&["a"])),
            (groups(&["a"]), groups(&["b", "a"])),
            (email(&["a@x.example"]), email(&["b@x.example", "A@x.example"])),
            (email(&["a@x.example"]), domain(&["X.example"])),
            (domain(&["x.example"]), domain(&["y.example", "x.example"])),
            (provider(&["a"]), provider(&["a", "b"])),
            (Condition::All(vec![groups(&["a"]), role()]), role()),
            (Condition::All(vec![groups(&["a"]), role()]), Condition::All(vec![role(), groups(&["a"])])),
            (role(), Condition::Any(vec![groups(&["a"]), role()])),
            (Condition::Any(vec![role(), groups(&["a"])]), Condition::Any(vec![groups(&["a", "b"]), role()])),
            (Condition::All(vec![role(), provider(&["a"])]), Condition::Any(vec![groups(&["a"]), role()])),
        ] {
            assert!(narrow.implies(&wide), "{narrow:?} {wide:?}");
        }
        for (one, other) in [
            (groups(&["a"]), groups(&["b"])),
            (groups(&["a", "b"]), groups(&["a"])),
            (groups(&["a"]), role()),
            (email(&["a@x.example", "a@y.example"]), domain(&["x.example"])),
            (email(&["a@x.example", "b@x.example"]), email(&["a@x.example"])),
            (domain(&["x.example"]), email(&["a@x.example"])),
            (domain(&["x.example", "y.example"]), domain(&["x.example"])),
            (provider(&["a", "b"]), provider(&["a"])),
            (role(), Condition::All(vec![groups(&["a"]), role()])),
            (Condition::Any(vec![groups(&["a"]), role()]), role()),
            (Condition::All(vec![groups(&["a"]), provider(&["a"])]), role()),
            (role(), Condition::Any(vec![groups(&["a"]), provider(&["a"])])),
        ] {
            assert!(!one.implies(&other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_long_list_is_counted() {
        let addresses = |count: usize| Condition::Email((0..count).map(|index| format!("{index}@x.example")).collect()).to_string();
        assert!(addresses(MAX_TOLD).contains("19@x.example"));
        assert_eq!(addresses(MAX_TOLD + 1), "verified e-mail address is one of 21");
    }
}
