//! What a provider says of an error, made fit for the log.

use std::fmt;

use super::error::{bounded, shown};

/// Longest words of a provider about an error, in characters: Entra's begin with a number, and end with others.
const MAX_DESCRIPTION: usize = 300;

/// What a provider says of an error (RFC 6749 sections 4.1.2.1 and 5.2): text from outside, made fit for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedError {
    /// Of the characters that the section allows, or `(unreadable)`.
    pub error: String,
    description: Option<String>,
    uri: Option<String>,
    /// `prompt` of the authorization request that it answers.
    sent_prompt: Option<String>,
}

impl ReportedError {
    pub(crate) fn new(error: &str, description: Option<&str>, uri: Option<&str>) -> Self {
        // Anything else is not an error code but an attempt.
        let is_allowed = |b: u8| matches!(b, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~');
        let is_code = error.len() <= 64 && error.bytes().all(is_allowed) && (error.is_empty() || !error.trim().is_empty());
        let shown = |text: Option<&str>| text.filter(|text| !text.trim().is_empty()).map(|text| bounded(text, MAX_DESCRIPTION));
        let error = if is_code { error.to_owned() } else { "(unreadable)".to_owned() };
        Self { error, description: shown(description), uri: shown(uri), sent_prompt: None }
    }

    /// The same, as an answer to an authorization request with this `prompt`.
    #[must_use]
    pub(crate) fn answering(self, prompt: Option<&str>) -> Self {
        Self { sent_prompt: prompt.filter(|prompt| !prompt.is_empty()).map(shown), ..self }
    }

    /// The error as RFC 6749 section 4.1.2.1 and OpenID Connect Core section 3.1.2.6 call it. Some providers have names of their own
    /// for a user who does not go on.
    pub(crate) fn kind(&self) -> &str {
        const CANCELLED: [&str; 9] = [
            "access_denied",
            "user_denied",
            "user_cancelled",
            "user_canceled",
            "user_cancelled_login",
            "user_cancelled_authorize",
            "cancelled",
            "canceled",
            "authorization_declined",
        ];
        let is_cancelled = CANCELLED.iter().any(|name| name.eq_ignore_ascii_case(&self.error));
        if is_cancelled { CANCELLED[0] } else { &self.error }
    }

    /// Whether it can be the answer to a `prompt` that the provider does not know: RFC 6749's code for an invalid parameter, and
    /// what providers answer to `select_account` in its place (Pocket ID `interaction_required`, WSO2 `login_required`, others the
    /// codes of OpenID Connect Core section 3.1.2.6 and of Unmet Authentication Requirements 1.0). Not the end of a login by the user.
    pub(crate) fn may_be_about_prompt(&self) -> bool {
        const CODES: [&str; 9] = [
            "invalid_request",
            "invalid_parameter",
            "unsupported_parameter",
            "not_supported",
            "interaction_required",
            "login_required",
            "account_selection_required",
            "unmet_authentication_requirements",
            "invalid_request_parameter",
        ];
        let is_one = CODES.iter().any(|code| code.eq_ignore_ascii_case(&self.error));
        is_one || self.names_prompt()
    }

    /// Whether its code or its words are about `prompt`, in whatever spelling. Not the end of a login by the user.
    fn names_prompt(&self) -> bool {
        let texts = [Some(self.error.as_str()), self.description.as_deref()];
        let names = |text: &str| {
            let text = text.to_ascii_lowercase();
            ["prompt", "select_account", "select account"].iter().any(|name| text.contains(name))
        };
        self.kind() != "access_denied" && texts.into_iter().flatten().any(names)
    }

    /// What the person who runs this can do about it.
    fn advice(&self) -> String {
        const REFUSALS_OF_NONE: [&str; 4] = ["login_required", "interaction_required", "account_selection_required", "consent_required"];
        if let Some(prompt) = &self.sent_prompt {
            if prompt == "none" && REFUSALS_OF_NONE.contains(&self.error.as_str()) {
                return ": prompt=none lets the provider show no page; remove it from client_kwargs".to_owned();
            }
            if self.names_prompt() {
                return format!(": the provider does not know prompt={prompt}: set client_kwargs = {{ prompt = \"\" }}");
            }
            // It does not say which parameter it is.
            if self.may_be_about_prompt() && self.description.is_none() {
                return format!(": if the provider does not know prompt={prompt}, set client_kwargs = {{ prompt = \"\" }}");
            }
        }
        let advice = match self.error.as_str() {
            "invalid_client" => ": check client_id and client_secret, and how they are sent (token_endpoint_auth_method)",
            "invalid_grant" => ": the code was used before or took too long, or redirect_uri is not the registered one",
            "unauthorized_client" => ": this client may not use the authorization code flow; see its registration",
            "invalid_scope" => ": the provider does not know a word of `scope` in client_kwargs",
            "unsupported_response_type" => ": register the client for the response type `code`",
            "unsupported_response_mode" => ": remove response_mode from client_kwargs",
            "unsupported_grant_type" => ": register the client for the grant type `authorization_code`",
            _ => "",
        };
        advice.to_owned()
    }

    /// Whether [`Display`](fmt::Display) ends with what to do.
    pub(super) fn has_advice(&self) -> bool {
        !self.advice().is_empty()
    }
}

impl fmt::Display for ReportedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the error `{}`", self.error)?;
        if let Some(description) = &self.description {
            write!(f, ", \"{description}\"")?;
        }
        if let Some(uri) = &self.uri {
            write!(f, ", see {uri}")?;
        }
        f.write_str(&self.advice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: &str, description: &str, prompt: Option<&str>) -> String {
        ReportedError::new(error, Some(description), None).answering(prompt).to_string()
    }

    #[test]
    fn the_prompt_is_named_where_the_request_had_one_and_the_error_is_about_it() {
        for (error, description) in [
            ("invalid_request", "unsupported prompt value requested"),
            ("invalid_request", "Unsupported prompt: select_account"),
            ("invalid_prompt", ""),
            ("unsupported_prompt_value", "x"),
            ("invalid_parameter", "PROMPT is not allowed"),
            ("server_error", "no such value: select_account"),
            ("(unreadable)", "prompt"),
        ] {
            let with = told(error, description, Some("consent"));
            assert!(with.ends_with("the provider does not know prompt=consent: set client_kwargs = { prompt = \"\" }"), "{with}");
            assert!(!told(error, description, None).contains("client_kwargs"), "the request had none");
        }
        assert!(told("invalid_request", "", Some("login")).contains("if the provider does not know prompt=login"));
        for error in ["access_denied", "user_cancelled"] {
            assert!(!told(error, "the user closed the prompt", Some("login")).contains("client_kwargs"), "{error}");
        }
        assert!(!told("invalid_request", "redirect_uri is unknown", Some("login")).contains("prompt"));
        assert!(told("login_required", "", Some("none")).contains("prompt=none lets the provider show no page"));
        assert!(told("invalid_scope", "", Some("login")).contains("`scope`"));
    }
}
