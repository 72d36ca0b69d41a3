//! The interfaces of `wasi:http` 0.3; the only place for them.

#![allow(unsafe_code, clippy::all, reason = "generated: the canonical ABI")]

wit_bindgen::generate!({
    inline: "
        package vestibule:middleware;

        /// Of wasi:http/middleware, what is used.
        world middleware {
            import wasi:clocks/monotonic-clock@0.3.0;
            import wasi:http/types@0.3.0;
            import wasi:http/client@0.3.0;
            import wasi:http/handler@0.3.0;
            export wasi:http/handler@0.3.0;
        }
    ",
    path: [
        "../../wit/wasi-0.3/clocks.wit",
        "../../wit/wasi-0.3/random.wit",
        "../../wit/wasi-0.3/filesystem.wit",
        "../../wit/wasi-0.3/sockets.wit",
        "../../wit/wasi-0.3/cli.wit",
        "../../wit/wasi-0.3/http.wit",
    ],
    generate_all,
});

use super::Middleware;
export!(Middleware);
