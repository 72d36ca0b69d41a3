//! Faults of a configuration as lines for a person.

use std::fmt;

use crate::configuration::Fault;

impl Fault {
    /// The line of [`Display`](fmt::Display) without `warning:`, for a log that has a level of its own.
    pub fn without_severity(&self) -> impl fmt::Display + '_ {
        Line { fault: self, severity: "" }
    }
}

/// One line: `file:line: key: problem; remedy`. Without the line when the fault is in the file as a whole;
/// with `warning:` before the key when the configuration works all the same.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line { fault: self, severity: if self.fatal { "" } else { "warning: " } }.fmt(f)
    }
}

struct Line<'a> {
    fault: &'a Fault,
    severity: &'static str,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { file, line, key, problem, remedy, .. } = self.fault;
        f.write_str(file)?;
        if *line > 0 {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.severity)?;
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        f.write_str(problem)?;
        if !remedy.is_empty() {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: u32, key: &str, fatal: bool) -> Fault {
        Fault {
            file: "secrets.toml".into(),
            line,
            key: key.into(),
            problem: "is too short".into(),
            remedy: "run `openssl rand -hex 32`".into(),
            fatal,
        }
    }

    #[test]
    fn faults_read_like_compiler_messages() {
        let cases = [
            (fault(3, "auth.cookie_secret", true), "secrets.toml:3: auth.cookie_secret: is too short; run `openssl rand -hex 32`"),
            (fault(0, "auth", true), "secrets.toml: auth: is too short; run `openssl rand -hex 32`"),
            (fault(7, "auth", false), "secrets.toml:7: warning: auth: is too short; run `openssl rand -hex 32`"),
        ];
        for (fault, line) in cases {
            assert_eq!(fault.to_string(), line);
            assert_eq!(fault.without_severity().to_string(), line.replace("warning: ", ""));
        }
    }
}
