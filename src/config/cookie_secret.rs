//! `cookie_secret` and `previous_cookie_secrets`, and values that people forget to replace.

use super::fault::MAKE_SECRET;
use super::findings::Findings;
use super::secret_strength;
use super::section::{Placed, Section};
use super::setting::{Form, Setting};
use crate::oidc::provider::Provider;
use crate::secret::Secret;

/// Shortest accepted cookie secret, in bytes: 256 bits when it is random, as RFC 7518 section 3.2 asks of HS256 keys.
const MIN_COOKIE_SECRET: usize = 32;

pub(super) const SETTING: Setting =
    Setting::secret("cookie_secret", Form::Text, "The secret that seals the cookies: at least 32 random bytes.", "\"COOKIE_SECRET\"")
        .required();

pub(super) fn read(auth: &Section<'_>) -> Option<Placed<String>> {
    if !auth.has("cookie_secret") {
        auth.findings.fatal(auth.at(), &auth.key("cookie_secret"), "is missing", MAKE_SECRET);
    }
    auth.string("cookie_secret")
}

/// What others than the operator know: the providers' names, addresses, clients and the secrets of these.
pub(super) fn known_texts(providers: &[Provider]) -> Vec<&str> {
    let mut known = vec![];
    for provider in providers {
        known.extend([provider.name.as_str(), provider.client_id.as_str()]);
        known.extend(provider.client_secret.as_ref().map(Secret::expose));
        known.extend(provider.metadata_url.host_str());
        known.extend(provider.metadata_url.path_segments().into_iter().flatten());
    }
    known.retain(|text| text.len() >= secret_strength::MIN_KNOWN);
    known
}

pub(super) fn check(findings: &Findings<'_>, text: &Placed<String>, known: &[&str], remedy: &str) {
    let secret = &text.value;
    let problem = if secret.trim().is_empty() {
        "is empty".to_owned()
    } else if is_sample(secret) {
        "is the sample of the documentation, which is public".to_owned()
    } else if secret.len() < MIN_COOKIE_SECRET {
        format!("has {} bytes; anyone who guesses it can log in as any user, so that at least {MIN_COOKIE_SECRET} are needed", secret.len())
    } else if secret_strength::is_guessable(secret, &[]) {
        "can be guessed: it is made of words, dates, sequences or repetitions, or it is published".to_owned()
    } else if secret_strength::is_guessable(secret, known) {
        "contains a text that others know: a client ID, a client secret or the address of a provider".to_owned()
    } else {
        return;
    };
    findings.fatal(text.at, &text.key, problem, remedy);
}

/// Whether a part of a URL, a label of its host or a segment of its path, is made of nothing but the words of a placeholder:
/// `your-tenant`, `YOUR_DOMAIN`. A name that has a word of its own beside these is none.
pub(super) fn is_placeholder(part: &str) -> bool {
    /// What such a part stands for, beside the words of [`is_sample`].
    const PARTS: [&str; 16] = [
        "account",
        "company",
        "directory",
        "domain",
        "guid",
        "host",
        "hostname",
        "issuer",
        "name",
        "org",
        "organisation",
        "organization",
        "realm",
        "server",
        "subdomain",
        "tenant",
    ];
    let text = part.to_ascii_lowercase();
    let words: Vec<_> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let asks = words.iter().any(|word| ["your", "replace", "insert", "changeme", "placeholder"].contains(word));
    asks && words.len() > 1 && words.iter().all(|word| PARTS.contains(word) || is_word_of_sample(word))
}

/// Values that documentation shows and people forget to replace: one character over and over, text in brackets, and
/// texts of nothing but the words of a placeholder (`your-client-id.apps.googleusercontent.com`, `<client secret>`).
pub(super) fn is_sample(value: &str) -> bool {
    let text = value.trim().to_ascii_lowercase();
    let mut characters = text.chars();
    let first = characters.next();
    let repeated = characters.all(|c| Some(c) == first) && (text.len() >= 3 || first == Some('x'));
    // Not for long, what was made at random may begin and end with any character.
    let bracketed = [('<', '>'), ('{', '}'), ('[', ']')].into_iter().any(|(open, close)| {
        let inside = text.strip_prefix(open).and_then(|text| text.strip_suffix(close));
        let is_words = |inside: &str| inside.bytes().all(|b| b.is_ascii_lowercase() || b" _-<>{}[]".contains(&b));
        inside.is_some_and(|inside| inside.len() < MIN_COOKIE_SECRET - 2 || is_words(inside))
    });
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).peekable();
    let asks = words.clone().any(|word| REQUESTS.contains(&word) || is_x(word));
    let says_nothing = words.peek().is_some() && words.all(is_word_of_sample);
    text.is_empty()
        || repeated
        || bracketed
        || SAMPLES.contains(&text.as_str())
        || text.starts_with("your-")
        || text.starts_with("your_")
        || (asks && says_nothing)
}

fn is_word_of_sample(word: &str) -> bool {
    REQUESTS.contains(&word) || REST.contains(&word) || is_x(word)
}

fn is_x(word: &str) -> bool {
    word.len() >= 2 && word.bytes().all(|b| b == b'x')
}

/// Whole values that are samples.
const SAMPLES: [&str; 9] =
    ["todo", "secret", "client-secret", "client_secret", "client-id", "client_id", "...", "example.com", "example.org"];

/// What such a text asks for.
const REQUESTS: [&str; 13] =
    ["your", "replace", "insert", "enter", "paste", "put", "here", "change", "changeme", "changeit", "tbd", "fixme", "placeholder"];
/// What stands around that.
const REST: [&str; 46] = [
    "a",
    "an",
    "and",
    "api",
    "app",
    "application",
    "apps",
    "auth0",
    "by",
    "client",
    "com",
    "cookie",
    "entra",
    "example",
    "from",
    "generated",
    "github",
    "gitlab",
    "gocspx",
    "google",
    "googleusercontent",
    "id",
    "in",
    "it",
    "key",
    "keycloak",
    "me",
    "microsoft",
    "my",
    "oauth",
    "oauth2",
    "of",
    "oidc",
    "okta",
    "own",
    "please",
    "provider",
    "random",
    "real",
    "sample",
    "secret",
    "string",
    "the",
    "this",
    "value",
    "with",
];
