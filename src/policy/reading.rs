//! What servers make of the segments of a path: where they split one, end the path, or leave one out.
//!
//! Each of these is done by some servers and not by others, and one server passes its result to the next, which does another:
//!
//! - take what Unicode calls compatible for the same (`／` is `/`), or what code pages of Windows have for it as well (`¥` is `\`);
//! - split at a decoded `/` or `\`;
//! - end the path at a decoded `?`, `#`, `;` or `&` (a path that becomes a query's value);
//! - drop a path parameter, `;` and what follows, from each segment or from the last one, before they split;
//! - leave out empty segments, those at the beginning, or the last; those of white space; those of dots or parameters; those in which
//!   ASP.NET looks for a session, or the first of these;
//! - take what follows empty segments at the beginning for a host (`//host/path`).
//!
//! The readings are the results of these steps, in any order and number. A request has one only where none of its segments has
//! anything to do.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::spelling::{self, Unclear};
use super::target::MAX_SEGMENTS;
use crate::web::construct::Construct;

/// Beyond this many, the path is not worth reading: what has one encoded separator or two has fewer than ten.
const MAX_READINGS: usize = 128;

/// Of all readings together: what a request can cost. Five readings of a path of a hundred segments have fewer.
const MAX_PARTS: usize = 1024;

/// Of text that is not ASCII, in all parts together: folding can make eleven bytes of one.
const MAX_FOLDED_BYTES: usize = 16 * 1024;

/// A segment, for comparison with that of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name<'a> {
    /// As every server reads it that changes nothing; `None` of a part that only folding separates.
    pub(super) written: Option<&'a str>,
    /// As [`spelling::canonical`] has it.
    pub(super) canonical: Cow<'a, str>,
}

/// What servers make of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading<'a> {
    pub(super) names: Vec<Name<'a>>,
    /// What the first step towards it was about; `None` of the path as it is.
    pub(super) by: Option<Construct>,
}

/// A part of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part<'a> {
    Written(&'a str),
    Folded(String),
}

/// The first segment that no server can be trusted with, and why.
pub(super) fn first_unclear(segments: &[Cow<'_, str>]) -> Option<(usize, Construct)> {
    let unclear = |(index, segment): (usize, &Cow<'_, str>)| Known::of(segment).err().map(|Unclear(construct)| (index, construct));
    segments.iter().enumerate().find_map(unclear)
}

/// The readings of decoded segments, each once. The first is as they are.
///
/// # Errors
/// [`Unclear`] when a segment has no canonical name in one of them, one has more than [`MAX_SEGMENTS`], or there are more than
/// [`MAX_READINGS`], or [`MAX_PARTS`] in them, or more text to fold than [`MAX_FOLDED_BYTES`].
pub(super) fn readings<'a>(segments: &'a [Cow<'_, str>]) -> Result<Vec<Reading<'a>>, Unclear> {
    let mut names = Names::default();
    let mut found = vec![(None, segments.iter().map(|segment| Part::Written(segment)).collect::<Vec<_>>())];
    let (mut next, mut in_all) = (0, segments.len());
    while let Some((by, reading)) = found.get(next) {
        let by = *by;
        for (step, further) in after_one_step(reading, &mut names)? {
            if found.iter().any(|(_, known)| *known == further) {
                continue;
            }
            in_all += further.len();
            if further.len() > MAX_SEGMENTS || found.len() == MAX_READINGS || in_all > MAX_PARTS {
                return Err(Unclear(Construct::TooLong));
            }
            found.push((by.or(Some(step)), further));
        }
        next += 1;
    }
    let mut name = |part: Part<'a>| {
        let canonical = Cow::Owned(names.of(part.text())?.canonical.clone());
        Ok(match part {
            Part::Written(written) => Name { written: Some(written), canonical },
            Part::Folded(_) => Name { written: None, canonical },
        })
    };
    let mut readings: Vec<Reading<'_>> = vec![];
    for (by, parts) in found {
        let names = parts.into_iter().map(&mut name).collect::<Result<Vec<_>, _>>()?;
        if readings.iter().all(|known| known.names != names) {
            readings.push(Reading { names, by });
        }
    }
    Ok(readings)
}

/// What each step makes of parts that it has something to do with, and what the step is about.
fn after_one_step<'a>(parts: &[Part<'a>], names: &mut Names) -> Result<Vec<(Construct, Vec<Part<'a>>)>, Unclear> {
    let mut results = vec![];
    let (mut compatible, mut folded) = (vec![], vec![]);
    let (mut not_white, mut not_blank, mut not_sessions) = (vec![], vec![], vec![]);
    let mut first_session = None;
    for (place, part) in parts.iter().enumerate() {
        let known = names.of(part.text())?;
        compatible.push(part.or(known.compatible.as_ref()));
        folded.push(part.or(known.folded.as_ref()));
        if part.is_empty() || !known.is_white {
            not_white.push(part.clone());
        }
        if part.is_empty() || known.is_white || !known.canonical.is_empty() {
            not_blank.push(part.clone());
        }
        if known.is_session {
            first_session = first_session.or(Some(place));
        } else {
            not_sessions.push(part.clone());
        }
    }
    results.extend([
        (Construct::Characters, compatible),
        (Construct::Characters, folded),
        (Construct::SegmentEnd, not_white),
        (Construct::SegmentEnd, not_blank),
        (Construct::SessionSegment, not_sessions),
    ]);
    let without = |place: usize| parts[..place].iter().chain(&parts[place + 1..]).cloned().collect();
    results.extend(first_session.map(|place| (Construct::SessionSegment, without(place))));
    for separator in ['/', '\\'] {
        results.push((Construct::EncodedSeparator, parts.iter().flat_map(|part| part.split(separator)).collect()));
    }
    for end in ['?', '#', ';', '&'] {
        let about = if matches!(end, '?' | '#') { Construct::EncodedEnd } else { Construct::Parameter };
        if let Some(last) = parts.iter().position(|part| part.text().contains(end)) {
            results.push((about, parts[..last].iter().cloned().chain(parts[last].split(end).into_iter().take(1)).collect()));
        }
    }
    results.push((Construct::Parameter, parts.iter().flat_map(|part| part.split(';').into_iter().take(1)).collect()));
    results.push((Construct::EmptySegment, parts.iter().filter(|part| !part.is_empty()).cloned().collect()));
    if let [rest @ .., last] = parts {
        results.push((Construct::Parameter, rest.iter().cloned().chain(last.split(';').into_iter().take(1)).collect()));
        if last.is_empty() {
            results.push((Construct::EmptySegment, rest.to_vec()));
        }
    }
    let mut behind_empty = parts.iter().skip_while(|part| part.is_empty());
    if parts.first().is_some_and(Part::is_empty) {
        results.push((Construct::EmptySegment, behind_empty.clone().cloned().collect()));
        results.push((Construct::EmptySegment, behind_empty.by_ref().skip(1).cloned().collect()));
    }
    results.retain(|(_, result)| result != parts);
    Ok(results)
}

impl<'a> Part<'a> {
    fn text(&self) -> &str {
        match self {
            Self::Written(text) => text,
            Self::Folded(text) => text,
        }
    }

    fn is_empty(&self) -> bool {
        self.text().is_empty()
    }

    fn split(&self, at: char) -> Vec<Self> {
        match self {
            Self::Written(text) => text.split(at).map(Self::Written).collect(),
            Self::Folded(text) => text.split(at).map(|piece| Self::Folded(piece.to_owned())).collect(),
        }
    }

    fn or(&self, other: Option<&String>) -> Self {
        other.map_or_else(|| self.clone(), |text| Self::Folded(text.clone()))
    }
}

/// What is known of parts already: readings share most of theirs, and folding takes the longest of all.
#[derive(Default)]
struct Names {
    known: BTreeMap<String, Known>,
    folded_bytes: usize,
}

struct Known {
    canonical: String,
    is_white: bool,
    is_session: bool,
    /// Where this makes something of the part that splits or ends a segment.
    compatible: Option<String>,
    folded: Option<String>,
}

impl Names {
    fn of(&mut self, part: &str) -> Result<&Known, Unclear> {
        match self.known.entry(part.to_owned()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let known = Known::of(part)?;
                if !part.is_ascii() {
                    self.folded_bytes += part.len().max(known.canonical.len());
                }
                if self.folded_bytes > MAX_FOLDED_BYTES {
                    return Err(Unclear(Construct::TooLong));
                }
                Ok(place.insert(known))
            }
        }
    }
}

impl Known {
    fn of(part: &str) -> Result<Self, Unclear> {
        let folded = spelling::fold(part)?;
        let canonical = spelling::name(&folded)?.to_owned();
        if [part, &folded].into_iter().any(spelling::is_joined_by_aspnet) {
            return Err(Unclear(Construct::SessionSegment));
        }
        let is_session = [part, &folded, &canonical].into_iter().any(spelling::is_session_of_aspnet);
        let is_white = folded.trim().is_empty();
        let delimiters = |text: &str| text.chars().filter(|&c| matches!(c, '/' | '\\' | '?' | '#' | ';' | '&')).count();
        let if_new = |text: Cow<'_, str>| (delimiters(&text) != delimiters(part)).then(|| text.into_owned());
        let compatible = if part.is_ascii() { None } else { if_new(spelling::compatible(part)) };
        Ok(Self { canonical, is_white, is_session, compatible, folded: if_new(folded) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written segments, a part that only folding separates as its canonical name in brackets.
    fn read(segments: &[&str]) -> Result<Vec<Vec<String>>, Unclear> {
        let segments: Vec<_> = segments.iter().map(|&segment| Cow::Borrowed(segment)).collect();
        let text = |name: &Name<'_>| name.written.map_or_else(|| format!("<{}>", name.canonical), str::to_owned);
        Ok(readings(&segments)?.iter().map(|reading| reading.names.iter().map(text).collect()).collect())
    }

    #[test]
    fn each_reading_is_found_once() {
        for (segments, expected) in [
            (&["a", "B", "x.y"][..], &[&["a", "B", "x.y"][..]][..]),
            (&["a/b", "c"], &[&["a/b", "c"], &["a", "b", "c"]]),
            (&["a", "/", "b"], &[&["a", "/", "b"], &["a", "", "", "b"], &["a", "b"]]),
            (&["a", "/"], &[&["a", "/"], &["a", "", ""], &["a", ""], &["a"]]),
            (&["a/b\\c"], &[&["a/b\\c"], &["a", "b\\c"], &["a/b", "c"], &["a", "b", "c"]]),
            // What is between two of one kind is left out by one server, and what is behind one of the other is kept by the next.
            (
                &["a\\\\b/"],
                &[
                    &["a\\\\b/"],
                    &["a\\\\b", ""],
                    &["a\\\\b"],
                    &["a", "", "b/"],
                    &["a", "b/"],
                    &["a", "", "b", ""],
                    &["a", "", "b"],
                    &["a", "b", ""],
                    &["a", "b"],
                ],
            ),
            (&["a?b", "c"], &[&["a?b", "c"], &["a"]]),
            (&["#", "c"], &[&["#", "c"], &[""], &[]]),
            (&["a;x/b"], &[&["a;x/b"], &["a;x", "b"], &["a"], &["a", "b"]]),
            (&["a", ";x", "b"], &[&["a", ";x", "b"], &["a", "", "b"], &["a", "b"], &["a", ""], &["a"]]),
            (&["a&b", "c"], &[&["a&b", "c"], &["a"]]),
            (&["a?b", "c#d"], &[&["a?b", "c#d"], &["a"], &["a?b", "c"]]),
            (&[" ", "...", "a"], &[&[" ", "...", "a"], &["...", "a"], &[" ", "a"], &["a"]]),
            (&["a", "...", "b"], &[&["a", "...", "b"], &["a", "b"]]),
            (&["(S(x))", "a"], &[&["(S(x))", "a"], &["a"]]),
            (&["(S(x))", "a", "(S(y))"], &[&["(S(x))", "a", "(S(y))"], &["a", "(S(y))"], &["a"]]),
            (&["/h", "a"], &[&["/h", "a"], &["", "h", "a"], &["h", "a"], &["a"]]),
            (&["a\u{ff0f}b"], &[&["a\u{ff0f}b"], &["<a/b>"], &["<a>", "<b>"]]),
            (&["a\u{a5}b"], &[&["a\u{a5}b"], &["<a\\b>"], &["<a>", "<b>"]]),
            (
                &["a\u{a5}b\u{ff0f}c"],
                &[&["a\u{a5}b\u{ff0f}c"], &["<a\\b/c>"], &["<a\\b>", "<c>"], &["<a>", "<b/c>"], &["<a>", "<b>", "<c>"]],
            ),
            (&["a\u{ff1f}b", "c"], &[&["a\u{ff1f}b", "c"], &["<a?b>", "c"], &["<a>"]]),
            (
                &["x\u{ff0f}y/z\u{ff1f}w"],
                &[
                    &["x\u{ff0f}y/z\u{ff1f}w"],
                    &["<x/y/z?w>"],
                    &["x\u{ff0f}y", "z\u{ff1f}w"],
                    &["<x/y>", "<z?w>"],
                    &["<x>", "<y>", "<z?w>"],
                    &["<x/y/z>"],
                    &["<x/y>", "<z>"],
                    &["<x>", "<y>", "<z>"],
                ],
            ),
        ] {
            let mut found = read(segments).unwrap();
            assert_eq!(found[0], segments);
            let mut expected: Vec<_> = expected.iter().map(|&segments| segments.to_vec()).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{segments:?}");
        }
    }

    #[test]
    fn what_has_no_canonical_name_or_too_many_readings_is_unclear() {
        for segments in [
            &["a", "．．"][..],
            &["a\u{ff0f}.\u{200d}./b"],
            &["x\u{a5}..\u{a5}a"],
            &["\u{2024};x"],
            &["\u{ff05}41"],
            &["a/../b"],
            &["a", "..;x"],
            &["/////////////////////////////////////////////////////////////////"],
        ] {
            assert!(read(segments).is_err(), "{segments:?}");
        }
        let long = "a/".repeat(MAX_SEGMENTS);
        assert_eq!(read(&[&long]), Err(Unclear(Construct::TooLong)));
        assert_eq!(read(&[&long[..long.len() - 1]]).unwrap().len(), 2);
        assert_eq!(read(&[&"\u{fdfa}/x".repeat(900)]), Err(Unclear(Construct::TooLong)), "more to fold than it is worth");
        let every_kind = "a//b\\ \\;x".repeat(20);
        assert_eq!(read(&[&every_kind]), Err(Unclear(Construct::TooLong)), "{MAX_PARTS} parts");
    }
}
