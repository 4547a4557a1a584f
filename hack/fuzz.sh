#!/usr/bin/env bash
# Runs every fuzz target, of every module, for the time given (default 30s), one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r package; do
  grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$package"/*_test.go | awk '{print $2}' | while read -r target; do
    echo "== $package $target"
    go -C "$package" test . -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s
  done
done
