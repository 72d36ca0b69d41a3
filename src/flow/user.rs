//! Who is logged in, for scripts in the page: `st.user` as JSON, without tokens.

use serde_json::{Value, json};

use super::{Visit, only_get};
use crate::decision::Outcome;
use crate::error::Error;
use crate::flow::{Context, Progress};
use crate::session::Session;
use crate::web::http::{Request, Response};

/// `GET /.vestibule/user`. An answer for everybody: nobody is `{"is_logged_in": false}`.
pub(crate) fn answer(request: &Request<'_>, visit: &Visit, context: &Context<'_>) -> Result<Progress, Error> {
    only_get(request)?;
    let sealed = context.sealed(visit);
    Ok(Progress::Done(Outcome::Respond(told(context.session(sealed.as_ref()).as_ref()))))
}

/// What scripts are told of a session.
pub(super) fn told(session: Option<&Session<'_>>) -> Response {
    let body = match session {
        None => json!({ "is_logged_in": false }),
        Some(session) => {
            let mut user = session.claims().whole().clone();
            user.insert("is_logged_in".into(), Value::Bool(true));
            user.insert("provider".into(), session.provider().into());
            Value::Object(user)
        }
    };
    Response { status: 200, body: body.to_string().into_bytes(), ..Response::default() }
        .with("content-type", "application/json")
        .with("cache-control", "no-store")
        .with("vary", "cookie")
        .with("x-content-type-options", "nosniff")
        .with("cross-origin-resource-policy", "same-origin")
}
