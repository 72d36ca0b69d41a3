//! The ways in which a session ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::answer::{Cookies, Kind, ask, deliver};
use crate::site::Site;

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The user logs out.
    Logout,
    /// The user logs out of all browsers.
    Everywhere,
    /// The provider sends a logout token.
    BackChannel,
    /// Who runs the node ends all sessions of the account.
    Command,
}

impl End {
    /// Of a hundred ends, most are logouts.
    pub(crate) fn any() -> Self {
        match rand::random_range(0..100) {
            0..60 => Self::Logout,
            60..75 => Self::Everywhere,
            75..98 => Self::BackChannel,
            _ => Self::Command,
        }
    }

    /// Whether a login within the allowance for clocks counts as older.
    pub(crate) fn is_of_the_account(self) -> bool {
        self != Self::Logout
    }

    /// Whether the node says that the session has ended.
    pub(crate) async fn happens(self, site: &Site, node: usize, person: usize, cookies: &mut Cookies) -> bool {
        match self {
            Self::Logout => {
                let answer = ask(site, node, person, cookies, "/.vestibule/logout", Kind::Navigation).await;
                answer.is_some_and(|answer| answer.status.is_redirection())
            }
            Self::Everywhere => {
                let answer = ask(site, node, person, cookies, "/.vestibule/logout?everywhere", Kind::OwnForm).await;
                answer.is_some_and(|answer| answer.status.is_redirection())
            }
            Self::BackChannel => {
                let token = logout_token(site, person);
                deliver(site, site.nodes[node], &token).await.is_some_and(|status| status.is_success())
            }
            Self::Command => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
                command.args(["sessions", "end", "--control"]).arg(site.control(node));
                command.args(["--user", &site.provider.issuer(), &format!("person-{person}")]);
                command.output().await.is_ok_and(|output| output.status.success())
            }
        }
    }
}

fn logout_token(site: &Site, person: usize) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = json!({
        "iss": site.provider.issuer(), "aud": "vestibule-demo", "iat": now, "exp": now + 120,
        "jti": NEXT.fetch_add(1, Ordering::Relaxed).to_string(), "sub": format!("person-{person}"),
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    let Value::Object(claims) = claims else { unreachable!("it is written as one") };
    site.provider.logout_token(claims).expect("signed")
}
