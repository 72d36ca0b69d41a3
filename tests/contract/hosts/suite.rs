//! Every row on one shape.

use std::time::Duration;

use crate::row::{self, Row};
use crate::shape::Shape;
use crate::site::{Kind, Ports, Site};

/// Longer than any row takes.
const ROW: Duration = Duration::from_secs(120);

/// What became of a row.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Holds,
    /// It cannot hold here, and why.
    Exempt(&'static str),
    Fails(String),
}

/// What became of every row, in the order of the table.
pub struct Report {
    pub title: &'static str,
    pub verdicts: Vec<(&'static str, Verdict)>,
}

impl Report {
    /// Rows that should hold and do not, with the reason.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        self.verdicts.iter().filter_map(|(row, verdict)| match verdict {
            Verdict::Fails(why) => Some(format!("{}: {row}: {why}", self.title)),
            _ => None,
        })
    }
}

/// Runs every row on a shape.
pub async fn run(shape: &dyn Shape) -> Report {
    let mut verdicts = vec![];
    for kind in Kind::ALL {
        let rows = row::all().into_iter().filter(|row| row.kind == kind);
        match Site::start(shape, kind, Ports::default()).await {
            Ok(site) => {
                for row in rows {
                    verdicts.push((row.name, judge(&row, shape, &site).await));
                }
            }
            Err(error) => verdicts.extend(rows.map(|row| (row.name, Verdict::Fails(format!("{error:#}"))))),
        }
    }
    let place = |name: &str| row::all().iter().position(|row| row.name == name);
    verdicts.sort_by_key(|(name, _)| place(name));
    Report { title: shape.title(), verdicts }
}

async fn judge(row: &Row, shape: &dyn Shape, site: &Site) -> Verdict {
    let result = tokio::time::timeout(ROW, (row.check)(site)).await.unwrap_or_else(|_| Err(anyhow::anyhow!("it hangs")));
    match (result, shape.exempt(row.name)) {
        (Ok(()), None) => Verdict::Holds,
        (Err(error), None) => Verdict::Fails(format!("{error:#}")),
        (Err(_), Some(reason)) => Verdict::Exempt(reason),
        (Ok(()), Some(reason)) => Verdict::Fails(format!("it holds, although \"{reason}\"; take the exemption away")),
    }
}
