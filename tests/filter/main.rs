//! The whole filter in one process, with a provider and browsers that are simulated: one program, so that the rig is compiled once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]
#![expect(unreachable_pub, reason = "what the modules of this one program share has no outside to be hidden from")]

mod algorithms;
mod around;
mod audit;
mod authz;
mod authz_refresh;
mod backchannel_logout;
mod beside;
mod configurations;
mod constructs;
mod cookie_sizes;
mod cors;
mod demands;
mod destinations;
mod embedding;
mod fragments;
mod groups;
mod hostile;
mod initiation;
mod keys;
mod limits;
mod login;
mod logout;
mod looking;
mod malformed;
mod messages;
mod metadata;
mod moved_endpoints;
mod odd_answers;
mod older_sessions;
mod other_logouts;
mod pages;
#[path = "../payloads/mod.rs"]
mod payloads;
mod plain_http;
mod policy;
mod prompts;
mod recovery;
mod refresh;
mod refresh_by_script;
mod refresh_race;
#[path = "../../fuzz/src/respelling.rs"]
mod respelling;
mod revocation;
#[path = "../rig/mod.rs"]
mod rig;
mod rotation;
mod routes;
#[path = "../sites/mod.rs"]
mod sites;
mod streamlit;
mod tabs;
mod token_sizes;
mod tokens;
mod trust;
mod userinfo;
