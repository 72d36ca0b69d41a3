#!/usr/bin/env bash
# Fuzzes the core: one target after another, or TARGET alone, each for SECONDS. Starts from the corpora of fuzz/corpus and
# keeps what it finds in target/fuzz-corpus. With KEEP=1, what reaches most of the code becomes fuzz/corpus, beside the
# files there that have a name.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_fuzz_version=0.13.2
seconds=${SECONDS_EACH:-600}
# A decision takes microseconds and kilobytes; what takes more is a finding.
limits=(-timeout=10 -rss_limit_mb=2048)
# Of what was found, in each corpus: most of what is known to be reachable, and little enough for every `make test`.
max_found=260

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
  # The smallest set that reaches every place, the most useful first; how often it does is left to the next run.
  kept=target/fuzz-corpus/$target.kept
  rm -rf "$kept" && mkdir "$kept"
  "$program" -set_cover_merge=1 -use_counters=0 "${limits[@]}" "$kept" "fuzz/corpus/$target" "$found" >>"$log" 2>&1
  find "fuzz/corpus/$target" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
  ls -tr "$kept" | sed -n "1,${max_found}p" | while read -r file; do cp "$kept/$file" "fuzz/corpus/$target/"; done
  echo "      fuzz/corpus/$target: $(find "fuzz/corpus/$target" -type f | wc -l) files, $(du -sk --apparent-size "fuzz/corpus/$target" | cut -f 1) KiB"
done
