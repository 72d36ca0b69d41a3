//! What Spin says of a request to the component that it calls: the headers `spin-path-info`, `spin-client-addr` and others
//! that begin like that.
//!
//! Spin adds its own lines behind those that the client has sent under the same names, and its SDK reads the first. Only
//! the last line of a name is Spin's. Such a line is for the component that Spin calls, and for the one that this is
//! composed with; a component that is called over the network is told by its own Spin.

type Field = (String, Vec<u8>);

const PREFIX: &str = "spin-";

/// Takes out every such line, in any spelling that a server could fold into one, and returns the last of each name.
pub fn take(fields: &mut Vec<Field>) -> Vec<Field> {
    let (of_spin, others): (Vec<_>, Vec<_>) = std::mem::take(fields).into_iter().partition(|(name, _)| folded(name).starts_with(PREFIX));
    *fields = others;
    let is_last = |index: usize, name: &str| !of_spin[index + 1..].iter().any(|(later, _)| folded(later) == folded(name));
    of_spin.iter().enumerate().filter(|(index, (name, _))| is_last(*index, name)).map(|(_, field)| field.clone()).collect()
}

fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&str, &str)]) -> Vec<Field> {
        fields.iter().map(|&(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn only_the_last_line_of_a_name_is_spins() {
        let mut request = fields(&[
            ("accept", "*/*"),
            ("spin-path-info", "/public"),
            ("Spin-Path-Info", "/other"),
            ("spin_path_info", "/third"),
            ("spin-client-addr", "6.6.6.6:1"),
            ("x-spin", "1"),
            ("spin-path-info", "/admin"),
            ("spin-client-addr", "192.0.2.7:4711"),
            ("spinning", "1"),
        ]);
        assert_eq!(take(&mut request), fields(&[("spin-path-info", "/admin"), ("spin-client-addr", "192.0.2.7:4711")]));
        assert_eq!(request, fields(&[("accept", "*/*"), ("x-spin", "1"), ("spinning", "1")]));
    }

    #[test]
    fn other_requests_stay_as_they_are() {
        let mut request = fields(&[("host", "h"), ("cookie", "a=1"), ("cookie", "b=2")]);
        assert_eq!(take(&mut request), []);
        assert_eq!(request, fields(&[("host", "h"), ("cookie", "a=1"), ("cookie", "b=2")]));
    }
}
