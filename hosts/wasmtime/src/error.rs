//! Why there is no component, no filter and no decision.

use std::fmt::{self, Display};
use std::path::PathBuf;

use crate::configuration::Fault;
use crate::outbound::OutboundError;
use crate::trusted_file::ChangeableByOthers;

/// The component cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The file cannot be read.
    #[error("cannot read the component {}: {reason}; build it with `make build`, or name the right file", path.display())]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// The system's reason. It is in the message.
        reason: std::io::Error,
    },
    /// Longer than any component is.
    #[error("{} is longer than {limit} bytes, so it is not a component of Vestibule; name the right file", path.display())]
    TooLong {
        /// As given.
        path: PathBuf,
        /// In bytes.
        limit: u64,
    },
    /// Others can change the file.
    #[error(transparent)]
    ChangeableByOthers(#[from] ChangeableByOthers),
    /// What the program carries is not what it was built with.
    #[error("the component that this program carries is damaged: it is not what the program was built with; install the program again")]
    Damaged,
    /// The code that the program carries is for other processors.
    #[error("the compiled component that this program carries is for {family}, and this processor lacks {lacking}")]
    OtherProcessor {
        /// The processors that it is for.
        family: &'static str,
        /// What they have and this one has not.
        lacking: String,
    },
    /// The program carries no code for the engine that it has: the build has left that step out, or has another Wasmtime.
    #[error("this program carries a component that is not compiled, or not for its own version of Wasmtime; run `make build`")]
    OtherEngine,
    /// The system refuses to run what was compiled.
    #[error(
        "the system does not let compiled code be run ({0}), as systemd's MemoryDenyWriteExecute= does not: run the component that \
         the program carries, without --component, or permit it"
    )]
    NotExecutable(String),
    /// Not a WebAssembly component.
    #[error("this is not a WebAssembly component: {0}; take the `vestibule.wasm` of a release, or build it with `make build`")]
    Invalid(String),
    /// The component imports something that this host does not give, or lacks an export.
    #[error("the component does not fit this host: {0}; take host and component from the same release")]
    Unlinkable(String),
    /// The system gives no address space for an instance.
    #[error(
        "there is no address space for the component ({0}): it reserves 4 GiB, and uses little of it; remove the limit of the process's \
         address space (`ulimit -v unlimited`; `LimitAS=infinity` in systemd), and limit its memory by a control group instead"
    )]
    NoAddressSpace(String),
    /// The component trapped or no instance could be made.
    #[error("the component failed: {0}; take host and component from the same release")]
    Failed(String),
}

/// A configuration could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Every fault found, warnings included; one line each when displayed.
    #[error("{}", Lines(.0))]
    Faults(Vec<Fault>),
    /// The component failed.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The client for providers cannot be set up.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
}

/// There is no decision. The request must not reach the application: answer it with status 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// All instances are busy and the queue is full.
    #[error("the filter has too many requests waiting; raise `queue` or `instances`, or look for a slow provider")]
    Overloaded,
    /// `decision_timeout` is over.
    #[error("the filter gave no decision in time; look for a slow provider")]
    TimedOut,
    /// The instance trapped while it had this request; the log has the reason.
    #[error("the filter failed on this request; the log line `instance.trapped` says why")]
    Trapped,
    /// No instance could be made; the log has the reason.
    #[error("no instance of the filter could be made; the log line `instance.not_made` says why")]
    Unavailable,
}

struct Lines<'a>(&'a [Fault]);

impl Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}
