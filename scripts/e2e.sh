#!/usr/bin/env bash
# Runs the end-to-end tests: real providers (oidc-provider, django-allauth), real browser (Chromium), real Streamlit. Needs
# what scripts/build.sh made.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "[1/6] checking Node.js, the test packages and Chromium"
scripts/check-browser.sh
# It takes a minute the first time, most of it waiting: meanwhile the next steps run.
mkdir -p target
nice bash -c 'set -e; scripts/check-second-provider.sh; scripts/check-streamlit.sh' >target/check-python.log 2>&1 &
python=$!

echo "[2/6] logins against oidc-provider"
npm run --silent --prefix e2e flow

echo "[3/6] logins in Chromium; screenshots in e2e/screenshots"
npm run --silent --prefix e2e browser

echo "[4/6] checking Python, django-allauth and Streamlit's releases, in the background since step 1"
code=0
wait "$python" || code=$?
cat target/check-python.log
[ "$code" -eq 0 ] || exit "$code"

echo "[5/6] logins against django-allauth"
npm run --silent --prefix e2e second-provider

echo "[6/6] Streamlit, unmodified, in Chromium"
npm run --silent --prefix e2e streamlit
