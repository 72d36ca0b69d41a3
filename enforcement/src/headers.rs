//! Header fields, whoever keeps them.

/// One header field: name and value.
pub type Field = (String, Vec<u8>);

/// A field that cannot be sent, or that is not the filter's to set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the filter sets a header that cannot be sent: {0:?}; take host and component from the same release")]
pub struct NotAField(pub String);

/// The fields of a request or a response, in a host's own type.
pub trait Fields {
    /// Shows every line, its name in any case.
    fn visit(&self, see: &mut dyn FnMut(&str, &[u8]));

    /// Removes every line whose name `unwanted` picks.
    fn remove_where(&mut self, unwanted: &dyn Fn(&str) -> bool);

    /// Adds a line; others of the same name stay.
    ///
    /// # Errors
    /// When HTTP does not have such a field. Nothing is added then.
    fn append(&mut self, name: &str, value: &[u8]) -> Result<(), NotAField>;

    /// Whether there is a line of this name.
    fn contain(&self, name: &str) -> bool {
        let mut found = false;
        self.visit(&mut |given, _| found |= given.eq_ignore_ascii_case(name));
        found
    }

    /// The values of every line of this name.
    fn values(&self, name: &str) -> Vec<Vec<u8>> {
        let mut values = Vec::new();
        self.visit(&mut |given, value| {
            if given.eq_ignore_ascii_case(name) {
                values.push(value.to_vec());
            }
        });
        values
    }

    /// Removes every line of this name.
    fn remove(&mut self, name: &str) {
        self.remove_where(&|given| given.eq_ignore_ascii_case(name));
    }
}

impl Fields for Vec<Field> {
    fn visit(&self, see: &mut dyn FnMut(&str, &[u8])) {
        self.iter().for_each(|(name, value)| see(name, value));
    }

    fn remove_where(&mut self, unwanted: &dyn Fn(&str) -> bool) {
        self.retain(|(name, _)| !unwanted(name));
    }

    fn append(&mut self, name: &str, value: &[u8]) -> Result<(), NotAField> {
        check(name, value)?;
        self.push((name.to_owned(), value.to_vec()));
        Ok(())
    }
}

/// RFC 9110 sections 5.1 and 5.5. A host with a type of its own for fields leaves this to that type.
fn check(name: &str, value: &[u8]) -> Result<(), NotAField> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let control = |b: u8| (b < b' ' && b != b'\t') || b == 0x7f;
    let valid = !name.is_empty() && name.bytes().all(token) && !value.iter().copied().any(control);
    if valid { Ok(()) } else { Err(NotAField(name.to_owned())) }
}
