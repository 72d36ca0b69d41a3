#!/usr/bin/env bash
# test-applications.sh [TEST...] : runs applications from PyPI and npm behind `vestibule serve`, with the settings of
# docs/applications. TEST is a class or a test, such as Dashboards or Tools.test_vite. Needs what scripts/build.sh made.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

steps 3
step "installing the applications"
scripts/check-applications.sh
step "building the development provider"
cargo build --release --quiet --package vestibule-dev-provider --example serve
step "running each application at the root of the host, and below a base path: about 10 minutes on 2 cores"
target/applications/python/bin/python e2e/applications/test_applications.py "$@"
step_ended
