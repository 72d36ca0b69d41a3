//! Sides that take turns, and tables of what they took.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::process::{Process, ProcessorTime};
use crate::{load, request};

/// Connections at the same time: as many as keep the proxy busy, and one that is always alone.
pub const CONNECTIONS: [usize; 2] = [16, 1];

/// Of each side with each number of connections. Many and short: a pair is then close in time, and other work hits both.
const ROUNDS: usize = 45;
const ROUND: Duration = Duration::from_millis(500);

/// A proxy, and what is asked of it.
pub struct Side {
    pub name: &'static str,
    /// All that serve the request, but the application.
    pub processes: Vec<Process>,
    pub address: SocketAddr,
    pub path: &'static str,
    /// As [`request::page`] wants it.
    pub session: String,
}

/// What a side took: for each number of connections, one figure for each round.
pub struct Taken {
    pub name: &'static str,
    /// Bytes of [`Side::session`].
    pub session: usize,
    /// Microseconds of processor time for a request.
    pub processor: [Vec<f64>; CONNECTIONS.len()],
    /// Requests in a second.
    pub rate: [Vec<f64>; CONNECTIONS.len()],
}

/// Measures all sides, in turns.
pub async fn measure(sides: &[Side]) -> Vec<Taken> {
    let mut taken: Vec<_> = sides
        .iter()
        .map(|side| Taken { name: side.name, session: side.session.len(), processor: Default::default(), rate: Default::default() })
        .collect();
    // The first round is for caches, pools and connections to the application.
    for number in 0..=ROUNDS {
        for (index, connections) in CONNECTIONS.into_iter().enumerate() {
            for turn in 0..sides.len() {
                // There and back: a side follows now one neighbour and now the other.
                let side = if number % 2 == 0 { turn } else { sides.len() - 1 - turn };
                let (processor, rate) = sides[side].round(connections).await;
                if number > 0 {
                    taken[side].processor[index].push(processor);
                    taken[side].rate[index].push(rate);
                }
            }
        }
    }
    taken
}

impl Side {
    /// What is asked in every round.
    pub fn request(&self) -> Arc<[u8]> {
        request::page(self.path, self.address, &self.session).into()
    }

    /// Requests that are not measured.
    pub async fn warm_up(&self) {
        self.round(CONNECTIONS[0]).await;
    }

    /// Microseconds of processor time for a request, and requests in a second.
    async fn round(&self, connections: usize) -> (f64, f64) {
        let look = || self.processes.iter().map(Process::processor_time).collect::<Vec<ProcessorTime>>();
        let (round, before, after) = load::round(self.address, &self.request(), connections, ROUND, look).await;
        let micros: f64 = after.iter().zip(&before).map(|(after, before)| after.since(before)).sum();
        let requests = round.requests as f64;
        (micros / requests, requests / round.took.as_secs_f64())
    }
}

/// Prints what each side took.
pub fn print_sides(taken: &[Taken]) {
    println!(
        "\n| side | session's cookies | µs of processor a request, 16 connections | 1 connection | requests/s, 16 connections | 1 connection |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for side in taken {
        let [many, one] = &side.processor;
        let [many_rate, one_rate] = &side.rate;
        let (processor, rate) = ([shown(many, 1), shown(one, 1)].join(" | "), [shown(many_rate, 0), shown(one_rate, 0)].join(" | "));
        println!("| {} | {} B | {processor} | {rate} |", side.name, side.session);
    }
}

/// What a side takes beside another one: each pair of a round compared.
pub struct Difference<'a> {
    pub name: String,
    pub of: &'a Taken,
    pub beside: &'a Taken,
}

/// Prints differences, and the ratio of the throughputs.
pub fn print_differences(differences: &[Difference<'_>]) {
    println!("\n| difference | µs of processor a request, 16 connections | 1 connection | throughput, 16 connections | 1 connection |");
    println!("| --- | --- | --- | --- | --- |");
    for Difference { name, of, beside } in differences {
        let pairs = |of: &[f64], beside: &[f64], compare: fn((&f64, &f64)) -> f64| of.iter().zip(beside).map(compare).collect::<Vec<_>>();
        let more = [0, 1].map(|index| shown(&pairs(&of.processor[index], &beside.processor[index], |(of, beside)| of - beside), 1));
        let ratio = [0, 1].map(|index| shown(&pairs(&of.rate[index], &beside.rate[index], |(of, beside)| of / beside), 2));
        println!("| {name} | {} | {} | {} | {} |", more[0], more[1], ratio[0], ratio[1]);
    }
}

/// The load of the machine, so that a reader knows what else there was.
pub fn print_machine() {
    let load = std::fs::read_to_string("/proc/loadavg").expect("of this system");
    let processors = std::thread::available_parallelism().expect("a number");
    println!(
        "\n{processors} processors, load {}; medians of {ROUNDS} rounds, and half of the distance between the quartiles.",
        load.trim()
    );
}

/// The median, and half of the distance between the quartiles.
fn shown(values: &[f64], digits: usize) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part).round() as usize];
    format!("{:.digits$} ± {:.digits$}", at(0.5), (at(0.75) - at(0.25)) / 2.0)
}
