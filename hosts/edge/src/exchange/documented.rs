//! The numbers of `docs/serve.md` against those of the code.

use std::time::Duration;

use crate::client::budgets;
use crate::exchange::proxy::{Patience, TURN_PATIENCE, TURNS, WAITING_TURNS};
use crate::listen::http1::MAX_HEAD_BYTES;
use crate::listen::limits::{ConnectionLimits, SHARES};
use crate::listen::request_bytes::{LAST_WAIT, MOST_BEHIND};

fn section(title: &str) -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/serve.md")).expect("a page");
    let (_, rest) = page.split_once(&format!("\n## {title}\n")).expect("a section");
    rest.split("\n## ").next().expect("text").to_owned()
}

fn seconds(time: Duration) -> String {
    assert_eq!(time.subsec_nanos(), 0);
    format!("{} seconds", time.as_secs())
}

#[test]
fn the_limits_of_connections_are_those_of_the_code() {
    let limits = ConnectionLimits::default();
    let patience = Patience::default();
    assert_eq!((SHARES, limits.all, limits.each), (8, 8192, 1024), "an eighth");
    assert_eq!(patience.piece, patience.body);
    let of_the_last = format!(
        "next piece of a response to a client that has closed its sending side, or has sent more than {} KiB of later requests",
        MOST_BEHIND / 1024
    );
    let table = [
        ("TLS handshake", format!("{} from the connection's acceptance", seconds(limits.handshake))),
        (
            "request head, or header block of HTTP/2",
            format!("{} in all, then 408; {} KiB, then 431", seconds(limits.head), MAX_HEAD_BYTES / 1024),
        ),
        ("connection without a request", seconds(limits.idle)),
        ("body of which nothing arrives, over HTTP/1.1", format!("{}, then 408", seconds(patience.piece))),
        ("body of which nothing arrives, over HTTP/2", format!("{}, then the request is ended", seconds(patience.piece_of_stream))),
        ("next piece of a response", seconds(patience.write)),
        (of_the_last.as_str(), seconds(LAST_WAIT)),
        ("connections, and requests in flight, in all", "half of the descriptors, at most 8,192".to_owned()),
        (
            "connections, and requests in flight, of one client",
            "an eighth of all; a connection beyond it is closed at once, a request gets 429".to_owned(),
        ),
        (
            "decisions of one client on the callback and the login that wait for a provider",
            format!("{TURNS}; {WAITING_TURNS} more wait up to {}, then 429", seconds(TURN_PATIENCE)),
        ),
        // The library's tests hold it.
        (
            "decisions that wait for one provider",
            "384 on machines with up to two processors, and 192 more for each further one; one beyond gets 503".to_owned(),
        ),
    ];
    let expected: String = table.iter().map(|(limit, value)| format!("| {limit} | {value} |\n")).collect();
    let found = section("Connections");
    assert!(found.contains(&format!("| limit | value |\n|---|---|\n{expected}\n")), "replace the table of \"Connections\" by\n{expected}");

    let admin = ConnectionLimits::admin();
    let of_admin = format!(
        "room for {} connections, {} of one client, and for {} more from this machine.\n  A connection without a request is closed after {}, \
         and one whose head is not whole {} after its first byte.",
        admin.all,
        admin.each,
        admin.local,
        seconds(admin.idle),
        seconds(admin.head)
    );
    assert!(found.contains(&of_admin), "{of_admin}");
    let failures = section("Failures");
    let body = format!("| 408 | The body that a decision needs takes more than {}. |", seconds(patience.body));
    assert!(failures.contains(&body), "{body}");
    assert_eq!(budgets::MINUTE, Duration::from_secs(60), "the limits of a client are for a minute, as their settings are named");
}
