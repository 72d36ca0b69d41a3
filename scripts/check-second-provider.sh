#!/usr/bin/env bash
# Makes what the tests against django-allauth need: a Python environment with the packages of
# e2e/second-provider/requirements.txt, in target/second-provider. If it is there and made from the same list, it stays.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
. scripts/python.sh

environment=target/second-provider
list=e2e/second-provider/requirements.txt

if ! is_made "$environment" "$list"; then
  echo "      installing django-allauth in $environment: 70 MB, up to half a minute"
  make_environment "django-allauth" "$environment" "$list"
fi
echo "      $("$environment/bin/python" --version), $(sed -n 's/^\(Django\|django-allauth\)==/\1 /p' "$list" | paste -sd, - | sed 's/,/, /')"
