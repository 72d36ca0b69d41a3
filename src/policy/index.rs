//! Which rules can be for a path, without looking at all of them: found by its first segment.

use std::collections::BTreeMap;

use super::Rule;

/// Places of rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// Of rules whose paths all begin with a name, by each of these in its canonical form.
    by_first: BTreeMap<String, Vec<usize>>,
    /// Of all others.
    others: Vec<usize>,
}

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (place, rule) in rules.iter().enumerate() {
            let firsts: Option<Vec<&str>> = rule.paths.iter().map(|path| path.first_name()).collect();
            match firsts {
                Some(firsts) if !firsts.is_empty() => {
                    for first in firsts {
                        let places = index.by_first.entry(first.to_owned()).or_default();
                        if places.last() != Some(&place) {
                            places.push(place);
                        }
                    }
                }
                _ => index.others.push(place),
            }
        }
        index
    }

    /// Places of the rules that can be for a path whose first segment has this canonical name, in their order.
    pub(super) fn candidates(&self, first: Option<&str>) -> impl Iterator<Item = usize> {
        let named = first.and_then(|first| self.by_first.get(first)).map_or(&[][..], Vec::as_slice);
        let (mut named, mut others) = (named.iter().copied().peekable(), self.others.iter().copied().peekable());
        std::iter::from_fn(move || match (named.peek(), others.peek()) {
            (Some(one), Some(other)) if one < other => named.next(),
            (_, Some(_)) => others.next(),
            (Some(_), None) => named.next(),
            (None, None) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Access, PathPattern, RuleId};

    fn rules(paths: &[&[&str]]) -> Vec<Rule> {
        let rule = |(number, paths): (usize, &&[&str])| Rule {
            id: RuleId { number: number + 1, line: 1 },
            paths: paths.iter().map(|path| PathPattern::parse(path).unwrap()).collect(),
            methods: vec![],
            hosts: vec![],
            access: Access::Denied,
        };
        paths.iter().enumerate().map(rule).collect()
    }

    #[test]
    fn candidates_are_in_the_order_of_the_rules_and_none_is_missing() {
        let rules = rules(&[&["/a/**"], &["/**"], &["/b", "/a/x"], &[], &["/A"], &["/a", "/*/x"], &["/"], &["/a", "/a/y"]]);
        let found = |first| Index::new(&rules).candidates(first).collect::<Vec<_>>();
        assert_eq!(found(Some("a")), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(found(Some("b")), [1, 2, 3, 5, 6]);
        assert_eq!(found(Some("c")), [1, 3, 5, 6]);
        assert_eq!(found(None), [1, 3, 5, 6]);
    }
}
