//! Which rules can decide on a set of paths, whatever the request is: for promises about a whole application.
//!
//! Never too few rules are found, sometimes too many.

use super::path::PathPattern;
use super::{Access, Policy, Rule};

/// `within`, but for what one of `except` is for.
#[derive(Clone, Debug)]
pub struct PathSet {
    within: PathPattern,
    except: Vec<PathPattern>,
}

impl PathSet {
    /// One path: plain segments, those of `base` first.
    pub fn one(base: &str, names: &[&str]) -> Self {
        Self { within: PathPattern::exactly(base, names), except: vec![] }
    }

    /// `base` and every path below it, but for those below one of `except`: of `["media"]` that is `/media/x`, not `/media`.
    pub fn below(base: &str, except: &[&[&str]]) -> Self {
        Self { within: PathPattern::at_or_below(base), except: except.iter().map(|names| PathPattern::below(base, names)).collect() }
    }
}

/// The rules for `GET` requests of one host, or of every host that the rules tell apart from no other.
#[derive(Debug)]
pub struct HostRules<'a>(Vec<&'a Rule>);

impl Policy {
    /// For each host that a rule names, and for all others. Hosts with the same rules are one.
    pub fn by_host(&self) -> Vec<HostRules<'_>> {
        let get = |rule: &&Rule| rule.methods.is_empty() || rule.methods.iter().any(|method| method == "GET");
        let hosts = self.rules.iter().flat_map(|rule| &rule.hosts).map(Some).chain([None]);
        let rules = |host: Option<&String>| {
            let is_for = |rule: &&Rule| rule.hosts.is_empty() || host.is_some_and(|host| rule.hosts.contains(host));
            self.rules.iter().filter(get).filter(is_for).collect::<Vec<_>>()
        };
        let mut found: Vec<HostRules<'_>> = vec![];
        for host in hosts {
            let rules = rules(host);
            let is_same = |known: &&HostRules<'_>| known.0.iter().map(|rule| rule.id).eq(rules.iter().map(|rule| rule.id));
            if found.iter().find(is_same).is_none() {
                found.push(HostRules(rules));
            }
        }
        found
    }
}

impl<'a> HostRules<'a> {
    /// The rules that can decide on a path of the set; `None` among them when there can be a path that no rule is for.
    pub fn deciding(&self, set: &PathSet) -> Vec<Option<&'a Rule>> {
        let mut earlier: Vec<&PathPattern> = set.except.iter().collect();
        let mut found = vec![];
        for rule in &self.0 {
            let paths: Vec<&PathPattern> = rule.paths.iter().collect();
            let is_live = |path: &&PathPattern| path.meets(&set.within) && !earlier.iter().any(|taken| taken.covers(path));
            if paths.is_empty() || paths.iter().any(is_live) {
                found.push(Some(*rule));
            }
            if paths.is_empty() || paths.iter().any(|path| path.covers(&set.within)) {
                return found;
            }
            earlier.extend(paths);
        }
        found.push(None);
        found
    }
}

impl Access {
    /// Whether everybody whom this lets pass is let pass by `other`; sometimes `false` where that is so.
    pub fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Denied, _) | (_, Self::Public | Self::Optional) | (Self::Required(_), Self::Required(None)) => true,
            (Self::Required(Some(condition)), Self::Required(Some(wider))) => condition.implies(wider),
            (Self::Public | Self::Optional, Self::Required(_)) | (Self::Required(None), Self::Required(Some(_))) | (_, Self::Denied) => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Condition, RuleId};

    fn rule(number: usize, paths: &[&str], methods: &[&str], hosts: &[&str]) -> Rule {
        let owned = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect();
        Rule {
            id: RuleId { number, line: 1 },
            paths: paths.iter().map(|path| PathPattern::parse(path).unwrap()).collect(),
            methods: owned(methods),
            hosts: owned(hosts),
            access: Access::Public,
        }
    }

    /// Numbers of the rules that can decide, 0 for none.
    fn deciding(patterns: &[&[&str]], set: &PathSet) -> Vec<usize> {
        let rules = patterns.iter().enumerate().map(|(index, paths)| rule(index + 1, paths, &[], &[])).collect();
        let policy = Policy::new(rules).unwrap();
        let [host] = &policy.by_host()[..] else { panic!("one host") };
        host.deciding(set).into_iter().map(|rule| rule.map_or(0, |rule| rule.id.number)).collect()
    }

    #[test]
    fn exactly_one_rule_decides_on_one_path() {
        let stream = PathSet::one("/base", &["_stcore", "stream"]);
        for (patterns, expected) in [
            (&[&["/base/**"][..]][..], 1),
            (&[&[]], 1),
            (&[&["/base/_stcore/stream"], &[]], 1),
            (&[&["/_stcore/stream"], &["/base/_stcore/*"], &[]], 2),
            (&[&["/base/_stcore", "/base/_stcore/*/*"], &["/x", "/**/stream"]], 2),
            (&[&["/base/Admin/**"], &["/base/*"]], 0),
        ] {
            assert_eq!(deciding(patterns, &stream), [expected], "{patterns:?}");
        }
    }

    #[test]
    fn rules_that_can_decide_on_a_page_are_found() {
        let pages = PathSet::below("/base", &[&["media"], &["app", "static"]]);
        for (patterns, expected) in [
            (&[&["/base/**"][..], &[]][..], &[1][..]),
            (&[&[], &["/base/x"]], &[1]),
            (&[&["/base/Admin/**"], &[]], &[1, 2]),
            // By its canonical name, it is about a page below the base.
            (&[&["/Base/admin/**"], &[]], &[1, 2]),
            (&[&["/BASE."], &[]], &[1, 2]),
            (&[&["/base"], &["/base/*"]], &[1, 2, 0]),
            (&[&["/base/media/*"], &["/base/media/x/y", "/base/app/static/*/**"], &[]], &[3]),
            (&[&["/base/media/**"], &["/base/app/static"], &[]], &[1, 2, 3]),
            (&[&["/other/**"], &["/"], &["/base"], &["/**"]], &[3, 4]),
            (&[&["/*/x"], &["/**/y"], &["/base/**"]], &[1, 2, 3]),
            (&[&["/base/*"], &["/base/x"], &["/base/x/y"], &["/**"]], &[1, 3, 4]),
        ] {
            assert_eq!(deciding(patterns, &pages), expected, "{patterns:?}");
        }
    }

    #[test]
    fn hosts_and_methods_have_their_own_rules() {
        let rules = vec![
            rule(1, &[], &["POST"], &[]),
            rule(2, &["/a"], &["POST", "GET"], &["a.example"]),
            rule(3, &[], &[], &["b.example", "c.example"]),
            rule(4, &[], &[], &[]),
        ];
        let policy = Policy::new(rules).unwrap();
        let numbers = |host: &HostRules<'_>| host.0.iter().map(|rule| rule.id.number).collect::<Vec<_>>();
        assert_eq!(policy.by_host().iter().map(numbers).collect::<Vec<_>>(), [vec![2, 4], vec![3, 4], vec![4]]);
    }

    #[test]
    fn one_access_is_within_another() {
        let group = |name: &str| Access::Required(Some(Condition::Claim { name: "groups".into(), values: vec![name.into()] }));
        let widest_first = [Access::Public, Access::Required(None), group("a"), Access::Denied];
        for (index, wide) in widest_first.iter().enumerate() {
            for (other, narrow) in widest_first.iter().enumerate() {
                assert_eq!(narrow.is_within(wide), index <= other, "{narrow:?} {wide:?}");
            }
        }
        assert!(Access::Public.is_within(&Access::Optional) && Access::Optional.is_within(&Access::Public));
        assert!(!group("a").is_within(&group("b")) && !Access::Optional.is_within(&Access::Required(None)));
    }
}
