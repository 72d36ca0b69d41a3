#!/usr/bin/env bash
# run.sh EXAMPLE : runs an example with `vestibule serve` in front of it, at http://localhost:8501. Ctrl-C ends both.
set -euo pipefail
cd "$(dirname "$0")"

example=${1:-}
if [ ! -f "$example/app.py" ]; then
  echo "usage: run.sh EXAMPLE, one of: $(echo */ | tr -d /)" >&2
  exit 2
fi
vestibule=../../dist/vestibule
if [ ! -x "$vestibule" ]; then
  echo "error: there is no dist/vestibule yet; run: make build" >&2
  exit 1
fi
streamlit=${STREAMLIT:-streamlit}
if ! command -v "$streamlit" >/dev/null; then
  echo "error: there is no program streamlit; run: pip install 'streamlit[auth]', or set STREAMLIT to its path" >&2
  exit 1
fi
# Says what is still to be filled in.
"$vestibule" check --config "$example/.streamlit/secrets.toml"

# The app itself answers this machine only, at the address that [vestibule] has for `upstream`.
(cd "$example" && exec "$streamlit" run app.py --server.address 127.0.0.1 --server.port 8601 --server.headless true) &
app=$!
trap 'kill "$app" 2>/dev/null || true' EXIT
"$vestibule" serve --config "$example/.streamlit/secrets.toml"
