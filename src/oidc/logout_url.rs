//! A provider's logout where it is not that of OpenID Connect: Amazon Cognito's, Auth0's older one, others.
//!
//! The configuration has the address as a template; what is put into it is percent-encoded, so that it is one value of the
//! query, whatever it holds.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::end_session::MAX_URL_BYTES;
use crate::web::origin::is_confidential;

const CLIENT_ID: &str = "{client_id}";
const RETURN_TO: &str = "{return_to}";
const ID_TOKEN_HINT: &str = "{id_token_hint}";
const LOGOUT_HINT: &str = "{logout_hint}";
const STATE: &str = "{state}";

/// An address with `{client_id}`, `{return_to}`, `{id_token_hint}`, `{logout_hint}` and `{state}` in its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutUrl(String);

/// What is put into it.
#[derive(Debug)]
pub struct Values<'a> {
    pub client_id: &'a str,
    pub return_to: &'a str,
    pub id_token_hint: Option<&'a str>,
    pub logout_hint: Option<&'a str>,
    pub state: &'a str,
}

/// Why a text is no such address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotALogoutUrl {
    #[error("is not an https URL")]
    NotHttps,
    #[error("holds the placeholder {0}, which is not known")]
    Unknown(String),
    #[error("has a placeholder outside of its query")]
    OutsideOfQuery,
}

impl LogoutUrl {
    /// # Errors
    /// [`NotALogoutUrl`].
    pub fn parse(template: &str) -> Result<Self, NotALogoutUrl> {
        let (address, query) = template.split_once('?').unwrap_or((template, ""));
        if address.contains(['{', '}']) || template.contains('#') {
            return Err(NotALogoutUrl::OutsideOfQuery);
        }
        let known = [CLIENT_ID, RETURN_TO, ID_TOKEN_HINT, LOGOUT_HINT, STATE];
        let rest = known.iter().fold(query.to_owned(), |query, placeholder| query.replace(placeholder, ""));
        if let Some(at) = rest.find(['{', '}']) {
            let unknown = rest[at..].split_inclusive('}').next().unwrap_or_default().to_owned();
            return Err(NotALogoutUrl::Unknown(unknown));
        }
        let is_good = Url::parse(address).is_ok_and(|url| is_confidential(&url) && url.username().is_empty() && url.password().is_none());
        if is_good { Ok(Self(template.to_owned())) } else { Err(NotALogoutUrl::NotHttps) }
    }

    /// Whether it is of use to keep the ID token for it.
    pub fn takes_id_token(&self) -> bool {
        self.0.contains(ID_TOKEN_HINT)
    }

    /// Whether it says where the browser shall go afterwards.
    pub fn takes_return_to(&self) -> bool {
        self.0.contains(RETURN_TO)
    }

    /// The address to send a browser to; `None` where the values make no URL of it.
    pub fn with(&self, values: &Values<'_>) -> Option<Url> {
        let filled = self.filled(values);
        let filled = if filled.len() > MAX_URL_BYTES { self.filled(&Values { id_token_hint: None, ..*values }) } else { filled };
        Url::parse(&filled).ok()
    }

    fn filled(&self, values: &Values<'_>) -> String {
        let encoded = |value: &str| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
        // What is put in has no braces left, so that no value is taken for a placeholder.
        [
            (CLIENT_ID, values.client_id),
            (RETURN_TO, values.return_to),
            (ID_TOKEN_HINT, values.id_token_hint.unwrap_or_default()),
            (LOGOUT_HINT, values.logout_hint.unwrap_or_default()),
            (STATE, values.state),
        ]
        .iter()
        .fold(self.without_absent(values), |url, (placeholder, value)| url.replace(placeholder, &encoded(value)))
    }

    /// The template without the parameters whose value there is not: some providers refuse an empty one.
    fn without_absent(&self, values: &Values<'_>) -> String {
        let Some((address, query)) = self.0.split_once('?') else { return self.0.clone() };
        let is_absent = |parameter: &str| {
            (values.id_token_hint.is_none() && parameter.contains(ID_TOKEN_HINT))
                || (values.logout_hint.is_none() && parameter.contains(LOGOUT_HINT))
        };
        let present: Vec<_> = query.split('&').filter(|parameter| !is_absent(parameter)).collect();
        format!("{address}?{}", present.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_known_and_stand_in_the_query() {
        for (template, expected) in [
            ("https://op.example/logout", Ok(())),
            ("https://op.example/logout?client_id={client_id}&logout_uri={return_to}&x=1", Ok(())),
            ("http://localhost:9000/v2/logout?returnTo={return_to}", Ok(())),
            ("http://op.example/logout", Err(NotALogoutUrl::NotHttps)),
            ("javascript:alert(1)", Err(NotALogoutUrl::NotHttps)),
            ("/logout?x={state}", Err(NotALogoutUrl::NotHttps)),
            ("https://user@op.example/logout", Err(NotALogoutUrl::NotHttps)),
            ("https://{client_id}.example/logout", Err(NotALogoutUrl::OutsideOfQuery)),
            ("https://op.example/{return_to}", Err(NotALogoutUrl::OutsideOfQuery)),
            ("https://op.example/logout?a=b#{state}", Err(NotALogoutUrl::OutsideOfQuery)),
            ("https://op.example/logout?a={return}", Err(NotALogoutUrl::Unknown("{return}".into()))),
            ("https://op.example/logout?a={", Err(NotALogoutUrl::Unknown("{".into()))),
        ] {
            assert_eq!(LogoutUrl::parse(template).map(|_| ()), expected, "{template}");
        }
    }

    #[test]
    fn a_value_is_one_value_whatever_it_holds() {
        let url = LogoutUrl::parse("https://op.example/logout?c={client_id}&r={return_to}&i={id_token_hint}&s={state}").unwrap();
        let values = Values {
            client_id: "a&r=https://evil",
            return_to: "https://app/{state}?x#y",
            id_token_hint: None,
            logout_hint: None,
            state: "{client_id}",
        };
        let pairs: Vec<(String, String)> = url.with(&values).unwrap().query_pairs().into_owned().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs, [pair("c", "a&r=https://evil"), pair("r", "https://app/{state}?x#y"), pair("s", "{client_id}")]);
        let long = "x".repeat(8 * 1024);
        assert!(url.with(&Values { id_token_hint: Some(&long), ..values }).unwrap().as_str().len() < 1024);
    }
}
