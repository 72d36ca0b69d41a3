//! Faults of a configuration as lines for a person.

use std::fmt;

use crate::configuration::{Configuration, Fault};

impl Configuration {
    /// The faults that a component has found, with the reasons that it does not know: what it takes for absent may be there. A reason
    /// that no fault is about is a fault of its own.
    pub(crate) fn told(&self, mut faults: Vec<Fault>) -> Vec<Fault> {
        for fault in &mut faults {
            if let Some(reason) = self.reason(&fault.key, &fault.problem) {
                (fault.problem, fault.remedy) = reason;
            }
        }
        for unread in &self.unread {
            let (problem, remedy) = unread.told();
            if !faults.iter().any(|fault| fault.problem == problem) {
                let (file, key) = (self.file_name.clone(), String::new());
                faults.push(Fault { file, line: 0, key, problem, remedy, fatal: true });
            }
        }
        faults
    }
}

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
    use std::sync::Arc;

    use super::*;
    use crate::configuration::{Reference, Unread};
    use crate::configuration_file::ConfigurationError;

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
    fn what_cannot_be_used_is_told_where_the_file_names_it() {
        let unread = |name: &str, path: &str| Unread {
            reference: Reference::File(name.into()),
            reason: Arc::new(ConfigurationError::NotText(path.into())),
        };
        let unread = vec![unread("a", "/a"), unread("", "/folder"), unread("c", "/c")];
        let configuration = Configuration { unread, ..Configuration::new("secrets.toml", "") };
        let absent = |line, key: &str, path: &str| Fault {
            problem: format!("the file `{path}` cannot be read"),
            remedy: "write a path that exists".into(),
            ..fault(line, key, true)
        };
        let found = vec![
            absent(3, "auth.cookie_secret_file", "a"),
            absent(4, "auth.client_secret_file", ""),
            // Named once more, and one that is not there.
            absent(5, "auth.google.client_secret_file", "a"),
            absent(6, "vestibule.pages.logo_file", "b"),
            // Not about a file.
            fault(7, "auth.redirect_uri", true),
        ];
        let told: Vec<_> = configuration.told(found).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "secrets.toml:3: auth.cookie_secret_file: /a is not UTF-8 text; save it as UTF-8",
                "secrets.toml:4: auth.client_secret_file: /folder is not UTF-8 text; save it as UTF-8",
                "secrets.toml:5: auth.google.client_secret_file: /a is not UTF-8 text; save it as UTF-8",
                "secrets.toml:6: vestibule.pages.logo_file: the file `b` cannot be read; write a path that exists",
                "secrets.toml:7: auth.redirect_uri: is too short; run `openssl rand -hex 32`",
                "secrets.toml: /c is not UTF-8 text; save it as UTF-8",
            ]
        );
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
