//! Which requests to providers a host sends: by their URL, by who has named its origin, and by the network that the name
//! resolves to.

pub mod documents;
pub mod networks;
pub mod urls;
