//! `vestibule sessions end`: asks a running program, by its control socket, to end sessions.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;
use vestibule::session::account_name;

use crate::cli::arguments::EndSessions;
use crate::exchange::control_folder;

const PATIENCE: Duration = Duration::from_secs(5);
const MAX_ANSWER_BYTES: u64 = 256;

/// Prints one line: that it is done, with exit code 0, or to stderr why not, with exit code 1.
#[expect(clippy::print_stdout, reason = "the verdict is what was asked for")]
pub async fn end(arguments: &EndSessions) -> ExitCode {
    let asked = timeout(PATIENCE, ask(arguments)).await;
    let problem = match asked {
        Ok(Ok(())) => {
            println!("ended");
            return ExitCode::SUCCESS;
        }
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("{} does not answer within {} s", arguments.control.display(), PATIENCE.as_secs()),
    };
    eprintln!("vestibule: nothing was ended: {}", problem.replace(char::is_control, "\u{fffd}"));
    ExitCode::FAILURE
}

async fn ask(arguments: &EndSessions) -> anyhow::Result<()> {
    let question = question(arguments, SystemTime::now())?;
    let path = &arguments.control;
    let mut stream = UnixStream::connect(path).await.with_context(|| {
        format!(
            "no connection to {}; give --control the path that `vestibule serve --control` has, and run this as the same user",
            path.display()
        )
    })?;
    // Before the question: it says who is logged out.
    let listening = stream.peer_cred().context("the system does not say who listens")?.uid();
    ensure!(
        control_folder::is_believed(path, listening),
        "user {listening} listens at {}, who may not be the user of `vestibule serve`; run this as the user of `vestibule serve`, and put \
         the socket into a folder that only this user and root can write to",
        path.display()
    );
    stream.write_all(question.as_bytes()).await.context("the question cannot be sent")?;
    stream.shutdown().await.context("the question cannot be sent")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer).await.context("the answer cannot be read")?;
    ensure!(answer == "ended\n", "{}", if answer.is_empty() { "there is no answer" } else { answer.trim_end() });
    Ok(())
}

fn question(arguments: &EndSessions, now: SystemTime) -> anyhow::Result<String> {
    let EndSessions { user, session, before, .. } = arguments;
    if let [issuer, sub] = user.as_slice() {
        return Ok(format!("account {}", account_name(issuer, sub)));
    }
    if let Some(session) = session {
        return Ok(format!("session {session}"));
    }
    let before = before.unwrap_or(now);
    ensure!(before <= now, "--before is in the future");
    Ok(format!("all {}", before.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()))
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
        question(&end, UNIX_EPOCH + Duration::from_secs(1_800_000_000)).ok()
    }

    #[test]
    fn each_way_to_name_sessions_is_a_question() {
        let account = asked(&["--user", "https://op.example", "alice"]).expect("a question");
        assert!(account.starts_with("account ") && account.len() == 30, "{account}");
        assert_eq!(asked(&["--session", "AAAAAAAAAAAAAAAAAAAAAA"]).as_deref(), Some("session AAAAAAAAAAAAAAAAAAAAAA"));
        assert_eq!(asked(&["--all"]).as_deref(), Some("all 1800000000"));
        assert_eq!(asked(&["--all", "--before", "2026-01-01T00:00:00Z"]).as_deref(), Some("all 1767225600"));
    }

    #[test]
    fn what_names_no_sessions_or_others_than_one_could_think_is_refused() {
        for wrong in [
            &[][..],
            &["--user", "https://op.example"],
            &["--all", "--session", "a"],
            &["--before", "2026-01-01T00:00:00Z"],
            &["--all", "--before", "yesterday"],
            &["--all", "--before", "2100-01-01T00:00:00Z"],
        ] {
            assert_eq!(asked(wrong), None, "{wrong:?}");
        }
    }
}
