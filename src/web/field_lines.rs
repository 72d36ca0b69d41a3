//! Header fields, end to end in one buffer: as many as there are, they are two pieces of memory.

use std::fmt;

/// Header fields in their order: name and value, one entry for each line.
#[derive(Clone, Default)]
pub struct FieldLines {
    text: Vec<u8>,
    /// Where in `text` each name and each value ends, in turns.
    ends: Vec<u32>,
    /// Where the first name begins.
    start: usize,
}

impl FieldLines {
    /// FieldLines that stand in `text` from `start` on. `ends` tells where each name and each value ends, in turns. `None` when
    /// these are not places in `text`, each behind the one before.
    pub fn from_parts(text: Vec<u8>, start: usize, ends: Vec<u32>) -> Option<Self> {
        let in_order = ends.iter().try_fold(start, |last, &end| Some(end as usize).filter(|end| *end >= last))?;
        (in_order <= text.len() && ends.len().is_multiple_of(2)).then_some(Self { text, ends, start })
    }

    /// Name and value of each. The name is empty where it is no text.
    pub fn iter(&self) -> Iter<'_> {
        Iter { text: &self.text, ends: self.ends.chunks_exact(2), at: self.start }
    }

    /// With room for so many fields of so many bytes in all.
    pub fn with_capacity(fields: usize, bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), ends: Vec::with_capacity(2 * fields), start: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The values of every line of a header.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().raw().filter(move |(given, _)| given.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Names and values together, in bytes.
    pub fn bytes(&self) -> usize {
        self.ends.last().map_or(0, |&end| end as usize - self.start)
    }

    /// Adds a field. One whose end could not be told any more, after 4 GiB, is left out.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let _ = self.push_with(name, |text| {
            text.extend_from_slice(value.as_ref());
            Some(())
        });
    }

    /// Adds a field whose value is written where it will stand. `None` of `write`: there is none, and nothing is added.
    pub fn push_with(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
        let before = self.ends.last().map_or(self.start, |&end| end as usize);
        self.text.truncate(before);
        self.text.extend_from_slice(name.as_bytes());
        let between = self.text.len();
        let ends = write(&mut self.text).and_then(|()| Some([u32::try_from(between).ok()?, u32::try_from(self.text.len()).ok()?]));
        match ends {
            Some(ends) => {
                self.ends.extend_from_slice(&ends);
                Some(())
            }
            None => {
                self.text.truncate(before);
                None
            }
        }
    }

    /// Takes out those for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &[u8]) -> bool) {
        if !self.iter().all(|(name, value)| keep(name, value)) {
            *self = self.iter().filter(|(name, value)| keep(name, value)).collect();
        }
    }

    /// Where the fields stand, and how: what [`FieldLines::from_parts`] takes.
    pub fn into_parts(self) -> (Vec<u8>, usize, Vec<u32>) {
        (self.text, self.start, self.ends)
    }
}

/// See [`FieldLines::iter`].
#[derive(Clone)]
pub struct Iter<'a> {
    text: &'a [u8],
    ends: std::slice::ChunksExact<'a, u32>,
    at: usize,
}

impl<'a> Iter<'a> {
    /// Names as bytes: most are only compared.
    fn raw(mut self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        std::iter::from_fn(move || self.next_raw())
    }

    fn next_raw(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let &[name_end, value_end] = self.ends.next()? else { return None };
        let name = self.text.get(self.at..name_end as usize)?;
        let value = self.text.get(name_end as usize..value_end as usize)?;
        self.at = value_end as usize;
        Some((name, value))
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.next_raw()?;
        Some((std::str::from_utf8(name).unwrap_or_default(), value))
    }
}

impl<'a> IntoIterator for &'a FieldLines {
    type Item = (&'a str, &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Extend<(N, V)> for FieldLines {
    fn extend<T: IntoIterator<Item = (N, V)>>(&mut self, fields: T) {
        fields.into_iter().for_each(|(name, value)| self.push(name.as_ref(), value));
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for FieldLines {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(fields: T) -> Self {
        let mut all = Self::default();
        all.extend(fields);
        all
    }
}

impl PartialEq for FieldLines {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for FieldLines {}

/// Values hold cookies and tokens: names are all that is shown.
impl fmt::Debug for FieldLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn pairs(fields: &FieldLines) -> Vec<(String, Vec<u8>)> {
        fields.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
    }

    proptest! {
        #[test]
        fn what_is_put_in_comes_out(given in vec(("[a-z-]{0,8}", vec(any::<u8>(), 0..12)), 0..8), before in vec(any::<u8>(), 0..5)) {
            let fields: FieldLines = given.iter().map(|(name, value)| (name, value)).collect();
            prop_assert_eq!(pairs(&fields), given.clone());
            prop_assert_eq!(fields.len(), given.len());
            prop_assert_eq!(fields.bytes(), given.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>());
            let (text, start, ends) = fields.clone().into_parts();
            prop_assert_eq!(FieldLines::from_parts(text.clone(), start, ends.clone()), Some(fields));
            // Something may stand before them.
            let (text, moved) = ([before.clone(), text].concat(), ends.iter().map(|end| end + before.len() as u32).collect());
            let mut behind = FieldLines::from_parts(text, before.len(), moved).unwrap();
            prop_assert_eq!(pairs(&behind), given.clone());
            behind.push("last", b"1");
            let _ = behind.push_with("none", |text| { text.push(1); None });
            let all = pairs(&behind);
            prop_assert_eq!(all.split_last(), Some((&("last".to_owned(), b"1".to_vec()), given.as_slice())));
            behind.retain(|name, _| name == "last");
            prop_assert_eq!(behind.len(), 1 + given.iter().filter(|(name, _)| name == "last").count());
        }

        #[test]
        fn no_numbers_are_believed(text in vec(any::<u8>(), 0..20), start in 0..24_usize, ends in vec(0..24_u32, 0..7)) {
            if let Some(fields) = FieldLines::from_parts(text.clone(), start, ends.clone()) {
                prop_assert!(ends.len() % 2 == 0 && ends.is_sorted() && ends.iter().all(|&end| (start..=text.len()).contains(&(end as usize))));
                prop_assert_eq!(fields.iter().count(), ends.len() / 2);
            }
        }
    }
}
