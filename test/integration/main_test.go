// Package integration tests the API and the operator against a real kube-apiserver and etcd. There is no kubelet and no
// garbage collector: a test does their part itself, or checks the fields that they would go by.
package integration

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// env is the control plane that the tests of the package share. TestMain starts it.
var env *environment

// maxParallelTests is above the number of cores: the tests wait for the API server more than they work.
const maxParallelTests = "6"

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// Each operator has a logger of its own. Messages of other loggers are dropped.
	log.SetLogger(logr.Discard())
	flag.Parse()
	if err := flag.Set("test.parallel", maxParallelTests); err != nil {
		fmt.Fprintln(os.Stderr, "integration tests:", err)
		return 1
	}
	started, err := startEnvironment(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration tests:", err)
		return 1
	}
	env = started
	code := m.Run()
	if err := env.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "integration tests: stop the control plane:", err)
		return 1
	}
	return code
}
