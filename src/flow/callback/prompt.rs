//! A `prompt` that the provider does not know.
//!
//! Streamlit sends `prompt=select_account`, which many providers refuse, each in words of its own. A login that sends it only
//! because Streamlit does, or because the user wants to choose, is started once more without it. An answer without `state` counts
//! for the newest attempt: providers refuse a parameter at once. Then the newest attempt is one without the prompt, so that no
//! browser goes round in circles.

use crate::code::Code;
use crate::decision::Level;
use crate::error::Error;
use crate::flow::{Context, Progress, Visit, login};
use crate::oidc::error::ReportedError;
use crate::oidc::provider::Provider;
use crate::session::LoginAttempt;

/// `prompt` of the authorization request that began this attempt.
pub(super) fn sent<'p>(attempt: &LoginAttempt, provider: &'p Provider) -> Option<&'p str> {
    if attempt.has_optional_prompt() { Some("select_account") } else { provider.prompt() }
}

/// Starts the login once more without a `prompt` that the provider may not know. That is not remembered: anybody can come
/// back with this error, and the next one would no more be asked which account to use.
pub(super) fn start_without(
    provider: &Provider,
    reported: &ReportedError,
    visit: &mut Visit,
    context: &mut Context<'_>,
) -> Result<Progress, Error> {
    visit.leave_prompt = true;
    let message = format!(
        "provider `{}` reports {reported}; starting the login once more without prompt=select_account: if it succeeds, set \
         client_kwargs = {{ prompt = \"\" }}",
        provider.name
    );
    visit.note(Level::Warn, Code::LoginWithoutPrompt, message);
    login::start(provider, visit, context)
}
