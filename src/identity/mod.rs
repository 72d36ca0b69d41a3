//! What the application learns of who is logged in: by headers, or by the cookies that Streamlit reads.

pub mod headers;
pub mod streamlit;
