//! The spellings of a segment that some server takes for one another, brought to one: the canonical name.
//!
//! What servers do to a decoded segment, in this order. Each step is a habit of servers that are in use. Two segments that one
//! server takes for the same have one canonical name, whichever of the steps that server does.
//!
//! 1. Characters that are not seen ([`is_ignorable`]) are dropped: HFS+ does.
//! 2. Letters of either case are the same, and so are forms of one character or text that Unicode calls equivalent or
//!    compatible (`é` as one character or two, `ﬁ`, `Ａ`, the Kelvin sign): Windows, macOS, databases. `ß` is `ss`; `İ` and
//!    `ı` are `i`, as in a Turkish locale. Unicode 3.13, D145 and D146: decompose, fold, decompose, fold. `+` is a space, as
//!    in forms: Sinatra reads paths so.
//! 3. `¥`, `₩` and `∖` are `\`, `⁄` and `∕` are `/`: code pages of Windows take them for these.
//! 4. A path parameter (`;x`) and the name of a stream of NTFS (`::$DATA`) are dropped.
//! 5. Dots, colons and white space at the end are dropped, and white space at the beginning: Windows does, or trims.
//!
//! A segment that one server takes for a dot segment, or that has an escape in it after step 2, has no canonical name. What
//! splits a segment, ends the path in one, or leaves one out is in [`super::reading`].

use std::borrow::Cow;

use icu_normalizer::DecomposingNormalizerBorrowed;

use crate::web::construct::Construct;

/// The path means something else to some server than it can mean here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unclear(pub(super) Construct);

/// A segment after steps 1 to 3.
///
/// # Errors
/// [`Unclear`] when there is an escape in it that was not there before.
pub(super) fn fold(segment: &str) -> Result<Cow<'_, str>, Unclear> {
    let folded = folded(segment);
    if matches!(folded, Cow::Owned(_)) && has_escape(&folded) { Err(Unclear(Construct::EscapedTwice)) } else { Ok(folded) }
}

/// A segment after steps 1 and 2, of a server that knows Unicode and no code pages.
pub(super) fn compatible(segment: &str) -> Cow<'_, str> {
    if segment.is_ascii() { folded_ascii(segment) } else { Cow::Owned(folded_once(&folded_once(segment))) }
}

/// The canonical name of a segment; empty of one in which nothing is left.
///
/// # Errors
/// As [`fold`]; [`Unclear`] also of what is a dot segment to some server.
pub(super) fn canonical(segment: &str) -> Result<Cow<'_, str>, Unclear> {
    if is_plain(segment) {
        return Ok(Cow::Borrowed(segment));
    }
    Ok(Cow::Owned(name(&fold(segment)?)?.to_owned()))
}

/// Steps 4 and 5, of a segment after [`fold`].
pub(super) fn name(folded: &str) -> Result<&str, Unclear> {
    let name = folded.split(';').next().unwrap_or_default();
    let name = if name.contains(":$") { name.split(':').next().unwrap_or_default() } else { name };
    if matches!(name.trim_matches(|c: char| c == ':' || c.is_whitespace()), "." | "..") {
        return Err(Unclear(Construct::DotSegment));
    }
    Ok(name.trim_start().trim_end_matches(|c: char| matches!(c, '.' | ':') || c.is_whitespace()))
}

/// What makes the canonical name of a segment another than the segment.
pub(super) fn difference(segment: &str) -> Construct {
    let is_end = |c: char| matches!(c, '.' | ':') || c.is_whitespace();
    if segment.contains(';') {
        Construct::Parameter
    } else if segment.ends_with(is_end) || segment.starts_with(char::is_whitespace) || segment.contains(":$") {
        Construct::SegmentEnd
    } else if segment.contains('+') {
        Construct::Plus
    } else if segment.is_ascii() {
        Construct::LetterCase
    } else {
        Construct::Characters
    }
}

/// Whether ASP.NET looks for a session in a segment, and leaves it out: `(S(x))`.
pub(super) fn is_session_of_aspnet(segment: &str) -> bool {
    segment.starts_with('(') && segment.ends_with("))")
}

/// Whether ASP.NET finds a session at the beginning of a segment, takes it out with the slash before it, and joins what is left
/// to the segment before (CVE-2023-36899): `prot/(S(x))ected`.
pub(super) fn is_joined_by_aspnet(segment: &str) -> bool {
    segment.starts_with('(') && segment.find("))").is_some_and(|end| end + 2 < segment.len())
}

/// Whether a segment is its canonical name and every server reads it in one way; `false` also of some where that is so.
pub(super) fn is_plain(segment: &str) -> bool {
    let plain = |b: u8| b.is_ascii() && !b.is_ascii_uppercase() && !matches!(b, b';' | b'?' | b'#' | b'&' | b'$' | b'/' | b'\\' | b'+');
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

/// Whether there is `%` with two hexadecimal digits in a text, or `%u` with four, which .NET and JavaScript's `unescape` know.
pub(super) fn has_escape(text: &str) -> bool {
    let begins_with_digits = |rest: &[u8], count: usize| rest.len() >= count && rest[..count].iter().all(u8::is_ascii_hexdigit);
    text.as_bytes().split(|&b| b == b'%').skip(1).any(|rest| match rest {
        [b'u' | b'U', rest @ ..] => begins_with_digits(rest, 4),
        rest => begins_with_digits(rest, 2),
    })
}

/// Steps 1 to 3.
fn folded(segment: &str) -> Cow<'_, str> {
    if segment.is_ascii() {
        return folded_ascii(segment);
    }
    // What is compatible may have letters to fold in it (`㎒`), and what is folded may have another compatible form.
    Cow::Owned(compatible(segment).chars().map(as_delimiter).collect())
}

fn folded_ascii(segment: &str) -> Cow<'_, str> {
    let is_folded = segment.bytes().all(|b| !b.is_ascii_uppercase() && b != b'+');
    if is_folded { Cow::Borrowed(segment) } else { Cow::Owned(segment.to_ascii_lowercase().replace('+', " ")) }
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
    DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(without_dots).filter(|&c| !is_ignorable(c)).collect()
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
    fn spellings_of_one_page_have_one_name() {
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
                let form = DecomposingNormalizerBorrowed::new_nfd().normalize(form);
                assert_eq!(canonical(spelling), Ok(form), "{spelling:?}");
            }
        }
    }

    #[test]
    fn different_pages_have_different_names() {
        for (one, other) in [("admin", "admins"), ("a", "á"), ("a.b", "ab"), ("a b", "ab"), ("が", "か"), ("x:y", "x"), ("о", "o")] {
            assert_ne!(canonical(one), canonical(other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_left_out_has_no_name_and_a_dot_segment_none_at_all() {
        for blank in ["", "...", ";x", " ", "\u{200b}", "+", "++", "::$DATA", " ... ;x"] {
            assert_eq!(canonical(blank).unwrap(), "", "{blank:?}");
        }
        for (segment, is_session) in [("(S(x))", true), ("(A(x)F(y))", true), ("(b)", false), ("c))", false)] {
            assert_eq!(is_session_of_aspnet(&canonical(segment).unwrap()), is_session, "{segment}");
        }
        for segment in ["(S(a;b))", "(S(a:$b))"] {
            assert!(is_session_of_aspnet(segment), "{segment}");
        }
        for (segment, is_joined) in [("(S(x))ected", true), ("(S(x))ected))", true), ("(S(x))", false), ("(b)", false), ("a(S(x))b", false)]
        {
            assert_eq!(is_joined_by_aspnet(segment), is_joined, "{segment}");
        }
        assert_eq!(compatible("a\u{a5}／b"), "a\u{a5}/b", "a server without code pages");
        assert_eq!(canonical("z\u{307}").unwrap(), "z\u{307}");
        assert_eq!(canonical("a\u{a5}b\u{20a9}c").unwrap(), "a\\b\\c");
        assert_eq!(canonical("d\u{2044}e\u{2215}f\u{2216}g").unwrap(), "d/e/f\\g");
        assert_eq!(canonical("\u{2100}dmin").unwrap(), "a/cdmin");
        for unclear in [
            "．．",
            ".. ",
            " .",
            "..;x",
            "\u{2025}",
            "\u{2024};x",
            ".\u{200d}.",
            "..:",
            ":.. ",
            "\u{ff05}41",
            "\u{ff05}u0061",
            "\u{ff05}ａｂ",
        ] {
            assert!(canonical(unclear).is_err(), "{unclear:?}");
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
    fn what_is_plain_is_its_own_name() {
        for byte in 0x20..0x7f {
            for segment in [format!("{}", char::from(byte)), format!("a{}b", char::from(byte)), format!("a{}", char::from(byte))] {
                if is_plain(&segment) && !matches!(segment.as_str(), "." | "..") {
                    assert_eq!(canonical(&segment).unwrap(), segment);
                    assert!(fold(&segment).unwrap() == segment && !is_session_of_aspnet(&segment));
                }
            }
        }
        for not in ["", "A", "a.", "a ", " a", "a:", "(a", "a;", "a?", "a#", "a$", "a+", "é", "a\\", "a/"] {
            assert!(!is_plain(not), "{not:?}");
        }
    }
}
