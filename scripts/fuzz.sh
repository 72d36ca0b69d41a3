#!/usr/bin/env bash
# Fuzzes the core: one target after another, or TARGET alone, each for SECONDS. Starts from the corpora of fuzz/corpus and
# keeps what it finds in target/fuzz-corpus. With KEEP=1, what reaches code that fuzz/corpus does not is added there.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_fuzz_version=0.13.2
seconds=${SECONDS_EACH:-600}
# A decision takes microseconds and kilobytes; what takes more is a finding.
limits=(-timeout=10 -rss_limit_mb=2048)
# Of each corpus: enough to reach what is known to be reachable, little enough to be replayed by every `make test`.
max_files=500
max_kib=500

scripts/check-tools.sh

targets=$(sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | tail -n +2)
if [ -n "${TARGET:-}" ]; then
  if ! grep -qxF "$TARGET" <<<"$targets"; then
    printf 'error: there is no target %s; these are there:\n%s\n' "$TARGET" "$targets" >&2
    exit 1
  fi
  targets=$TARGET
fi

command -v c++ >/dev/null || { . scripts/packages.sh && install_packages "libFuzzer" g++; }
if ! target/tools/bin/cargo-fuzz --version 2>/dev/null | grep -qF "$cargo_fuzz_version"; then
  echo "      installing cargo-fuzz $cargo_fuzz_version into target/tools (about a minute on 2 cores)"
  if ! CARGO_TARGET_DIR=target/tools-build cargo install --quiet --locked --force --root target/tools --version "$cargo_fuzz_version" cargo-fuzz; then
    echo "error: cargo could not install cargo-fuzz; the lines above say why. Run this again when crates.io can be reached" >&2
    exit 1
  fi
fi
PATH=$PWD/target/tools/bin:$PATH

# Without a sanitizer and without cfg(fuzzing): fuzz/README.md says why.
echo "[1/2] compiling the targets$([ -d target/fuzz ] || echo ' (first time about 3 minutes on 2 cores)')"
cargo fuzz build --sanitizer none --no-cfg-fuzzing --target-dir target/fuzz
host=$(rustc --print host-tuple)

echo "[2/2] fuzzing, $seconds seconds each"
for target in $targets; do
  program=target/fuzz/$host/release/$target
  found=target/fuzz-corpus/$target
  artifacts=fuzz/artifacts/$target
  log=target/fuzz-corpus/$target.log
  mkdir -p "$found" "$artifacts"
  if ! "$program" -max_total_time="$seconds" "${limits[@]}" -print_final_stats=1 -artifact_prefix="$artifacts/" \
    "$found" "fuzz/corpus/$target" >"$log" 2>&1; then
    grep -A 3 'panicked at\|ERROR: libFuzzer' "$log" >&2 || true
    echo "error: $target has found something; the input is in $artifacts, the log is $log. Run it again with: $program INPUT" >&2
    exit 1
  fi
  echo "      $target: $(grep -oE '#[0-9]+.DONE.*exec/s: [0-9]+' "$log" | tr -s '\t ' ' ')"
  [ -n "${KEEP:-}" ] || continue
  # The smallest set that reaches every place; how often it does, which tells many more apart, is left to the next run.
  "$program" -set_cover_merge=1 -use_counters=0 "${limits[@]}" "fuzz/corpus/$target" "$found" >>"$log" 2>&1
  files=$(find "fuzz/corpus/$target" -type f | wc -l)
  kib=$(find "fuzz/corpus/$target" -type f -printf '%s\n' | awk '{ sum += $1 } END { print int(sum / 1024) }')
  echo "      fuzz/corpus/$target: $files files, $kib KiB"
  if [ "$files" -gt "$max_files" ] || [ "$kib" -gt "$max_kib" ]; then
    echo "error: more than $max_files files or $max_kib KiB; remove the largest of those without a name" >&2
    exit 1
  fi
done
