//! What to do about a place that others can change, in a way that lets the program, and a service that reads the same files, read
//! them afterwards.
//!
//! 1. A change of the owner alone leaves group and mode: a user other than the owner reads the file as before. That is so for a
//!    user that runs this and is not root.
//! 2. Root reads everything, also where a service that runs as the owner would be locked out. So root is told to let the
//!    owner's group read the file, or to run the program as the owner.
//! 3. A folder has other entries, which its owner may have to write. So another folder is proposed first.

use std::fmt;
use std::path::Path;

use super::{PlaceKind, Reason, Weakness};

const ROOT: u32 = 0;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.weakness {
            // The names are for the reader only, and are looked up when they are shown.
            Weakness::Owner { owner, user } => write_owner(f, self, &Person::of(owner), &Person::of(user)),
            Weakness::Mode(mode) => write_mode(f, &self.place, mode),
        }
    }
}

/// A user, as far as the system knows it.
struct Person {
    id: u32,
    name: Option<String>,
    group: Option<String>,
}

impl Person {
    #[cfg(unix)]
    fn of(id: u32) -> Self {
        let accounts = super::accounts::Accounts::read();
        let name = accounts.as_ref().and_then(|accounts| accounts.name_of(id)).map(str::to_owned);
        let group = accounts.as_ref().and_then(|accounts| accounts.group_of(id)).map(str::to_owned);
        Self { id, name, group }
    }

    #[cfg(not(unix))]
    fn of(id: u32) -> Self {
        Self { id, name: None, group: None }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

fn write_owner(f: &mut fmt::Formatter<'_>, reason: &Reason, owner: &Person, user: &Person) -> fmt::Result {
    let place = reason.place.display();
    write!(f, "{place} belongs to user {owner}, and only ")?;
    match user.id {
        ROOT => f.write_str("root, the user that runs this, is accepted")?,
        _ => write!(f, "root and {user}, the user that runs this, are accepted")?,
    }
    match (reason.kind, user.id) {
        (PlaceKind::Link, _) => write!(f, ": run `chown -h root {place}`"),
        (PlaceKind::File, ROOT) => {
            let group = owner.group.as_deref().unwrap_or("GROUP");
            write!(
                f,
                ": run this as user {owner}, or run `chown root:{group} {place}` and `chmod 640 {place}`, \
                 so that a service in the group {group} can still read it"
            )
        }
        (PlaceKind::File, _) => write!(
            f,
            ": run `chown root {place}`, which leaves its group and mode, so that {user} can still read it; or run this as user {owner}"
        ),
        (PlaceKind::Folder, ROOT) => {
            write!(f, ": keep the file in a folder of root, /etc/vestibule for example, or run this as user {owner}")
        }
        (PlaceKind::Folder, _) => write!(
            f,
            ": keep the file in a folder of root, /etc/vestibule for example; or run `chown root {place}` if user {owner} need not \
             write there"
        ),
    }
}

fn write_mode(f: &mut fmt::Formatter<'_>, place: &Path, mode: u32) -> fmt::Result {
    const GROUP: u32 = 0o020;
    const OTHERS: u32 = 0o002;
    let place = place.display();
    let (who, letters) = match (mode & GROUP != 0, mode & OTHERS != 0) {
        (true, true) => ("its group and all users", "go"),
        (true, false) => ("its group", "g"),
        _ => ("all users", "o"),
    };
    write!(f, "{who} can write to {place} (mode {:04o}): run `chmod {letters}-w {place}`", mode & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Told<'a>(&'a Reason, &'a Person, &'a Person);

    impl fmt::Display for Told<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_owner(f, self.0, self.1, self.2)
        }
    }

    fn person(id: u32, name: &str) -> Person {
        let known = Some(name.to_owned()).filter(|name| !name.is_empty());
        Person { id, group: known.as_ref().map(|name| format!("{name}s")), name: known }
    }

    fn told(kind: PlaceKind, owner: &Person, user: &Person) -> String {
        let weakness = Weakness::Owner { owner: owner.id, user: user.id };
        Told(&Reason { place: "/srv/app".into(), kind, weakness }, owner, user).to_string()
    }

    #[test]
    fn a_service_can_read_its_file_after_the_remedy() {
        let (root, service, alice, unknown) = (person(0, "root"), person(998, "vestibule"), person(1000, "alice"), person(4242, ""));
        for (kind, owner, user, message) in [
            (
                PlaceKind::File,
                &alice,
                &service,
                "/srv/app belongs to user alice (1000), and only root and vestibule (998), the user that runs this, are accepted: run \
                 `chown root /srv/app`, which leaves its group and mode, so that vestibule (998) can still read it; or run this as user \
                 alice (1000)",
            ),
            (
                PlaceKind::File,
                &service,
                &root,
                "/srv/app belongs to user vestibule (998), and only root, the user that runs this, is accepted: run this as user \
                 vestibule (998), or run `chown root:vestibules /srv/app` and `chmod 640 /srv/app`, so that a service in the group \
                 vestibules can still read it",
            ),
            (
                PlaceKind::File,
                &unknown,
                &root,
                "/srv/app belongs to user 4242, and only root, the user that runs this, is accepted: run this as user 4242, or run \
                 `chown root:GROUP /srv/app` and `chmod 640 /srv/app`, so that a service in the group GROUP can still read it",
            ),
            (
                PlaceKind::Folder,
                &alice,
                &root,
                "/srv/app belongs to user alice (1000), and only root, the user that runs this, is accepted: keep the file in a folder of \
                 root, /etc/vestibule for example, or run this as user alice (1000)",
            ),
            (
                PlaceKind::Folder,
                &alice,
                &unknown,
                "/srv/app belongs to user alice (1000), and only root and 4242, the user that runs this, are accepted: keep the file in a \
                 folder of root, /etc/vestibule for example; or run `chown root /srv/app` if user alice (1000) need not write there",
            ),
            (
                PlaceKind::Link,
                &alice,
                &service,
                "/srv/app belongs to user alice (1000), and only root and vestibule (998), the user that runs this, are accepted: run \
                 `chown -h root /srv/app`",
            ),
        ] {
            assert_eq!(told(kind, owner, user), message);
        }
    }

    #[cfg(unix)]
    #[test]
    fn root_has_its_name() {
        assert_eq!(Person::of(ROOT).to_string(), "root (0)");
    }
}
