#!/usr/bin/env bash
# Runs every fuzz target below some directories for the time given, as many side by side as there are
# processors.
#
#   hack/fuzz.sh [TIME [DIRECTORY...]]    (default: 30s, everywhere)
set -euo pipefail
cd "$(dirname "$0")/.."
export TIME=${1:-30s}
shift || true

# ended_in_time reads the output of a run that failed, and succeeds when the end of its time was all that failed it: Go
# before 1.27 may report that as an error (https://go.dev/issue/75804). A failing input, a panic or a hang is reported
# in other words.
ended_in_time() {
  local failed
  failed=$(grep -A 1 -E '^ *--- FAIL: ' | grep -vE '^--$')
  [[ $failed =~ ^'--- FAIL: '[^$'\n']+$'\n'' '+'context deadline exceeded'$ ]]
}

one() {
  local package=$1 target=$2 output
  if output=$(go -C "$package" test . -run '^$' -fuzz "^$target\$" -fuzztime "$TIME" -fuzzminimizetime 1s -parallel 1 2>&1) ||
    ended_in_time <<<"$output"; then
    printf 'ok   %s %s %s\n' "$package" "$target" "$(grep -oE 'execs: [0-9]+' <<<"$output" | tail -1)"
  else
    printf 'FAIL %s %s\n%s\n' "$package" "$target" "$output"
    return 1
  fi
}
export -f one ended_in_time

grep -rE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' --exclude-dir=node_modules -oH "${@:-.}" |
  sed -E 's|/[^/]*:func | |' | sort -u |
  xargs -P "$(nproc)" -L 1 bash -c 'one "$0" "$1"'
