//! `vestibule man`: the manual pages, made of the command line's own descriptions.

use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::cli::arguments::{self, Arguments};

/// Prints `vestibule.1`, or the page of one command, `vestibule-COMMAND.1`. A command of a command is named by both words.
///
/// # Errors
/// There is no such command; the output cannot be written to.
pub fn run(arguments: &arguments::Man) -> anyhow::Result<()> {
    Ok(io::stdout().write_all(&page(&arguments.command)?)?)
}

fn page(command: &[String]) -> anyhow::Result<Vec<u8>> {
    let mut described = Arguments::command().disable_help_subcommand(true);
    // Gives the commands their names in full.
    described.build();
    for name in command {
        let found = described.get_subcommands().find(|command| command.get_name() == name && !command.is_hide_set());
        described =
            found.cloned().with_context(|| format!("there is no command `{}`; `vestibule --help` lists them", command.join(" ")))?;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(described).manual("Vestibule").source(concat!("vestibule ", env!("CARGO_PKG_VERSION"))).render(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(command: &[&str]) -> Option<String> {
        let command: Vec<_> = command.iter().map(|&name| name.to_owned()).collect();
        page(&command).ok().map(|page| String::from_utf8(page).expect("text"))
    }

    /// Each page names those of its commands, and each of these is there.
    fn assert_pages(of: &clap::Command, words: &[&str]) {
        let page = text(words).expect("a page");
        for command in of.get_subcommands().filter(|command| !command.is_hide_set()) {
            let words = [words, &[command.get_name()]].concat();
            let name = words.join("-").replace('-', "\\-");
            assert!(page.contains(&format!("vestibule\\-{name}(1)")), "{name}: {page}");
            let of_command = text(&words).expect("a page");
            assert!(of_command.replace('\\', "").contains(&format!(".TH vestibule-{} 1", words.join("-"))), "{of_command}");
            assert_pages(command, &words);
        }
    }

    #[test]
    fn each_command_has_a_page() {
        let command = Arguments::command();
        assert_pages(&command, &[]);
        assert!(text(&["sessions", "end"]).is_some_and(|page| page.contains("\\-\\-before")));
        assert!(!text(&[]).expect("a page").contains("carry"));
    }

    #[test]
    fn the_page_of_a_command_has_its_options() {
        let page = text(&["serve"]).expect("a page");
        for option in ["\\-\\-config", "\\-\\-upstream\\-timeout", "\\-\\-log"] {
            assert!(page.contains(option), "{option}: {page}");
        }
    }

    #[test]
    fn a_command_that_is_not_shown_has_no_page() {
        for words in [&["carry"][..], &["nothing"], &[""], &["sessions", "begin"], &["serve", "end"]] {
            assert_eq!(text(words), None, "{words:?}");
        }
    }
}
