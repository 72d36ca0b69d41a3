//! Where a store is, from the URL of a configuration.

use std::fmt;
use std::path::PathBuf;

use redis::RedisConnectionInfo;
pub use vestibule::config::NoStorePlace as NoLocation;
use vestibule::config::{RedisAddress, StorePlace};

/// Where a store is.
#[derive(Clone)]
pub enum Location {
    /// An absolute path.
    File(PathBuf),
    Redis(Server),
}

/// A server of Redis, and who this is to it.
#[derive(Clone)]
pub struct Server {
    pub(super) address: Address,
    pub(super) login: RedisConnectionInfo,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp { host: String, port: u16, is_tls: bool },
    Unix(PathBuf),
}

impl Location {
    /// Reads `redis://`, `rediss://`, `redis+unix://` or `file:` with an absolute path: see [`StorePlace::parse`].
    ///
    /// # Errors
    /// [`NoLocation`] for anything else.
    pub fn parse(url: &str) -> Result<Self, NoLocation> {
        StorePlace::parse(url).map(Self::from)
    }
}

impl From<StorePlace> for Location {
    fn from(place: StorePlace) -> Self {
        let server = match place {
            StorePlace::File(path) => return Self::File(path.into()),
            StorePlace::Redis(server) => server,
        };
        let address = match server.address {
            // TLS is ours: to the client it is a connection like any other.
            RedisAddress::Tcp { host, port, is_tls } => Address::Tcp { host, port, is_tls },
            RedisAddress::Unix(path) => Address::Unix(path.into()),
        };
        let mut login = RedisConnectionInfo::default().set_db(server.database.into()).set_skip_set_lib_name();
        if let Some(known) = server.login {
            login = login.set_password(known.password.expose());
            if let Some(user) = known.user {
                login = login.set_username(user);
            }
        }
        Self::Redis(Server { address, login })
    }
}

impl Server {
    /// How it is connected to and who this is to it, in lines for a person; without the password.
    pub(super) fn told(&self) -> Vec<String> {
        let connection = match &self.address {
            Address::Tcp { host, is_tls: true, .. } => format!("connection: TLS, with a certificate for {host}"),
            Address::Tcp { .. } => "connection: TCP, unencrypted".to_owned(),
            Address::Unix(_) => "connection: Unix socket".to_owned(),
        };
        let login = match (self.login.username(), self.login.password()) {
            (Some(user), Some(_)) => format!("login: user `{user}`, with a password"),
            (Some(user), None) => format!("login: user `{user}`, without a password"),
            (None, Some(_)) => "login: the default user, with a password".to_owned(),
            (None, None) => "login: none".to_owned(),
        };
        vec![connection, login]
    }

    pub(super) fn host(&self) -> Option<String> {
        if let Address::Tcp { host, .. } = &self.address { Some(host.clone()) } else { None }
    }
}

/// Without user and password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Redis(Server { address: Address::Unix(path), .. }) => write!(f, "redis+unix://{}", path.display()),
            Self::Redis(Server { address: Address::Tcp { host, port, is_tls }, .. }) => {
                let (scheme, (open, close)) =
                    (if *is_tls { "rediss" } else { "redis" }, if host.contains(':') { ("[", "]") } else { ("", "") });
                write!(f, "{scheme}://{open}{host}{close}:{port}")
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Redis(one), Self::Redis(other)) => one.address == other.address && who(one) == who(other),
            _ => false,
        }
    }
}

impl Eq for Location {}

/// Database, user and password.
fn who(server: &Server) -> (i64, Option<&str>, Option<&str>) {
    (server.login.db(), server.login.username(), server.login.password())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_has_its_place_and_no_secret_is_shown() {
        let long = "redis://alice:s%40cret@[::1]:7000/3";
        for (url, shown) in [
            ("file:/var/lib/vestibule/ended", "file:/var/lib/vestibule/ended"),
            ("redis://redis.example", "redis://redis.example:6379"),
            ("rediss://:s%40cret@redis.example:6380/1", "rediss://redis.example:6380"),
            ("redis+unix:///run/redis.sock?user=alice&pass=s%40cret&db=1", "redis+unix:///run/redis.sock"),
            (long, "redis://[::1]:7000"),
        ] {
            let location = Location::parse(url).expect(url);
            assert_eq!((location.to_string(), format!("{location:?}")), (shown.to_owned(), shown.to_owned()));
        }
        let Ok(Location::Redis(server)) = Location::parse(long) else { panic!("a server") };
        assert_eq!((server.login.username(), server.login.password(), server.login.db()), (Some("alice"), Some("s@cret"), 3));
    }

    #[test]
    fn a_place_is_another_one_if_any_part_differs() {
        let urls = [
            "file:/ended",
            "file:/other",
            "redis://h",
            "rediss://h",
            "redis://h:7000",
            "redis://h/1",
            "redis://:a@h",
            "redis://:b@h",
            "redis://u:a@h",
            "redis+unix:///h",
            "redis+unix:///h?db=1",
            "redis+unix:///h?pass=a",
        ];
        for (index, one) in urls.iter().enumerate() {
            for (other_index, other) in urls.iter().enumerate() {
                let [one, other] = [one, other].map(|url| Location::parse(url).expect(url));
                assert_eq!(one == other, index == other_index, "{one} {other}");
            }
        }
        assert_eq!(Location::parse("redis://h"), Location::parse("redis://h:6379/0"));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for (url, fault) in [
            ("file:ended", NoLocation::FilePath),
            ("http://redis.example", NoLocation::Form),
            ("redis+unix:///run/s?DB=3&user=nobody&password=x", NoLocation::UnknownKey),
        ] {
            assert_eq!(Location::parse(url).err(), Some(fault), "{url}");
        }
    }
}
