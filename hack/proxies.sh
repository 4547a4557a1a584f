#!/usr/bin/env bash
# Unpacks the proxies that test/proxies puts in front of gateways into bin/proxies, from Debian's packages: HAProxy,
# nginx, Apache and Caddy. Nothing is installed and no service is started. What is in the system already, or was
# unpacked before, is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
root=bin/proxies

# The programs, and the packages that bring them.
programs=(haproxy nginx apache2 caddy)
packages=(haproxy nginx apache2-bin caddy)

missing=()
for i in "${!programs[@]}"; do
  program=${programs[$i]}
  if command -v "$program" >/dev/null || [[ -x $root/usr/sbin/$program || -x $root/usr/bin/$program ]]; then
    continue
  fi
  missing+=("${packages[$i]}")
done
if [[ ${#missing[@]} -eq 0 ]]; then
  exit 0
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  cat >&2 <<TEXT
This is not a Debian system. Install what corresponds to these Debian packages
with your package manager, and run this again:
  ${missing[*]}
TEXT
  exit 1
fi

archives=$(mktemp -d)
trap 'rm -rf "$archives"' EXIT
# What apt may not write to, it would download as another user.
chmod 755 "$archives"

# Downloads the packages and the libraries that the system lacks.
download() {
  mkdir -p "$archives/partial"
  apt-get -q -y --no-install-recommends --download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$archives" \
    -o APT::Sandbox::User=root install "${missing[@]}"
}

echo "Unpacking into $root: ${missing[*]}"
# What is known of the packages may be outdated or not there at all.
if ! download >/dev/null 2>&1; then
  as_root=()
  if [[ $(id -u) -ne 0 ]]; then as_root=(sudo); fi
  # The expansion is empty for root, which older versions of bash take for unset.
  ${as_root[@]+"${as_root[@]}"} apt-get -q update
  download
fi
mkdir -p "$root"
for package in "$archives"/*.deb; do
  dpkg-deb -x "$package" "$root"
done
