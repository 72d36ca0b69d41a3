//! `vestibule sessions end`: asks a running program, by its control socket, to end sessions.

use std::io::ErrorKind;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::causes;
use crate::cli::arguments::EndSessions;
use crate::exchange::control_folder;

const PATIENCE: Duration = Duration::from_secs(5);
const MAX_ANSWER_BYTES: u64 = 256;

/// Of the name of a session.
const NAME_BYTES: usize = 16;

/// Prints one line: what has ended, with exit code 0, or to stderr why nothing was ended, with exit code 1.
#[expect(clippy::print_stdout, reason = "the verdict is what was asked for")]
pub async fn end(arguments: &EndSessions) -> ExitCode {
    let asked = timeout(PATIENCE, ask(arguments)).await;
    let problem = match asked {
        Ok(Ok(ended)) => {
            println!("ended: {}", printable(&ended));
            return ExitCode::SUCCESS;
        }
        Ok(Err(error)) => causes::told(&error),
        Err(_) => format!(
            "{}: no answer within {} s; look into the log of `vestibule serve`, and repeat the command",
            arguments.control.display(),
            PATIENCE.as_secs()
        ),
    };
    eprintln!("vestibule: nothing was ended: {}", printable(&problem));
    ExitCode::FAILURE
}

fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Returns what has ended.
async fn ask(arguments: &EndSessions) -> anyhow::Result<String> {
    let Question { line, about } = question(arguments, SystemTime::now())?;
    let path = arguments.control.display();
    let mut stream = UnixStream::connect(&arguments.control).await.map_err(|error| anyhow!("{path}: {error}; {}", remedy(error.kind())))?;
    // Before the question: it says who is logged out.
    let listening = stream.peer_cred().with_context(|| format!("{path}: the system does not say who listens"))?.uid();
    ensure!(
        control_folder::is_believed(&arguments.control, listening),
        "a program of user {listening} listens at {path}, and it is possibly not `vestibule serve`; run this as the user of `vestibule serve`, and put \
         the socket into a folder that only this user and root can write to"
    );
    let interrupted = || format!("{path}: the connection was interrupted; repeat the command");
    stream.write_all(line.as_bytes()).await.with_context(interrupted)?;
    stream.shutdown().await.with_context(interrupted)?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer).await.with_context(interrupted)?;
    ensure!(!answer.is_empty(), "{path}: the connection was closed without an answer; look into the log of `vestibule serve`");
    ensure!(answer == "ended\n", "{}", answer.trim_end());
    Ok(about)
}

/// What to do if there is no connection.
fn remedy(reason: ErrorKind) -> &'static str {
    match reason {
        ErrorKind::PermissionDenied => "run this as the user who runs `vestibule serve`, or as root",
        ErrorKind::ConnectionRefused => "no program listens there any more; start `vestibule serve` with --control and this path",
        _ => "start `vestibule serve` with --control and this path, or give the path that it has",
    }
}

/// A line for the socket, and what it is about in words.
struct Question {
    line: String,
    about: String,
}

fn question(arguments: &EndSessions, now: SystemTime) -> anyhow::Result<Question> {
    let EndSessions { user, session, before, .. } = arguments;
    if let [issuer, sub] = user.as_slice() {
        let is_url = |text: &str| text.starts_with("https://") || text.starts_with("http://");
        ensure!(is_url(issuer) || !is_url(sub), "--user: `{issuer}` is not an issuer; write the issuer first, and `sub` behind it");
        let about = format!("all sessions of `{sub}` at {issuer}, if there were any");
        let line = format!("user {} {}", URL_SAFE_NO_PAD.encode(issuer), URL_SAFE_NO_PAD.encode(sub));
        return Ok(Question { line, about });
    }
    if let Some(session) = session {
        let is_name = URL_SAFE_NO_PAD.decode(session).is_ok_and(|name| name.len() == NAME_BYTES);
        ensure!(is_name, "--session: `{session}` is not the name of a session; copy the 22 characters of `session` from the audit");
        return Ok(Question { line: format!("session {session}"), about: format!("the session {session}, if there was one") });
    }
    let before = before.unwrap_or(now);
    ensure!(before <= now, "--before: this time is in the future; write one that has passed, in UTC");
    let seconds = before.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(Question {
        line: format!("all {seconds}"),
        about: format!("all sessions that began until {}", humantime::format_rfc3339_seconds(before)),
    })
}

#[cfg(test)]
mod listeners;

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::arguments::{Arguments, Command, Sessions};

    fn asked(arguments: &[&str]) -> Option<String> {
        let all = ["vestibule", "sessions", "end", "--control", "/run/control"].iter().chain(arguments);
        let Command::Sessions(Sessions::End(end)) = Arguments::try_parse_from(all).ok()?.command else { return None };
        question(&end, UNIX_EPOCH + Duration::from_secs(1_800_000_000)).ok().map(|question| question.line)
    }

    #[test]
    fn each_way_to_name_sessions_is_a_question() {
        assert_eq!(asked(&["--user", "https://op.example", "alice"]).as_deref(), Some("user aHR0cHM6Ly9vcC5leGFtcGxl YWxpY2U"));
        assert_eq!(asked(&["--session", "AAAAAAAAAAAAAAAAAAAAAA"]).as_deref(), Some("session AAAAAAAAAAAAAAAAAAAAAA"));
        assert_eq!(asked(&["--all"]).as_deref(), Some("all 1800000000"));
        assert_eq!(asked(&["--all", "--before", "2026-01-01T00:00:00Z"]).as_deref(), Some("all 1767225600"));
    }

    #[test]
    fn what_names_no_sessions_or_others_than_one_could_think_is_refused() {
        for wrong in [
            &[][..],
            &["--user", "https://op.example"],
            &["--user", "alice", "https://op.example"],
            &["--all", "--session", "AAAAAAAAAAAAAAAAAAAAAA"],
            &["--session", "AAAA"],
            &["--session", "AAAAAAAAAAAAAAAAAAAAA!"],
            &["--session", ""],
            &["--before", "2026-01-01T00:00:00Z"],
            &["--all", "--before", "yesterday"],
            &["--all", "--before", "2100-01-01T00:00:00Z"],
        ] {
            assert_eq!(asked(wrong), None, "{wrong:?}");
        }
    }
}
