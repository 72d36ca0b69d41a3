//! What Vestibule does for a user and an application, as one table of rows, and every host that it must hold in.
//!
//! ```text
//! row: a browser's requests ──► shape: a host with the login in it ──► application, which tells what reached it
//!                                          │
//!                                          └──► development provider
//! ```
//!
//! A [`row::Row`] knows no host, and a [`Shape`] knows no row, apart from those that it cannot do by its nature: it names the
//! reason. A new host is one file in `shape/` and one line in [`shape::all`].
//!
//! Everything is real: the host's own program, sockets, the development provider. `cargo test` runs the shapes that
//! need nothing but what `make build` makes; `make test-hosts` runs all of them and compares the table of docs/hosts.md.

#![expect(unreachable_pub, reason = "what the modules of this one program share has no outside to be hidden from")]

mod application;
mod bench;
mod browser;
mod row;
mod shape;
mod site;
mod suite;
mod table;
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use futures::{StreamExt as _, stream};
use tokio::signal::unix::{SignalKind, signal};

use crate::shape::Shape;
use crate::site::{Kind, Ports, Site};
use crate::suite::{Report, Verdict};
use crate::table::{Cell, Column};

/// Where a browser and the application are found when a host is kept running: the ports of the examples.
const PORTS: Ports = Ports { public: 8501, application: 8080 };

/// Shapes that run at the same time.
const AT_ONCE: usize = 2;

/// Runs one table of requests on every host that Vestibule runs in.
#[derive(Parser)]
struct Arguments {
    /// The hosts; those that need no other server when none is named
    shapes: Vec<String>,
    /// Every host
    #[arg(long, conflicts_with = "shapes")]
    all: bool,
    /// List the hosts
    #[arg(long)]
    list: bool,
    /// Compare each host with the same one without the login
    #[arg(long)]
    bench: bool,
    /// Start one host with a provider and an application, and keep it running until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Fail when the table in this file is not the result
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Write the result into this file
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    write: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the result is what was asked for")]
async fn run(arguments: Arguments) -> Result<()> {
    let shapes = if arguments.all { shape::all() } else { chosen(&arguments.shapes)? };
    if arguments.list {
        shapes.iter().for_each(|shape| println!("{}", shape.name()));
        return Ok(());
    }
    if arguments.keep {
        return keep(&shapes).await;
    }
    if arguments.bench {
        return bench::run(&shapes).await;
    }
    let reports: Vec<Report> = stream::iter(&shapes).map(|shape| report(shape.as_ref())).buffered(AT_ONCE).collect().await;
    let failures: Vec<_> = reports.iter().flat_map(Report::failures).collect();
    ensure!(failures.is_empty(), "{} rows do not hold:\n{}", failures.len(), failures.join("\n"));
    let table = table::markdown(&reports.iter().map(column).collect::<Vec<_>>());
    match (&arguments.check, &arguments.write) {
        (Some(file), _) => check(file, &table),
        (_, Some(file)) => write(file, &table),
        _ => {
            println!("{table}");
            Ok(())
        }
    }
}

fn chosen(names: &[String]) -> Result<Vec<Box<dyn Shape>>> {
    let known: Vec<_> = shape::all().iter().map(|shape| shape.name()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("{unknown:?} is no host; these are: {}", known.join(", "));
    }
    if names.is_empty() {
        return Ok(shape::always());
    }
    Ok(shape::all().into_iter().filter(|shape| names.iter().any(|name| name == shape.name())).collect())
}

#[expect(clippy::print_stdout, reason = "what becomes of a host is what was asked for")]
async fn report(shape: &dyn Shape) -> Report {
    let report = suite::run(shape).await;
    let failures = report.failures().count();
    println!("{}: {} rows, {failures} do not hold", shape.name(), report.verdicts.len());
    report
}

#[expect(clippy::print_stdout, reason = "what to open is for the person at the terminal")]
async fn keep(shapes: &[Box<dyn Shape>]) -> Result<()> {
    let [shape] = shapes else { bail!("name one host to keep running") };
    // From now on, so that a Ctrl-C at any time stops what has been started as well.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = async {
        let site = Site::start(shape.as_ref(), Kind::Required, PORTS).await?;
        println!("Provider: {}\nOpen  {}/  in a browser; Ctrl-C stops it.", site.provider.issuer(), site.origin());
        std::future::pending::<Result<()>>().await
    };
    tokio::select! {
        result = running => result,
        _ = interrupt.recv() => Ok(()),
    }
}

fn column(report: &Report) -> Column {
    let cell = |verdict: &Verdict| match verdict {
        Verdict::Holds => Cell::Yes,
        Verdict::Exempt(reason) => Cell::No(reason),
        Verdict::Fails(_) => Cell::Fails,
    };
    Column { title: report.title, cells: report.verdicts.iter().map(|(row, verdict)| (*row, cell(verdict))).collect() }
}

fn check(file: &Path, table: &str) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let remedy = "run `scripts/test-hosts.sh --write`, and commit the change if it is meant";
    ensure!(table::replace(&text, table)? == text, "the table in {} is not the result; {remedy}", file.display());
    Ok(())
}

fn write(file: &Path, table: &str) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Ok(std::fs::write(file, table::replace(&text, table)?)?)
}
