#!/usr/bin/env bash
# tarball.sh STAGE ARCHIVE: packs what packaging/stage.sh made, in a folder that is named like ARCHIVE. The same stage gives the same
# bytes.
set -euo pipefail

stage=$1 archive=$2
name=$(basename "$archive" .tar.gz)
tar --create --directory "$stage" --transform "s,^\.,$name," --sort=name --owner=0 --group=0 --numeric-owner \
  --mtime "@$SOURCE_DATE_EPOCH" --format=gnu . | gzip --best --no-name >"$archive"
