#!/usr/bin/env bash
# The fleet tests: starts and prepares a cluster, runs test/e2e against it, and removes it again.
# CLUSTER=local|kind|current, KEEP=1 leaves it up, E2E_RUN=REGEXP picks tests, PROXY_MODE=iptables|nftables is the mode
# of kube-proxy on the local cluster; the tests of affinity run in both.
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

go run ./hack/demo stage --cluster "$cluster" --name "$name" --proxy-mode "${PROXY_MODE:-}" --client-image --env-file "$env"
set -a
# shellcheck source=/dev/null
. "$env"
set +a
failed=0
if [ "$cluster" = local ]; then
  export E2E_PROXY_MODE_COMMAND="bin/localcluster up --name $name --proxy-mode"
  if [ -z "${E2E_RUN:-}" ]; then
    echo "e2e: the local cluster itself, beside the tests of the fleet; its output follows theirs"
    go -C hack/localcluster test -tags e2e -count=1 -timeout 20m -run TestCluster . >dist/localcluster.log 2>&1 &
    itself=$!
  fi
fi
go test -tags e2e -count=1 -timeout 25m -parallel 4 -v ./test/e2e -run "${E2E_RUN:-.}" || failed=$?
if [ -n "${itself:-}" ]; then
  wait "$itself" || failed=$?
  echo "e2e: the local cluster itself"
  cat dist/localcluster.log
fi
exit "$failed"
