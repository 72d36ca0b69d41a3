//! The protocol's artefacts: each is a request to build or an answer to parse. Nothing here knows of cookies or pages.

pub mod authorization;
pub mod cache;
pub mod end_session;
pub mod error;
pub mod grant;
pub mod id_token;
pub mod issuer;
pub mod jwks;
mod jws;
pub mod logout_token;
pub mod logout_url;
pub mod metadata;
mod metadata_document;
mod outbound;
pub mod provider;
pub mod refresh;
mod refusal;
mod reported_error;
pub mod revocation;
pub mod signature;
pub mod token;
pub mod userinfo;
