//! Generated from `wit/filter.wit`: the one place where the component's world becomes Rust.

wasmtime::component::bindgen!({
    path: "wit",
    world: "filter",
    imports: {
        // Concurrent: a guest that waits for one answer goes on with its other calls.
        "vestibule:filter/outbound-http.send": async | store,
        // Trap when the system has no randomness.
        "wasi:random/random": trappable,
        "wasi:random/insecure-seed": trappable,
    },
    exports: {
        // Concurrent as well: many decisions are in flight on one instance.
        "vestibule:filter/request-filter.decide": async | store,
        "vestibule:filter/request-filter.finish": async | store,
        // `references` and `load` run to their end, but on a fiber of the store like all guest code.
        default: async,
    },
});
