//! Streamlit signs its cookies in one of two ways, depending on its server.

use super::{itsdangerous, tornado};
use crate::secret::Secret;
use crate::time::UnixTime;

/// How a cookie's text is encoded and signed. The wrong form is a silent anonymous user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieForm {
    /// Of the Starlette server: Streamlit 1.57 and later, and 1.53 to 1.56 with `server.useStarlette`.
    Itsdangerous,
    /// Of the Tornado server: Streamlit up to 1.56.
    Tornado,
}

impl CookieForm {
    /// The form that goes with a `Server` header; `None` for one that no Streamlit sends by itself.
    pub(crate) fn of_server(server: &str) -> Option<Self> {
        match server {
            "uvicorn" => Some(Self::Itsdangerous),
            _ if server.starts_with("TornadoServer/") => Some(Self::Tornado),
            _ => None,
        }
    }

    /// The value of the cookie `name` that holds `text`.
    pub(super) fn sign(self, secret: &Secret, name: &str, text: &str, at: UnixTime) -> String {
        match self {
            Self::Itsdangerous => itsdangerous::sign(secret, name, text, at),
            Self::Tornado => tornado::sign(secret, name, text, at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_says_the_form() {
        for (server, form) in
            [("uvicorn", Some(CookieForm::Itsdangerous)), ("TornadoServer/6.5.2", Some(CookieForm::Tornado)), ("nginx", None), ("", None)]
        {
            assert_eq!(CookieForm::of_server(server), form, "{server}");
        }
    }
}
