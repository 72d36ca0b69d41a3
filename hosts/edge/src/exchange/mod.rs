//! One exchange between a peer and the application: from the head of the request to the end of what it has opened.

pub mod control;
pub mod control_folder;
mod counted;
#[cfg(test)]
mod documented;
pub mod ending;
pub mod failure;
pub mod judge;
pub mod open_exchanges;
pub mod proxy;
pub mod request_head;
mod serving;
pub mod session_ends;
