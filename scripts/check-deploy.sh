#!/usr/bin/env bash
# check-deploy.sh [PROGRAM]: validates deploy/, and runs its configurations with dist/vestibule, or with PROGRAM. Needs PyPI for
# target/deploy, once. If target/servers has nginx and Envoy (scripts/check-servers.sh), these run what deploy/ gives their controllers.
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
PYTHONDONTWRITEBYTECODE=1 exec "$environment/bin/python" e2e/deploy/check.py "$program" target/servers/bin
