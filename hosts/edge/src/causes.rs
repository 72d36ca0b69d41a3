//! An error as one text: what has failed, and why. Everything that prints an error prints it by this.
//!
//! Some libraries write the cause of an error into its message, and give the cause as its source as well. It is printed once.

/// The error and its causes, outermost first, with `: ` between.
pub fn told(error: &anyhow::Error) -> String {
    joined(error.chain().map(ToString::to_string))
}

/// The same of messages. One that an earlier one has already is left out.
pub fn joined(messages: impl IntoIterator<Item = String>) -> String {
    let mut text = String::new();
    for message in messages {
        if text.is_empty() {
            text = message;
        } else if !has(&text, &message) {
            text.push_str(": ");
            text.push_str(&message);
        }
    }
    text
}

/// Whether a text has these words, and not only as a part of longer ones.
fn has(text: &str, words: &str) -> bool {
    let is_cut = |c: char| c.is_alphanumeric() || c == '_' || c == '/';
    text.match_indices(words).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + words.len()..]);
        !before.ends_with(is_cut) && !after.starts_with(is_cut)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read a.toml: {source}; create the file")]
    struct Unreadable {
        source: std::io::Error,
    }

    #[test]
    fn a_cause_that_the_message_has_is_told_once() {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let told_once = "the start fails: cannot read a.toml: entity not found; create the file";
        assert_eq!(told(&anyhow::Error::new(Unreadable { source: missing() }).context("the start fails")), told_once);
        let wrapped = std::io::Error::other(Unreadable { source: missing() });
        assert_eq!(told(&anyhow::Error::new(wrapped).context("the start fails")), told_once);
        assert_eq!(told(&anyhow!("y").context("x: y")), "x: y");
        assert_eq!(told(&anyhow!("y").context("y").context("x")), "x: y");
    }

    #[test]
    fn every_other_cause_is_told() {
        let error = Err::<(), _>(anyhow!("refused")).context("no connection").context("no store").unwrap_err();
        assert_eq!(told(&error), "no store: no connection: refused");
        // A word within a longer one is another one.
        assert_eq!(told(&anyhow!("read").context("unreadable")), "unreadable: read");
        assert_eq!(told(&anyhow!("a").context("cannot read /a")), "cannot read /a: a");
        assert_eq!(told(&anyhow!("")), "");
    }
}
