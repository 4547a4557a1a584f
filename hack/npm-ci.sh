#!/usr/bin/env bash
# Installs the npm packages that DIR/package-lock.json pins, unless they are there already.
set -euo pipefail
dir=${1:?usage: hack/npm-ci.sh DIR}
cd "$(dirname "$0")/../$dir"
stamp=node_modules/.installed
if [ -e "$stamp" ] && cmp -s package-lock.json "$stamp"; then exit 0; fi
echo "installing the npm packages of $dir"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
cp package-lock.json "$stamp"
