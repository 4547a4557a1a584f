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
	fmt.Fprintf(os.Stderr, "localcluster: needs Linux, also to make images, this is %s; "+
		"`make demo CLUSTER=current` uses a cluster and images that are there\n", runtime.GOOS)
	os.Exit(1)
}
