#!/usr/bin/env bash
# Runs the end-to-end tests: real provider (oidc-provider), real browser (Chromium). Needs what scripts/build.sh made.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "[1/3] checking Node.js, the test packages and Chromium"
scripts/check-browser.sh

echo "[2/3] logins against oidc-provider"
npm run --silent --prefix e2e flow

echo "[3/3] logins in Chromium; screenshots in e2e/screenshots"
npm run --silent --prefix e2e browser
