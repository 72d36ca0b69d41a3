//! English, which what programs read is written in as well.

use super::texts::{Around, Notice, Texts, Told};
use crate::web::construct::Construct;

const AGAIN: &str = "Please log in again.";
const LATER: &str = "Please try again in a minute. If it stays like this, contact the site administrator.";
const AGAIN_OR_TELL: &str = "Please try again; if it happens again, contact the site administrator and give the reference number.";
const OPERATOR: &str = "Please contact the site administrator and give the reference number.";
const BACK: &str = "Go back to the application.";
const NOT_LOGGED_IN: &str = "You were not logged in";
const FAILED: &str = "The login failed";
const NOT_AVAILABLE: &str = "The login is not available now";
const NOT_HERE: &str = "This does not work here";

pub(super) const TEXTS: Texts = Texts {
    log_in: "Log in",
    log_in_with: Around("Log in with ", ""),
    log_in_for: Around("Log in for ", ""),
    try_again: "Try again",
    try_again_for: Around("Try again for ", ""),
    use_another_account: "Use another account",
    log_out: "Log out",
    log_out_here: "Log out here only",
    log_out_everywhere: "Log out everywhere",
    back_to_the_application: "Back to the application",

    choose: "Choose how you want to log in.",
    on_the_way: "You are on your way to the login.",
    last_used: "Last used",
    logged_out: Notice { title: "You are logged out", text: "You can close this page, or log in again." },
    address_too_long: Notice {
        title: "You are logged in",
        text: "The link that you opened is too long to be kept during a login. Please open it again.",
    },
    everywhere: Notice {
        title: "Log out everywhere?",
        text: "Every session of your account in this application ends, in all browsers and on all devices.",
    },
    session_ended: "Your session has ended. Reload the page to log in again.",
    reference_number: "Reference number:",
    request_id: "Request ID:",

    malformed: Told {
        title: "This request cannot be understood",
        happened: "The address or a header of the request is malformed.",
        advice: "Check the address, or go back to the application.",
    },
    malformed_by: Around("Ambiguous part: ", "."),
    construct,
    method_not_allowed: Told { title: NOT_HERE, happened: "This page can be visited, but nothing can be sent to it.", advice: BACK },
    not_visited: Told {
        title: NOT_HERE,
        happened: "This address is made to be visited from this application, not to be fetched by another page.",
        advice: BACK,
    },
    login_required: Told {
        title: "Please log in",
        happened: "You are not logged in, or your login has ended. Your request was not passed on.",
        advice: "Log in, then do it again.",
    },
    not_a_page: Told { title: "There is nothing here", happened: "No page has this address.", advice: BACK },
    account_denied: Notice { title: "This account has no access", text: "Use another account, or ask the site administrator for access." },
    denied_as: Around("You are logged in as ", ", and this account may not see this page."),
    everybody_denied: Told { title: "There is no access to this", happened: "No user has access to this page.", advice: BACK },
    unknown_provider: Told {
        title: "There is no such login",
        happened: "The link names a way to log in that this application does not have.",
        advice: AGAIN,
    },
    login_initiation: Told {
        title: "This login cannot be started",
        happened: "The site that sent you here did not say which login it means, or not in the form that it takes.",
        advice: AGAIN,
    },
    another_issuer: Told {
        title: "This login was stopped",
        happened: "The answer came from another provider than the one you were sent to. You were not logged in.",
        advice: "Please log in again. If it happens again, contact the site administrator and give the reference number.",
    },
    not_an_answer: Told {
        title: FAILED,
        happened: "The provider's response is not an answer to a login, so you were not logged in.",
        advice: AGAIN_OR_TELL,
    },
    unknown_state: Told {
        title: "This login cannot be finished",
        happened: "It was not started in this browser, or it has already been used, or it took too long.",
        advice: AGAIN,
    },
    attempt_used: Told {
        title: "This login was already used",
        happened: "The same login was sent here before, by this browser or by a copy of it. You may be logged in already.",
        advice: AGAIN,
    },
    login_ended: Told {
        title: "This login was ended",
        happened: "Your account was logged out everywhere while you were logging in, or just before.",
        advice: AGAIN,
    },
    cancelled: Told {
        title: NOT_LOGGED_IN,
        happened: "The login was cancelled, or the provider did not give this application access to your account.",
        advice: "You can try again, or choose another account.",
    },
    consent_required: Told {
        title: NOT_LOGGED_IN,
        happened: "The provider needs your consent to tell this application who you are, and did not get it.",
        advice: "Log in again and agree, or ask the site administrator to grant the consent for all users.",
    },
    provider_login_required: Told {
        title: NOT_LOGGED_IN,
        happened: "You have no login with the provider now, and it did not ask for one.",
        advice: AGAIN,
    },
    interaction_required: Told {
        title: NOT_LOGGED_IN,
        happened: "The provider needs something more from you before it can log you in, such as a second factor or a choice of account.",
        advice: "Log in again, and follow the provider's pages to their end.",
    },
    provider_in_trouble: Told { title: NOT_AVAILABLE, happened: "The provider that checks logins has trouble of its own.", advice: LATER },
    provider_refused: Told { title: FAILED, happened: "The provider could not log you in.", advice: AGAIN_OR_TELL },
    provider_unreachable: Told { title: NOT_AVAILABLE, happened: "The provider that checks logins cannot be reached.", advice: LATER },
    answer_unacceptable: Told {
        title: FAILED,
        happened: "The provider's answer could not be accepted, so you were not logged in.",
        advice: AGAIN_OR_TELL,
    },
    session_too_large: Told {
        title: "The login does not fit",
        happened: "The provider says more about you than a browser can keep (often a very long list of groups).",
        advice: OPERATOR,
    },
    not_set_up: Told {
        title: "The login is not set up",
        happened: "This application's login has no working configuration.",
        advice: OPERATOR,
    },
    not_remembered: Told {
        title: NOT_HERE,
        happened: "This installation does not remember which sessions have ended, so it can only end the session in this browser.",
        advice: "Log out here, and in each of the other browsers.",
    },
    not_refreshable: Told {
        title: "The session cannot be refreshed",
        happened: "The provider issued no refresh token for this session, or does not accept it any more.",
        advice: "Log in again.",
    },
    refreshed_too_soon: Told {
        title: "The session is fresh",
        happened: "The provider answered less than a minute ago.",
        advice: "Wait for a minute, then try again.",
    },

    filter_failed: Notice {
        title: "Something went wrong",
        text: "The login failed to decide about this request, so it was not passed on.",
    },
    overloaded: Notice { title: "Too busy", text: "There are more requests than can be answered now. Please try again in a moment." },
    store_unreachable: Notice {
        title: "Please try again soon",
        text: "At the moment it cannot be checked whether your session is still valid. Please try again in a minute.",
    },
    upstream_unreachable: Notice {
        title: "The application is not available",
        text: "It cannot be reached now. Please try again in a minute.",
    },
    upstream_timed_out: Notice { title: "The application does not answer", text: "It took too long. Please try again in a minute." },
    too_many_logins: Notice {
        title: "Too many logins",
        text: "There were more logins from your network than are allowed in a minute. Nothing is lost: please try again in a moment.",
    },
    body_too_large: Notice { title: "Too much was sent", text: "The request is larger than the limit of this site." },
    body_too_slow: Notice { title: "The request took too long", text: "The request did not arrive completely in time." },
    too_many_requests: Notice {
        title: "Too many requests",
        text: "There are more requests from your network at once than are allowed. Please try again in a moment.",
    },
};

fn construct(construct: Construct) -> &'static str {
    match construct {
        Construct::EmptySegment => "an empty part of the address (//)",
        Construct::DotSegment => "a . or .. in the address, or a part that can be read as one of them",
        Construct::BrokenEscape => "a % without two hexadecimal digits",
        Construct::ControlCharacter => "an encoded control character (%00 to %1F, %7F)",
        Construct::EscapedTwice => "a character that is encoded twice (%2561)",
        Construct::NotUtf8 => "bytes that are not UTF-8",
        Construct::EncodedSeparator => "an encoded slash or backslash (%2F, %5C)",
        Construct::Parameter => "a ; or & in the address",
        Construct::EncodedEnd => "an encoded ? or # (%3F, %23)",
        Construct::SegmentEnd => "a dot, colon or space at the end of a part of the address, or a space at its beginning",
        Construct::Plus => "a + in the address",
        Construct::SessionSegment => "a session in the address ((S(x)))",
        Construct::LetterCase => "capital and small letters in the address",
        Construct::Characters => "special characters in the address that can be taken for others",
        Construct::TooLong => "an address that is too long, or that can be read in too many ways",
        Construct::MethodCase => "a method in small letters",
        Construct::MethodOverride => "a header that names another method, such as X-HTTP-Method-Override",
        Construct::Host => "the host (the header Host), which is missing, there twice or not in the right form",
        Construct::Target => "an address that is too long, or has #, \\ or a character that must be encoded",
    }
}
