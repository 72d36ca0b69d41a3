//! The clients: where a request comes from, and how much of what is limited each client has left.

pub mod address;
pub mod budgets;
mod forwarded;
pub mod request_id;
pub mod seldom;
pub mod shares;
