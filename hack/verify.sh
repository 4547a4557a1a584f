#!/usr/bin/env bash
# Regenerates into a copy of the tree and compares: fails when a generated file or a go.mod is not
# what the sources say. Changes nothing. Arguments: the modules besides the root.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do
  [ -e "$f" ] && printf '%s\0' "$f"
done | tar --null -T - -cf - | tar -xf - -C "$copy"
mkdir -p "$copy/bin" && ln -s "$root/bin/tools" "$copy/bin/tools"
cp -r "$copy" "$copy.before"
trap 'rm -rf "$copy" "$copy.before"' EXIT

echo "verify: generate, manifests, go mod tidy"
make -C "$copy" generate manifests >/dev/null
for module in . "$@"; do go -C "$copy/$module" mod tidy; done

if ! diff -ru "$copy.before" "$copy"; then
  echo "verify: the files above are not up to date: run 'make generate manifests' and 'go mod tidy', and commit" >&2
  exit 1
fi
echo "verify: all up to date"
