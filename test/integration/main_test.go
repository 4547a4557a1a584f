// Package integration tests the API and the operator against a real kube-apiserver and etcd. There
// is no kubelet and no garbage collector: what they would do, a test does itself or reads off the
// objects.
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

// env is the control plane that the tests of the package share; TestMain sets it up.
var env *environment

// testsAtOnce are more than there are cores.
const testsAtOnce = "6"

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// Each operator has a logger of its own; what logs without one says nothing here.
	log.SetLogger(logr.Discard())
	flag.Parse()
	// They wait for the API server and the operator more than they work.
	if err := flag.Set("test.parallel", testsAtOnce); err != nil {
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
