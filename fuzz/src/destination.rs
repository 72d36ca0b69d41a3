//! Where a browser ends up, judged by the parser that browsers implement.

use url::Url;

use super::site::ORIGIN;

/// Asserts that a `Location` of ours leads to a page of the public origin from every page of it.
pub fn assert_is_ours(location: &str) {
    assert!(!location.bytes().any(|byte| byte <= b' ' || byte == 0x7f), "a browser would drop something of {location:?}");
    for page in ["/", "/oauth2callback", "/a/b/c?d=//e#f"] {
        let base = Url::parse(ORIGIN).and_then(|origin| origin.join(page)).expect("a page");
        let reached = base.join(location).unwrap_or_else(|error| panic!("{location:?}: {error}"));
        assert_eq!(reached.origin(), base.origin(), "{location:?}");
        assert!(reached.username().is_empty() && reached.password().is_none(), "{location:?}");
    }
}
