//! `Accept-Language` (RFC 9110 section 12.5.4).
//!
//! 1. Ranges of all lines count, in their order, up to [`MAX_RANGES`]. One that is malformed is left out.
//! 2. A language with `q=0` is excluded. `de-CH;q=0` excludes a variety that we do not have, and not `de`.
//! 3. The range with the highest `q` decides; of several, the first. Its primary subtag is compared: `de-CH` is German
//!    (RFC 4647 section 3.4).
//! 4. `*` is the first of our languages that no range names.
//! 5. If nothing fits, the page is in English.

use super::Language;

/// More than browsers send. What comes behind is not read.
const MAX_RANGES: usize = 32;

/// A weight in thousandths.
type Weight = u16;

/// The weight of a range that has none.
const DEFAULT_WEIGHT: Weight = 1000;

pub(super) fn preferred<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Language {
    let mut room = [("", 0); MAX_RANGES];
    let elements = lines.flat_map(|line| line.split(|&byte| byte == b',')).take(MAX_RANGES).filter_map(parse);
    let read = room.iter_mut().zip(elements).map(|(place, range)| *place = range).count();
    let ranges = &room[..read];
    let is_excluded = |language: Language| ranges.iter().any(|(range, weight)| *weight == 0 && range.eq_ignore_ascii_case(language.tag()));
    let is_named = |language: Language| ranges.iter().any(|(range, _)| names(range, language));
    let mut best = None;
    for &(range, weight) in ranges {
        if weight == 0 || best.is_some_and(|(_, highest)| highest >= weight) {
            continue;
        }
        let fits = |language: Language| if range == "*" { !is_named(language) } else { names(range, language) && !is_excluded(language) };
        if let Some(language) = Language::ALL.into_iter().find(|language| fits(*language)) {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language).unwrap_or_default()
}

/// Whether the primary subtag of a range is that of a language.
fn names(range: &str, language: Language) -> bool {
    range.split('-').next().is_some_and(|primary| primary.eq_ignore_ascii_case(language.tag()))
}

/// `language-range [ OWS ";" OWS "q=" qvalue ]`.
fn parse(element: &[u8]) -> Option<(&str, Weight)> {
    let element = std::str::from_utf8(element).ok()?;
    let blank = [' ', '\t'];
    let (range, weight) = match element.split_once(';') {
        Some((range, weight)) => (range, parse_weight(weight.trim_matches(blank))?),
        None => (element, DEFAULT_WEIGHT),
    };
    let range = range.trim_matches(blank);
    let is_subtag = |subtag: &str| (1..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric());
    (range == "*" || range.split('-').all(is_subtag)).then_some((range, weight))
}

/// `q=` and a number from 0 to 1 of at most three decimals (RFC 9110 section 12.4.2).
fn parse_weight(text: &str) -> Option<Weight> {
    let value = text.strip_prefix("q=").or_else(|| text.strip_prefix("Q="))?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = decimals.bytes().chain(std::iter::repeat(b'0')).take(3);
    let thousandths = digits.fold(0, |number, digit| 10 * number + Weight::from(digit - b'0'));
    match (whole, thousandths) {
        ("0", _) => Some(thousandths),
        ("1", 0) => Some(DEFAULT_WEIGHT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Language {
        preferred(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn the_language_with_the_highest_weight_is_taken() {
        use Language::{English, French, German, Japanese, Spanish};
        for (line, language) in [
            ("de", German),
            ("DE-ch", German),
            ("de-CH", German),
            ("de-Latn-CH-1996", German),
            ("es-419,es;q=0.9,en;q=0.8", Spanish),
            ("ja-JP, en;q=0.5", Japanese),
            ("en;q=0.5, fr", French),
            ("en;q=0.5,fr;q=0.9", French),
            ("fr;q=0.9, de;q=0.9", French),
            ("fr ; q=0.3 ,\tde\t;\tq=0.31", German),
            ("fr;Q=0.1,de;q=0.2", German),
            ("zh-CN, ja;q=0.1", Japanese),
            ("de;q=1.000, fr;q=0.999", German),
            ("fr;q=0.999, de;q=1.", German),
            ("", English),
            ("zh", English),
            ("zh, pt-BR;q=0.5", English),
            (",, ,de", German),
        ] {
            assert_eq!(of(&[line]), language, "{line}");
        }
        assert_eq!(of(&[]), English);
        assert_eq!(of(&["fr;q=0.2", "de;q=0.4"]), German, "several lines are one list");
    }

    #[test]
    fn what_has_weight_zero_is_excluded() {
        use Language::{English, French, German};
        for (line, language) in [
            ("de;q=0", English),
            ("de;q=0, de", English),
            ("de-CH, de;q=0, fr;q=0.1", French),
            ("de-CH;q=0, de", German),
            ("de;q=0.000, fr;q=0.001", French),
            ("en;q=0, *", German),
            ("en;q=0, de;q=0, *;q=0.1", French),
            ("*;q=0", English),
            ("*;q=0, fr", French),
            ("en;q=0", English),
        ] {
            assert_eq!(of(&[line]), language, "{line}");
        }
    }

    #[test]
    fn any_language_is_the_first_that_is_not_named() {
        use Language::{English, French, German};
        for (line, language) in [
            ("*", English),
            ("*, de;q=0.5", English),
            ("de, *;q=0.5", German),
            ("*;q=0.5, de", German),
            ("zh, *;q=0.1", English),
            ("en;q=0.1, *;q=0.5", German),
            ("en;q=0.5, de;q=0.5, fr;q=0.6, *;q=0.1", French),
            ("en;q=0.5, de;q=0.4, fr;q=0.3, es;q=0.2, ja;q=0.1, *", English),
        ] {
            assert_eq!(of(&[line]), language, "{line}");
        }
    }

    #[test]
    fn malformed_ranges_are_left_out() {
        for line in [
            "de;q=2",
            "de;q=-1",
            "de;q=",
            "de;q=a",
            "de;q=1.001",
            "de;q=0.1234",
            "de;q=.5",
            "de;q=+1",
            "de;q= 1",
            "de;level=1",
            "de;q=0.5;q=1",
            "de;",
            "de_CH",
            "d e",
            "de-",
            "-de",
            "de--CH",
            "de-toolongsubtag",
            "german",
            "deu",
            "*-de",
            "\u{ff44}e",
            "d\u{0}e",
        ] {
            assert_eq!(of(&[line]), Language::English, "{line}");
            assert_eq!(of(&[&format!("{line}, fr;q=0.001")]), Language::French, "{line}");
        }
        assert_eq!(preferred([&b"\xff, de"[..]].into_iter()), Language::German);
    }

    #[test]
    fn only_so_many_ranges_are_read() {
        let many = |before: usize| format!("{}de", "zh,".repeat(before));
        assert_eq!(of(&[&many(MAX_RANGES - 1)]), Language::German);
        assert_eq!(of(&[&many(MAX_RANGES)]), Language::English);
        assert_eq!(of(&[&many(20_000)]), Language::English);
    }
}
