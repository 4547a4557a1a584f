#!/usr/bin/env bash
# The fleet tests: starts and prepares a cluster, runs test/e2e against it, and removes it again.
# CLUSTER=local|kind|current, KEEP=1 leaves it up, E2E_RUN=REGEXP picks tests, PROXY_MODE=iptables|nftables is the mode
# of kube-proxy on the local cluster; the tests of affinity run in both. NODES is the number of nodes of the local
# cluster. It has one for all tests but those of nodes and hack/fleettest, which a second node joins it for: with several
# nodes, Kubernetes takes a node for dead that is silent for 4 s, as a busy one can be.
set -euo pipefail
cd "$(dirname "$0")/.."
cluster=${CLUSTER:-local}
name=wsfleet-e2e
mkdir -p dist
env=dist/e2e.env

down() {
  status=$?
  if [ -n "${itself:-}" ]; then wait "$itself" || true; fi
  if [ "$status" -ne 0 ]; then go run ./hack/demo diagnose --cluster "$cluster" --name "$name" || true; fi
  if [ "${KEEP:-}" = 1 ]; then
    echo "e2e: the cluster stays up (KEEP=1); go run ./hack/demo down --cluster $cluster --name $name removes it"
  else
    go run ./hack/demo down --cluster "$cluster" --name "$name"
  fi
  exit "$status"
}
trap down EXIT

# stage NODES brings the cluster up, with that many nodes, and installs the operator. Where it has several nodes, tests
# of nodes fail instead of being skipped when the cluster lacks what they need.
stage() {
  if (($1 > 1)); then export E2E_NODES=$1; fi
  go run ./hack/demo stage --cluster "$cluster" --name "$name" --proxy-mode "${PROXY_MODE:-}" --nodes "$1" \
    --client-image --env-file "$env"
  set -a
  # shellcheck source=/dev/null
  . "$env"
  set +a
}

# fleet_tests FLAGS... runs the tests that the flags of go test pick. Flags that pick none are an error.
fleet_tests() {
  go test -tags e2e -count=1 -timeout 30m -parallel 3 -v ./test/e2e "$@" | tee dist/e2e.log || failed=$?
  if grep -q 'no tests to run' dist/e2e.log; then
    echo "e2e: no test was picked by $*" >&2
    failed=1
  fi
}

stage "${NODES:-0}"
failed=0
if [ "$cluster" = local ]; then
  export E2E_PROXY_MODE_COMMAND="bin/localcluster up --name $name --proxy-mode"
  export E2E_KILL_NODE_COMMAND="bin/localcluster kill-node --name $name"
  export E2E_START_NODE_COMMAND="bin/localcluster start-node --name $name"
fi
if [ "$cluster" != local ] || [ -n "${E2E_RUN:-}" ]; then
  fleet_tests -run "${E2E_RUN:-.}"
  exit "$failed"
fi
echo "e2e: the local cluster itself, beside the tests of the fleet; its output follows theirs"
go -C hack/localcluster test -tags e2e -count=1 -timeout 20m -run TestCluster . >dist/localcluster.log 2>&1 &
itself=$!
fleet_tests -skip '^TestNode'
wait "$itself" || failed=$?
echo "e2e: the local cluster itself"
cat dist/localcluster.log
if [ "$failed" -eq 0 ]; then
  echo "e2e: a second node, and the tests of nodes"
  stage "$((${NODES:-0} > 2 ? NODES : 2))"
  fleet_tests -run '^TestNode'
fi
if [ "$failed" -eq 0 ]; then
  echo "e2e: the short form of the fleet test (make e2e-fleet)"
  go build -o bin/wsfleet ./cmd/wsfleet
  go run ./hack/fleettest --name "$name" --short || failed=$?
fi
exit "$failed"
