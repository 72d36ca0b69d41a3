//! Asks on the terminal, if there is one. An answer that is refused is asked for again, by itself.

use std::fmt::Display;
use std::io::IsTerminal as _;

use anyhow::{Context as _, bail};
use dialoguer::{Input, Password, Select};

use crate::cli::init::answers;

/// Where questions are asked.
pub(super) struct Terminal {
    is_there: bool,
}

impl Terminal {
    /// stdin and stderr, if both are a terminal.
    pub(super) fn find() -> Self {
        Self { is_there: std::io::stdin().is_terminal() && std::io::stderr().is_terminal() }
    }

    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    /// What `parse` makes of the option's value, else of the answer. `question` is one line.
    ///
    /// # Errors
    /// Without a terminal: the option is missing, or its value is refused.
    pub(super) fn text<T>(
        &self,
        option: &str,
        given: Option<&str>,
        question: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        if let Some(given) = given {
            match parse(given) {
                Ok(parsed) => return Ok(parsed),
                Err(problem) => self.refuse(option, &problem)?,
            }
        }
        self.is_needed(option)?;
        let input = Input::<String>::new().with_prompt(question).validate_with(|text: &String| parse(text).map(drop));
        let text = input.interact_text().context(NO_ANSWER)?;
        parse(&text).map_err(anyhow::Error::msg)
    }

    /// Without an echo.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(super) fn secret(&self, option: &str, question: &str, judge: impl Fn(&str) -> Result<(), String>) -> anyhow::Result<String> {
        self.is_needed(option)?;
        let parse = |text: &str| answers::line(text).and_then(|text| judge(&text).map(|()| text));
        let asked = Password::new().with_prompt(format!("{question} (is not shown)"));
        let text = asked.validate_with(|text: &String| parse(text).map(drop)).interact().context(NO_ANSWER)?;
        parse(&text).map_err(anyhow::Error::msg)
    }

    /// # Errors
    /// As [`Self::text`].
    pub(super) fn choose<T: Copy, S: Display>(
        &self,
        option: &str,
        question: &str,
        choices: &[T],
        says: impl Fn(T) -> S,
    ) -> anyhow::Result<T> {
        self.is_needed(option)?;
        let lines: Vec<_> = choices.iter().map(|choice| says(*choice).to_string()).collect();
        let prompt = format!("{question} (choose with the arrow keys, confirm with Enter)");
        let chosen = Select::new().with_prompt(prompt).items(&lines).default(0).interact().context(NO_ANSWER)?;
        choices.get(chosen).copied().context(NO_ANSWER)
    }

    /// Says why an option's value is refused, before its question is asked.
    ///
    /// # Errors
    /// There is no terminal to ask on.
    pub(super) fn refuse(&self, option: &str, problem: &str) -> anyhow::Result<()> {
        if !self.is_there {
            bail!("{option}: {problem}");
        }
        eprintln!("{option}: {problem}");
        Ok(())
    }

    fn is_needed(&self, option: &str) -> anyhow::Result<()> {
        if !self.is_there {
            bail!("{option} is missing, and there is no terminal to ask on; `vestibule init --help` lists the options");
        }
        Ok(())
    }
}

const NO_ANSWER: &str = "there was no answer; nothing is written";
