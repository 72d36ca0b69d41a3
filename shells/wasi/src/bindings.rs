//! The interfaces of WASI that both shells import; the only place for them.

#![allow(unsafe_code, clippy::all, reason = "generated: the canonical ABI")]

wit_bindgen::generate!({
    inline: "
        package vestibule:wasi;

        world system {
            import wasi:cli/environment@0.2.12;
            import wasi:cli/stderr@0.2.12;
            import wasi:clocks/wall-clock@0.2.12;
            import wasi:filesystem/preopens@0.2.12;
            import wasi:filesystem/types@0.2.12;
            import wasi:random/random@0.2.12;
        }
    ",
    path: [
        "../../wit/wasi-0.2/io.wit",
        "../../wit/wasi-0.2/clocks.wit",
        "../../wit/wasi-0.2/random.wit",
        "../../wit/wasi-0.2/filesystem.wit",
        "../../wit/wasi-0.2/sockets.wit",
        "../../wit/wasi-0.2/cli.wit",
    ],
    generate_all,
});

/// Where the host has it: a component that imports it cannot be instantiated elsewhere.
#[cfg(feature = "wasi-config")]
pub(crate) mod config {
    wit_bindgen::generate!({
        inline: "package vestibule:wasi-config; world config { import wasi:config/store@0.2.0-rc.1; }",
        path: "../../wit/wasi-config",
        generate_all,
    });
}
