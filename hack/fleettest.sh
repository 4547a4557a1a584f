#!/usr/bin/env bash
# The fleet test: starts a local cluster with two nodes, runs hack/fleettest on it, and removes it again. KEEP=1 leaves
# it up, SHORT=1 runs a few events with few clients, and FLAGS are further flags of hack/fleettest.
set -euo pipefail
cd "$(dirname "$0")/.."
name=wsfleet-fleet

down() {
  status=$?
  if [ "$status" -ne 0 ]; then go run ./hack/demo diagnose --cluster local --name "$name" || true; fi
  if [ "${KEEP:-}" = 1 ]; then
    echo "fleettest: the cluster stays up (KEEP=1); go run ./hack/demo down --name $name removes it"
  else
    go run ./hack/demo down --cluster local --name "$name"
  fi
  exit "$status"
}
trap down EXIT

flags=()
if [ "${SHORT:-}" = 1 ]; then flags+=(--short); fi
mkdir -p dist
go build -o bin/wsfleet ./cmd/wsfleet
go run ./hack/demo stage --cluster local --name "$name" --nodes 2 --env-file dist/fleettest.env
# shellcheck disable=SC2086 # FLAGS are words
go run ./hack/fleettest --name "$name" "${flags[@]}" ${FLAGS:-}
