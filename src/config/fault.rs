//! What is wrong with a configuration, said so that it can be put right.

use std::fmt;

/// One fault: where, what, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The configuration, or a file that it refers to.
    pub file: String,
    /// From 1; 0 when something is absent from the file as a whole.
    pub line: u32,
    /// Dotted path of the key.
    pub key: String,
    pub problem: String,
    pub remedy: String,
    /// Whether the configuration is unusable; otherwise this is a warning.
    pub fatal: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.fatal { "error" } else { "warning" };
        write!(f, "{}:{}: {severity}: {}: {}; {}", self.file, self.line, self.key, self.problem, self.remedy)
    }
}

/// The command that makes a good cookie secret, for messages.
pub(super) const MAKE_SECRET: &str = "write the output of `openssl rand -hex 32` (or `vestibule cookie-secret`)";
