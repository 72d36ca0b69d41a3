#!/usr/bin/env bash
# Runs the end-to-end tests: real provider (oidc-provider), real browser (Chromium), real Streamlit. Needs what
# scripts/build.sh made.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "[1/5] checking Node.js, the test packages and Chromium"
scripts/check-browser.sh
# It takes a minute the first time, most of it waiting: meanwhile the next steps run.
mkdir -p target
nice scripts/check-streamlit.sh >target/check-streamlit.log 2>&1 &
streamlit=$!

echo "[2/5] logins against oidc-provider"
npm run --silent --prefix e2e flow

echo "[3/5] logins in Chromium; screenshots in e2e/screenshots"
npm run --silent --prefix e2e browser

echo "[4/5] checking Python and Streamlit's releases, in the background since step 1"
code=0
wait "$streamlit" || code=$?
cat target/check-streamlit.log
[ "$code" -eq 0 ] || exit "$code"

echo "[5/5] Streamlit, unmodified, in Chromium"
npm run --silent --prefix e2e streamlit
