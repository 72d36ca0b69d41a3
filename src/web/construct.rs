//! What makes a request ambiguous: a closed set, so that pages and the log can name it without the client's text.

use std::fmt;

/// What some servers read in another way than others, or what no server can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Construct {
    /// `//`.
    EmptySegment,
    /// `.` or `..`, also encoded, or what a server can take for one of them.
    DotSegment,
    /// `%` without two hexadecimal digits.
    BrokenEscape,
    /// `%00` to `%1F`, and `%7F`.
    ControlCharacter,
    /// `%2561`, or `％` (U+FF05) before two hexadecimal digits.
    EscapedTwice,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// `%2F` or `%5C`.
    EncodedSeparator,
    /// `;` or `&`.
    Parameter,
    /// `%3F` or `%23`.
    EncodedEnd,
    /// A dot, colon or space at the end of a segment, or a space at its beginning; a segment of nothing else.
    SegmentEnd,
    /// `+`, which is a space to some servers.
    Plus,
    /// `(S(…))`: ASP.NET's sessions.
    SessionSegment,
    /// Letters in another case.
    LetterCase,
    /// Characters with equivalent or compatible forms, or that are not seen.
    Characters,
    /// Too many segments, too many ways to read them, or too much text that is not ASCII.
    TooLong,
    /// `get`.
    MethodCase,
    /// A header that names another method, such as `X-HTTP-Method-Override`.
    MethodOverride,
    /// Missing, twice, or no host and port.
    Host,
    /// `#`, `\`, a space, or a character that is not ASCII, in the target; or one that does not begin with `/`.
    Target,
}

impl Construct {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::EmptySegment,
        Self::DotSegment,
        Self::BrokenEscape,
        Self::ControlCharacter,
        Self::EscapedTwice,
        Self::NotUtf8,
        Self::EncodedSeparator,
        Self::Parameter,
        Self::EncodedEnd,
        Self::SegmentEnd,
        Self::Plus,
        Self::SessionSegment,
        Self::LetterCase,
        Self::Characters,
        Self::TooLong,
        Self::MethodCase,
        Self::MethodOverride,
        Self::Host,
        Self::Target,
    ];
}

/// For the log and for `vestibule explain`.
impl fmt::Display for Construct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptySegment => "an empty segment (`//`)",
            Self::DotSegment => "a dot segment (`.` or `..`), or a segment that servers can read as one",
            Self::BrokenEscape => "a `%` without two hexadecimal digits",
            Self::ControlCharacter => "an encoded control character",
            Self::EscapedTwice => "an escape that is encoded twice (`%2561`)",
            Self::NotUtf8 => "bytes that are not UTF-8",
            Self::EncodedSeparator => "an encoded separator (`%2F` or `%5C`)",
            Self::Parameter => "a `;` or `&`",
            Self::EncodedEnd => "an encoded `?` or `#` (`%3F` or `%23`)",
            Self::SegmentEnd => "a dot, colon or space at the end of a segment, or a space at its beginning",
            Self::Plus => "a `+`, which some servers read as a space",
            Self::SessionSegment => "a session segment (`(S(x))`)",
            Self::LetterCase => "letters in another case",
            Self::Characters => "characters beside ASCII that some servers take for others",
            Self::TooLong => "too many segments or ways to read them, or too much text beside ASCII",
            Self::MethodCase => "a method in small letters",
            Self::MethodOverride => "a header that names another method, such as X-HTTP-Method-Override",
            Self::Host => "`Host` is missing, there twice, or no host and port",
            Self::Target => "it does not begin with `/`, is too long, or has `#`, `\\` or a character that is not printable ASCII",
        })
    }
}

/// A construct, and where in the path it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obstacle {
    pub construct: Construct,
    /// Number of the segment as it is written, from 1; `None` where it is in no single one.
    pub segment: Option<usize>,
}

impl Obstacle {
    pub(crate) fn whole(construct: Construct) -> Self {
        Self { construct, segment: None }
    }

    /// `index`: from 0.
    pub(crate) fn at(construct: Construct, index: usize) -> Self {
        Self { construct, segment: Some(index + 1) }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.construct.fmt(f)?;
        match self.segment {
            Some(segment) => write!(f, ", in segment {segment}"),
            None => Ok(()),
        }
    }
}
