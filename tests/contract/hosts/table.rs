//! The result as a table for docs/hosts.md, between two marks.

use anyhow::{Context as _, Result};

/// A host, and what became of every row.
pub struct Column {
    pub title: &'static str,
    pub cells: Vec<(&'static str, Cell)>,
}

/// What became of a row.
pub enum Cell {
    Yes,
    /// It cannot be, and why.
    No(&'static str),
    Fails,
}

const BEGIN: &str = "<!-- hosts: begin; written by `make test-hosts` -->\n";
const END: &str = "<!-- hosts: end -->\n";

/// The table in Markdown, with the reasons of what cannot hold behind it.
pub fn markdown(columns: &[Column]) -> String {
    let titles = columns.iter().map(|column| column.title);
    let mut lines = vec![line(std::iter::once("").chain(titles)), line(vec!["---"; columns.len() + 1].into_iter())];
    let mut reasons: Vec<&str> = vec![];
    let rows = columns.first().map(|column| column.cells.iter().map(|(row, _)| *row)).into_iter().flatten();
    for (index, row) in rows.enumerate() {
        let cells = columns.iter().map(|column| match column.cells[index].1 {
            Cell::Yes => "yes".to_owned(),
            Cell::Fails => "FAILS".to_owned(),
            Cell::No(reason) => {
                let number = reasons.iter().position(|known| *known == reason).unwrap_or_else(|| {
                    reasons.push(reason);
                    reasons.len() - 1
                });
                format!("no ({})", number + 1)
            }
        });
        let cells: Vec<_> = std::iter::once(row.to_owned()).chain(cells).collect();
        lines.push(line(cells.iter().map(String::as_str)));
    }
    if !reasons.is_empty() {
        lines.push(String::new());
        lines.extend(reasons.iter().enumerate().map(|(index, reason)| format!("{}. {}.", index + 1, capitalised(reason))));
    }
    lines.join("\n") + "\n"
}

/// `text` with what is between the marks replaced.
///
/// # Errors
/// The marks are not there.
pub fn replace(text: &str, table: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("there is no line {}", BEGIN.trim()))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("there is no line {}", END.trim()))?;
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    // Inside: the suite itself has no harness, and leaves the test out.
    #[test]
    fn one_reason_has_one_number_and_only_what_is_between_the_marks_changes() {
        use super::*;

        let column = |title| Column { title, cells: vec![("a", Cell::Yes), ("b", Cell::No("no sockets")), ("c", Cell::Fails)] };
        let table = markdown(&[column("one"), column("two")]);
        assert_eq!(
            table,
            "|  | one | two |\n| --- | --- | --- |\n| a | yes | yes |\n| b | no (1) | no (1) |\n| c | FAILS | FAILS |\n\n1. No sockets.\n"
        );
        let text = format!("before\n{BEGIN}old\n{END}after\n");
        let replaced = replace(&text, &table).expect("there are marks");
        assert_eq!(replaced, format!("before\n{BEGIN}\n{table}\n{END}after\n"));
        assert_eq!(replace(&replaced, &table).expect("there are marks"), replaced);
        assert!(replace("no marks", &table).is_err());
    }
}
