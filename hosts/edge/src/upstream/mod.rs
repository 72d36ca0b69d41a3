//! The application behind the edge: where it is, which server it is, and what requests and responses carry there and back.

pub mod application;
pub mod application_server;
pub mod authorities;
pub mod forwarding;
