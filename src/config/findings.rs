//! What is wrong with a configuration, collected while it is read.

use std::cell::{OnceCell, RefCell};

use super::fault::Fault;
use super::hidden::Hidden;
use super::setting::{ENV, FILE};

/// Every fault found so far, and what is needed to say where it is.
pub(super) struct Findings<'a> {
    file: &'a str,
    text: &'a str,
    /// Where the lines end, found when it is first asked for: a long file has many keys to give a line to.
    line_ends: OnceCell<Vec<usize>>,
    faults: RefCell<Vec<Fault>>,
    /// Values that are not in the file.
    hidden: RefCell<Hidden>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, line_ends: OnceCell::new(), faults: RefCell::default(), hidden: RefCell::default() }
    }

    pub(super) fn fatal(&self, at: Option<usize>, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.add(at, key, problem.into(), remedy.into(), true);
    }

    pub(super) fn warning(&self, at: Option<usize>, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.add(at, key, problem.into(), remedy.into(), false);
    }

    /// A fault in a file that this one refers to.
    pub(super) fn fatal_in(&self, file: &str, line: u32, key: &str, problem: &str, remedy: &str) {
        let (problem, remedy) = (problem.to_owned(), remedy.to_owned());
        self.faults.borrow_mut().push(Fault { file: file.to_owned(), line, key: key.to_owned(), problem, remedy, fatal: true });
    }

    pub(super) fn has_fatal(&self) -> bool {
        self.faults.borrow().iter().any(|fault| fault.fatal)
    }

    /// How many there are so far, for [`Self::has_fatal_since`].
    pub(super) fn count(&self) -> usize {
        self.faults.borrow().len()
    }

    /// Whether something fatal was found after there were `count`.
    pub(super) fn has_fatal_since(&self, count: usize) -> bool {
        self.faults.borrow().iter().skip(count).any(|fault| fault.fatal)
    }

    /// Whether something fatal was found at a key, by its dotted path, or in the table or list there. A default stands for the value
    /// then, and nothing can be said about that. A fault of `<key>_env` or `<key>_file` is one of the key.
    pub(super) fn has_fatal_at(&self, path: &str) -> bool {
        let is_within = |key: &str| {
            key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']) || [ENV, FILE].contains(&rest))
        };
        self.faults.borrow().iter().any(|fault| fault.fatal && is_within(&fault.key))
    }

    /// Whether something was found at a key, or on its line at an item of its value.
    pub(super) fn has_any_at(&self, path: &str, line: u32) -> bool {
        let is_of = |key: &str| key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.faults.borrow().iter().any(|fault| is_of(&fault.key) && fault.line == line)
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        self.hidden.into_inner().remove_from(&mut faults);
        faults.sort_by_key(|fault| fault.line);
        faults
    }

    /// Has no message show this value, which the key names.
    pub(super) fn hide(&self, key: &str, value: &str) {
        self.hidden.borrow_mut().add(key, value);
    }

    /// See [`Hidden::reveal`].
    pub(super) fn reveal(&self, key: &str) {
        self.hidden.borrow_mut().reveal(key);
    }

    /// Whether the key names its value, so that no message may be made of that.
    pub(super) fn is_hidden(&self, key: &str) -> bool {
        self.hidden.borrow().has(key)
    }

    pub(super) fn line(&self, at: Option<usize>) -> u32 {
        at.map_or(0, |offset| {
            let ends = self.line_ends.get_or_init(|| memchr::memchr_iter(b'\n', self.text.as_bytes()).collect());
            let newlines = ends.partition_point(|end| *end < offset);
            u32::try_from(newlines + 1).unwrap_or(u32::MAX)
        })
    }

    fn add(&self, at: Option<usize>, key: &str, problem: String, remedy: String, fatal: bool) {
        let line = self.line(at);
        let fault = Fault { file: self.file.to_owned(), line, key: key.to_owned(), problem, remedy, fatal };
        self.faults.borrow_mut().push(fault);
    }
}
