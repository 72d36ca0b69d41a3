//! Path patterns: `/reports/*/summary`, `/admin/**`.

use super::spelling;
use super::target::Target;

/// Longer than any path that a person writes into a configuration.
const MAX_PATTERN_SEGMENTS: usize = 32;

/// A path pattern: whole segments, where `*` stands for exactly one and `**` for any number of them, none included.
///
/// So `/admin/**` is `/admin` and everything below it, and `/admin*` is no pattern. It is written in plain characters,
/// not percent-encoded. A path with one `/` at its end is the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
    /// The same as the most liberal server reads it: for a target that is read so.
    liberal: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
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
    #[error("has one of the characters % ? # ; \\ or a control character, or one that some servers read as such")]
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
        let segments = if rest.is_empty() { vec![] } else { rest.split('/').map(segment).collect::<Result<Vec<_>, _>>()? };
        if segments.len() > MAX_PATTERN_SEGMENTS {
            return Err(NotAPattern::TooLong);
        }
        let mut liberal = vec![];
        for segment in &segments {
            liberal.extend(read_liberally(segment)?);
        }
        Ok(Self { segments, liberal })
    }

    /// The path of plain segments: those of `base`, then `names`.
    pub(super) fn exactly(base: &str, names: &[&str]) -> Self {
        let names: Vec<_> = base.split('/').filter(|name| !name.is_empty()).chain(names.iter().copied()).collect();
        let segments: Vec<_> = names.iter().map(|&name| Segment::Literal(name.to_owned())).collect();
        let liberal = spelling::liberal(names).map(|names| names.into_iter().map(Segment::Literal).collect());
        Self { liberal: liberal.unwrap_or_else(|_| segments.clone()), segments }
    }

    /// That path and everything below it.
    pub(super) fn at_or_below(base: &str) -> Self {
        Self::exactly(base, &[]).then(&[Segment::Any])
    }

    /// Everything below the path of plain segments.
    pub(super) fn below(base: &str, names: &[&str]) -> Self {
        Self::exactly(base, names).then(&[Segment::One, Segment::Any])
    }

    fn then(mut self, more: &[Segment]) -> Self {
        self.segments.extend_from_slice(more);
        self.liberal.extend_from_slice(more);
        self
    }

    /// Whether it is for every path.
    pub fn is_everything(&self) -> bool {
        !self.segments.is_empty() && self.segments.iter().all(|segment| *segment == Segment::Any)
    }

    /// The same, or for every path but a few short ones: `/*/**`.
    pub fn is_nearly_everything(&self) -> bool {
        self.segments.contains(&Segment::Any) && self.segments.iter().all(|segment| !matches!(segment, Segment::Literal(_)))
    }

    /// The segment that every path begins with that it is for, in one of the two readings; `None` when it is a wildcard, or
    /// there is none.
    pub(super) fn first_literal(&self, is_liberal: bool) -> Option<&str> {
        match if is_liberal { self.liberal.first() } else { self.segments.first() } {
            Some(Segment::Literal(text)) => Some(text),
            Some(Segment::One | Segment::Any) | None => None,
        }
    }

    /// Whether it is the same pattern when it is read liberally.
    pub(super) fn is_plain(&self) -> bool {
        self.segments == self.liberal
    }

    pub(super) fn fits(&self, target: &Target<'_>) -> bool {
        let segments = if target.is_liberal { &self.liberal } else { &self.segments };
        matches(segments, &target.segments, |pattern, given| match pattern {
            Segment::Literal(text) => given == text,
            Segment::One => true,
            Segment::Any => false,
        })
    }

    /// Whether it is for every path that `other` is for; sometimes `false` where that is so.
    pub(super) fn covers(&self, other: &Self) -> bool {
        covers(&self.segments, &other.segments)
    }

    /// Whether there is a path that both are for, as some server reads it.
    pub(super) fn meets(&self, other: &Self) -> bool {
        meet(&self.segments, &other.segments) || meet(&self.liberal, &other.liberal)
    }

    /// [`Self::covers`] as the most liberal server reads both.
    pub(super) fn covers_liberally(&self, other: &Self) -> bool {
        covers(&self.liberal, &other.liberal)
    }
}

fn covers(wide: &[Segment], narrow: &[Segment]) -> bool {
    matches(wide, narrow, |pattern, given| match (pattern, given) {
        (Segment::Literal(text), Segment::Literal(given)) => text == given,
        (Segment::One, Segment::Literal(_) | Segment::One) => true,
        _ => false,
    })
}

/// Of each pair of beginnings, whether one path can be for both: at most as many steps as there are pairs.
fn meet(one: &[Segment], other: &[Segment]) -> bool {
    let mut possible = vec![vec![false; other.len() + 1]; one.len() + 1];
    possible[0][0] = true;
    for at in 0..=one.len() {
        for read in 0..=other.len() {
            if !possible[at][read] {
                continue;
            }
            let (first, second) = (one.get(at), other.get(read));
            let is_any = |segment: Option<&Segment>| segment == Some(&Segment::Any);
            if first.is_some() && (is_any(first) || is_any(second)) {
                possible[at + 1][read] = true;
            }
            if second.is_some() && (is_any(first) || is_any(second)) {
                possible[at][read + 1] = true;
            }
            let can_be_one = match (first, second) {
                (Some(Segment::Literal(one)), Some(Segment::Literal(other))) => one == other,
                (Some(Segment::One | Segment::Literal(_)), Some(Segment::One | Segment::Literal(_))) => true,
                _ => false,
            };
            if can_be_one {
                possible[at + 1][read + 1] = true;
            }
        }
    }
    possible[one.len()][other.len()]
}

/// Nothing of a segment that the most liberal server drops (`...`).
fn read_liberally(segment: &Segment) -> Result<Option<Segment>, NotAPattern> {
    let Segment::Literal(text) = segment else { return Ok(Some(segment.clone())) };
    let names = spelling::liberal([text.as_str()]).map_err(|_| NotAPattern::DotSegment)?;
    Ok(names.into_iter().next().map(Segment::Literal))
}

fn segment(text: &str) -> Result<Segment, NotAPattern> {
    match text {
        "" => Err(NotAPattern::EmptySegment),
        "*" => Ok(Segment::One),
        "**" => Ok(Segment::Any),
        "." | ".." => Err(NotAPattern::DotSegment),
        _ if text.contains('*') => Err(NotAPattern::PartialWildcard),
        _ if text.contains(char::is_control) || spelling::has_delimiter(text) => Err(NotAPattern::Character),
        _ => Ok(Segment::Literal(text.to_owned())),
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
    use crate::web::http::{Request, RequestHead};

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
            ("/a\u{7f}", NotAPattern::Character),
            ("/a\u{37e}b", NotAPattern::Character),
            ("/a\u{ff0f}b", NotAPattern::Character),
            ("/a\u{ff3c}b", NotAPattern::Character),
            ("/a\u{ff1f}", NotAPattern::Character),
            ("/\u{ff03}a", NotAPattern::Character),
            ("/\u{ff05}41", NotAPattern::Character),
            ("/a/.. /b", NotAPattern::DotSegment),
            ("/a/\u{2025}", NotAPattern::DotSegment),
        ] {
            assert_eq!(PathPattern::parse(text), Err(error), "{text}");
        }
        assert_eq!(PathPattern::parse(&"/a".repeat(33)), Err(NotAPattern::TooLong));
        assert!(PathPattern::parse(&"/a".repeat(32)).is_ok());
    }

    #[test]
    fn a_liberal_path_is_compared_with_the_pattern_read_in_the_same_way() {
        let fits_liberally = |pattern: &str, path: &str| {
            let head = RequestHead::get(path, "app.example");
            let target = Target::parse(&Request::parse(&head).unwrap(), false).unwrap();
            PathPattern::parse(pattern).unwrap().fits(&target.liberal().unwrap())
        };
        for (pattern, good, bad) in [
            ("/Admin/**", &["/admin", "/ADMIN/x", "/admin./x", "/admin;v=1"][..], &["/", "/admins", "/x/admin"][..]),
            ("/a./**", &["/a", "/a./b", "/A%20/b"], &["/b"]),
            ("/...", &["/", "/...", "/;x"], &["/a"]),
            ("/.../x", &["/x", "/..../X"], &["/", "/a/x"]),
            ("/Straße", &["/strasse", "/STRA%C3%9FE"], &["/strase"]),
            ("/e\u{301}", &["/%C3%A9", "/e%CC%81", "/%C3%89"], &["/e"]),
            ("/*/B", &["/a/b", "/*/b"], &["/;x/b", "/b"]),
            ("/**/B", &["/b", "/;x/b", "/a/c/B."], &["/b/c"]),
        ] {
            for path in good {
                assert!(fits_liberally(pattern, path), "{pattern} is for {path}");
            }
            for path in bad {
                assert!(!fits_liberally(pattern, path), "{pattern} is not for {path}");
            }
        }
        for (pattern, plain) in [("/a/*/**", true), ("/A", false), ("/a.", false), ("/\u{e9}", false), ("/e\u{301}", true), ("/...", false)]
        {
            assert_eq!(PathPattern::parse(pattern).unwrap().is_plain(), plain, "{pattern}");
        }
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
        let liberally = |wide: &str, narrow: &str| PathPattern::parse(wide).unwrap().covers_liberally(&PathPattern::parse(narrow).unwrap());
        for (wide, narrow) in [("/A/**", "/a"), ("/a", "/A."), ("/ß", "/SS"), ("/.../a", "/a"), ("/a", "/a"), ("/*", "/A")] {
            assert!(liberally(wide, narrow), "{wide} {narrow}");
        }
        assert!(!liberally("/A/*", "/a") && !liberally("/a", "/b"));
    }
}
