//! Our cookies: their names, their attributes, how a long value is cut into several. The only file that knows the
//! `cookie` crate.
//!
//! With an https `redirect_uri` every name begins with `__Host-`, which makes browsers refuse the cookie unless it is
//! `Secure`, has `Path=/` and no `Domain` (RFC 6265bis section 4.1.3.2): no other host and no plain http can plant one.
//! Behind it comes a tag of the `redirect_uri`, because cookies know no ports and paths do not protect them.
//!
//! The names are `vestibule_session_<tag>`, `vestibule_tokens_<tag>`, `vestibule_refresh_<tag>`, `vestibule_login_<tag>_<slot>`,
//! while a logout is on its way `vestibule_logout_<tag>` and, where there are several providers, `vestibule_last_<tag>`; the tag is the first three
//! bytes of SHA-256 of `redirect_uri` in hexadecimal. `HttpOnly`, `SameSite=Lax`, `Path=/`; a deletion carries the same
//! attributes. Session, tokens and refresh token are cut into chunks: the first cookie begins with `<number of chunks>~`, the others are
//! named `…_1`, `…_2` and so on. A chunk that is missing or comes twice is no session.
//!
//! What comes in is taken apart byte by byte (RFC 6265 section 5.4), not by the crate: it trims every Unicode space, so
//! that a name with one in front of it, which browsers let any host of the domain set, would become one of ours.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use cookie::{Cookie, CookieBuilder, SameSite};
use sha2::{Digest as _, Sha256};

use crate::web::http::{Header, Request};
use crate::web::origin::PublicOrigin;

/// Largest sealed session, in bytes over all of its cookies. Servers take 64 KiB of headers and more, Node.js 16 KiB.
pub const MAX_SESSION_BYTES: usize = 5 * CHUNK_BYTES;

/// Largest sealed tokens, in bytes over all of their cookies.
pub const MAX_TOKENS_BYTES: usize = 6 * CHUNK_BYTES;

/// Largest sealed refresh token, in bytes over all of its cookies. Entra's have about 1,500 bytes.
pub const MAX_REFRESH_TOKEN_BYTES: usize = 2 * CHUNK_BYTES;

/// Largest sealed login attempt, in bytes: with a provider's address of ordinary length beside it, the head of the answer stays
/// below the 4 KiB that nginx has room for. A page of 2,300 characters that do not compress fits into it.
pub const MAX_ATTEMPT_BYTES: usize = 2600;

/// Browsers take 4096 bytes for name and value (RFC 6265bis section 5.6); this leaves room for the name.
const CHUNK_BYTES: usize = 3900;

/// More than any budget needs. One digit.
const MAX_CHUNKS: usize = 8;

/// Longest id of an earlier release: what is longer is none.
const MAX_ATTEMPT_ID_BYTES: usize = 16;

/// Deletions of login attempts in one response. Whoever sends more of them made them up.
const MAX_ATTEMPT_DELETIONS: usize = 32;

/// How long a browser remembers the provider of its last login: a year.
const LAST_MAX_AGE_SECS: u64 = 365 * 24 * 60 * 60;

const SECURE_PREFIX: &str = "__Host-";
const FAMILY: &str = "vestibule_";

/// What our cookies are called. Made once for a configuration.
#[derive(Debug)]
pub struct CookieNames {
    secure: bool,
    /// Sent to frames of other sites too ([`crate::web::embedding`]).
    is_embedded: bool,
    session: String,
    tokens: String,
    refresh_token: String,
    /// What every login attempt's name begins with; its slot follows ([`super::slot`]), in earlier releases an id.
    attempt: String,
    /// Says that a logout at the provider is on its way, and nothing else.
    logout: String,
    /// Says which provider the last login was with, by a digest of its name, and nothing of who logged in.
    last: String,
    /// Which others are kept from the application, as ours are.
    hidden: Option<fn(&[u8]) -> bool>,
}

impl CookieNames {
    /// `hidden`: whether a cookie of that name is one by which the application would take somebody for a user.
    pub fn new(public: &PublicOrigin, hidden: Option<fn(&[u8]) -> bool>, is_embedded: bool) -> Self {
        let digest = Sha256::new().chain_update(public.redirect_uri().as_str());
        // Browsers keep a partitioned cookie beside another one of its name, and send both.
        let digest = if is_embedded { digest.chain_update("#partitioned") } else { digest }.finalize();
        let tag: String = digest.iter().take(3).map(|byte| format!("{byte:02x}")).collect();
        let prefix = if public.is_secure() { SECURE_PREFIX } else { "" };
        Self {
            secure: public.is_secure(),
            is_embedded,
            session: format!("{prefix}{FAMILY}session_{tag}"),
            tokens: format!("{prefix}{FAMILY}tokens_{tag}"),
            refresh_token: format!("{prefix}{FAMILY}refresh_{tag}"),
            attempt: format!("{prefix}{FAMILY}login_{tag}_"),
            logout: format!("{prefix}{FAMILY}logout_{tag}"),
            last: format!("{prefix}{FAMILY}last_{tag}"),
            hidden,
        }
    }
}

impl CookieNames {
    /// The cookies that a session can have.
    pub fn of_session(&self) -> impl Iterator<Item = String> {
        chunks(&self.session)
    }

    /// The cookies that the tokens of a session can have, the refresh token among them.
    pub fn of_tokens(&self) -> impl Iterator<Item = String> {
        chunks(&self.tokens).chain(chunks(&self.refresh_token))
    }
}

/// The names of all cookies that a value can be cut into.
fn chunks(name: &str) -> impl Iterator<Item = String> {
    let further = (1..MAX_CHUNKS).map(move |index| format!("{name}_{index}"));
    std::iter::once(name.to_owned()).chain(further)
}

/// The cookies of one request.
pub struct CookieJar {
    names: Arc<CookieNames>,
    /// Ours, whatever their state: what must be deleted, and what can be opened. Names and values, end to end.
    ours: Vec<Ours>,
    text: String,
    /// Everybody else's, byte for byte as they came, with `; ` between: what the application gets.
    others: Vec<u8>,
    /// There were cookies that are neither ours nor the application's business.
    has_hidden: bool,
}

/// Places in the jar's text: where the name begins, where it ends and the value begins, where that ends.
#[derive(Clone, Copy)]
struct Ours(usize, usize, usize);

/// Between two cookies (RFC 6265 section 5.4). None has a semicolon in it.
const BETWEEN: &[u8] = b"; ";

/// The values are as good as a password.
impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.ours().map(|(name, _)| name).collect();
        f.debug_struct("CookieJar").field("ours", &names).finish_non_exhaustive()
    }
}

impl CookieJar {
    /// Reads the `Cookie` lines of a request. Only a name that is exactly one of ours is ours.
    pub fn read(request: &Request<'_>, names: &Arc<CookieNames>) -> Self {
        let bytes = request.header("cookie").map(|line| line.len() + BETWEEN.len()).sum();
        let (text, others) = (String::with_capacity(bytes), Vec::with_capacity(bytes));
        let mut jar = Self { names: Arc::clone(names), ours: vec![], text, others, has_hidden: false };
        for pair in request.header("cookie").flat_map(cookie_pairs) {
            let (name, value) = pair.iter().position(|&b| b == b'=').map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            match std::str::from_utf8(trim(name)) {
                // A value that is no text was not made by us; it is kept as one that opens nothing, to be deleted.
                Ok(name) if jar.names.is_ours(name) => jar.keep(name, std::str::from_utf8(trim(value)).unwrap_or_default()),
                _ if is_family(name) || jar.names.hidden.is_some_and(|is_hidden| is_hidden(name)) => jar.has_hidden = true,
                _ => {
                    if !jar.others.is_empty() {
                        jar.others.extend_from_slice(BETWEEN);
                    }
                    jar.others.extend_from_slice(pair);
                }
            }
        }
        jar
    }

    /// The sealed session, put together from its chunks.
    pub fn session(&self) -> Option<Cow<'_, str>> {
        self.assemble(&self.names.session)
    }

    /// The sealed tokens, put together from their chunks.
    pub fn tokens(&self) -> Option<Cow<'_, str>> {
        self.assemble(&self.names.tokens)
    }

    /// The sealed refresh token, put together from its chunks.
    pub fn refresh_token(&self) -> Option<Cow<'_, str>> {
        self.assemble(&self.names.refresh_token)
    }

    /// The end of the name, which is a slot, and the sealed value of every login attempt.
    pub fn attempts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ours().filter_map(|(name, value)| Some((name.strip_prefix(&self.names.attempt)?, value)))
    }

    /// What the cookie of an attempt takes of a `Cookie` line, in bytes.
    pub(super) fn attempt_bytes(&self, slot: &str, sealed: &str) -> usize {
        self.names.attempt.len() + slot.len() + "=".len() + sealed.len() + BETWEEN.len()
    }

    /// Whether this browser has been sent to the provider to log out, and is not back.
    pub fn is_logging_out(&self) -> bool {
        self.value(&self.names.logout).is_some()
    }

    /// Whether the last login in this browser was with that provider, as far as the browser says.
    pub fn was_last(&self, provider: &str) -> bool {
        self.value(&self.names.last).is_some_and(|value| value == digest_of(provider))
    }

    /// The `Cookie` header that the application gets: `None` when nothing has to change.
    pub fn without_ours(&self) -> Option<&[u8]> {
        (!self.ours.is_empty() || self.has_hidden).then_some(&self.others)
    }

    /// The cookies that are the application's, as they came.
    pub(crate) fn others(&self) -> impl Iterator<Item = &[u8]> {
        cookie_pairs(&self.others)
    }

    /// The headers of `earlier` and those of `later`, in one answer: a cookie that the later ones set or delete has no line in
    /// the earlier ones (RFC 6265 section 4.1.1).
    pub(crate) fn joined(mut earlier: Vec<Header>, mut later: Vec<Header>) -> Vec<Header> {
        let name = |(_, line): &Header| line.split(|&byte| byte == b'=').next().map(<[u8]>::to_vec);
        earlier.retain(|header| !later.iter().any(|other| name(other) == name(header)));
        earlier.append(&mut later);
        earlier
    }

    /// The same headers without those of the refresh token.
    pub(crate) fn without_refresh_token(&self, mut headers: Vec<Header>) -> Vec<Header> {
        headers.retain(|(_, line)| {
            let name = line.split(|&byte| byte == b'=').next().and_then(|name| std::str::from_utf8(name).ok());
            !name.is_some_and(|name| is_chunk_of(&self.names.refresh_token, name))
        });
        headers
    }

    /// For changing them.
    pub fn writer(&self) -> CookieWriter<'_> {
        CookieWriter { jar: self, headers: vec![] }
    }

    fn keep(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(name);
        let between = self.text.len();
        self.text.push_str(value);
        self.ours.push(Ours(start, between, self.text.len()));
    }

    /// Name and value of each of ours.
    fn ours(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ours.iter().map(|&Ours(start, between, end)| (&self.text[start..between], &self.text[between..end]))
    }

    fn value(&self, name: &str) -> Option<&str> {
        let mut same = self.ours().filter(|(given, _)| *given == name).map(|(_, value)| value);
        // Twice the same name: one of them was planted, and we cannot tell which.
        same.next().filter(|_| same.next().is_none())
    }

    /// The first cookie holds `<number of chunks>~<first chunk>`, the others are numbered from 1.
    fn assemble(&self, name: &str) -> Option<Cow<'_, str>> {
        let (count, first) = self.value(name)?.split_once('~')?;
        // As we write it, and not `01` or `+1`: a value that was changed is not ours.
        let [digit @ b'1'..=b'9'] = count.as_bytes() else { return None };
        let count = Some(usize::from(digit - b'0')).filter(|count| *count <= MAX_CHUNKS)?;
        let mut whole = Cow::Borrowed(first);
        for index in 1..count {
            whole += self.value(&format!("{name}_{index}"))?;
        }
        Some(whole)
    }
}

impl CookieNames {
    fn is_ours(&self, name: &str) -> bool {
        is_chunk_of(&self.session, name)
            || is_chunk_of(&self.tokens, name)
            || is_chunk_of(&self.refresh_token, name)
            || name == self.logout
            || name == self.last
            || name.strip_prefix(&self.attempt).is_some_and(is_attempt_slot)
    }
}

/// `name` itself, or `name_1` to the last chunk that there can be.
fn is_chunk_of(name: &str, given: &str) -> bool {
    given.strip_prefix(name).is_some_and(|rest| {
        rest.is_empty()
            || rest
                .strip_prefix('_')
                .is_some_and(|index| matches!(index.as_bytes(), [digit @ b'1'..=b'9'] if usize::from(digit - b'0') < MAX_CHUNKS))
    })
}

/// Also an id of an earlier release, so that its cookie is deleted.
fn is_attempt_slot(slot: &str) -> bool {
    (1..=MAX_ATTEMPT_ID_BYTES).contains(&slot.len()) && slot.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// A provider's name as a cookie can hold it: names in TOML may have any characters.
fn digest_of(provider: &str) -> String {
    Sha256::digest(provider.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a cookie belongs to some Vestibule, this one or another, or looks so to a server that trims more than we do:
/// none of them is the application's business.
fn is_family(name: &[u8]) -> bool {
    // Nearly every name that goes through here is somebody else's, and is looked at no further.
    if memchr::memmem::find(name, FAMILY.as_bytes()).is_none() {
        return false;
    }
    let name = String::from_utf8_lossy(name);
    let name = name.trim();
    name.strip_prefix(SECURE_PREFIX).unwrap_or(name).starts_with(FAMILY)
}

/// Whether a `Cookie` line is several that a proxy has joined by commas, with a cookie of ours behind one: neither we nor the
/// application would find it. RFC 6265 section 5.4 allows one line.
pub(crate) fn is_joined_by_commas(line: &[u8]) -> bool {
    line.split(|&byte| byte == b',').skip(1).any(|rest| is_family(trim(rest)))
}

/// What stands between semicolons in a `Cookie` line, trimmed. The lines are the longest part of a request, so the search
/// is not made byte by byte.
pub(crate) fn cookie_pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memchr_iter(b';', line).chain([line.len()]);
    let pairs = ends.scan(0, |start, end| Some(&line[std::mem::replace(start, end + 1)..end]));
    pairs.map(trim).filter(|pair| !pair.is_empty())
}

/// Without the white space that HTTP knows (RFC 9110 section 5.6.3).
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Collects `Set-Cookie` headers. A deletion carries the attributes the cookie was set with, or browsers ignore it.
#[derive(Debug)]
pub struct CookieWriter<'a> {
    jar: &'a CookieJar,
    headers: Vec<Header>,
}

impl CookieWriter<'_> {
    /// Sets the session and removes chunks that an older, longer one left behind.
    pub fn set_session(&mut self, sealed: &str, max_age_secs: u64) {
        let name = self.jar.names.session.clone();
        self.set_chunked(&name, sealed, max_age_secs);
    }

    pub fn set_tokens(&mut self, sealed: &str, max_age_secs: u64) {
        let name = self.jar.names.tokens.clone();
        self.set_chunked(&name, sealed, max_age_secs);
    }

    pub fn delete_tokens(&mut self) {
        self.delete_all(&self.jar.names.tokens, &[]);
    }

    pub fn set_refresh_token(&mut self, sealed: &str, max_age_secs: u64) {
        let name = self.jar.names.refresh_token.clone();
        self.set_chunked(&name, sealed, max_age_secs);
    }

    pub fn delete_refresh_token(&mut self) {
        self.delete_all(&self.jar.names.refresh_token, &[]);
    }

    pub fn delete_session_and_tokens(&mut self) {
        self.delete_all(&self.jar.names.session, &[]);
        self.delete_all(&self.jar.names.tokens, &[]);
        self.delete_refresh_token();
    }

    pub fn set_attempt(&mut self, slot: &str, sealed: &str, max_age_secs: u64) {
        debug_assert!(is_attempt_slot(slot) && sealed.len() <= MAX_ATTEMPT_BYTES);
        let name = format!("{}{slot}", self.jar.names.attempt);
        self.set(&name, sealed, max_age_secs);
    }

    pub fn delete_attempt(&mut self, slot: &str) {
        if self.headers.len() < MAX_ATTEMPT_DELETIONS {
            self.delete(&format!("{}{slot}", self.jar.names.attempt));
        }
    }

    pub fn set_logging_out(&mut self, max_age_secs: u64) {
        let name = self.jar.names.logout.clone();
        self.set(&name, "1", max_age_secs);
    }

    pub fn delete_logging_out(&mut self) {
        if self.jar.is_logging_out() {
            self.delete(&self.jar.names.logout);
        }
    }

    /// For the next choice between providers.
    pub fn set_last(&mut self, provider: &str) {
        let name = self.jar.names.last.clone();
        self.set(&name, &digest_of(provider), LAST_MAX_AGE_SECS);
    }

    pub fn into_headers(self) -> Vec<Header> {
        self.headers
    }

    fn set_chunked(&mut self, name: &str, sealed: &str, max_age_secs: u64) {
        // Envelopes are ASCII, so any byte is a boundary.
        let chunks: Vec<&[u8]> = sealed.as_bytes().chunks(CHUNK_BYTES).collect();
        let mut kept = vec![];
        for (index, chunk) in chunks.iter().enumerate() {
            let text = String::from_utf8_lossy(chunk);
            let (name, value) = match index {
                0 => (name.to_owned(), format!("{}~{text}", chunks.len())),
                _ => (format!("{name}_{index}"), text.into_owned()),
            };
            self.set(&name, &value, max_age_secs);
            kept.push(name);
        }
        self.delete_all(name, &kept);
    }

    /// Deletes what the browser sent of a cookie and its chunks, apart from `kept`.
    fn delete_all(&mut self, name: &str, kept: &[String]) {
        let mut stale: Vec<_> = self.jar.ours().map(|(given, _)| given).filter(|given| is_chunk_of(name, given)).collect();
        stale.sort();
        stale.dedup();
        for given in stale.into_iter().filter(|given| !kept.iter().any(|kept| kept == given)) {
            self.delete(given);
        }
    }

    fn set(&mut self, name: &str, value: &str, max_age_secs: u64) {
        let seconds = i64::try_from(max_age_secs).unwrap_or(i64::MAX);
        self.push(Cookie::build((name, value)).max_age(cookie::time::Duration::seconds(seconds)));
    }

    fn delete(&mut self, name: &str) {
        self.push(Cookie::build((name, "")).max_age(cookie::time::Duration::ZERO));
    }

    /// `Lax`: the provider's redirect back to us is a cross-site navigation, and must bring the login attempt along.
    fn push(&mut self, cookie: CookieBuilder<'_>) {
        let CookieNames { secure, is_embedded, .. } = *self.jar.names;
        let same_site = if is_embedded { SameSite::None } else { SameSite::Lax };
        let cookie = cookie.path("/").http_only(true).same_site(same_site).secure(secure).partitioned(is_embedded).build();
        self.headers.push(("set-cookie".to_owned(), cookie.to_string().into_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Source};
    use crate::web::http::RequestHead;

    fn names(redirect_uri: &str) -> Arc<CookieNames> {
        let toml = format!(
            "[auth]\nredirect_uri = \"{redirect_uri}\"\ncookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\nclient_id = \"a\"\n\
             client_secret = \"b\"\nserver_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n"
        );
        Config::parse(&Source::new("secrets.toml", &toml)).unwrap().sessions.cookie_names
    }

    fn jar(redirect_uri: &str, cookies: &str) -> CookieJar {
        let head = RequestHead::get("/", "localhost").with("cookie", cookies);
        CookieJar::read(&Request::parse(&head).unwrap(), &names(redirect_uri))
    }

    fn text(headers: Vec<Header>) -> Vec<String> {
        headers.into_iter().map(|(_, value)| String::from_utf8(value).unwrap()).collect()
    }

    /// What a browser would send back after these `Set-Cookie` headers.
    fn sent_back(set: &[String]) -> String {
        let live = set.iter().filter(|line| !line.contains("Max-Age=0"));
        live.map(|line| line.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
    }

    const LOCAL: &str = "http://localhost:8501/oauth2callback";
    const HTTPS: &str = "https://app.example/oauth2callback";

    #[test]
    fn long_values_survive_being_cut() {
        for length in [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, MAX_SESSION_BYTES] {
            let sealed = "x".repeat(length);
            let empty = jar(LOCAL, "");
            let mut writer = empty.writer();
            writer.set_session(&sealed, 60);
            let set = text(writer.into_headers());
            assert!(set.iter().all(|line| line.split(';').next().unwrap().len() <= 4096), "{length}");
            assert_eq!(jar(LOCAL, &sent_back(&set)).session().as_deref(), Some(sealed.as_str()), "{length}");
        }
    }

    #[test]
    fn the_names_of_a_session_are_those_of_its_longest_value() {
        let empty = jar(LOCAL, "");
        let mut writer = empty.writer();
        writer.set_session(&"x".repeat(CHUNK_BYTES * MAX_CHUNKS), 60);
        let written = text(writer.into_headers());
        let written: Vec<_> = written.iter().map(|line| line.split('=').next().unwrap()).collect();
        assert_eq!(names(LOCAL).of_session().collect::<Vec<_>>(), written);
    }

    #[test]
    fn tokens_are_deleted_without_the_session() {
        let names = names(LOCAL);
        let both = jar(LOCAL, &format!("{}=1~a; {1}=2~b; {1}_1=c", names.session, names.tokens));
        let mut writer = both.writer();
        writer.delete_tokens();
        let deleted = text(writer.into_headers());
        let deleted: Vec<_> = deleted.iter().map(|line| line.split('=').next().unwrap()).collect();
        assert_eq!(deleted, [names.tokens.clone(), format!("{}_1", names.tokens)]);
    }

    #[test]
    fn a_missing_or_doubled_chunk_is_no_session() {
        let empty = jar(LOCAL, "");
        let mut writer = empty.writer();
        writer.set_session(&"x".repeat(CHUNK_BYTES * 2), 60);
        let cookies = sent_back(&text(writer.into_headers()));
        let (first, second) = cookies.split_once("; ").unwrap();
        assert_eq!(jar(LOCAL, first).session(), None);
        assert_eq!(jar(LOCAL, second).session(), None);
        assert_eq!(jar(LOCAL, &format!("{cookies}; {second}")).session(), None);
        assert!(jar(LOCAL, &cookies).session().is_some());
    }

    /// What fuzzing has found: numbers have many spellings.
    #[test]
    fn a_number_of_chunks_that_we_did_not_write_is_no_session() {
        let name = names(LOCAL).session.clone();
        assert_eq!(jar(LOCAL, &format!("{name}=1~sealed")).session().as_deref(), Some("sealed"));
        for number in ["01", "001", "+1", "-1", "1 ", "0", "", "9", "\u{661}"] {
            assert_eq!(jar(LOCAL, &format!("{name}={number}~sealed")).session(), None, "{number:?}");
        }
    }

    #[test]
    fn a_shorter_session_removes_the_chunks_of_a_longer_one() {
        let empty = jar(LOCAL, "");
        let mut writer = empty.writer();
        writer.set_session(&"x".repeat(CHUNK_BYTES * 3), 60);
        let before = jar(LOCAL, &sent_back(&text(writer.into_headers())));
        let mut writer = before.writer();
        writer.set_session("short", 60);
        let deleted = text(writer.into_headers()).into_iter().filter(|line| line.contains("Max-Age=0")).count();
        assert_eq!(deleted, 2);
    }

    #[test]
    fn attributes_are_strict_and_the_same_on_deletion() {
        let empty = jar(HTTPS, "");
        let mut writer = empty.writer();
        writer.set_session("s", 60);
        let set = text(writer.into_headers()).remove(0);
        assert!(set.starts_with("__Host-vestibule_session_"), "{set}");
        let full = jar(HTTPS, set.split(';').next().unwrap());
        let mut writer = full.writer();
        writer.delete_session_and_tokens();
        let deletion = text(writer.into_headers()).remove(0);
        for line in [&set, &deletion] {
            for attribute in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/"] {
                assert!(line.contains(attribute), "{line}");
            }
            assert!(!line.contains("Domain"), "{line}");
        }
        assert!(deletion.contains("Max-Age=0"));
    }

    #[test]
    fn the_last_provider_is_remembered_without_its_name() {
        let empty = jar(HTTPS, "");
        let mut writer = empty.writer();
        writer.set_last("a \u{e9};=\"b");
        let set = text(writer.into_headers()).remove(0);
        assert!(set.starts_with("__Host-vestibule_last_") && set.contains("; Max-Age=31536000"), "{set}");
        for attribute in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/"] {
            assert!(set.contains(attribute), "{set}");
        }
        let cookie = set.split(';').next().unwrap();
        let back = jar(HTTPS, cookie);
        assert!(back.was_last("a \u{e9};=\"b") && !back.was_last("a"));
        assert_eq!(back.without_ours(), Some(&b""[..]), "never to the application");
        assert!(!jar(HTTPS, &format!("{cookie}; {cookie}")).was_last("a \u{e9};=\"b"), "one of two was planted");
    }

    #[test]
    fn the_application_gets_its_own_cookies_only() {
        let left = |cookies: &str| jar(LOCAL, cookies).without_ours().map(|left| String::from_utf8(left.to_vec()).unwrap());
        assert_eq!(left("a=1; b=\"2\""), None);
        let mixed = "a=1; vestibule_session_abcdef=x; __Host-vestibule_login_1=y; b=\"2\";nameless; _streamlit_xsrf=z";
        assert_eq!(left(mixed).as_deref(), Some("a=1; b=\"2\"; nameless; _streamlit_xsrf=z"));
        assert_eq!(left("vestibule_session_abcdef=x").as_deref(), Some(""));
    }

    #[test]
    fn a_name_that_is_not_exactly_one_of_ours_opens_nothing_and_is_not_passed_on() {
        let names = names(LOCAL);
        let (session, attempt) = (&names.session, &names.attempt);
        for strange in [
            format!("{session}_0"),
            format!("{session}_8"),
            format!("{session}_01"),
            format!("{session}_"),
            format!("{session}x"),
            attempt.clone(),
            format!("{attempt}a.b"),
            format!("{attempt}a/b"),
            format!("{attempt}{}", "a".repeat(MAX_ATTEMPT_ID_BYTES + 1)),
        ] {
            let jar = jar(LOCAL, &format!("{strange}=1~sealed; a=1"));
            assert_eq!((jar.session(), jar.attempts().count(), jar.ours.len()), (None, 0, 0), "{strange}");
            assert_eq!(jar.without_ours(), Some(&b"a=1"[..]), "{strange}");
            let mut writer = jar.writer();
            writer.delete_session_and_tokens();
            assert!(writer.into_headers().is_empty(), "{strange}: nothing of ours is there");
        }
        let chunk = jar(LOCAL, &format!("{session}_1=x; {session}_7=x"));
        assert_eq!(chunk.ours.len(), 2);
    }

    #[test]
    fn a_byte_that_is_no_text_hides_nothing() {
        let name = names(LOCAL).session.clone();
        let mut head = RequestHead::get("/", "localhost");
        head.headers.push("cookie", [b"lang=\xe9; ", name.as_bytes(), b"=1~sealed; \xff\xfe=1"].concat());
        let jar = CookieJar::read(&Request::parse(&head).unwrap(), &names(LOCAL));
        assert_eq!(jar.session().as_deref(), Some("sealed"));
        assert_eq!(jar.without_ours(), Some(&b"lang=\xe9; \xff\xfe=1"[..]));
    }

    /// Browsers let every host of a domain set a name that begins with such a space, `__Host-` behind it or not.
    #[test]
    fn a_name_with_another_space_around_it_is_not_ours() {
        let names = names(HTTPS);
        let spaces = ('\u{80}'..'\u{ffff}').filter(|c| c.is_whitespace()).collect::<Vec<_>>();
        assert!(spaces.len() > 15);
        for space in spaces {
            for planted in [format!("{space}{}", names.session), format!("{}{space}", names.session), format!("{space}{}x", names.attempt)]
            {
                let jar = jar(HTTPS, &format!("{planted}=1~sealed; {space}__Host-app=evil"));
                assert_eq!((jar.session(), jar.attempts().count()), (None, 0), "{planted:?}");
                let app = format!("{space}__Host-app=evil");
                assert_eq!(jar.without_ours(), Some(app.as_bytes()), "never to the application, nor changed for it");
            }
        }
        let real = jar(HTTPS, &format!("\u{2003}{0}=1~planted; {0}=1~sealed", names.session));
        assert_eq!(real.session().as_deref(), Some("sealed"), "what is planted does not push out what is real");
    }

    #[test]
    fn made_up_attempts_are_not_all_answered() {
        let name = names(LOCAL).attempt.clone();
        let cookies: Vec<_> = (0..1000).map(|id| format!("{name}{id}=x")).collect();
        let jar = jar(LOCAL, &cookies.join("; "));
        let mut writer = jar.writer();
        jar.attempts().for_each(|(id, _)| writer.delete_attempt(id));
        assert_eq!(writer.into_headers().len(), MAX_ATTEMPT_DELETIONS);
    }

    #[test]
    fn applications_on_one_host_do_not_share_names() {
        assert_ne!(names(LOCAL).session, names("http://localhost:8502/oauth2callback").session);
        assert_ne!(names(HTTPS).session, names("https://app.example/b/oauth2callback").session);
    }
}
