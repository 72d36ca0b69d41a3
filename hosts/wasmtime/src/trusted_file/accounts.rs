//! The users and groups that the files of the system list (passwd(5), group(5)). Those that are kept elsewhere (LDAP) are unknown.

use std::fs::File;
use std::io::Read as _;

/// More than any machine has of users that are listed in a file.
const MAX_BYTES: u64 = 4 << 20;

/// The content of the two files.
pub(super) struct Accounts {
    pub(super) users: String,
    pub(super) groups: String,
}

impl Accounts {
    /// `None` where one of them cannot be read.
    pub(super) fn read() -> Option<Self> {
        let read = |path: &str| {
            let mut text = String::new();
            File::open(path).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
            Some(text)
        };
        Some(Self { users: read("/etc/passwd")?, groups: read("/etc/group")? })
    }

    /// The name of a user.
    pub(super) fn name_of(&self, user: u32) -> Option<&str> {
        self.find(user).map(|known| known.name)
    }

    /// The name of a user's own group.
    pub(super) fn group_of(&self, user: u32) -> Option<&str> {
        let group = self.find(user)?.group;
        let line = self.groups.lines().find(|line| field(line, 2) == Some(group))?;
        line.split(':').next().filter(|name| !name.is_empty())
    }

    fn find(&self, user: u32) -> Option<User<'_>> {
        self.users.lines().filter_map(User::parse).find(|known| known.id == user && !known.name.is_empty())
    }
}

/// One line of passwd(5).
pub(super) struct User<'a> {
    pub(super) name: &'a str,
    pub(super) id: u32,
    pub(super) group: u32,
}

impl<'a> User<'a> {
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        Some(User { name: line.split(':').next()?, id: field(line, 2)?, group: field(line, 3)? })
    }
}

/// A number in a line of either file.
pub(super) fn field(line: &str, index: usize) -> Option<u32> {
    line.split(':').nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_their_groups_have_the_names_that_the_files_list() {
        let accounts = Accounts {
            users: "root:x:0:0:root:/root:/bin/bash\nvestibule:x:998:997::/:/bin/false\nlost:x:7:7::/:\n:x:8:997::/:\nbroken\n".into(),
            groups: "root:x:0:\nservices:x:997:alice\nbroken\n".into(),
        };
        for (user, name, group) in [
            (0, Some("root"), Some("root")),
            (998, Some("vestibule"), Some("services")),
            (7, Some("lost"), None),
            (8, None, None),
            (4242, None, None),
        ] {
            assert_eq!((accounts.name_of(user), accounts.group_of(user)), (name, group), "{user}");
        }
    }
}
