//! One file per endpoint.

pub(crate) mod about;
pub(crate) mod authorization;
pub(crate) mod discovery;
pub(crate) mod end_session;
pub(crate) mod jwks;
pub(crate) mod token;
pub(crate) mod userinfo;
