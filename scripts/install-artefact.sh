#!/usr/bin/env bash
# install-artefact.sh BUILT ARTEFACT: copies what cargo built to dist/, and leaves a file alone that is the same already,
# so that what depends on its time is not made again.
set -euo pipefail
built=$1
artefact=$2
if cmp -s "$built" "$artefact"; then
  echo "      $artefact is up to date"
else
  mkdir -p "$(dirname "$artefact")"
  # By a rename: a running program keeps the file it started from.
  cp "$built" "$artefact.new"
  mv "$artefact.new" "$artefact"
  echo "      $artefact, $(du -h "$artefact" | cut -f 1)"
fi
