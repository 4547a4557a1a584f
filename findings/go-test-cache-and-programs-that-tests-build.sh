#!/usr/bin/env bash
# Go 1.26.8: a test that builds a program with `go build` and runs it keeps its cached result when the program changes.
#
# Guess: `go test ./...` runs a test again when a package has changed that the test compiles itself, as it does for one that it
# imports: both are built by the same go command, from sources in the same module.
#
# Seen: the cache counts what the test's own process opens, and not what `go build` opens as its child. The test of a program
# that now prints something else stays green, "(cached)", until a file of the test's package changes. A test that also opens
# the sources, if only to close them, is run again. `-count=1` helps as well.
#
# Output seen:
#   build only, program changed: ok (cached)
#   build only, -count=1: FAIL
#   sources opened too, program changed: FAIL
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
export GOFLAGS=-mod=mod GOWORK=off GOTOOLCHAIN=go1.26.8 GOCACHE="$directory/cache"
cat >go.mod <<'GO'
module example.com/greeter

go 1.26
GO
mkdir greet builds opens
program() { printf 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Print("%s") }\n' "$1" >greet/main.go; }
# check PACKAGE STATEMENTS writes a test that builds the program, and runs it.
check() {
  cat >"$1/greet_test.go" <<GO
package greet

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestGreeting(t *testing.T) {
	$2
	program := filepath.Join(os.TempDir(), "greet-$1")
	defer os.Remove(program)
	if out, err := exec.Command("go", "build", "-o", program, "../greet").CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	if out, _ := exec.Command(program).Output(); string(out) != "hello" {
		t.Fatalf("it says %q", out)
	}
}
GO
}
check builds ''
check opens 'if _, err := os.ReadFile("../greet/main.go"); err != nil { t.Fatal(err) }'
program hello
go test ./builds ./opens >/dev/null
# A file that has just been written is not trusted by the cache.
sleep 3
go test ./builds ./opens >/dev/null
program goodbye
sleep 3
verdict() { go test "$@" 2>&1 | grep -Eo '^(ok|FAIL).*\(cached\)|^(ok|FAIL)[[:space:]]' | head -1 | sed -E 's/[[:space:]].*\(cached\)/ (cached)/; s/[[:space:]]+$//'; }
output=$(cat <<SEEN
build only, program changed: $(verdict ./builds)
build only, -count=1: $(verdict -count=1 ./builds)
sources opened too, program changed: $(verdict ./opens)
SEEN
)
echo "$output"
expected='build only, program changed: ok (cached)
build only, -count=1: FAIL
sources opened too, program changed: FAIL'
if [ "$output" != "$expected" ]; then
  echo "the behaviour has changed; expected:" >&2
  echo "$expected" >&2
  exit 1
fi
