#!/usr/bin/env bash
# Runs the public test suites of Centrifuge SDKs, from checkouts of their
# repositories, against a gateway of this tree.
#
#   hack/sdk-suites.sh DIR...
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: hack/sdk-suites.sh DIR...

Each DIR is a checkout of centrifuge-js, centrifuge-go or centrifuge-python.
Their suites expect a server on port 8000; this script builds and runs the
gateway there, with the channels that the suites use. A checkout is copied
before its dependencies are installed, so it stays as it is.

Left out are the suites of deltas, which expect them of what clients publish,
and of what the gateway does not speak: map subscriptions, shared polling, HTTP
streaming and SSE. What is tested within the others and is
not there fails, and is in the counts.

The suite of centrifuge-python wants pytest and the packages of its
pyproject.toml in the Python that PYTHON names (python3 by default).
TEXT
}

if [[ $# -eq 0 || $1 == -h || $1 == --help ]]; then
  usage
  exit $((2 * ($# == 0)))
fi

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
gateway=
stop() {
  if [[ -n $gateway ]]; then kill "$gateway" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap stop EXIT

# start_gateway RULE runs the gateway with a rule for the channels that have no
# prefix, and stops the one before.
#
# The suites' servers take the key "secret", which is shorter than the gateway
# allows. HMAC fills keys up with zero bytes, so that this one signs the same.
start_gateway() {
  if [[ -n $gateway ]]; then
    kill "$gateway"
    wait "$gateway" || true
  fi
  cat >"$work/gateway.yaml" <<YAML
listen: ":8000"
drain-timeout: 0s
message-rate: 0
admin-listen: "127.0.0.1:8001"
api-key: test-api-key
jwt-key: "secret\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
channels:
- {pattern: "smallhistory:*", history: {size: 2, ttl: 5m}, recovery: true, publish: Anybody}
- {pattern: "*", history: {size: 100, ttl: 5m}, recovery: true, publish: Anybody$1}
YAML
  "$work/gateway" --config "$work/gateway.yaml" >"$work/gateway.log" 2>&1 &
  gateway=$!
  until curl -sf -o "$work/ready" http://127.0.0.1:8001/readyz; do
    if ! kill -0 "$gateway" 2>/dev/null; then
      gateway=
      cat "$work/gateway.log" >&2
      exit 1
    fi
  done
}

# copy DIR NAME copies a checkout's files and prints where they are.
copy() {
  mkdir "$work/$2"
  cp -R "$1/." "$work/$2"
  rm -rf "$work/$2/node_modules"
  printf '%s' "$work/$2"
}

run_js() {
  (
    cd "$(copy "$1" js)"
    npm install --legacy-peer-deps --ignore-scripts --no-audit --no-fund --loglevel=error
    npx jest --forceExit --runInBand --testPathIgnorePatterns 'map|shared_poll|delta|debounce|bench' -t '^(?!.*(http_stream|sse|map)).*$'
  )
}

# Each test of Go runs for itself: some wait for ever for what does not come.
run_go() {
  (
    cd "$(copy "$1" go)"
    go test -c -o suite .
    passed=0
    failed=0
    for name in $(./suite -test.list '^Test'); do
      if ./suite -test.run "^$name\$" -test.timeout 30s >"$name.log" 2>&1; then
        passed=$((passed + 1))
      else
        failed=$((failed + 1))
        printf 'failed: %s: %s\n' "$name" "$(grep -m 1 -E '_test.go:|^panic' "$name.log" | sed 's/^ *//')"
      fi
    done
    printf '%s passed, %s failed\n' "$passed" "$failed"
    [[ $failed -eq 0 ]]
  )
}

run_python() {
  local python=${PYTHON:-python3}
  if ! (cd "$1" && "$python" -c 'import pytest, centrifuge' 2>"$work/python.log"); then
    printf '%s cannot run the suite: %s\n' "$python" "$(tail -n 1 "$work/python.log")" >&2
    return 1
  fi
  (cd "$(copy "$1" python)" && "$python" -m pytest -q tests)
}

go -C "$root" build -o "$work/gateway" ./cmd/gateway
failed=0
for dir in "$@"; do
  printf '\n=== %s\n' "$dir"
  if [[ -e $dir/package.json ]]; then
    start_gateway ", presence: true"
    run_js "$dir" || failed=1
  elif [[ -e $dir/go.mod ]]; then
    start_gateway ""
    run_go "$dir" || failed=1
  elif [[ -e $dir/pyproject.toml ]]; then
    start_gateway ", presence: true, joinLeave: true"
    run_python "$dir" || failed=1
  else
    printf 'sdk-suites.sh: %s is no checkout of an SDK that it knows\n' "$dir" >&2
    exit 2
  fi
done
exit "$failed"
