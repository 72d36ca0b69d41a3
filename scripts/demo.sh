#!/usr/bin/env bash
# Starts the demo: target/release/vestibule-demo, if `make build` has made it, else one that is built of what the demo needs and of
# nothing else. That one has the profile `demo`, in which programs compile faster and run slower. LISTEN is its address and port.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh
. scripts/in-parallel.sh

listen=${LISTEN:-127.0.0.1:8501}
# Now, and not after minutes of compiling.
if (: <>"/dev/tcp/${listen%:*}/${listen##*:}") 2>/dev/null; then
  echo "error: $listen is in use; stop the program that uses it, or choose another port: make demo LISTEN=127.0.0.1:8502" >&2
  exit 1
fi

demo=target/release/vestibule-demo
# One that cargo alone has built carries no component.
if [ -x "$demo" ] && [ -s target/release/carried/component ]; then
  echo "$demo is there; \`make build\` renews it"
  exec "$demo" --listen "$listen"
fi

demo=target/demo/vestibule-demo
if [ -x "$demo" ]; then first=""; else first=", the first time some minutes"; fi
steps 4

step "checking the tools"
scripts/check-tools.sh

step "building the component and, beside it, the demo (Pingora and Wasmtime$first)"
beside scripts/build-component.sh --wide -- cargo build --profile demo --package vestibule-demo --bins

step "compiling the component, and linking it into the demo"
scripts/carry.sh demo vestibule-demo --package vestibule-demo

step "starting the demo"
exec "$demo" --listen "$listen"
