//! `vestibule man`: the manual pages, made of the command line's own descriptions.

use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::cli::arguments::{self, Arguments};

/// Prints `vestibule.1`, or the page of one command, `vestibule-COMMAND.1`.
///
/// # Errors
/// There is no such command; the output cannot be written to.
pub fn run(arguments: &arguments::Man) -> anyhow::Result<()> {
    Ok(io::stdout().write_all(&page(arguments.command.as_deref())?)?)
}

fn page(command: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let mut all = Arguments::command().disable_help_subcommand(true);
    // Gives the commands their names in full.
    all.build();
    let described = match command {
        None => all,
        Some(name) => {
            let found = all.get_subcommands().find(|command| command.get_name() == name && !command.is_hide_set());
            found.cloned().with_context(|| format!("there is no command `{name}`; `vestibule --help` lists them"))?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(described).manual("Vestibule").source(concat!("vestibule ", env!("CARGO_PKG_VERSION"))).render(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(command: Option<&str>) -> String {
        String::from_utf8(page(command).expect("a page")).expect("text")
    }

    #[test]
    fn the_page_of_the_program_names_the_pages_of_its_commands() {
        let page = text(None);
        for command in Arguments::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            assert!(page.contains(&format!("vestibule\\-{}(1)", name.replace('-', "\\-"))), "{name}: {page}");
        }
        assert!(!page.contains("carry"), "{page}");
    }

    #[test]
    fn the_page_of_a_command_has_its_options() {
        let page = text(Some("serve"));
        for option in ["\\-\\-config", "\\-\\-upstream\\-timeout", "\\-\\-log"] {
            assert!(page.contains(option), "{option}: {page}");
        }
        assert!(page.contains(".TH vestibule-serve 1") || page.contains(".TH vestibule\\-serve 1"), "{page}");
    }

    #[test]
    fn a_command_that_is_not_shown_has_no_page() {
        for name in ["carry", "nothing", ""] {
            assert!(page(Some(name)).is_err(), "{name}");
        }
    }
}
