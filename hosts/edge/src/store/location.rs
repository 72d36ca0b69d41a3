//! Where a store is, from the URL of a configuration.

use std::fmt;
use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo};
use url::Url;

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
    /// The URL, to compare.
    url: String,
}

#[derive(Clone, Debug)]
pub(super) enum Address {
    Tcp { host: String, port: u16, is_tls: bool },
    Unix(PathBuf),
}

/// What is no place for a store. The text shows nothing of the URL, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL of the store does not begin with redis://, rediss://, redis+unix:// or file:")]
pub struct NoLocation;

impl Location {
    /// Reads `redis://`, `rediss://`, `redis+unix://` or `file:` with an absolute path.
    ///
    /// # Errors
    /// [`NoLocation`] for anything else.
    pub fn parse(url: &str) -> Result<Self, NoLocation> {
        if let Some(path) = url.strip_prefix("file:") {
            return if path.starts_with('/') { Ok(Self::File(path.into())) } else { Err(NoLocation) };
        }
        let parsed = Url::parse(url).map_err(|_| NoLocation)?;
        // A fragment would switch the verification of certificates off, where it means anything.
        if parsed.fragment().is_some() {
            return Err(NoLocation);
        }
        let is_tls = parsed.scheme() == "rediss";
        // TLS is ours: to the client it is a connection like any other.
        let plain = match (parsed.scheme(), url.split_once("://")) {
            ("rediss", Some((_, rest))) => format!("redis://{rest}"),
            ("redis" | "redis+unix", _) => url.to_owned(),
            _ => return Err(NoLocation),
        };
        let info = plain.into_connection_info().map_err(|_| NoLocation)?;
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Address::Tcp { host: host.clone(), port: *port, is_tls },
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return Err(NoLocation),
        };
        let login = info.redis_settings().clone().set_skip_set_lib_name();
        Ok(Self::Redis(Server { address, login, url: url.to_owned() }))
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
            (Self::Redis(one), Self::Redis(other)) => one.url == other.url,
            _ => false,
        }
    }
}

impl Eq for Location {}

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
    fn what_is_no_place_is_refused() {
        for url in [
            "",
            "file:",
            "file:ended",
            "http://redis.example",
            "rediss://redis.example/#insecure",
            "redis://",
            "redis.example",
            "redis://h/x",
            "unix:///run/s",
        ] {
            assert_eq!(Location::parse(url).err(), Some(NoLocation), "{url}");
        }
    }
}
