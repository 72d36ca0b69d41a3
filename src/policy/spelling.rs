//! The spellings of a path that some server takes for one another, brought to one form.
//!
//! What the most liberal server does to a decoded segment, in this order. Each step is a habit of servers that are in use;
//! a segment that only looks different after all of them is the same page to none.
//!
//! 1. Characters that are not seen ([`is_ignorable`]) are dropped: HFS+ does.
//! 2. Letters of either case are the same, and so are forms of one character or text that Unicode calls equivalent or
//!    compatible (`é` as one character or two, `ﬁ`, `Ａ`, the Kelvin sign): Windows, macOS, databases. `ß` is `ss`; `İ` and
//!    `ı` are `i`, as in a Turkish locale. Unicode 3.13, D145 and D146: decompose, fold, decompose, fold. `+` is a space, as
//!    in forms: Sinatra reads paths so.
//! 3. The path ends at a `?` or `#`; `/` and `\` separate segments. Written plainly or as an escape they are taken before:
//!    here they come from characters like `／`, and `¥`, `₩`, `⁄`, `∕` and `∖`, which code pages of Windows take for them.
//! 4. A path parameter (`;x`) and the name of a stream of NTFS (`::$DATA`) are dropped, and so is a segment in which ASP.NET
//!    looks for a session (`(S(x))`).
//! 5. Dots, colons and white space at the end are dropped, and white space at the beginning: Windows does, or trims. What is
//!    nothing then is no segment.
//!
//! A segment that one server takes for a dot segment, or that has an escape in it after step 2, has no form.

use std::borrow::Cow;

use icu_normalizer::DecomposingNormalizerBorrowed;

/// The path means something else to whoever reads it this liberally than it can mean here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unclear;

/// What servers split a decoded segment at, or do not.
const SEPARATORS: [char; 2] = ['/', '\\'];

/// Which of the segments that are empty after a split are segments to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Empty {
    Kept,
    /// But for one at the end, as in `/app/`.
    KeptWithin,
    Dropped,
}

/// What servers make of segments with separators in them, each list once: they split at `/`, at `\`, at one after the other or at
/// none (a proxy decodes what the application behind it does not), and differ after each in what is empty.
pub(super) fn splittings(segments: Vec<String>) -> Vec<Vec<String>> {
    let present = SEPARATORS.into_iter().filter(|&separator| segments.iter().any(|segment| segment.contains(separator)));
    let present: Vec<_> = present.collect();
    let mut found = vec![segments];
    for order in [present.clone(), present.into_iter().rev().collect()] {
        let mut read = vec![found[0].clone()];
        for separator in order {
            let further = read.iter().flat_map(|segments| {
                [Empty::Kept, Empty::KeptWithin, Empty::Dropped].map(|empty| split_at(segments, separator, empty))
            });
            read.extend(further.collect::<Vec<_>>());
        }
        for segments in read {
            if !found.contains(&segments) {
                found.push(segments);
            }
        }
    }
    found
}

fn split_at(segments: &[String], separator: char, empty: Empty) -> Vec<String> {
    let parts = segments.iter().flat_map(|segment| segment.split(separator));
    let mut parts: Vec<_> = parts.filter(|part| empty != Empty::Dropped || !part.is_empty()).map(str::to_owned).collect();
    if empty == Empty::KeptWithin && parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    parts
}

/// Segments after steps 1 and 2, from which every liberal reading is made: folding takes the longest of all.
pub(super) struct Folded<'a>(Vec<Cow<'a, str>>);

impl<'a> Folded<'a> {
    /// # Errors
    /// [`Unclear`] when there is an escape in one that was not there before.
    pub(super) fn new(segments: impl IntoIterator<Item = &'a str>) -> Result<Self, Unclear> {
        let folded: Vec<_> = segments.into_iter().map(folded).collect();
        let has_new_escape = folded.iter().any(|segment| matches!(segment, Cow::Owned(_)) && has_escape(segment));
        if has_new_escape { Err(Unclear) } else { Ok(Self(folded)) }
    }

    /// Whether a path may end in the middle of one of them, or a part of one be dropped.
    pub(super) fn has_end(&self) -> bool {
        self.0.iter().any(|segment| segment.contains(['?', '#', ';']))
    }

    /// As servers read them that split in each way of [`splittings`].
    ///
    /// # Errors
    /// [`Unclear`] when one of the segments is a dot segment to some server.
    pub(super) fn splittings(self) -> Result<Vec<Vec<String>>, Unclear> {
        let split = splittings(self.0.into_iter().map(Cow::into_owned).collect());
        split.into_iter().map(|segments| names(segments.iter().map(String::as_str))).collect()
    }
}

/// Steps 4 and 5, of segments that nothing splits any more. What was empty before stays.
fn names<'a>(parts: impl Iterator<Item = &'a str>) -> Result<Vec<String>, Unclear> {
    let mut names = vec![];
    for part in parts {
        let name = part.split(';').next().unwrap_or_default();
        let name = if name.contains(":$") { name.split(':').next().unwrap_or_default() } else { name };
        if matches!(name.trim(), "." | "..") {
            return Err(Unclear);
        }
        let name = name.trim_start().trim_end_matches(|c: char| matches!(c, '.' | ':') || c.is_whitespace());
        let is_of_aspnet = name.starts_with('(') && name.ends_with("))");
        if part.is_empty() || !name.is_empty() && !is_of_aspnet {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// The segments of a path as the most liberal server reads them.
pub(super) fn liberal<'a>(segments: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, Unclear> {
    let folded = Folded::new(segments)?.0;
    let is_end = |c: char| matches!(c, '?' | '#');
    let last = folded.iter().position(|segment| segment.contains(is_end));
    let read = folded.iter().take(last.map_or(folded.len(), |last| last + 1));
    let parts = read.flat_map(|segment| segment.split(is_end).next().unwrap_or_default().split(SEPARATORS));
    names(parts.filter(|part| !part.is_empty()))
}

/// Whether [`liberal`] leaves a segment as it is; `false` also of some that it does.
pub(super) fn is_plain(segment: &str) -> bool {
    let plain = |b: u8| b.is_ascii() && !b.is_ascii_uppercase() && !matches!(b, b';' | b'?' | b'#' | b'$' | b'/' | b'\\' | b'+');
    let ends = |c: char| matches!(c, '.' | ':') || c.is_whitespace();
    segment.bytes().all(plain)
        && !segment.starts_with(|c: char| c == '(' || c.is_whitespace())
        && !segment.ends_with(ends)
        && !segment.is_empty()
}

/// Whether a segment has a character that some server takes for one that ends, splits or encodes a segment.
pub(super) fn has_delimiter(segment: &str) -> bool {
    folded(segment).contains(['%', '?', '#', ';', '/', '\\'])
}

/// Whether there is `%` with two hexadecimal digits in a text.
pub(super) fn has_escape(text: &str) -> bool {
    text.as_bytes().windows(3).any(|window| window[0] == b'%' && window[1].is_ascii_hexdigit() && window[2].is_ascii_hexdigit())
}

/// Steps 1 and 2.
fn folded(segment: &str) -> Cow<'_, str> {
    if segment.is_ascii() {
        let is_folded = segment.bytes().all(|b| !b.is_ascii_uppercase() && b != b'+');
        return if is_folded { Cow::Borrowed(segment) } else { Cow::Owned(segment.to_ascii_lowercase().replace('+', " ")) };
    }
    // What is compatible may have letters to fold in it (`㎒`), and what is folded may have another compatible form.
    Cow::Owned(folded_once(&folded_once(segment)))
}

fn folded_once(text: &str) -> String {
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(text.chars().filter(|&c| !is_ignorable(c)));
    // Both ways: `ſ` is `S` in capitals, and the Kelvin sign is `k` in small letters. Each character for itself, for a
    // sigma at the end of a word is a sigma.
    let small = decomposed.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    let mut after_i = false;
    let without_dots = small.filter(move |&c| {
        let is_dot = c == COMBINING_DOT_ABOVE && after_i;
        after_i = c == 'i' || is_dot;
        !is_dot
    });
    DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(without_dots).filter(|&c| !is_ignorable(c)).map(as_delimiter).collect()
}

/// What a character is to servers that split paths, or forms, by it.
fn as_delimiter(c: char) -> char {
    match c {
        '\u{a5}' | '\u{20a9}' | '\u{2216}' => '\\',
        '\u{2044}' | '\u{2215}' => '/',
        '+' => ' ',
        other => other,
    }
}

/// What remains of `İ` beside an `i`.
const COMBINING_DOT_ABOVE: char = '\u{307}';

/// Default_Ignorable_Code_Point of the Unicode Character Database (DerivedCoreProperties.txt).
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use icu_normalizer::ComposingNormalizerBorrowed;

    use super::*;

    #[test]
    fn spellings_of_one_page_have_one_form() {
        for (form, spellings) in [
            ("admin", &["admin", "Admin", "ADMIN", "adm\u{131}n", "adm\u{130}n", "admi\u{307}n", "admin.", "admin. .", "admin "][..]),
            ("admin", &["admin;x=1", "admin;", "Admin.;x", "admin::$DATA", "admin:$I30:$INDEX_ALLOCATION", "ａｄｍｉｎ", "ad\u{200d}min"]),
            ("staff", &["\u{17f}taff", "STAFF", "sta\u{fb00}", "staff\u{2024}", "staff\u{a0}", "staff\u{37e}x", "staff\u{ff1b}x"]),
            ("key", &["\u{212a}ey", "KEY", "ｋｅｙ\u{ff0e}"]),
            ("strasse", &["straße", "STRASSE", "STRA\u{1e9e}E", "ſtraſſe"]),
            ("café", &["caf\u{e9}", "cafe\u{301}", "CAF\u{c9}", "CAFE\u{301}"]),
            ("όσοσ", &["ΌΣΟΣ", "όσος", "ο\u{301}σοσ"]),
            ("가", &["\u{ac00}", "\u{1100}\u{1161}"]),
            ("å", &["\u{212b}", "\u{c5}", "A\u{30a}"]),
            ("mhz", &["㎒", "MHZ"]),
            ("a_b=c<d>", &["a_b=c<d>", "Ａ_b=c<d>"]),
            ("admin", &[" admin", "admin:", "admin\u{85}", "\u{2028}admin", "admin\u{1680}", "admin+"]),
            ("admin", &["admi\u{307}\u{307}\u{307}n"]),
            ("a b", &["a+b", "A b", "a\u{ff0b}b"]),
        ] {
            for spelling in spellings {
                let form = DecomposingNormalizerBorrowed::new_nfd().normalize(form).into_owned();
                assert_eq!(liberal([*spelling]), Ok(vec![form]), "{spelling:?}");
            }
        }
    }

    #[test]
    fn different_pages_have_different_forms() {
        for (one, other) in [("admin", "admins"), ("a", "á"), ("a.b", "ab"), ("a b", "ab"), ("が", "か"), ("x:y", "x"), ("о", "o")] {
            assert_ne!(liberal([one]), liberal([other]), "{one} {other}");
        }
    }

    #[test]
    fn separators_separate_in_every_way() {
        for (segments, expected) in [
            (&["a"][..], &[&["a"][..]][..]),
            (&["a/b", "c"], &[&["a/b", "c"], &["a", "b", "c"]]),
            (&["a", "/", "b"], &[&["a", "/", "b"], &["a", "", "", "b"], &["a", "b"]]),
            (&["a", "/"], &[&["a", "/"], &["a", "", ""], &["a", ""], &["a"]]),
            (&["a/b\\c"], &[&["a/b\\c"], &["a", "b\\c"], &["a/b", "c"], &["a", "b", "c"]]),
            // What is between two of one kind is dropped by one server, and what is between two of the other is kept by the next.
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
        ] {
            let mut found = splittings(segments.iter().map(|&segment| segment.to_owned()).collect());
            let mut expected: Vec<_> = expected.iter().map(|&segments| segments.to_vec()).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{segments:?}");
        }
    }

    #[test]
    fn segments_come_and_go() {
        for (segments, expected) in [
            (&["a", "...", "b"][..], &["a", "b"][..]),
            (&[";x", " ", "\u{200b}", "+", "++", "a"], &["a"]),
            (&["a?b", "c"], &["a"]),
            (&["a#", "c"], &["a"]),
            (&["?", "c"], &[]),
            (&["a\u{ff1f}b", "c"], &["a"]),
            (&["a\u{ff0f}b", "c"], &["a", "b", "c"]),
            (&["a\u{ff3c}b"], &["a", "b"]),
            (&["\u{2100}dmin"], &["a", "cdmin"]),
            (&["a\u{a5}b\u{20a9}c", "d\u{2044}e\u{2215}f\u{2216}g"], &["a", "b", "c", "d", "e", "f", "g"]),
            (&["(S(x))", "(A(x)F(y))", "a", "(b)", "c))"], &["a", "(b)", "c))"]),
            (&["z\u{307}"], &["z\u{307}"]),
        ] {
            assert_eq!(liberal(segments.iter().copied()).unwrap(), expected, "{segments:?}");
        }
        for unclear in
            ["．．", ".. ", " .", "a\u{ff0f}.\u{200d}./b", "\u{2025}", "\u{2024};x", "x\u{a5}..\u{a5}a", "\u{ff05}41", "\u{ff05}ａｂ"]
        {
            assert_eq!(liberal(["a", unclear]), Err(Unclear), "{unclear:?}");
        }
    }

    /// Every character of Unicode but for private and unassigned planes, in every case and every normal form.
    #[test]
    fn every_character_has_one_form_in_either_case_and_every_normal_form() {
        let (nfd, nfc) = (DecomposingNormalizerBorrowed::new_nfd(), ComposingNormalizerBorrowed::new_nfc());
        let (nfkd, nfkc) = (DecomposingNormalizerBorrowed::new_nfkd(), ComposingNormalizerBorrowed::new_nfkc());
        let characters = ('\0'..='\u{323af}').chain('\u{e0000}'..='\u{e01ef}').filter(|c| !c.is_control());
        for c in characters {
            for text in [c.to_string(), format!("i{c}"), format!("Σ{c}\u{345}")] {
                let form = folded(&text).into_owned();
                assert_eq!(folded(&form), form, "{text:?}: its form is a form");
                for other in [
                    text.to_uppercase(),
                    text.to_lowercase(),
                    nfd.normalize(&text).into_owned(),
                    nfc.normalize(&text).into_owned(),
                    nfkd.normalize(&text).into_owned(),
                    nfkc.normalize(&text).into_owned(),
                    nfkc.normalize(&nfkc.normalize(&text).to_lowercase()).into_owned(),
                    nfd.normalize(&text.to_uppercase()).into_owned(),
                ] {
                    assert_eq!(folded(&other), form, "{text:?} as {other:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_plain_is_its_own_form() {
        for byte in 0x20..0x7f {
            for segment in [format!("{}", char::from(byte)), format!("a{}b", char::from(byte)), format!("a{}", char::from(byte))] {
                if is_plain(&segment) && !matches!(segment.as_str(), "." | "..") {
                    assert_eq!(liberal([segment.as_str()]), Ok(vec![segment.clone()]));
                }
            }
        }
        for not in ["", "A", "a.", "a ", " a", "a:", "(a", "a;", "a?", "a#", "a$", "a+", "é", "a\\", "a/"] {
            assert!(!is_plain(not), "{not:?}");
        }
    }
}
