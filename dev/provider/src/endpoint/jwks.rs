//! `/jwks`: the public keys.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::provider::Provider;

pub(crate) async fn key_set(State(provider): State<Arc<Provider>>) -> Response {
    let mut keys = provider.keys().published();
    provider.faults.with(|script| {
        if let Some(edit) = &script.edit_jwks {
            edit(&mut keys);
        }
    });
    Json(keys).into_response()
}
