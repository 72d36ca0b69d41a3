//! The parameters of an OAuth request, each at most once.

use url::form_urlencoded;

/// Form-encoded parameters in the order received. Those without a value are omitted, as RFC 6749 section 3.1 asks.
#[derive(Debug, Clone)]
pub(crate) struct Parameters(Vec<(String, String)>);

/// RFC 6749 section 3.1: "Request and response parameters MUST NOT be included more than once."
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parameter {0:?} is there more than once; send it once")]
pub(crate) struct Repeated(String);

impl Parameters {
    /// # Errors
    /// [`Repeated`] when a name occurs twice.
    pub(crate) fn parse(form: &[u8]) -> Result<Self, Repeated> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(form) {
            if value.is_empty() {
                continue;
            }
            if pairs.iter().any(|(seen, _)| *seen == name) {
                return Err(Repeated(name.into_owned()));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.value(name).map(str::to_owned)
    }

    /// The same parameters as a query string.
    pub(crate) fn to_query(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_parameter_is_refused_by_name() {
        assert_eq!(Parameters::parse(b"a=1&b=2&a=1").err(), Some(Repeated("a".to_owned())));
    }

    #[test]
    fn a_parameter_without_a_value_counts_as_omitted() {
        let parameters = Parameters::parse(b"state=&nonce=n").expect("no repetition");
        assert_eq!(parameters.value("state"), None);
        assert_eq!(parameters.value("nonce"), Some("n"));
    }

    #[test]
    fn the_query_round_trips() {
        let parameters = Parameters::parse(b"name=Chlo%C3%AB+%26+co&x=%2B").expect("no repetition");
        assert_eq!(parameters.to_query(), "name=Chlo%C3%AB+%26+co&x=%2B");
    }
}
