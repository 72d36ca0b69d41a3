#!/usr/bin/env bash
# Every test that docs/explain/attacks.md names must exist: a countermeasure without its test is a claim.
set -euo pipefail
cd "$(dirname "$0")/.."

# The last column of the tables; names of tests have an underscore and no capital.
named=$(sed -n 's/^|.*|.*| \(.*`.*\) |$/\1/p' docs/explain/attacks.md | grep -oE '`[a-z0-9]+_[a-z0-9_]+`' | tr -d '`' | sort -u)
missing=$(for name in $named; do
  git grep -qE "fn $name\b" -- '*.rs' || echo "  $name"
done)
if [ -n "$missing" ]; then
  printf 'error: docs/explain/attacks.md names tests that do not exist; correct the name, or write the test:\n%s\n' "$missing" >&2
  exit 1
fi
echo "      $(wc -w <<<"$named") tests named in docs/explain/attacks.md exist"
