//! Repeated fields for hosts that keep a response's fields by their names, and so just one line of each: jco's server
//! does. Names are the same in any case (RFC 9110 section 5.1), to such a host they are not: each line of a repeated name
//! is spelled in its own way, and all of them reach the peer.

/// The name of the line that has `before` others of its name before it. The same as it is given for the first.
pub fn of_line(name: &str, before: usize) -> String {
    let mut left = before;
    let spell = |c: char| {
        if !c.is_ascii_alphabetic() {
            return c;
        }
        let changed = left & 1 == 1;
        left >>= 1;
        match (changed, c.is_ascii_lowercase()) {
            (false, _) => c,
            (true, true) => c.to_ascii_uppercase(),
            (true, false) => c.to_ascii_lowercase(),
        }
    };
    name.chars().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_line_of_a_name_is_spelled_in_its_own_way() {
        let spellings: Vec<_> = (0..64).map(|before| of_line("set-cookie", before)).collect();
        assert_eq!(spellings[..4], ["set-cookie", "Set-cookie", "sEt-cookie", "SEt-cookie"]);
        assert!(spellings.iter().all(|spelling| spelling.eq_ignore_ascii_case("set-cookie")));
        assert_eq!(spellings.iter().collect::<BTreeSet<_>>().len(), spellings.len());
    }
}
