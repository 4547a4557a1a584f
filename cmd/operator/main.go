// Command wsfleet-operator makes WebSocketClusters real in a Kubernetes cluster.
package main

import (
	"errors"
	"fmt"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"
)

// Exit codes: a wrong command line stays wrong however often the process is restarted.
const (
	exitFailed = 1
	exitUsage  = 2
)

// version is set by the linker in a release.
var version = ""

func main() {
	if err := newRoot().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "wsfleet-operator: "+err.Error())
		os.Exit(exitCode(err))
	}
}

// usageError is a command line that cannot be used.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}
