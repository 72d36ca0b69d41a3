//! Memory of connections that are open and do nothing.

use std::time::Duration;

use tokio::time::sleep;

use crate::comparison::Side;
use crate::load::Connection;
use crate::request;

const WEBSOCKETS: usize = 1000;
const IDLE: usize = 4096;

/// A client may have 1,024 connections: each address of 127.0.0.0/8 is a client of its own.
const OF_A_CLIENT: usize = 500;

/// Until what has just ended is tidied up.
const SETTLING: Duration = Duration::from_secs(1);
/// What is kept longer is kept.
const LEFT_AFTER: Duration = Duration::from_secs(60);

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Begins the table of what follows.
pub fn print_heading() {
    println!("\n| open and silent | MiB before | with them | KiB for each | MiB {} s after |", LEFT_AFTER.as_secs());
    println!("| --- | --- | --- | --- | --- |");
}

/// Opens WebSockets, each of which has echoed a message, and prints what is resident with them.
pub async fn print_websockets(side: &Side) {
    let request = request::websocket(side.path, side.address, &side.session);
    let before = settled(side).await;
    let mut open = Vec::new();
    for number in 0..WEBSOCKETS {
        let mut connection = Connection::open_from(client(number), side.address, request.clone().into()).await;
        connection.upgrade().await;
        open.push(connection);
    }
    sleep(SETTLING).await;
    print_row(side, "WebSockets", open.len(), [before, memory(side)], "");
}

/// Opens connections, each of which has had one request answered, and prints what is resident with them.
pub async fn print_idle(side: &Side) {
    let before = settled(side).await;
    let mut open = Vec::new();
    for number in 0..IDLE {
        let mut connection = Connection::open_from(client(number), side.address, side.request()).await;
        connection.exchange().await;
        open.push(connection);
    }
    sleep(SETTLING).await;
    let with = memory(side);
    drop(open);
    sleep(LEFT_AFTER).await;
    print_row(side, "connections", IDLE, [before, with], &(memory(side) / MIB).to_string());
}

fn print_row(side: &Side, what: &str, number: usize, [before, with]: [u64; 2], after: &str) {
    let each = with.saturating_sub(before) / KIB / number as u64;
    println!("| {}, {number} {what} | {} | {} | {each} | {after} |", side.name, before / MIB, with / MIB);
}

/// The memory after ordinary traffic.
async fn settled(side: &Side) -> u64 {
    side.warm_up().await;
    sleep(SETTLING).await;
    memory(side)
}

fn memory(side: &Side) -> u64 {
    side.processes.iter().map(|process| process.memory()).sum()
}

fn client(number: usize) -> [u8; 4] {
    let client = number / OF_A_CLIENT + 2;
    [127, 0, 0, u8::try_from(client).expect("there are few")]
}
