#!/usr/bin/env bash
# Runs every test of the workspace, and says how far it is. Needs what scripts/build.sh made.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh
steps 2

scripts/check-redis.sh
step "compiling the tests$([ -e target/release/.tests ] || echo ' (first time about 5 minutes on 2 cores)')"
compiled=$(mktemp)
trap 'rm -f "$compiled"' EXIT
cargo test --release --workspace --no-run 2>&1 | tee "$compiled" | grep -v '^  Executable '
touch target/release/.tests
programs=$(grep -c '^  Executable ' "$compiled")

step "running $programs programs of tests, and the examples in the documentation"
# One line for a program, and one for its result; of the tests, those that fail.
cargo test --release --workspace --no-fail-fast 2>&1 | awk -v programs="$programs" '
  /^ +Running / { ran++; sub(/^ +Running /, ""); sub(/ \(.*/, ""); $0 = sprintf("[%d/%d] %s", ran, programs, $0) }
  /^test .* \.\.\. ok$/ || /^running [0-9]+ tests?$/ || /^$/ || /^ +Finished/ { next }
  { print; fflush() }'
step_ended
echo "All tests passed."
