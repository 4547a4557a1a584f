#!/usr/bin/env bash
# Builds the gateway and the operator of a commit into a directory, for `make bench-baseline` and `make bench-operator`,
# with the CRD and the role that the operator of that commit needs. The working tree stays as it is.
#
#   hack/baseline.sh COMMIT DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -ne 2 ]; then
  echo "usage: hack/baseline.sh COMMIT DIRECTORY" >&2
  exit 2
fi
mkdir -p "$2"
directory=$(cd "$2" && pwd)
commit=$(git rev-parse --verify --quiet "$1^{commit}") || {
  echo "baseline: there is no commit $1 in this clone; fetch it first (git fetch --unshallow)" >&2
  exit 1
}
if [ -x "$directory/wsfleet-operator" ] && [ "$(cat "$directory/commit" 2>/dev/null)" = "$commit" ]; then
  echo "baseline: gateway and operator of ${commit:0:7} are built"
  exit 0
fi
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
echo "baseline: building gateway and operator of ${commit:0:7}"
git archive "$commit" | tar -x -C "$tree"
for part in gateway operator; do
  CGO_ENABLED=0 go -C "$tree" build -trimpath -ldflags "-s -w -X main.version=${commit:0:7}" \
    -o "$directory/wsfleet-$part" "./cmd/$part"
done
rm -rf "$directory/crd"
cp -r "$tree/config/crd/bases" "$directory/crd"
cp "$tree/config/rbac/role.yaml" "$directory/role.yaml"
echo "$commit" >"$directory/commit"
