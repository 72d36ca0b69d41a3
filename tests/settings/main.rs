//! The tables of settings against the parser: what one knows, the other knows as well. And what is made of the tables: the
//! JSON Schema, and the reference in docs/.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

mod configurations;
mod files;
mod parser;
mod reference;
mod schema;
