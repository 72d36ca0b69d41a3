//! `vestibule completions`: what a shell needs to complete the command line.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::generate;

use crate::cli::arguments::{self, Arguments};

/// Prints the completions.
///
/// # Errors
/// The output cannot be written to.
pub fn run(arguments: &arguments::Completions) -> io::Result<()> {
    io::stdout().write_all(&completions(arguments))
}

fn completions(arguments: &arguments::Completions) -> Vec<u8> {
    let mut text = Vec::new();
    generate(arguments.shell, &mut Arguments::command(), "vestibule", &mut text);
    text
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn every_shell_completes_every_command_that_is_shown() {
        for &shell in Shell::value_variants() {
            let text = String::from_utf8(completions(&arguments::Completions { shell })).expect("text");
            for word in ["serve", "check", "explain", "cookie-secret", "upstream-timeout"] {
                assert!(text.contains(word), "{shell}: {word}");
            }
        }
    }
}
