//! Groups of one: where each user has a group of its own, as on Debian, Ubuntu and Fedora, files are often writable for it,
//! and nobody else can write to them by that.

use super::accounts::{Accounts, User, field};

/// Whether nobody but `user` is in a group, by the files of the system. Of users and groups that are kept elsewhere (LDAP) it
/// is not known, so theirs are not. Root's never is: what administrators share belongs to it.
pub(super) fn is_private(group: u32, user: u32) -> bool {
    Accounts::read().is_some_and(|Accounts { users, groups }| has_one_member(group, user, &users, &groups))
}

/// `users` and `groups` as in passwd(5) and group(5).
fn has_one_member(group: u32, user: u32, users: &str, groups: &str) -> bool {
    let users: Vec<_> = users.lines().filter_map(User::parse).collect();
    let names: Vec<_> = users.iter().filter(|known| known.id == user).map(|known| known.name).collect();
    let is_own = users.iter().any(|known| known.id == user && known.group == group);
    let is_others = users.iter().any(|known| known.id != user && known.group == group);
    let mut listed = groups.lines().filter(|line| field(line, 2) == Some(group)).peekable();
    let is_listed = listed.peek().is_some();
    let mut members = listed.flat_map(|line| line.split(':').nth(3).unwrap_or_default().split(','));
    user != 0 && is_own && !is_others && is_listed && members.all(|member| member.trim().is_empty() || names.contains(&member.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/bash\n\
        alice:x:1000:1000::/home/alice:/bin/bash\n\
        bob:x:1001:1001::/home/bob:/bin/bash\n\
        carol:x:1002:100::/home/carol:/bin/bash\n\
        dave:x:1003:100::/home/dave:/bin/bash\n\
        broken\n";

    #[test]
    fn a_group_is_private_when_nobody_else_is_in_it() {
        let private = |group, user, groups: &str| has_one_member(group, user, USERS, groups);
        assert!(private(1000, 1000, "root:x:0:\nalice:x:1000:\n"));
        assert!(private(1000, 1000, "alice:x:1000:alice\n"));
        for (group, user, groups, why) in [
            (1000, 1000, "alice:x:1000:bob", "another member"),
            (1000, 1000, "alice:x:1000:alice,bob", "another member"),
            (1000, 1000, "alice:x:1000:\nalso:x:1000:bob", "a second name for it"),
            (1000, 1000, "bob:x:1001:", "not listed"),
            (1000, 1000, "", "not listed"),
            (1001, 1000, "bob:x:1001:", "another's"),
            (100, 1002, "users:x:100:", "the group of two"),
            (27, 1000, "sudo:x:27:alice", "not the user's own"),
            (1004, 1004, "erin:x:1004:", "a user who is not listed"),
            (0, 0, "root:x:0:", "root's"),
        ] {
            assert!(!private(group, user, groups), "{why}");
        }
    }
}
