//! The people who can log in.

use serde_json::{Map, Value, json};

/// Somebody the provider knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// The `sub` claim and the value of the button on the consent page.
    pub sub: String,
    pub name: String,
    pub given_name: String,
    pub family_name: String,
    pub preferred_username: String,
    /// With `None` neither `email` nor `email_verified` is released.
    pub email: Option<String>,
    pub email_verified: bool,
    pub groups: Vec<String>,
    /// Claims released besides, whatever the scope; they win over the ones above.
    pub extra: Map<String, Value>,
}

impl Person {
    /// Alice, Bob, Chloë (non-ASCII name), Dan (no e-mail) and Erin (120 groups).
    #[must_use]
    pub fn ready_made() -> Vec<Self> {
        let many = (1..=120).map(|number| format!("department-{number:03}"));
        vec![
            Self::example("alice", "Alice", "Example", &["staff", "admins"]),
            Self::example("bob", "Bob", "Example", &["staff"]),
            Self::example("chloe", "Chloë", "Ørsted", &["staff", "Forschung & Entwicklung"]),
            Self { email: None, email_verified: false, ..Self::example("dan", "Dan", "Noemail", &[]) },
            Self { groups: many.collect(), ..Self::example("erin", "Erin", "Manygroups", &[]) },
        ]
    }

    fn example(sub: &str, given_name: &str, family_name: &str, groups: &[&str]) -> Self {
        Self {
            sub: sub.to_owned(),
            name: format!("{given_name} {family_name}"),
            given_name: given_name.to_owned(),
            family_name: family_name.to_owned(),
            preferred_username: sub.to_owned(),
            email: Some(format!("{sub}@example.com")),
            email_verified: true,
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            extra: Map::new(),
        }
    }

    /// The claims that a scope releases: `sub` always, the rest as OpenID Connect Core section 5.4 says. It has no word
    /// for groups; they come with `profile` or `groups`.
    pub(crate) fn claims(&self, scope: &str) -> Map<String, Value> {
        let asked = |value: &str| scope.split(' ').any(|candidate| candidate == value);
        let mut claims = Map::new();
        claims.insert("sub".into(), json!(self.sub));
        if asked("profile") {
            claims.insert("name".into(), json!(self.name));
            claims.insert("given_name".into(), json!(self.given_name));
            claims.insert("family_name".into(), json!(self.family_name));
            claims.insert("preferred_username".into(), json!(self.preferred_username));
        }
        if asked("profile") || asked("groups") {
            claims.insert("groups".into(), json!(self.groups));
        }
        if let Some(email) = self.email.as_ref().filter(|_| asked("email")) {
            claims.insert("email".into(), json!(email));
            claims.insert("email_verified".into(), json!(self.email_verified));
        }
        claims.extend(self.extra.clone());
        claims
    }

    /// Whether a `login_hint` means this person.
    pub(crate) fn is_hinted_by(&self, hint: &str) -> bool {
        hint == self.sub || hint == self.preferred_username || self.email.as_deref() == Some(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_decides_what_is_released() {
        let people = Person::ready_made();
        let names = |claims: Map<String, Value>| claims.keys().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(names(people[0].claims("openid")), "sub");
        assert_eq!(names(people[0].claims("openid email")), "email email_verified sub");
        assert_eq!(names(people[0].claims("openid groups")), "groups sub");
        assert_eq!(
            names(people[3].claims("openid profile email")),
            "family_name given_name groups name preferred_username sub",
            "Dan has no e-mail"
        );
    }
}
