//! HTTP as the core sees it, and the addresses of this application in it.

pub mod construct;
pub mod cors;
pub mod embedding;
pub mod field_lines;
pub mod http;
pub mod origin;
pub mod proxy_headers;
pub mod request_id;
pub mod return_to;
pub(crate) mod route;
pub mod route_prefix;
pub mod trusted_proxies;
