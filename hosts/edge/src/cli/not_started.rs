//! Why `vestibule serve` has not started, as lines of its log: programs read them.

use std::fmt;

use vestibule_wasmtime::{ConfigurationError, LoadError};

use crate::causes;
use crate::listen::listener::CannotListen;
use crate::observe::log;

/// What keeps the program from starting is in the configuration. Displayed as its cause is.
#[derive(Debug)]
pub struct InvalidConfiguration(anyhow::Error);

impl InvalidConfiguration {
    /// Marks `error`, unless it is the component's or the system's.
    pub fn mark(error: impl Into<anyhow::Error>) -> anyhow::Error {
        let error = error.into();
        let is_elsewhere = matches!(error.downcast_ref(), Some(LoadError::Component(_) | LoadError::Outbound(_)))
            || matches!(error.downcast_ref(), Some(ConfigurationError::Component(_)));
        if is_elsewhere { error } else { anyhow::Error::new(Self(error)) }
    }
}

impl fmt::Display for InvalidConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&causes::told(&self.0))
    }
}

/// It is told as a whole.
impl std::error::Error for InvalidConfiguration {}

/// Writes `error`, one JSON line for each of its lines, whatever `VESTIBULE_LOG` leaves out.
pub fn tell(error: &anyhow::Error) {
    let text = causes::told(error);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        log::last_words(|| {
            if error.is::<InvalidConfiguration>() {
                tracing::error!(code = "configuration.fault", "{line}");
            } else if error.is::<CannotListen>() {
                tracing::error!(code = "listener.failed", "{line}");
            } else {
                tracing::error!(code = "program.not_started", "{line}");
            }
        });
    }
}
