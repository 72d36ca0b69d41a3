//! The provider over real HTTP, as a browser and a relying party see it.

mod browser;
mod code_flow;
mod logout;
mod misbehaviour;
