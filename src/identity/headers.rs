//! Who the user is, in the words of the application: request headers.
//!
//! 1. Every inbound header whose name a server could fold into that of an identity header is removed, from every
//!    request that is forwarded, logged in or not. Folding: case, and any character that is neither letter nor digit
//!    counts as the same (CGI turns `-` into `_`, others turn `.` into `_`).
//! 2. What else applications believe of a proxy is removed in the same way ([`crate::web::proxy_headers`]), but for what
//!    `pass` names.
//! 3. Our cookies are removed.
//! 4. For a logged-in user the headers are set anew. A claim that is absent, or neither text, number, boolean nor a list
//!    of those, sets no header. A user is known by provider and `sub` together (OIDC Core section 5.7). An e-mail address
//!    that may be somebody else's sets no header ([`crate::oidc::provider::Provider::proven_email`]).
//!
//! **How values are written.** A header carries visible ASCII and spaces between; claims carry anything. Every byte of
//! a text's UTF-8 that is not such a character, `%` and the comma are percent-encoded (RFC 3986 section 2.1), and so are
//! spaces at either end. Lists are joined by commas. So every comma in a value separates, `a,admins` is one group or one
//! text (`a%2Cadmins`), and no two texts or lists have the same value; but a list of one is written as its item, and a
//! number or a boolean as its text. To read a value, split at commas, then percent-decode. An empty value sets no header.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

use crate::account::Account;
use crate::claims::{self, Claim, GroupsClaim, Unusable};
use crate::secret::Secret;
use crate::session::CookieJar;
use crate::web::field_lines::FieldLines;
use crate::web::http::Request;
use crate::web::proxy_headers;

/// Which headers tell the application who the user is.
#[derive(Clone, Debug)]
pub struct IdentityHeaders {
    /// Where groups are said.
    pub groups: GroupsClaim,
    /// Claim (or JSON pointer into the claims, when it begins with `/`) and the header that carries it.
    pub from_claims: Vec<(String, String)>,
    /// Further headers that the application takes for identity: nobody sends them, neither a client nor we.
    pub refused: Vec<String>,
    /// Names of [`crate::web::proxy_headers`] that are not removed.
    pub passed: Vec<String>,
}

/// Headers that are the identity's whether or not a configuration sets them.
const OWN: [&str; 6] = [USER, PROVIDER, EMAIL, PREFERRED_USERNAME, GROUPS, ACCESS_TOKEN];

const USER: &str = "X-Forwarded-User";
const PROVIDER: &str = "X-Forwarded-Provider";
const EMAIL: &str = "X-Forwarded-Email";
const PREFERRED_USERNAME: &str = "X-Forwarded-Preferred-Username";
const GROUPS: &str = "X-Forwarded-Groups";
const ACCESS_TOKEN: &str = "X-Forwarded-Access-Token";

/// Longest header value, in bytes; a longer one is left out, for the application's server would refuse the request.
const MAX_VALUE_BYTES: usize = 8 * 1024;

/// A GUID with the comma before it: lists are often of those.
const ITEM_BYTES: usize = 37;

const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(b',');

/// As many fields as most requests get.
const EDITS: usize = 8;

/// What to change on a request before the application gets it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// As they were written in the request.
    pub remove: Vec<Cow<'static, str>>,
    pub set: FieldLines,
}

impl IdentityHeaders {
    /// Every header that may carry the identity.
    pub(crate) fn names(&self) -> Vec<&str> {
        OWN.into_iter().chain(self.configured()).collect()
    }

    /// Whether a server could take `name` for one of them.
    pub(crate) fn has(&self, name: &str) -> bool {
        is_own(name, self.configured())
    }

    /// Whether a header of [`proxy_headers`] is left alone: in the spelling that is configured, in any case.
    pub(crate) fn passes(&self, name: &str) -> bool {
        self.passed.iter().any(|passed| passed.eq_ignore_ascii_case(name))
    }

    /// What a proxy that asks must remove itself, by these very names.
    pub fn removed_names(&self) -> impl Iterator<Item = &'static str> {
        let named = proxy_headers::STEERING.into_iter().chain(proxy_headers::IDENTITY);
        named.filter(|name| !self.passes(name) && !self.has(name))
    }

    /// Whether a client's header of this name ends here.
    fn removes(&self, name: &str) -> bool {
        self.has(name) || (proxy_headers::is_listed(name) && !self.passes(name))
    }

    fn configured(&self) -> impl Iterator<Item = &str> {
        self.from_claims.iter().map(|(_, header)| header).chain(&self.refused).map(String::as_str)
    }
}

/// The edits for a request of this user, or of nobody.
pub fn edits(request: &Request<'_>, jar: &CookieJar, account: Option<&Account<'_>>, settings: &IdentityHeaders) -> Edits {
    // Room for all of them at once: what is said of somebody is about as long as the cookies that it comes from.
    let bytes = request.headers.bytes();
    let mut edits = Edits { remove: vec![], set: FieldLines::with_capacity(EDITS, bytes + bytes / 2) };
    for (name, _) in request.headers {
        if settings.removes(name) && !edits.remove.iter().any(|removed| removed == name) {
            edits.remove.push(name.to_owned().into());
        }
    }
    if let Some(cookies) = jar.without_ours() {
        edits.remove.push("cookie".into());
        if !cookies.is_empty() {
            edits.set.push("cookie", cookies);
        }
    }
    if let Some(account) = account {
        set_identity(&mut edits.set, account, settings);
    }
    edits
}

/// Names that a claim must not be written into: they steer the connection or our own work.
pub(crate) fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 26] = [
        "authorization",
        "host",
        "cookie",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "upgrade",
        "te",
        "trailer",
        "keep-alive",
        "expect",
        "origin",
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "date",
        "location",
        "range",
        "referer",
        "set-cookie",
        "user-agent",
        "vary",
        "via",
        "x-request-id",
    ];
    RESERVED.iter().any(|reserved| folds_to(name, reserved))
        || proxy_headers::steers(name)
        || ["sec-", "proxy-", "if-", "access-control-", "x-envoy-auth-headers-"]
            .iter()
            .any(|prefix| name.to_ascii_lowercase().starts_with(prefix))
}

/// The same of a configuration that is being read: `configured` are its names.
pub(crate) fn is_own<'a>(name: &str, configured: impl Iterator<Item = &'a str>) -> bool {
    OWN.into_iter().chain(configured).any(|header| folds_to(name, header))
}

/// Whether a server could take `name` for the header with the groups.
pub(crate) fn is_groups(name: &str) -> bool {
    folds_to(name, GROUPS)
}

/// Whether a server could take `name` for `header`.
pub(crate) fn folds_to(name: &str, header: &str) -> bool {
    let fold = |b: u8| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'-' };
    name.len() == header.len() && name.bytes().zip(header.bytes()).all(|(a, b)| fold(a) == fold(b))
}

fn set_identity(headers: &mut FieldLines, account: &Account<'_>, settings: &IdentityHeaders) {
    for (name, claim) in told(account, settings) {
        // What has no value, an empty one or one that is too long sets no header.
        let _ = headers.push_with(name, |written| {
            let start = written.len();
            write_value(written, claim)?;
            (1..=MAX_VALUE_BYTES).contains(&(written.len() - start)).then_some(())
        });
    }
}

/// Headers that this user's requests lack because their values are too long for an application's server.
pub(crate) fn left_out<'a>(account: &Account<'_>, settings: &'a IdentityHeaders) -> Vec<&'a str> {
    let is_too_long = |claim| {
        let mut value = vec![];
        write_value(&mut value, claim).is_some() && value.len() > MAX_VALUE_BYTES
    };
    told(account, settings).filter(|(_, claim)| is_too_long(*claim)).map(|(name, _)| name).collect()
}

/// Whether the provider has the person's groups and does not tell them: Entra's overage, when there are more than 200
/// (OIDC Core section 5.6.2, "distributed claims"; `hasgroups` where there is no room for those either). The list could
/// be had from Microsoft Graph, with a permission that this login does not ask for.
pub(crate) fn groups_are_withheld(account: &Account<'_>, settings: &IdentityHeaders) -> bool {
    let groups = settings.groups.name();
    let whole = account.claims.whole();
    let elsewhere = whole.get("_claim_names").is_some_and(|names| names.get(groups).is_some());
    let too_many = whole.get("hasgroups").is_some_and(|claim| *claim == true || *claim == "true");
    account.claims.find(groups).is_none() && (elsewhere || too_many)
}

/// What a claim is instead, that has another shape than the one that is stated for groups.
pub(crate) fn unusable_groups(account: &Account<'_>, settings: &IdentityHeaders) -> Option<Unusable> {
    account.claims.groups(&settings.groups).err()
}

/// What may separate several groups in a claim that counts as one.
pub(crate) fn doubtful_groups(account: &Account<'_>, settings: &IdentityHeaders) -> Option<&'static str> {
    let claim = account.claims.groups(&settings.groups).ok().flatten()?;
    settings.groups.shape().doubtful_mark(claim)
}

/// Where the way to the groups ends, in words for the log; `None` where they are told, in whatever form.
pub(crate) fn missing_groups(account: &Account<'_>, settings: &IdentityHeaders) -> Option<String> {
    let name = settings.groups.name();
    let is_there = |claim: Claim<'_>| !matches!(claim, Claim::Value(Value::Null));
    if account.claims.find(name).is_some_and(is_there) || groups_are_withheld(account, settings) {
        return None;
    }
    Some(claims::end_of_way(account.claims.whole(), name))
}

/// The header with the access token, for an application that may see it.
pub(crate) fn access_token(token: &Secret) -> Option<(&'static str, &[u8])> {
    let token = token.expose();
    let fits = token.len() <= MAX_VALUE_BYTES && token.bytes().all(|b| b.is_ascii_graphic());
    fits.then_some((ACCESS_TOKEN, token.as_bytes()))
}

/// What each header says of this user. A header that the configuration fills is not filled a second time.
fn told<'a, 's>(account: &'a Account<'_>, settings: &'s IdentityHeaders) -> impl Iterator<Item = (&'s str, Claim<'a>)> {
    let is_proven = || account.provider.proven_email(account.claims).is_some();
    let claim = move |name: &str| account.claims.find(name).filter(|_| !claims::is_email(name) || is_proven());
    let from_claims = &settings.from_claims;
    let groups = settings.groups.name();
    let own = [(USER, "sub"), (PROVIDER, ""), (EMAIL, "email"), (PREFERRED_USERNAME, "preferred_username"), (GROUPS, groups)];
    let own = own.into_iter().filter(|(name, _)| !from_claims.iter().any(|(_, header)| folds_to(header, name)));
    let own = own.map(move |(header, name)| match header {
        PROVIDER => (header, Some(Claim::Text(&account.provider.name))),
        GROUPS => (header, account.claims.groups(&settings.groups).ok().flatten().filter(|_| !claims::is_email(name) || is_proven())),
        _ => (header, claim(name)),
    });
    let configured = from_claims.iter().map(move |(name, header)| (header.as_str(), claim(name)));
    own.chain(configured).filter_map(|(header, claim)| Some((header, claim?)))
}

/// Writes a claim as a header's value, by the rule of this module. `None` of what has none.
fn write_value(value: &mut Vec<u8>, claim: Claim<'_>) -> Option<()> {
    match claim {
        Claim::Value(Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                separate(value, index);
                write_scalar(value, item)?;
            }
        }
        Claim::Value(single) => write_scalar(value, single)?,
        Claim::Texts(items) => {
            value.reserve(items.len() * ITEM_BYTES);
            for (index, item) in items.iter().enumerate() {
                separate(value, index);
                item.with_text(|text| write_text(value, text));
            }
        }
        Claim::Guids(guids) => {
            value.reserve(guids.len() * ITEM_BYTES);
            for (index, guid) in guids.iter().enumerate() {
                separate(value, index);
                // Hexadecimal digits and hyphens: written as they are.
                claims::with_guid(guid, |text| value.extend_from_slice(text.as_bytes()));
            }
        }
        Claim::Keys(members) => write_texts(value, claims::keys(members)),
        Claim::Parts(text, separator) => write_texts(value, claims::parts(text, separator)),
        Claim::Json(text) => return write_value(value, Claim::Value(&claims::json_groups(text))),
        Claim::Text(text) => write_text(value, text),
        Claim::Truth(truth) => write_scalar(value, &truth.into())?,
        Claim::Integer(number) => write_scalar(value, &number.into())?,
    }
    Some(())
}

fn write_texts<'a>(value: &mut Vec<u8>, texts: impl Iterator<Item = &'a str>) {
    for (index, text) in texts.enumerate() {
        separate(value, index);
        write_text(value, text);
    }
}

fn separate(value: &mut Vec<u8>, index: usize) {
    if index > 0 {
        value.push(b',');
    }
}

/// `None` of what is neither text, number nor boolean.
fn write_scalar(value: &mut Vec<u8>, scalar: &Value) -> Option<()> {
    match scalar {
        Value::String(text) => write_text(value, text),
        Value::Number(number) => value.extend_from_slice(number.to_string().as_bytes()),
        Value::Bool(truth) => value.extend_from_slice(truth.to_string().as_bytes()),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    }
    Some(())
}

fn write_text(value: &mut Vec<u8>, text: &str) {
    // Nearly every text is written as it is, and is looked at many bytes at a time.
    let is_plain = text.bytes().fold(true, |plain, b| plain & (b > b' ') & (b < 0x7f) & (b != b'%') & (b != b','));
    if is_plain {
        value.extend_from_slice(text.as_bytes());
        return;
    }
    let trimmed = text.trim_matches(' ');
    let start = text.len() - text.trim_start_matches(' ').len();
    let end = if trimmed.is_empty() { 0 } else { text.len() - start - trimmed.len() };
    value.extend(b"%20".repeat(start));
    utf8_percent_encode(trimmed, ENCODED).for_each(|part| value.extend_from_slice(part.as_bytes()));
    value.extend(b"%20".repeat(end));
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn header_value(claim: Claim<'_>) -> Option<Vec<u8>> {
        let mut value = vec![];
        write_value(&mut value, claim)?;
        Some(value)
    }

    /// A claim that is a text, or a list of texts.
    #[derive(Clone, Debug, PartialEq)]
    enum Told {
        Text(String),
        List(Vec<String>),
    }

    fn claim() -> impl Strategy<Value = Told> {
        let piece = prop_oneof!["[ab, %2C]{0,4}", Just(" ".to_owned()), Just("%2C".to_owned()), any::<String>()];
        prop_oneof![piece.clone().prop_map(Told::Text), vec(piece, 0..4).prop_map(Told::List)]
    }

    impl Told {
        fn header(&self) -> Option<String> {
            let json = match self {
                Self::Text(text) => json!(text),
                Self::List(items) => json!(items),
            };
            header_value(Claim::Value(&json)).filter(|value| !value.is_empty()).map(|value| String::from_utf8(value).unwrap())
        }

        /// A list of one is its item, and an empty one is an empty text.
        fn plain(&self) -> Vec<String> {
            match self {
                Self::Text(text) => vec![text.clone()],
                Self::List(items) if items.is_empty() => vec![String::new()],
                Self::List(items) => items.clone(),
            }
        }
    }

    fn decoded(value: &str) -> Vec<String> {
        value.split(',').map(|item| percent_encoding::percent_decode_str(item).decode_utf8().unwrap().into_owned()).collect()
    }

    proptest! {
        #[test]
        fn decoding_gives_the_claim_back(claim in claim()) {
            match claim.header() {
                Some(value) => {
                    prop_assert_eq!(decoded(&value), claim.plain());
                    prop_assert!(value.bytes().all(|b| matches!(b, b' '..=b'~')) && value.trim() == value, "{value:?}");
                }
                None => prop_assert_eq!(claim.plain(), [""]),
            }
        }

        #[test]
        fn different_claims_have_different_values(one in claim(), other in claim()) {
            prop_assert_eq!(one.header() == other.header(), one.plain() == other.plain());
        }
    }

    #[test]
    fn values_are_encoded_so_that_nothing_splits_or_merges() {
        for (claim, value) in [
            (json!("alice"), Some("alice")),
            (json!("Ann Lee"), Some("Ann Lee")),
            (json!("Chloë"), Some("Chlo%C3%AB")),
            (json!("a\r\nX-Evil: 1"), Some("a%0D%0AX-Evil: 1")),
            (json!("a\0"), Some("a%00")),
            (json!("100%"), Some("100%25")),
            (json!("a,b"), Some("a%2Cb")),
            (json!("a%2Cb"), Some("a%252Cb")),
            (json!(["a", "b"]), Some("a,b")),
            (json!(["", ""]), Some(",")),
            (json!(["a", null]), None),
            (json!(" a "), Some("%20a%20")),
            (json!("  "), Some("%20%20")),
            (json!(["a,admins", "b"]), Some("a%2Cadmins,b")),
            (json!([]), Some("")),
            (json!(17), Some("17")),
            (json!(true), Some("true")),
            (json!(null), None),
            (json!({"a": 1}), None),
            (json!([["a"]]), None),
        ] {
            assert_eq!(header_value(Claim::Value(&claim)).as_deref(), value.map(str::as_bytes), "{claim}");
        }
    }

    #[test]
    fn an_access_token_that_is_no_header_value_is_left_out() {
        let header = |token: &str| access_token(&Secret::new(token)).map(|(_, value)| value.to_vec());
        assert_eq!(header("eyJ.a-b_c~d"), Some(b"eyJ.a-b_c~d".to_vec()));
        assert!(header(&"a".repeat(MAX_VALUE_BYTES)).is_some());
        for token in [&"a".repeat(MAX_VALUE_BYTES + 1), "a\r\nX-Forwarded-User: admin", "a b", "a\0", "\u{e9}"] {
            assert_eq!(header(token), None, "{token:?}");
        }
    }

    #[test]
    fn a_proxy_removes_the_lists_but_for_what_is_passed_and_what_is_ours() {
        let settings = IdentityHeaders {
            groups: GroupsClaim::new("groups", claims::Shape::List),
            from_claims: vec![("department".into(), "X_Webauth_User".into())],
            refused: vec!["X-SSO-User".into()],
            passed: vec!["X-Script-Name".into()],
        };
        let removed: Vec<_> = settings.removed_names().collect();
        for not in ["x-webauth-user", "x-sso-user", "x-script-name"] {
            assert!(!removed.contains(&not), "{not}");
        }
        assert_eq!(removed.len(), proxy_headers::STEERING.len() + proxy_headers::IDENTITY.len() - 3);
    }

    #[test]
    fn foldable_spellings_are_the_same_header() {
        for name in ["X-Forwarded-User", "x-forwarded-user", "X_Forwarded_User", "x-forwarded_user", "X.Forwarded.User", "X-FORWARDED-USER"]
        {
            assert!(folds_to(name, "X-Forwarded-User"), "{name}");
        }
        for name in ["X-Forwarded-Users", "X-Forwarded-For", "XForwardedUser", ""] {
            assert!(!folds_to(name, "X-Forwarded-User"), "{name}");
        }
    }
}
