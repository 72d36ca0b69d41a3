;; Stands in for the parts of a system that wasi-libc links in: the component has no environment, no standard streams and
;; no process.
(module
  (import "env" "memory" (memory 0))

  ;; wasi:cli. The environment is empty: errors ask it whether they shall take a backtrace (RUST_BACKTRACE).
  (func (export "get-environment") (param $list i32)
    (i32.store (local.get $list) (i32.const 4))
    (i32.store offset=4 (local.get $list) (i32.const 0)))

  ;; The rest is for the message of a panic. Each is a trap, which is what a panic ends in anyway; the host reports it.
  (func (export "exit") (param i32) unreachable)
  (func (export "get-stdin") (result i32) unreachable)
  (func (export "get-stdout") (result i32) unreachable)
  (func (export "get-stderr") (result i32) unreachable)
  (func (export "get-terminal-stdin") (param i32) unreachable)
  (func (export "get-terminal-stdout") (param i32) unreachable)
  (func (export "get-terminal-stderr") (param i32) unreachable)
  (func (export "[resource-drop]terminal-input") (param i32) unreachable)
  (func (export "[resource-drop]terminal-output") (param i32) unreachable)
  ;; wasi:clocks/monotonic-clock
  (func (export "now") (result i64) unreachable)
  ;; wasi:io
  (func (export "[resource-drop]error") (param i32) unreachable)
  (func (export "[resource-drop]pollable") (param i32) unreachable)
  (func (export "[method]pollable.block") (param i32) unreachable)
  (func (export "[resource-drop]input-stream") (param i32) unreachable)
  (func (export "[resource-drop]output-stream") (param i32) unreachable)
  (func (export "[method]output-stream.check-write") (param i32 i32) unreachable)
  (func (export "[method]output-stream.write") (param i32 i32 i32 i32) unreachable)
  (func (export "[method]output-stream.blocking-flush") (param i32 i32) unreachable)
  (func (export "[method]output-stream.subscribe") (param i32) (result i32) unreachable))
