//! Faults of a configuration as lines for a person.

use std::fmt;

use crate::configuration::Fault;

/// One line: `file:line: key: problem; remedy`. Without the line when the fault is in the file as a whole;
/// with `warning:` before the key when the configuration works all the same.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        f.write_str(": ")?;
        if !self.fatal {
            f.write_str("warning: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
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
        }
    }
}
