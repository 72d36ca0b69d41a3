//! Path patterns: `/reports/*/summary`, `/admin/**`.

use super::target::{Target, liberal};

/// Longer than any path that a person writes into a configuration.
const MAX_PATTERN_SEGMENTS: usize = 32;

/// A path pattern: whole segments, where `*` stands for exactly one and `**` for any number of them, none included.
///
/// So `/admin/**` is `/admin` and everything below it, and `/admin*` is no pattern. It is written in plain characters,
/// not percent-encoded. A path with one `/` at its end is the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    written: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal {
        text: String,
        /// The same as [`liberal`] makes it.
        liberal: String,
    },
    One,
    Any,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPattern {
    #[error("does not begin with /")]
    NoSlash,
    #[error("has an empty segment, or / at its end")]
    EmptySegment,
    #[error("has a wildcard that is only part of a segment")]
    PartialWildcard,
    #[error("has a dot segment, which no request that is served has")]
    DotSegment,
    #[error("has one of the characters % ? # ; \\ or a control character")]
    Character,
    #[error("has more than 32 segments")]
    TooLong,
}

impl PathPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// [`NotAPattern`] when a request path could not be like it, or when it does not mean what it seems to.
    pub fn parse(text: &str) -> Result<Self, NotAPattern> {
        let rest = text.strip_prefix('/').ok_or(NotAPattern::NoSlash)?;
        let segments = if rest.is_empty() { vec![] } else { rest.split('/').map(segment).collect::<Result<_, _>>()? };
        if segments.len() > MAX_PATTERN_SEGMENTS {
            return Err(NotAPattern::TooLong);
        }
        Ok(Self { written: text.to_owned(), segments })
    }

    /// `/**`.
    pub fn everything() -> Self {
        Self { written: "/**".to_owned(), segments: vec![Segment::Any] }
    }

    /// Whether it is for every path.
    pub fn is_everything(&self) -> bool {
        !self.segments.is_empty() && self.segments.iter().all(|segment| *segment == Segment::Any)
    }

    pub fn as_str(&self) -> &str {
        &self.written
    }

    pub(super) fn fits(&self, target: &Target<'_>) -> bool {
        matches(&self.segments, &target.segments, |pattern, given| match pattern {
            Segment::Literal { text, liberal } => given == if target.is_liberal { liberal } else { text },
            Segment::One => true,
            Segment::Any => false,
        })
    }

    /// Whether it is for every path that `other` is for; sometimes `false` where that is so.
    pub(super) fn covers(&self, other: &Self) -> bool {
        matches(&self.segments, &other.segments, |pattern, given| match (pattern, given) {
            (Segment::Literal { text, .. }, Segment::Literal { text: given, .. }) => text == given,
            (Segment::One, Segment::Literal { .. } | Segment::One) => true,
            _ => false,
        })
    }
}

fn segment(text: &str) -> Result<Segment, NotAPattern> {
    match text {
        "" => Err(NotAPattern::EmptySegment),
        "*" => Ok(Segment::One),
        "**" => Ok(Segment::Any),
        "." | ".." => Err(NotAPattern::DotSegment),
        _ if text.contains('*') => Err(NotAPattern::PartialWildcard),
        _ if text.contains(|c: char| c.is_control() || matches!(c, '%' | '?' | '#' | ';' | '\\')) => Err(NotAPattern::Character),
        _ => Ok(Segment::Literal { text: text.to_owned(), liberal: liberal(text) }),
    }
}

/// Whether `pattern` fits the whole of `input`. `one`: whether a segment that is not [`Segment::Any`] fits one item.
///
/// When it comes to a dead end, only the last `**` needs to take more: what an earlier one took leaves the later one the
/// most to choose from. So it takes no more steps than pattern and input have pairs.
fn matches<T>(pattern: &[Segment], input: &[T], one: impl Fn(&Segment, &T) -> bool) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut last_any = None;
    loop {
        match (pattern.get(at), input.get(read)) {
            (Some(Segment::Any), _) => {
                at += 1;
                last_any = Some((at, read));
            }
            (Some(segment), Some(item)) if one(segment, item) => {
                at += 1;
                read += 1;
            }
            (None, None) => return true,
            _ => match last_any {
                Some((after, taken)) if taken < input.len() => {
                    last_any = Some((after, taken + 1));
                    (at, read) = (after, taken + 1);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Request, RequestHead};

    fn fits(pattern: &str, path: &str) -> bool {
        let head = RequestHead::get(path, "app.example");
        let target = Target::parse(&Request::parse(&head).unwrap(), false).unwrap();
        PathPattern::parse(pattern).unwrap().fits(&target)
    }

    #[test]
    fn segments_are_whole_and_wildcards_count() {
        for (pattern, good, bad) in [
            ("/", &["/", "/?x"][..], &["/a", "/a/"][..]),
            ("/app", &["/app", "/app/", "/app?x=1", "/%61pp"], &["/", "/ap", "/appX", "/app/x", "/App", "/x/app", "/app%20"]),
            ("/*", &["/a", "/a/", "/*"], &["/", "/a/b"]),
            ("/admin/**", &["/admin", "/admin/", "/admin/a", "/admin/a/b/"], &["/", "/administrator", "/admins", "/x/admin"]),
            ("/**", &["/", "/a", "/a/b/c"], &[]),
            ("/a/*/c", &["/a/b/c"], &["/a/c", "/a/b/b/c", "/a/b"]),
            ("/a/**/z", &["/a/z", "/a/b/z", "/a/z/z", "/a/b/z/c/z"], &["/a", "/z", "/a/z/b", "/a/b"]),
            ("/**/x/**/y", &["/x/y", "/a/x/x/b/y", "/x/y/y"], &["/x", "/y", "/y/x", "/x/y/a"]),
            ("/**/*", &["/a", "/a/b"], &["/"]),
            ("/café/a b", &["/caf%C3%A9/a%20b"], &["/cafe/a%20b"]),
        ] {
            for path in good {
                assert!(fits(pattern, path), "{pattern} is for {path}");
            }
            for path in bad {
                assert!(!fits(pattern, path), "{pattern} is not for {path}");
            }
        }
    }

    #[test]
    fn what_does_not_mean_what_it_seems_to_is_no_pattern() {
        for (text, error) in [
            ("", NotAPattern::NoSlash),
            ("app", NotAPattern::NoSlash),
            ("**", NotAPattern::NoSlash),
            ("/app/", NotAPattern::EmptySegment),
            ("//app", NotAPattern::EmptySegment),
            ("/app*", NotAPattern::PartialWildcard),
            ("/*.png", NotAPattern::PartialWildcard),
            ("/app/***", NotAPattern::PartialWildcard),
            ("/a/../b", NotAPattern::DotSegment),
            ("/a%20b", NotAPattern::Character),
            ("/a?b", NotAPattern::Character),
            ("/a;b", NotAPattern::Character),
            ("/a\\b", NotAPattern::Character),
        ] {
            assert_eq!(PathPattern::parse(text), Err(error), "{text}");
        }
        assert_eq!(PathPattern::parse(&"/a".repeat(33)), Err(NotAPattern::TooLong));
        assert!(PathPattern::parse(&"/a".repeat(32)).is_ok());
    }

    #[test]
    fn what_one_pattern_takes_from_another_is_known() {
        let covers = |wide: &str, narrow: &str| PathPattern::parse(wide).unwrap().covers(&PathPattern::parse(narrow).unwrap());
        for (wide, narrow) in [
            ("/**", "/"),
            ("/**", "/a/**"),
            ("/a/**", "/a"),
            ("/a/**", "/a/*/c"),
            ("/*", "/a"),
            ("/*", "/*"),
            ("/**", "/**"),
            ("/**/c", "/a/**/c"),
        ] {
            assert!(covers(wide, narrow), "{wide} {narrow}");
        }
        for (wide, narrow) in
            [("/a/**", "/**"), ("/a", "/*"), ("/*", "/**"), ("/a/*", "/a/**"), ("/a", "/A"), ("/a/**", "/b/**"), ("/", "/**")]
        {
            assert!(!covers(wide, narrow), "{wide} {narrow}");
        }
    }
}
