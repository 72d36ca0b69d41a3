//! Our edge beside the same edge without a decision, and beside a minimal Pingora.

use crate::comparison::{self, Difference, Side};
use crate::process::Process;
use crate::{connections, role, site};

/// The pages that are asked for.
const PROTECTED: &str = "/reports?year=2026";
const PUBLIC: &str = "/open/reports?year=2026";

const RULES: &str = "[[vestibule.rule]]\npath = \"/open/**\"\naccess = \"public\"\n[[vestibule.rule]]\npath = \"/**\"\n";

/// Names of the sides.
const MINIMAL: &str = "minimal Pingora";
const UNDECIDED: &str = "our edge without a decision";
const LOGGED_IN: &str = "`vestibule serve`, logged in";
const WITH_ID_TOKEN: &str = "`vestibule serve`, logged in, with the ID token's cookies";

/// Measures and prints.
pub async fn compare() {
    let provider = site::provider().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (_application, application) = Process::role(role::APPLICATION, "").await;
    let configuration =
        site::configuration(folder.path(), &provider, "{port}", &format!("[vestibule]\nupstream = \"http://{application}\"\n{RULES}"));
    let application = application.to_string();
    comparison::print_machine();

    let (serve, address) = Process::role(role::SERVE, &configuration).await;
    let cookies = site::log_in(address).await;
    let session = site::without_id_token(&cookies);
    // All but the last get the same request: those without a login hand the session's cookie on.
    let sides = [
        side(MINIMAL, role::PINGORA, &application, &session).await,
        side(UNDECIDED, role::UNDECIDED, &application, &session).await,
        Side { path: PUBLIC, ..side("`vestibule serve`, a public path", role::SERVE, &configuration, &session).await },
        Side { name: LOGGED_IN, processes: vec![serve], address, path: PROTECTED, session: session.clone() },
        fresh_login(&configuration).await,
    ];
    let taken = comparison::measure(&sides).await;
    drop(sides);
    comparison::print_sides(&taken);
    let [minimal, undecided, public, logged_in, with_id_token] = &taken[..] else { unreachable!("as many as there are sides") };
    let difference = |name: &str, of, beside| Difference { name: name.to_owned(), of, beside };
    comparison::print_differences(&[
        difference("our edge without a decision, beside a minimal Pingora", undecided, minimal),
        difference("a public path, beside no decision", public, undecided),
        difference("logged in, beside no decision", logged_in, undecided),
        difference("logged in, beside a public path", logged_in, public),
        difference("logged in, beside a minimal Pingora", logged_in, minimal),
        difference("logged in, with the ID token's cookies beside without them", with_id_token, logged_in),
    ]);

    connections::print_heading();
    // In processes that have not had the load before: what one has had once, it may still hold.
    connections::print_websockets(&side(MINIMAL, role::PINGORA, &application, &session).await).await;
    connections::print_websockets(&side(UNDECIDED, role::UNDECIDED, &application, &session).await).await;
    connections::print_websockets(&fresh_login(&configuration).await).await;
    connections::print_idle(&fresh_login(&configuration).await).await;
    comparison::print_machine();
}

async fn side(name: &'static str, role: &str, argument: &str, session: &str) -> Side {
    let (process, address) = Process::role(role, argument).await;
    Side { name, processes: vec![process], address, path: PROTECTED, session: session.to_owned() }
}

/// As a browser is logged in at a provider where it can log out.
async fn fresh_login(configuration: &str) -> Side {
    let (process, address) = Process::role(role::SERVE, configuration).await;
    Side { name: WITH_ID_TOKEN, processes: vec![process], address, path: PROTECTED, session: site::log_in(address).await }
}
