#!/usr/bin/env bash
# Builds the site of the documentation, target/site. Every warning is an error: a link that leads nowhere, a page that the
# navigation lacks.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
. scripts/python.sh

environment=target/docs
list=docs/site/requirements.txt
if ! is_made "$environment" "$list"; then
  echo "      installing Sphinx in $environment: 70 MB, up to half a minute"
  make_environment "Sphinx" "$environment" "$list"
fi
# Anew each time: Sphinx leaves the navigation of unchanged pages as it was.
rm -rf target/site target/docs-trees
"$environment/bin/python" -m sphinx --quiet --fail-on-warning --jobs auto --builder html --conf-dir docs/site --doctree-dir target/docs-trees . target/site
echo "      $(find target/site -name '*.html' | wc -l) pages: open target/site/index.html"
