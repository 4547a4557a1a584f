#!/usr/bin/env bash
# Installs the system packages that a part of the project needs, as far as they
# are missing, and says which and why. It knows Debian and its relatives; on
# another system it says what to install.
#
#   hack/install-deps.sh GROUP...
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: hack/install-deps.sh GROUP...

  build     compile Go programs, some of them with C
  cluster   run a local cluster (hack/localcluster)
  redis     run redis-server in integration tests, in benchmarks and in the local cluster
  node      run the JavaScript clients of the SDK tests and of the conformance suite
  browser   run Chromium in the SDK tests and as a peer of the conformance suite
  interop   run HAProxy and the Python clients of test/interop in CI
  stacks    run all other client stacks of test/interop: Python, Perl, Ruby, libsoup, Qt

Does nothing for what is there already.
TEXT
}

# A group is a list of lines: what must be there, the Debian package that
# brings it, and what it is for. What must be there is an executable, with
# file: in front a file, with pc: in front a library that pkg-config knows, or
# with py: in front a module of the system's Python.
group() {
  case $1 in
    build)
      cat <<'TEXT'
gcc gcc compiles runc and the race detector's tests
file:/usr/include/stdlib.h libc6-dev what C programs are compiled against
make make runs the Makefile
git git fetches sources
TEXT
      ;;
    cluster)
      cat <<'TEXT'
gcc gcc compiles runc
file:/usr/include/stdlib.h libc6-dev what C programs are compiled against
pkg-config pkg-config tells the compiler where libseccomp is
pc:libseccomp libseccomp-dev filters the system calls of containers
iptables iptables kube-proxy sends Services to pods with it
nft nftables kube-proxy sends Services to pods with it in mode nftables
ip iproute2 shows the cluster's network namespace
mount mount kubelet mounts volumes with it
nsenter util-linux enters a cluster's namespaces to look around
modprobe kmod loads the kernel's netfilter modules
TEXT
      ;;
    redis)
      cat <<'TEXT'
redis-server redis-server the broker of the integration tests, of the benchmarks and of the local cluster
redis-cli redis-tools looks into it
TEXT
      ;;
    node)
      cat <<'TEXT'
node nodejs runs the JavaScript clients
npm npm installs them
TEXT
      ;;
    browser)
      cat <<'TEXT'
chromium chromium the browser of the SDK tests and of the conformance suite, run without a window
TEXT
      ;;
    interop)
      cat <<'TEXT'
haproxy haproxy stands in front of the gateways of test/interop
file:/usr/bin/python3 python3 runs the Python stacks
py:websockets python3-websockets a client stack of test/interop
py:aiohttp python3-aiohttp a client stack of test/interop
TEXT
      ;;
    stacks)
      cat <<'TEXT'
py:tornado python3-tornado a client stack of test/interop
py:autobahn python3-autobahn a client stack of test/interop
py:websocket python3-websocket a client stack of test/interop
py:gi python3-gi calls libsoup from Python
file:/usr/share/doc/gir1.2-soup-3.0 gir1.2-soup-3.0 a client stack of test/interop
py:PyQt6.QtWebSockets python3-pyqt6.qtwebsockets a client stack of test/interop (Qt)
file:/usr/share/perl5/Mojolicious.pm libmojolicious-perl a client stack of test/interop
ruby ruby runs the Ruby stack
file:/usr/share/doc/ruby-faye-websocket ruby-faye-websocket a client stack of test/interop
TEXT
      ;;
    *) return 1 ;;
  esac
}

# A user's path often lacks the directories of the administrator's programs.
PATH=$PATH:/usr/sbin:/sbin

present() {
  case $1 in
    file:*) [[ -e ${1#file:} ]] ;;
    pc:*) command -v pkg-config >/dev/null && pkg-config --exists "${1#pc:}" ;;
    py:*) [[ -x /usr/bin/python3 ]] && /usr/bin/python3 -c "import ${1#py:}" 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

if [[ $# -eq 0 ]]; then
  usage >&2
  exit 2
fi
for name in "$@"; do
  case $name in
    -h | --help)
      usage
      exit 0
      ;;
  esac
  if ! group "$name" >/dev/null; then
    echo "install-deps.sh: no group \"$name\"" >&2
    usage >&2
    exit 2
  fi
done

packages=()
reasons=()
for name in "$@"; do
  while read -r needed package reason; do
    if present "$needed" || [[ " ${packages[*]-} " == *" $package "* ]]; then
      continue
    fi
    packages+=("$package")
    reasons+=("$package: $reason")
  done < <(group "$name")
done

if [[ ${#packages[@]} -eq 0 ]]; then
  exit 0
fi

echo "Missing for $*:"
printf '  %s\n' "${reasons[@]}"

if ! command -v apt-get >/dev/null; then
  cat >&2 <<TEXT
This is not a Debian system. Install what corresponds to these Debian packages
with your package manager, and run this again:
  ${packages[*]}
TEXT
  exit 1
fi

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "Run as root: apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

# RUNLEVEL=1 keeps Debian from starting services: the tests start their own.
apt() {
  # The expansion is empty for root, which older versions of bash take for unset.
  ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

echo "Installing with apt-get: ${packages[*]}"
# What is known of the packages may be outdated or not there at all.
if ! apt install -y --no-install-recommends "${packages[@]}"; then
  apt update
  apt install -y --no-install-recommends "${packages[@]}"
fi

missing=()
for name in "$@"; do
  while read -r needed package _; do
    present "$needed" || missing+=("$needed (from $package)")
  done < <(group "$name")
done
if [[ ${#missing[@]} -gt 0 ]]; then
  echo "Still missing after the installation: ${missing[*]}" >&2
  exit 1
fi
