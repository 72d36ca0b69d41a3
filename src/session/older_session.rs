//! Sessions as earlier releases sealed them: read, and not written.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::login_session::{Login, Names, Times};
use crate::claims::{Claims, Id, Packed};
use crate::time::UnixTime;

/// What stands before the claims in version 2 of the envelope. The order of the fields is that of the format (postcard).
#[derive(Deserialize)]
struct LoginOfVersionTwo<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    provider: Cow<'a, str>,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(borrow)]
    metadata_tag: Cow<'a, str>,
    names: Names,
    started_at: UnixTime,
    requested_at: UnixTime,
    expires_at: UnixTime,
    seen_at: UnixTime,
}

/// A session as envelopes of version 1 hold it. One without `requested_at` was sealed before its claims were known to be
/// the ID token's where they must be: it does not open.
#[derive(Deserialize)]
struct SessionOfVersionOne {
    #[serde(rename = "i")]
    id: String,
    #[serde(rename = "p")]
    provider: String,
    #[serde(rename = "c")]
    client_id: String,
    #[serde(rename = "t")]
    started_at: UnixTime,
    #[serde(rename = "r")]
    requested_at: UnixTime,
    #[serde(rename = "m")]
    metadata_tag: String,
    #[serde(rename = "e")]
    expires_at: UnixTime,
    #[serde(rename = "s")]
    seen_at: UnixTime,
    #[serde(rename = "u")]
    claims: Map<String, Value>,
}

pub(super) fn read_version_two(plaintext: &[u8]) -> Option<(Login<'_>, Packed<'_>)> {
    let (login, packed) = postcard::from_bytes::<(LoginOfVersionTwo<'_>, Packed<'_>)>(plaintext).ok()?;
    let LoginOfVersionTwo { id, provider, client_id, metadata_tag, names, started_at, requested_at, expires_at, seen_at } = login;
    let times = Times { started_at, requested_at, expires_at, seen_at };
    Some((Login { older_id: id, provider, client_id: Id::new(client_id), metadata_tag, names, times }, packed))
}

pub(super) fn read_version_one(plaintext: &[u8]) -> Option<(Login<'static>, Claims<'static>)> {
    let read: SessionOfVersionOne = serde_json::from_slice(plaintext).ok()?;
    let SessionOfVersionOne { id, provider, client_id, started_at, requested_at, metadata_tag, expires_at, seen_at, claims } = read;
    let claims = Claims::from(claims);
    let login = Login {
        names: Names::of_older(&id, &claims),
        older_id: id.into(),
        provider: provider.into(),
        client_id: Id::new(client_id.into()),
        metadata_tag: metadata_tag.into(),
        times: Times { started_at, requested_at, expires_at, seen_at },
    };
    Some((login, claims))
}
