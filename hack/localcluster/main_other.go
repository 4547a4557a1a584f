//go:build !linux

// Command localcluster runs a real Kubernetes on one Linux machine. Elsewhere
// it says so.
package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "localcluster: needs Linux, this is %s; use `make demo CLUSTER=kind`, which needs Docker\n", runtime.GOOS)
	os.Exit(1)
}
