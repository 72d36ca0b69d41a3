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

impl Fault {
    /// The line of [`Display`](fmt::Display) without `error:` and `warning:`, for a log that has a level of its own.
    pub fn without_severity(&self) -> impl fmt::Display + '_ {
        Line { fault: self, severity: "" }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line { fault: self, severity: if self.fatal { "error: " } else { "warning: " } }.fmt(f)
    }
}

struct Line<'a> {
    fault: &'a Fault,
    severity: &'static str,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { file, line, key, problem, remedy, .. } = self.fault;
        write!(f, "{file}:{line}: {}{key}: {problem}; {remedy}", self.severity)
    }
}

/// The command that makes a good cookie secret, for messages.
pub(super) const MAKE_SECRET: &str = "write the output of `openssl rand -hex 32` (or `vestibule cookie-secret`)";
