#!/usr/bin/env bash
# Lets KEDA and prometheus-adapter scale fleets: builds both and Prometheus, starts a local cluster with wsfleet, runs
# test/adapters against it, and removes it again. The programs are built from the modules in
# hack/localcluster/binaries, which takes an hour the first time and nothing afterwards; the rest takes six minutes.
# KEEP=1 leaves the cluster up, RUN=REGEXP picks tests.
set -euo pipefail
cd "$(dirname "$0")/.."
name=wsfleet-adapters
programs=(prometheus prometheus-adapter keda keda-adapter)
images=dist/adapters

down() {
  status=$?
  if [ "$status" -ne 0 ]; then go run ./hack/demo diagnose --name "$name" || true; fi
  if [ "${KEEP:-}" = 1 ]; then
    echo "adapters: the cluster stays up (KEEP=1); go run ./hack/demo down --name $name removes it"
  else
    go run ./hack/demo down --name "$name"
  fi
  exit "$status"
}

# What the cluster needs is checked before an hour of building.
if [ "$EUID" -ne 0 ]; then
  echo "adapters: the local cluster needs root: sudo env PATH=\"\$PATH\" make adapters" >&2
  exit 1
fi
# The programs are built before there is a cluster to remove.
go -C hack/localcluster build -o ../../bin/localcluster .
bin/localcluster binaries "${programs[@]}"
modules=hack/localcluster/binaries
go -C $modules/prometheus list -m github.com/prometheus/prometheus
go -C $modules/prometheus-adapter list -m sigs.k8s.io/prometheus-adapter
go -C $modules/keda list -m github.com/kedacore/keda/v2
keda=$(go -C $modules/keda mod download -json github.com/kedacore/keda/v2 | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')

trap down EXIT
mkdir -p dist
go run ./hack/demo stage --name "$name" --client-image --env-file dist/adapters.env
rm -rf "$images"
mkdir -p "$images"
for program in "${programs[@]}"; do
  image=wsfleet/$program:$(sha256sum "bin/k8s/$program" | cut -c -12)
  bin/localcluster build-image --name "$image" --add "bin/k8s/$program=/$program" --entrypoint "/$program" -o "$images/$program.tar"
  bin/localcluster load-image --name "$name" "$images/$program.tar"
  rm "$images/$program.tar"
  variable=${program//-/_}_IMAGE
  export "${variable^^}=$image"
done
cp -r --no-preserve=mode "$keda/config" "$images/config"
KEDA_OVERLAY=$PWD/$images
export KEDA_OVERLAY
set -a
# shellcheck source=/dev/null
. dist/adapters.env
set +a
go test -tags e2e -count=1 -timeout 40m -v ./test/adapters -run "${RUN:-.}"
