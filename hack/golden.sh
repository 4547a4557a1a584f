#!/usr/bin/env bash
# Rewrites every golden file and generated part of the documentation: runs the tests of the packages that have golden
# files with -update, and regenerates what the API types generate. Arguments: the modules besides the root.
set -euo pipefail
cd "$(dirname "$0")/.."

# packages_with_golden_files MODULE prints the packages of a module whose tests define or use the -update flag.
packages_with_golden_files() {
  (
    cd "$1"
    grep -rlE 'flag\.Bool\("update"|wsfleet/internal/golden"' --include='*_test.go' --exclude-dir=node_modules . |
      xargs -r -n1 dirname | sort -u | while IFS= read -r directory; do
      # A directory of another module is that module's to rewrite.
      if [ "$(cd "$directory" && go list -m)" = "$(go list -m)" ]; then echo "$directory"; fi
    done
  )
}

make generate manifests
for module in . "$@"; do
  packages_with_golden_files "$module" | while IFS= read -r package; do
    case "$package" in
    ./test/integration)
      # Its golden files are what a real API server says.
      make assets
      (cd "$module" && KUBEBUILDER_ASSETS="$PWD/bin/k8s" go test "$package" -update </dev/null)
      ;;
    *) (cd "$module" && go test "$package" -update </dev/null) ;;
    esac
  done
done
git status --short
