//! Where our own routes lie, below the base path (`[vestibule] routes`).

use percent_encoding::percent_decode_str;

/// Longest accepted prefix, in bytes: it is part of every address that a login is started at.
pub const MAX_LENGTH: usize = 64;

/// The prefix where nothing is configured. No application has pages below it, so all of it is ours.
const RESERVED: &str = "/.vestibule";

/// Where Streamlit's `st.login()` and `st.logout()` send the browser.
const STREAMLIT: &str = "/auth";

/// The beginning of the path of every route of ours but the callback: `/.vestibule`, `/auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePrefix(String);

/// Why a text is no such prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPrefix {
    #[error("does not begin with /")]
    NoSlash,
    #[error("is the first page itself")]
    Root,
    #[error("ends in /")]
    SlashAtEnd,
    #[error("has an empty segment")]
    EmptySegment,
    #[error("has a dot segment")]
    DotSegment,
    #[error("has a character that is not a letter, a digit or one of - . _ ~")]
    Character,
    #[error("is longer than {MAX_LENGTH} bytes")]
    TooLong,
}

impl RoutePrefix {
    /// # Errors
    /// [`NotAPrefix`]: some server would read a route below it in another way than we do.
    pub fn parse(text: &str) -> Result<Self, NotAPrefix> {
        // RFC 3986 section 2.3: what no server encodes, decodes or splits at.
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let segments = text.strip_prefix('/').ok_or(NotAPrefix::NoSlash)?;
        if segments.is_empty() {
            return Err(NotAPrefix::Root);
        }
        if text.len() > MAX_LENGTH {
            return Err(NotAPrefix::TooLong);
        }
        let (before_end, last) = segments.rsplit_once('/').unwrap_or(("", segments));
        if last.is_empty() && !before_end.is_empty() && !before_end.ends_with('/') {
            return Err(NotAPrefix::SlashAtEnd);
        }
        for segment in segments.split('/') {
            match segment {
                "" => return Err(NotAPrefix::EmptySegment),
                "." | ".." => return Err(NotAPrefix::DotSegment),
                segment if !segment.bytes().all(is_unreserved) => return Err(NotAPrefix::Character),
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// For every application but Streamlit's.
    pub fn reserved() -> Self {
        Self(RESERVED.to_owned())
    }

    /// For `app = "streamlit"`.
    pub fn of_streamlit() -> Self {
        Self(STREAMLIT.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether all that is at or below it is ours. Below any other prefix, what is no route is the application's.
    pub fn is_reserved(&self) -> bool {
        self.0 == RESERVED
    }

    /// Whether a path, without the base path, lies at or below the reserved prefix: however its first segment is encoded, and in
    /// letters of either case. What only some servers read so is a path like any other, and comes under the rules.
    pub(crate) fn is_reserved_path(path: &str) -> bool {
        // Most paths of an application are told apart by their second byte.
        if !path.starts_with("/.") && !path.starts_with("/%") {
            return false;
        }
        let decoded: Vec<u8> = percent_decode_str(path).collect();
        let Some((first, rest)) = decoded.split_at_checked(RESERVED.len()) else { return false };
        first.eq_ignore_ascii_case(RESERVED.as_bytes()) && rest.first().is_none_or(|byte| b"/\\;".contains(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_plain_segments() {
        for text in ["/auth", "/.vestibule", "/a/b-c_d~e.f/9", "/...", "/.a", "/a.", &format!("/{}", "a".repeat(MAX_LENGTH - 1))] {
            assert_eq!(RoutePrefix::parse(text).map(|prefix| prefix.as_str().to_owned()), Ok(text.to_owned()), "{text}");
        }
        let too_long = format!("/{}", "a".repeat(MAX_LENGTH));
        for (text, error) in [
            ("", NotAPrefix::NoSlash),
            ("auth", NotAPrefix::NoSlash),
            ("https://app.example/auth", NotAPrefix::NoSlash),
            (" /auth", NotAPrefix::NoSlash),
            ("/", NotAPrefix::Root),
            ("/auth/", NotAPrefix::SlashAtEnd),
            ("/a/b/", NotAPrefix::SlashAtEnd),
            ("//", NotAPrefix::EmptySegment),
            ("//auth", NotAPrefix::EmptySegment),
            ("/a//b", NotAPrefix::EmptySegment),
            ("/a//", NotAPrefix::EmptySegment),
            ("/.", NotAPrefix::DotSegment),
            ("/..", NotAPrefix::DotSegment),
            ("/a/../b", NotAPrefix::DotSegment),
            ("/a/./b", NotAPrefix::DotSegment),
            ("/a%2fb", NotAPrefix::Character),
            ("/%2e", NotAPrefix::Character),
            ("/a\\b", NotAPrefix::Character),
            ("/a;b", NotAPrefix::Character),
            ("/a?b", NotAPrefix::Character),
            ("/a#b", NotAPrefix::Character),
            ("/a b", NotAPrefix::Character),
            ("/a\tb", NotAPrefix::Character),
            ("/a\0", NotAPrefix::Character),
            ("/caf\u{e9}", NotAPrefix::Character),
            ("/a*", NotAPrefix::Character),
            ("/{port}", NotAPrefix::Character),
            ("/a:b@c", NotAPrefix::Character),
            (&too_long, NotAPrefix::TooLong),
        ] {
            assert_eq!(RoutePrefix::parse(text), Err(error), "{text}");
        }
        assert_eq!(RoutePrefix::parse(RESERVED), Ok(RoutePrefix::reserved()));
        assert_eq!(RoutePrefix::parse(STREAMLIT), Ok(RoutePrefix::of_streamlit()));
    }

    #[test]
    fn the_reserved_prefix_is_known_in_every_spelling() {
        for path in [
            "/.vestibule",
            "/.vestibule/",
            "/.vestibule/login",
            "/.vestibule/x/y",
            "/.vestibule//login",
            "/.Vestibule/login",
            "/%2evestibule/login",
            "/%2E%56estibule/",
            "/.vestibule%2flogin",
            "/.vestibule%5clogin",
            "/.vestibule;x/login",
        ] {
            assert!(RoutePrefix::is_reserved_path(path), "{path}");
        }
        for path in ["/", "", "/.", "/.well-known/x", "/.vestibules", "/.vestibul", "/vestibule/login", "/x/.vestibule/login", "/%", "/%20"]
        {
            assert!(!RoutePrefix::is_reserved_path(path), "{path}");
        }
    }
}
