# Sourced. beside COMMAND... -- COMMAND...: runs the first beside the second; fails when either does.

beside() {
  local first=()
  while [ "$1" != -- ]; do
    first+=("$1")
    shift
  done
  shift
  # A group of its own, to be stopped as one.
  set -m
  "${first[@]}" &
  beside_first=$!
  set +m
  trap 'kill -- -"$beside_first" 2>/dev/null || true' EXIT
  "$@"
  if ! wait "$beside_first"; then
    echo "error: ${first[0]} failed; the lines above say why" >&2
    exit 1
  fi
  trap - EXIT
}
