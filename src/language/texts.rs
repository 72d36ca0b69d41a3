//! What there is to say on a page, whatever the language.

use crate::web::construct::Construct;

/// A text with a value in it: what stands before and behind the value.
#[derive(Debug)]
pub struct Around(pub(super) &'static str, pub(super) &'static str);

impl Around {
    /// The whole text.
    pub fn with(&self, value: &str) -> String {
        [self.0, value, self.1].concat()
    }
}

/// An error in words.
#[derive(Debug)]
pub struct Told {
    pub(crate) title: &'static str,
    pub(crate) happened: &'static str,
    pub(crate) advice: &'static str,
}

/// A heading, and what stands below it.
#[derive(Debug)]
pub struct Notice {
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
}

/// Every text of our pages in one language.
#[derive(Debug)]
pub struct Texts {
    pub(crate) log_in: &'static str,
    /// The provider.
    pub(crate) log_in_with: Around,
    /// The address of a page, where there are several.
    pub(crate) log_in_for: Around,
    pub(crate) try_again: &'static str,
    pub(crate) try_again_for: Around,
    pub(crate) use_another_account: &'static str,
    pub(crate) log_out: &'static str,
    pub(crate) log_out_here: &'static str,
    pub(crate) log_out_everywhere: &'static str,
    pub(crate) back_to_the_application: &'static str,

    pub(crate) choose: &'static str,
    pub(crate) on_the_way: &'static str,
    pub(crate) last_used: &'static str,
    pub(crate) logged_out: Notice,
    /// At the end of a login whose page was too long to be kept.
    pub(crate) address_too_long: Notice,
    /// Asks for it.
    pub(crate) everywhere: Notice,
    /// Without a page around it. Ends a WebSocket, so that it has 123 bytes at most (RFC 6455 section 5.5, without the code).
    pub(crate) session_ended: &'static str,
    /// With the mark that stands before the number.
    pub(crate) reference_number: &'static str,
    /// The same, for the name of the request.
    pub(crate) request_id: &'static str,

    pub(crate) malformed: Told,
    /// What is to blame for that.
    pub(crate) malformed_by: Around,
    /// In these words.
    pub(crate) construct: fn(Construct) -> &'static str,
    pub(crate) method_not_allowed: Told,
    pub(crate) not_visited: Told,
    pub(crate) login_required: Told,
    pub(crate) not_a_page: Told,
    /// `happened` stands in `denied_as`.
    pub(crate) account_denied: Notice,
    /// The account.
    pub(crate) denied_as: Around,
    pub(crate) everybody_denied: Told,
    pub(crate) unknown_provider: Told,
    pub(crate) login_initiation: Told,
    pub(crate) another_issuer: Told,
    pub(crate) not_an_answer: Told,
    pub(crate) unknown_state: Told,
    pub(crate) attempt_used: Told,
    pub(crate) login_ended: Told,
    pub(crate) cancelled: Told,
    pub(crate) consent_required: Told,
    pub(crate) provider_login_required: Told,
    pub(crate) interaction_required: Told,
    pub(crate) provider_in_trouble: Told,
    pub(crate) provider_refused: Told,
    pub(crate) provider_unreachable: Told,
    pub(crate) answer_unacceptable: Told,
    pub(crate) session_too_large: Told,
    pub(crate) not_set_up: Told,
    /// Of a host that does not remember which sessions have ended.
    pub(crate) not_remembered: Told,
    /// Of a session without a refresh token that the provider accepts.
    pub(crate) not_refreshable: Told,
    pub(crate) refreshed_too_soon: Told,

    pub(crate) filter_failed: Notice,
    pub(crate) overloaded: Notice,
    pub(crate) store_unreachable: Notice,
    pub(crate) upstream_unreachable: Notice,
    pub(crate) upstream_timed_out: Notice,
    pub(crate) too_many_logins: Notice,
    pub(crate) body_too_large: Notice,
    pub(crate) body_too_slow: Notice,
    pub(crate) too_many_requests: Notice,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    /// Each text, one after the other. A new one has to be added, or this does not compile.
    fn all(texts: &'static Texts) -> Vec<&'static str> {
        let Texts {
            log_in,
            log_in_with,
            log_in_for,
            try_again,
            try_again_for,
            use_another_account,
            log_out,
            log_out_here,
            log_out_everywhere,
            back_to_the_application,
            choose,
            on_the_way,
            last_used,
            logged_out,
            address_too_long,
            everywhere,
            session_ended,
            reference_number,
            request_id,
            malformed,
            malformed_by,
            construct,
            method_not_allowed,
            not_visited,
            login_required,
            not_a_page,
            account_denied,
            denied_as,
            everybody_denied,
            unknown_provider,
            login_initiation,
            another_issuer,
            not_an_answer,
            unknown_state,
            attempt_used,
            login_ended,
            cancelled,
            consent_required,
            provider_login_required,
            interaction_required,
            provider_in_trouble,
            provider_refused,
            provider_unreachable,
            answer_unacceptable,
            session_too_large,
            not_set_up,
            not_remembered,
            not_refreshable,
            refreshed_too_soon,
            filter_failed,
            overloaded,
            store_unreachable,
            upstream_unreachable,
            upstream_timed_out,
            too_many_logins,
            body_too_large,
            body_too_slow,
            too_many_requests,
        } = texts;
        let mut all = vec![
            *log_in,
            *try_again,
            *use_another_account,
            *log_out,
            *log_out_here,
            *log_out_everywhere,
            *back_to_the_application,
            *choose,
            *on_the_way,
            *last_used,
            *session_ended,
            *reference_number,
            *request_id,
            account_denied.title,
            account_denied.text,
        ];
        for around in [log_in_with, log_in_for, try_again_for, denied_as, malformed_by] {
            // One of the two may be empty.
            all.push(if around.0.is_empty() { around.1 } else { around.0 });
        }
        for told in [
            malformed,
            method_not_allowed,
            not_visited,
            login_required,
            not_a_page,
            everybody_denied,
            unknown_provider,
            login_initiation,
            another_issuer,
            not_an_answer,
            unknown_state,
            attempt_used,
            login_ended,
            cancelled,
            consent_required,
            provider_login_required,
            interaction_required,
            provider_in_trouble,
            provider_refused,
            provider_unreachable,
            answer_unacceptable,
            session_too_large,
            not_set_up,
            not_remembered,
            not_refreshable,
            refreshed_too_soon,
        ] {
            all.extend([told.title, told.happened, told.advice]);
        }
        for notice in [
            logged_out,
            address_too_long,
            everywhere,
            filter_failed,
            overloaded,
            store_unreachable,
            upstream_unreachable,
            upstream_timed_out,
            too_many_logins,
            body_too_large,
            body_too_slow,
            too_many_requests,
        ] {
            all.extend([notice.title, notice.text]);
        }
        all.extend(Construct::ALL.map(construct));
        all
    }

    #[test]
    fn every_text_is_written_in_every_language() {
        let english = all(Language::English.texts());
        for language in Language::ALL {
            let texts = all(language.texts());
            for (text, english) in texts.iter().zip(&english) {
                assert!(!text.trim().is_empty(), "{language:?}: {english}");
                if language == Language::English {
                    assert!(text.is_ascii(), "{text}");
                } else {
                    assert_ne!(text, english, "{language:?}");
                    let words = text.split(|c: char| !c.is_alphanumeric());
                    let left = words.filter(|word| ["the", "this", "login", "please", "you", "your", "and", "was", "not"].contains(word));
                    assert_eq!(left.collect::<Vec<_>>(), Vec::<&str>::new(), "{language:?}: {text}");
                }
                // Names of headers and encodings are the same in every language.
                let is_construct = Construct::ALL.map(language.texts().construct).contains(text);
                if language == Language::Japanese && !is_construct {
                    assert!(!text.chars().any(|c| c.is_ascii_alphabetic()), "{text}");
                }
            }
        }
    }

    #[test]
    fn what_ends_a_websocket_fits_into_its_frame() {
        for language in Language::ALL {
            let reason = language.texts().session_ended;
            assert!(reason.len() <= 123, "{language:?}: {} bytes", reason.len());
        }
    }

    #[test]
    fn what_ends_in_a_full_stop_does_so_in_every_language() {
        let is_sentence = |text: &str| text.ends_with(['.', '。']);
        let english = all(Language::English.texts());
        for language in Language::ALL {
            for (text, english) in all(language.texts()).into_iter().zip(&english) {
                assert_eq!(
                    is_sentence(text),
                    is_sentence(english) || (english.starts_with("You are logged in as") && text.starts_with(' ')),
                    "{text}"
                );
            }
        }
    }
}
