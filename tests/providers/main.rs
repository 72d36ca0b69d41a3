//! Google, Microsoft Entra, Okta, Auth0, Keycloak, GitLab, Authentik, Logto, ZITADEL and Amazon Cognito as they describe themselves:
//! metadata, key sets and tokens of the shapes that they publish, the configuration as Streamlit's documentation writes it. Each
//! test says which quirk it is about.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

mod auth0;
mod authentik;
mod cognito;
mod documentation;
mod entra;
mod gitlab;
mod google;
mod keycloak;
mod logto;
mod okta;
#[path = "../rig/mod.rs"]
mod rig;
mod simulated;
mod zitadel;
