// Command wsfleet-operator reconciles the WebSocketClusters of a Kubernetes cluster. It has flags and wiring; package
// controllers does the work.
package main

import (
	"errors"
	"fmt"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"
)

// Exit codes. exitUsage means that the command line is wrong, so that a restart would not help.
const (
	exitFailed = 1
	exitUsage  = 2
)

// version is the release. The linker sets it.
var version = ""

func main() {
	if err := newRoot().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "wsfleet-operator: "+err.Error())
		os.Exit(exitCode(err))
	}
}

// usageError means that the command line cannot be used.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usagef returns a usageError with a formatted message.
func usagef(format string, values ...any) error { return usageError{fmt.Errorf(format, values...)} }

// exitCode returns the exit code for an error of the root command.
func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}
