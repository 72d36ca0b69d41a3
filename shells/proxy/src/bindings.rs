//! The interfaces of `wasi:http` 0.2; the only place for them.

#![allow(unsafe_code, clippy::all, reason = "generated: the canonical ABI")]

wit_bindgen::generate!({
    inline: "
        package vestibule:proxy;

        /// Of wasi:http/proxy, what is used.
        world proxy {
            import wasi:clocks/monotonic-clock@0.2.12;
            import wasi:io/poll@0.2.12;
            import wasi:io/streams@0.2.12;
            import wasi:http/types@0.2.12;
            import wasi:http/outgoing-handler@0.2.12;
            export wasi:http/incoming-handler@0.2.12;
        }
    ",
    path: [
        "../../wit/wasi-0.2/io.wit",
        "../../wit/wasi-0.2/clocks.wit",
        "../../wit/wasi-0.2/random.wit",
        "../../wit/wasi-0.2/filesystem.wit",
        "../../wit/wasi-0.2/sockets.wit",
        "../../wit/wasi-0.2/cli.wit",
        "../../wit/wasi-0.2/http.wit",
    ],
    generate_all,
});

use super::IncomingHandler;
export!(IncomingHandler);
