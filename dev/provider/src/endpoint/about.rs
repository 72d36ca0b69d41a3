//! `/`: what this is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::pages::{self, About};
use crate::provider::Provider;

pub(crate) async fn page(State(provider): State<Arc<Provider>>) -> Response {
    pages::page(StatusCode::OK, &About { issuer: &provider.issuer, people: &provider.people })
}
