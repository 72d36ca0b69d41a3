//! The places where a list of ended sessions can be kept, read from `store`.
//!
//! 1. A place is `file:` with an absolute path, or a URL of Redis: `redis://`, `rediss://` or `redis+unix://`, in the form that its
//!    clients have in common.
//! 2. Every part has an effect, or is a fault: a key that is unknown or doubled, a user without a password, a fragment.
//! 3. No fault shows anything of the text, which may hold a password.

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::secret::Secret;

/// Longest path that systems take, in bytes (`PATH_MAX` of Linux, with its last zero).
const MAX_PATH: usize = 4095;

/// Longest path of a socket, in bytes (`sun_path` of Linux, without its last zero; unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// Longest name of a host, in characters (RFC 1035 section 2.3.4).
const MAX_HOST: usize = 253;

/// The port that is registered for Redis.
const PORT: u16 = 6379;

/// Where a list of ended sessions is kept.
#[derive(Clone, Debug)]
pub enum StorePlace {
    /// An absolute path.
    File(String),
    /// A server of Redis or Valkey.
    Redis(RedisServer),
}

/// A server of Redis, and who Vestibule is to it.
#[derive(Clone, Debug)]
pub struct RedisServer {
    pub address: RedisAddress,
    /// As `SELECT` takes it.
    pub database: u16,
    /// `None`: no `AUTH` is sent.
    pub login: Option<RedisLogin>,
}

/// How a server of Redis is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisAddress {
    /// A name or an IP address, without brackets.
    Tcp { host: String, port: u16, is_tls: bool },
    /// The absolute path of a socket.
    Unix(String),
}

/// What `AUTH` is sent with.
#[derive(Clone, Debug)]
pub struct RedisLogin {
    /// `None`: the default user.
    pub user: Option<String>,
    pub password: Secret,
}

/// Why a text is no place for a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoStorePlace {
    #[error("is not the address of a store")]
    Form,
    #[error("names no absolute path of a file")]
    FilePath,
    #[error("names a host, and a file is on this machine")]
    FileHost,
    #[error("names no host with a port from 1 to 65535")]
    Host,
    #[error("names no database from 0 to 65535")]
    Database,
    #[error("has a query, which only redis+unix:// can have")]
    Query,
    #[error("has a key in its query that is none of db, user and pass")]
    UnknownKey,
    #[error("has a key of its query twice")]
    DoubledKey,
    #[error("has a user without a password, or an empty user or password")]
    NoPassword,
    #[error("has a host or a user before the path of a socket")]
    SocketHost,
    #[error("names no path of a socket with at most 107 bytes")]
    SocketPath,
    #[error("has a fragment (#)")]
    Fragment,
    #[error("has percent-encoded bytes that are not UTF-8, or a control character")]
    Encoding,
}

impl NoStorePlace {
    /// What to write instead.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Form => {
                "write \"redis://host:6379\", \"rediss://host:6379\", \"redis+unix:///run/redis/redis.sock\", or \"file:\" with an absolute path"
            }
            Self::FilePath | Self::FileHost => "write \"file:/var/lib/vestibule/ended\" for example",
            Self::Host => "write \"redis://host:6379\" or \"rediss://host:6379\"",
            Self::Database => "write redis://host:6379/1 or redis+unix:///run/redis/redis.sock?db=1 for database 1",
            Self::Query => "write the database behind the host, redis://host:6379/1, and user and password before it",
            Self::UnknownKey | Self::DoubledKey => {
                "the keys are db, user and pass, each once: redis+unix:///run/redis/redis.sock?db=1&user=USER&pass=PASSWORD"
            }
            Self::NoPassword => {
                "write both, redis://USER:PASSWORD@host:6379 or redis+unix:///run/redis/redis.sock?user=USER&pass=PASSWORD, or remove them"
            }
            Self::SocketHost => {
                "write three slashes, and user and password behind the path: redis+unix:///run/redis/redis.sock?user=USER&pass=PASSWORD"
            }
            Self::SocketPath => "write redis+unix:///run/redis/redis.sock for example",
            Self::Fragment => "remove it; write # in a password as %23",
            Self::Encoding => "write user, password and path as UTF-8, percent-encoded",
        }
    }
}

impl StorePlace {
    /// Reads `file:` with an absolute path, or a URL of Redis. User, password and the path of a socket are percent-decoded; the path of
    /// a file is as it stands there.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(text: &str) -> Result<Self, NoStorePlace> {
        if let Some(path) = text.strip_prefix("file:") {
            return file(path).map(Self::File);
        }
        // The parser of URLs removes these.
        if text.contains(char::is_control) || text.trim() != text {
            return Err(NoStorePlace::Form);
        }
        let (scheme, rest) = text.split_once("://").ok_or(NoStorePlace::Form)?;
        let url = |fault| Url::parse(text).map_err(|_| fault);
        let server = match scheme {
            "redis" | "rediss" => over_tcp(&url(NoStorePlace::Host)?, rest, scheme == "rediss"),
            "redis+unix" => over_unix(&url(NoStorePlace::SocketHost)?, rest),
            _ => Err(NoStorePlace::Form),
        };
        server.map(Self::Redis)
    }
}

fn file(text: &str) -> Result<String, NoStorePlace> {
    // `file:///path` is `file:/path` (RFC 8089 section 2).
    let path = text.strip_prefix("//").unwrap_or(text);
    if text != path && !path.starts_with('/') {
        return Err(NoStorePlace::FileHost);
    }
    // Relative to which folder would be anybody's guess.
    let is_absolute = path.starts_with('/') && !path.starts_with("//");
    let is_named = path.rsplit('/').next().is_some_and(|name| !["", ".", ".."].contains(&name));
    let is_path = is_absolute && is_named && path.len() <= MAX_PATH && !path.contains(char::is_control);
    if is_path { Ok(path.to_owned()) } else { Err(NoStorePlace::FilePath) }
}

/// `rest`: what is behind `://`, as it was written.
fn over_tcp(url: &Url, rest: &str, is_tls: bool) -> Result<RedisServer, NoStorePlace> {
    // A fragment would switch the verification of certificates off in other programs.
    if url.fragment().is_some() {
        return Err(NoStorePlace::Fragment);
    }
    if url.query().is_some() {
        return Err(NoStorePlace::Query);
    }
    let host = match url.host() {
        Some(Host::Domain(name)) if is_host(name) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        _ => return Err(NoStorePlace::Host),
    };
    let port = url.port().unwrap_or(PORT);
    if port == 0 {
        return Err(NoStorePlace::Host);
    }
    let database = match url.path() {
        "" | "/" => 0,
        path => path.strip_prefix('/').map_or(Err(NoStorePlace::Database), database)?,
    };
    let login = match authority(rest).rsplit_once('@') {
        None => None,
        Some(_) => {
            let (user, password) = (decoded(url.username())?, decoded(url.password().unwrap_or_default())?);
            Some(login(Some(user).filter(|user| !user.is_empty()), Some(password))?)
        }
    };
    Ok(RedisServer { address: RedisAddress::Tcp { host, port, is_tls }, database, login })
}

fn over_unix(url: &Url, rest: &str) -> Result<RedisServer, NoStorePlace> {
    if url.fragment().is_some() {
        return Err(NoStorePlace::Fragment);
    }
    if !authority(rest).is_empty() {
        return Err(NoStorePlace::SocketHost);
    }
    let path = decoded(url.path())?;
    if path.ends_with('/') || !path.starts_with('/') || path.len() > MAX_SOCKET_PATH {
        return Err(NoStorePlace::SocketPath);
    }
    let (mut number, mut user, mut password) = (None, None, None);
    // Not as a form, in which `+` is a space: as in the other URLs.
    for part in url.query().into_iter().flat_map(|query| query.split('&')) {
        let (key, value) = part.split_once('=').ok_or(NoStorePlace::UnknownKey)?;
        let slot = match &*decoded(key)? {
            "db" => &mut number,
            "user" => &mut user,
            "pass" => &mut password,
            _ => return Err(NoStorePlace::UnknownKey),
        };
        if slot.replace(decoded(value)?).is_some() {
            return Err(NoStorePlace::DoubledKey);
        }
    }
    let database = number.map_or(Ok(0), |number| database(&number))?;
    let login = if user.is_some() || password.is_some() { Some(login(user, password)?) } else { None };
    Ok(RedisServer { address: RedisAddress::Unix(path), database, login })
}

/// Without a password, clients send no user either.
fn login(user: Option<String>, password: Option<String>) -> Result<RedisLogin, NoStorePlace> {
    let is_empty = |text: &Option<String>| text.as_deref() == Some("");
    if is_empty(&user) || is_empty(&password) {
        return Err(NoStorePlace::NoPassword);
    }
    Ok(RedisLogin { user, password: Secret::new(password.ok_or(NoStorePlace::NoPassword)?) })
}

/// Digits only: `+1` is a number to parsers, and not to people.
fn database(text: &str) -> Result<u16, NoStorePlace> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits).ok_or(NoStorePlace::Database)
}

fn authority(rest: &str) -> &str {
    rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end])
}

fn is_host(name: &str) -> bool {
    (1..=MAX_HOST).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn decoded(text: &str) -> Result<String, NoStorePlace> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| NoStorePlace::Encoding)?;
    if decoded.contains(char::is_control) { Err(NoStorePlace::Encoding) } else { Ok(decoded.into_owned()) }
}

#[cfg(test)]
mod tests;
