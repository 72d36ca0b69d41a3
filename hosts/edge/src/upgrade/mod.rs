//! Upgrades to WebSocket: the connection to the application, and which of Streamlit's sessions was opened on it.

pub mod farewell;
pub mod frames;
pub mod link;
pub mod new_session;
pub mod resumption;
pub(crate) mod socket;
