#!/usr/bin/env bash
# check-deploy.sh [PROGRAM]: validates deploy/, and runs its configurations with dist/vestibule, or with PROGRAM. Needs PyPI for
# target/deploy and npm for e2e/deploy/node_modules, once. If target/servers has nginx and Envoy (scripts/check-servers.sh), these run what deploy/ gives their controllers.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
. scripts/python.sh

environment=target/deploy
list=e2e/deploy/requirements.txt
program=${1:-dist/vestibule}

if ! [ -x "$program" ]; then
  echo "error: there is no $program; run \`make build\` first, or give a program: scripts/check-deploy.sh PROGRAM" >&2
  exit 1
fi
if ! is_made "$environment" "$list"; then
  echo "      installing Helm's engine, and schemas of Kubernetes and Compose, in $environment: 400 MB, up to half a minute"
  make_environment "the checks of deploy/" "$environment" "$list"
fi
if ! command -v npm >/dev/null || [ "$(node --print 'process.versions.node.split(".")[0]')" -lt 20 ]; then
  echo "error: the schemas of the Gateway API need npm and Node.js 20 or newer (https://nodejs.org); install them, then run this again" >&2
  exit 1
fi
if ! cmp -s e2e/deploy/package-lock.json e2e/deploy/node_modules/.installed-lock.json; then
  npm ci --prefix e2e/deploy --prefer-offline --no-audit --no-fund --loglevel error
  cp e2e/deploy/package-lock.json e2e/deploy/node_modules/.installed-lock.json
fi
PYTHONDONTWRITEBYTECODE=1 exec "$environment/bin/python" e2e/deploy/check.py "$program" target/servers/bin target/release/examples/serve
