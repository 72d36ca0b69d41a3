//! Values that the file names instead of holding them (`<key>_env`, `<key>_file`). No message shows one: it may be a secret that the wrong
//! key names.
//!
//! 1. Every message is searched, also that of another key, and the remedies: `redirect_uri` has a part in the faults of a rule's `host`.
//! 2. A value is found in the spellings that messages give it: as a line of it, in small letters, as a URL, an origin or a host.
//! 3. What is shorter than [`MIN_LENGTH`] is found between quotes, in a message about its own key: elsewhere it is an ordinary word.

use std::collections::BTreeSet;

use url::{Host, Url};

use super::fault::Fault;

/// In bytes. No secret is shorter.
const MIN_LENGTH: usize = 6;

/// So many times a message is searched for a spelling: more would take minutes. A message beyond that is not shown.
const MAX_SEARCHES: usize = 200_000;
const UNSEARCHED: &str = "has a fault that is not shown, because there are too many";
const UNSEARCHED_REMEDY: &str = "correct the other faults first";

/// What stands for a value that was between quotes, and for one that was not.
const QUOTED: &str = "the value";
const BARE: &str = "(not shown)";

/// Values by the keys that name them.
#[derive(Default)]
pub(super) struct Hidden(Vec<(String, String)>);

impl Hidden {
    pub(super) fn add(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.0.push((key.to_owned(), value.to_owned()));
        }
    }

    /// Of a key whose value is one of a few words, or a number: it was read as that, so that it is no secret.
    pub(super) fn reveal(&mut self, key: &str) {
        self.0.retain(|(hidden, _)| hidden != key);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(hidden, _)| hidden == key)
    }

    /// Takes the values out of the messages.
    pub(super) fn remove_from(&self, faults: &mut [Fault]) {
        if faults.is_empty() || self.0.is_empty() {
            return;
        }
        for (key, value) in &self.0 {
            let quoted = format!("`{value}`");
            faults.iter_mut().filter(|fault| fault.key == *key).for_each(|fault| fault.problem = fault.problem.replace(&quoted, QUOTED));
        }
        let spellings: BTreeSet<String> = self.0.iter().flat_map(|(_, value)| spellings(value)).collect();
        let mut spellings: Vec<_> = spellings.into_iter().filter(|spelling| spelling.len() >= MIN_LENGTH).collect();
        // The whole before its parts.
        spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        let searched = MAX_SEARCHES / spellings.len().max(1);
        for (index, fault) in faults.iter_mut().enumerate() {
            if index >= searched {
                (fault.problem, fault.remedy) = (UNSEARCHED.to_owned(), UNSEARCHED_REMEDY.to_owned());
                continue;
            }
            for text in [&mut fault.problem, &mut fault.remedy] {
                spellings.iter().for_each(|spelling| remove(text, spelling));
            }
        }
    }
}

/// In small letters.
fn spellings(value: &str) -> Vec<String> {
    let mut found = vec![value.trim().to_owned()];
    for line in value.lines().map(str::trim) {
        found.extend([line.to_owned(), line.to_lowercase()]);
        found.extend(Host::parse(line).ok().map(|host| host.to_string()));
        let url = Url::parse(line).ok().filter(Url::has_host);
        // A host and a port.
        for url in url.into_iter().chain(Url::parse(&format!("https://{line}")).ok()) {
            found.extend([url.as_str().to_owned(), url.as_str().trim_end_matches('/').to_owned(), url.origin().ascii_serialization()]);
            found.extend(url.host_str().map(str::to_owned));
            found.push(url[url::Position::BeforeHost..url::Position::AfterPort].to_owned());
            found.push(url[url::Position::BeforePath..].to_owned());
            found.extend(url.path_segments().into_iter().flatten().map(str::to_owned));
        }
    }
    found.iter_mut().for_each(|spelling| spelling.make_ascii_lowercase());
    found
}

/// Takes the spelling out of a text wherever it is no part of a longer word.
fn remove(text: &mut String, spelling: &str) {
    if !contains(text.as_bytes(), spelling.as_bytes()) {
        return;
    }
    let lowered = text.to_ascii_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut places: Vec<_> = lowered.match_indices(spelling).map(|(at, _)| at).collect();
    places.retain(|at| !text[..*at].ends_with(is_word) && !text[at + spelling.len()..].starts_with(is_word));
    for at in places.into_iter().rev() {
        let end = at + spelling.len();
        if text[..at].ends_with('`') && text[end..].starts_with('`') {
            text.replace_range(at - 1..=end, QUOTED);
        } else {
            text.replace_range(at..end, BARE);
        }
    }
}

/// Whether the text has the spelling, in whatever letters: without a copy of the text for each of many spellings.
fn contains(text: &[u8], spelling: &[u8]) -> bool {
    text.windows(spelling.len()).any(|part| part.eq_ignore_ascii_case(spelling))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(value: &str, text: &str) -> String {
        let mut hidden = Hidden::default();
        hidden.add("auth.client_id", value);
        let (problem, remedy) = (text.to_owned(), text.to_owned());
        let fault = Fault { file: String::new(), line: 0, key: "vestibule.cors.origins".to_owned(), problem, remedy, fatal: true };
        let mut faults = [fault];
        hidden.remove_from(&mut faults);
        assert_eq!(faults[0].problem, faults[0].remedy);
        faults[0].problem.clone()
    }

    #[test]
    fn messages_beyond_what_is_searched_are_not_shown() {
        let mut hidden = Hidden::default();
        hidden.add("a", &(0..5_000).map(|number| format!("s3cret-{number}\n")).collect::<String>());
        let problem = "`s3cret-4999` is wrong".to_owned();
        let fault = Fault { file: String::new(), line: 0, key: "b".to_owned(), problem, remedy: String::new(), fatal: true };
        let mut faults = vec![fault; 100];
        hidden.remove_from(&mut faults);
        assert!(faults.iter().all(|fault| !fault.to_string().contains("s3cret") && fault.fatal));
        assert_eq!((faults[0].problem.as_str(), faults[99].problem.as_str()), ("the value is wrong", UNSEARCHED));
    }

    #[test]
    fn a_value_is_found_in_every_spelling() {
        for (value, text, left) in [
            ("S3cret-Value", "`s3cret-value` is no host", "the value is no host"),
            ("S3cret-Value", "write s3cret-value here", "write (not shown) here"),
            ("https://S3cret.Example/", "write \"https://s3cret.example\"", "write \"(not shown)\""),
            ("https://s3cret.example/a", "the host `s3cret.example`", "the host the value"),
            ("s3cret.example:443", "at s3cret.example, which", "at (not shown), which"),
            ("Bücher.example", "write \"xn--bcher-kva.example\"", "write \"(not shown)\""),
            ("one-s3cret\ntwo-s3cret", "`two-s3cret` and one-s3cret", "the value and (not shown)"),
            // An ordinary word, and a part of another one.
            ("true", "write true or false", "write true or false"),
            ("client", "write client_secret", "write client_secret"),
        ] {
            assert_eq!(without(value, text), left, "{value}");
        }
    }
}
