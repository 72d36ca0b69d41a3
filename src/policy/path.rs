//! Path patterns: `/reports/*/summary`, `/admin/**`.

use std::borrow::Cow;

use super::reading::Name;
use super::spelling;

/// Longer than any path that a person writes into a configuration.
const MAX_PATTERN_SEGMENTS: usize = 32;

/// A path pattern: whole segments, where `*` stands for exactly one and `**` for any number of them, none included.
///
/// So `/admin/**` is `/admin` and everything below it, and `/admin*` is no pattern. It is written in plain characters,
/// not percent-encoded. A path with one `/` at its end is the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
    /// The same with canonical names.
    canonical: Vec<Segment>,
}

/// Whether a pattern, or a rule, is for a request as servers read it in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    Never,
    /// To some servers: not as it is written, but by canonical names.
    Perhaps,
    Certainly,
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
    #[error("has a dot segment, and Vestibule rejects requests with one")]
    DotSegment,
    #[error("has one of the characters % ? # ; \\ or a control character, or one that some servers read as such")]
    Character,
    #[error("has a segment that some servers leave out")]
    LeftOut,
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
        let canonical = segments.iter().map(canonical).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { segments, canonical })
    }

    /// The path of plain segments: those of `base`, then `names`.
    pub(super) fn exactly(base: &str, names: &[&str]) -> Self {
        let names: Vec<_> = base.split('/').filter(|name| !name.is_empty()).chain(names.iter().copied()).collect();
        let segments: Vec<_> = names.iter().map(|&name| Segment::Literal(name.to_owned())).collect();
        let canonical = names.into_iter().map(|name| spelling::canonical(name).map(|name| Segment::Literal(name.into_owned())));
        Self { canonical: canonical.collect::<Result<_, _>>().unwrap_or_else(|_| segments.clone()), segments }
    }

    /// That path and everything below it.
    pub(super) fn at_or_below(base: &str) -> Self {
        Self::exactly(base, &[]).then(&[Segment::Any])
    }

    /// Everything below the path of plain segments.
    pub(super) fn below(base: &str, names: &[&str]) -> Self {
        Self::exactly(base, names).then(&[Segment::One, Segment::Any])
    }

    /// Whether every path that it is for lies at or below the segment `name` in `base`, letters of `name` in either case. No other
    /// spelling of the two counts.
    pub fn lies_within(&self, base: &str, name: &str) -> bool {
        let base = Self::exactly(base, &[]).segments;
        self.segments
            .strip_prefix(base.as_slice())
            .is_some_and(|rest| matches!(rest, [Segment::Literal(first), ..] if first.eq_ignore_ascii_case(name)))
    }

    /// The first segment that is not its canonical name.
    pub(super) fn respelled_segment(&self) -> Option<&str> {
        self.segments.iter().zip(&self.canonical).find_map(|pair| match pair {
            (Segment::Literal(written), Segment::Literal(canonical)) if written != canonical => Some(written.as_str()),
            _ => None,
        })
    }

    /// Whether it is for that path and no other.
    pub fn is_exactly(&self, path: &str) -> bool {
        self.segments == Self::exactly(path, &[]).segments
    }

    fn then(mut self, more: &[Segment]) -> Self {
        self.segments.extend_from_slice(more);
        self.canonical.extend_from_slice(more);
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

    /// The canonical name that every path begins with that it is for; `None` when the first segment is a wildcard, or there is
    /// none.
    pub(super) fn first_name(&self) -> Option<&str> {
        match self.canonical.first() {
            Some(Segment::Literal(name)) => Some(name),
            Some(Segment::One | Segment::Any) | None => None,
        }
    }

    /// Whether its names are canonical ones.
    pub(super) fn is_plain(&self) -> bool {
        self.segments == self.canonical
    }

    /// Whether it is for the path as it is written.
    pub(super) fn fits(&self, segments: &[Cow<'_, str>]) -> bool {
        matches(&self.segments, segments, |pattern, given| pattern.fits(given))
    }

    /// Whether it is for the path in this reading.
    pub(super) fn fit(&self, reading: &[Name<'_>]) -> Fit {
        let is_certain = |pattern: &Segment, given: &Name<'_>| match given.written {
            Some(written) => pattern.fits(written),
            None => *pattern == Segment::One,
        };
        if !matches(&self.canonical, reading, |pattern, given| pattern.fits(&given.canonical)) {
            Fit::Never
        } else if matches(&self.segments, reading, is_certain) {
            Fit::Certainly
        } else {
            Fit::Perhaps
        }
    }

    /// Whether it is for every path that `other` is for; sometimes `false` where that is so.
    pub(super) fn covers(&self, other: &Self) -> bool {
        covers(&self.segments, &other.segments)
    }

    /// Whether there is a path that both are for, as some server reads it.
    pub(super) fn meets(&self, other: &Self) -> bool {
        meet(&self.canonical, &other.canonical)
    }

    /// [`Self::covers`] by canonical names.
    pub(super) fn covers_respelled(&self, other: &Self) -> bool {
        covers(&self.canonical, &other.canonical)
    }
}

impl Segment {
    /// Whether it is for one segment with this name.
    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Literal(text) => text == name,
            Self::One => true,
            Self::Any => false,
        }
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

fn canonical(segment: &Segment) -> Result<Segment, NotAPattern> {
    let Segment::Literal(text) = segment else { return Ok(segment.clone()) };
    let name = spelling::canonical(text).map_err(|_| NotAPattern::DotSegment)?;
    if name.is_empty() || spelling::is_session_of_aspnet(&name) {
        return Err(NotAPattern::LeftOut);
    }
    Ok(Segment::Literal(name.into_owned()))
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
    use crate::policy::target::Target;
    use crate::web::http::{Request, RequestHead};

    fn fits(pattern: &str, path: &str) -> bool {
        let head = RequestHead::get(path, "app.example");
        let target = Target::parse(&Request::parse(&head).unwrap(), false).unwrap();
        PathPattern::parse(pattern).unwrap().fits(&target.segments)
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
            ("/...", NotAPattern::LeftOut),
            ("/a/ /b", NotAPattern::LeftOut),
            ("/\u{200b}", NotAPattern::LeftOut),
            ("/(S(x))/a", NotAPattern::LeftOut),
        ] {
            assert_eq!(PathPattern::parse(text), Err(error), "{text}");
        }
        assert_eq!(PathPattern::parse(&"/a".repeat(33)), Err(NotAPattern::TooLong));
        assert!(PathPattern::parse(&"/a".repeat(32)).is_ok());
    }

    #[test]
    fn a_pattern_fits_in_any_reading_certainly_or_perhaps() {
        let fit = |pattern: &str, path: &str| {
            let head = RequestHead::get(path, "app.example");
            let target = Target::parse(&Request::parse(&head).unwrap(), false).unwrap();
            let pattern = PathPattern::parse(pattern).unwrap();
            let readings = target.readings().unwrap();
            let fits: Vec<_> = readings.iter().map(|reading| pattern.fit(&reading.names)).collect();
            assert_eq!(fits[0] == Fit::Certainly, pattern.fits(&target.segments), "the first reading is as it is written");
            (fits.iter().copied().min().unwrap(), fits.into_iter().max().unwrap())
        };
        use Fit::{Certainly, Never, Perhaps};
        for (pattern, expected, paths) in [
            ("/Admin/**", (Certainly, Certainly), &["/Admin", "/%41dmin/x", "/Admin/X;y"][..]),
            ("/Admin/**", (Perhaps, Perhaps), &["/admin", "/ADMIN/x", "/admin./x", "/admin;v=1"]),
            ("/Admin/**", (Never, Never), &["/", "/admins", "/x/admin"]),
            ("/Admin/**", (Never, Perhaps), &["/;x/admin", "/admin%2Fx", "/admin%EF%BC%8Fx", "/.../admin", "/admin%3Fx"]),
            ("/Admin/**", (Never, Certainly), &["/Admin%2Fx", "/(S(x))/Admin", "/%2Fhost/Admin"]),
            ("/a./**", (Perhaps, Perhaps), &["/a", "/A%20/b"]),
            ("/Straße", (Perhaps, Perhaps), &["/strasse", "/STRA%C3%9FE"]),
            ("/e\u{301}", (Perhaps, Perhaps), &["/%C3%A9", "/%C3%89"]),
            ("/*/B", (Perhaps, Perhaps), &["/a/b", "/*/b"]),
            ("/*/B", (Never, Perhaps), &["/;x/b", "/a%3F/b"]),
            ("/**/B", (Never, Perhaps), &["/;x/b"]),
            ("/*/B", (Never, Never), &["/b"]),
            ("/**/B", (Perhaps, Perhaps), &["/b", "/a/c/B."]),
        ] {
            for path in paths {
                assert_eq!(fit(pattern, path), expected, "{pattern}: {path}");
            }
        }
        for (pattern, plain) in [("/a/*/**", true), ("/A", false), ("/a.", false), ("/\u{e9}", false), ("/e\u{301}", true)] {
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
        let respelled = |wide: &str, narrow: &str| PathPattern::parse(wide).unwrap().covers_respelled(&PathPattern::parse(narrow).unwrap());
        for (wide, narrow) in [("/A/**", "/a"), ("/a", "/A."), ("/ß", "/SS"), ("/a", "/a"), ("/*", "/A")] {
            assert!(respelled(wide, narrow), "{wide} {narrow}");
        }
        assert!(!respelled("/A/*", "/a") && !respelled("/a", "/b"));
    }
}
