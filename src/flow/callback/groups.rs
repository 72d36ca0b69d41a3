//! What the log says of a login whose groups are not told in the form that the configuration states.

use crate::account::Account;
use crate::claims::Unusable;
use crate::code::Code;
use crate::decision::Level;
use crate::flow::{Context, Visit};
use crate::identity::headers;

/// Nothing of what the claim holds. What depends on the person is said at each of their logins; what does not, once.
pub(super) fn tell(account: &Account<'_>, visit: &mut Visit, context: &mut Context<'_>) {
    let identity = &context.config.identity;
    let name = identity.groups.name();
    if headers::groups_are_withheld(account, identity) {
        let message = "the provider withholds the groups of this user because there are too many; the application gets none";
        visit.note(Level::Warn, Code::IdentityGroupsWithheld, message);
    }
    if let Some(Unusable { found, remedy }) = headers::unusable_groups(account, identity) {
        let message = format!("the claim `{name}` is {found} and gives no groups: {remedy} in [vestibule.identity]");
        visit.note(Level::Warn, Code::IdentityGroupsUnusable, message);
    }
    if let Some(mark) = headers::doubtful_groups(account, identity)
        && context.cache.is_news(Code::IdentityGroupsDoubtful)
    {
        let message = format!(
            "the claim `{name}` is one text with {mark} in it, and counts as one group: if it holds several, set groups_shape in \
             [vestibule.identity]; this is logged once"
        );
        visit.note(Level::Warn, Code::IdentityGroupsDoubtful, message);
    }
    if context.config.wants_groups
        && let Some(end) = headers::missing_groups(account, identity)
        && context.cache.is_news(Code::IdentityGroupsMissing)
    {
        let message = format!(
            "a login has no groups, since {end}: see what the provider sends at /user of Vestibule's routes, and set groups_claim in \
             [vestibule.identity]; this is logged once"
        );
        visit.note(Level::Warn, Code::IdentityGroupsMissing, message);
    }
}
