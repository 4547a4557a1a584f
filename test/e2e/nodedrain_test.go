//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/test/wsclient"
)

// `kubectl drain` moves the gateways of a node to another one. It ends by itself, the PodDisruptionBudget holds, and
// subscribers miss nothing.
func TestNodeIsDrained(t *testing.T) {
	node := spareNode(t)
	keepOff(t, node)
	leaving := spreadOver(t, node)
	clients, held := subscribersOff(t, node, "drained")
	t.Logf("node %s has %v with %d connections", node, leaving, held)
	minHealthy := watchHealthy(t)
	t.Cleanup(func() {
		if _, err := anyNamespace.Run(context.WithoutCancel(t.Context()), "uncordon", node); err != nil {
			t.Error(err)
		}
	})

	publishWhile(t, clients, func() {
		began := time.Now()
		out := runWith(t, anyNamespace, "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=180s")
		t.Logf("kubectl drain ended after %s:\n%s", time.Since(began).Round(100*time.Millisecond), out)
		if left := gatewaysOn(t, node); len(left) > 0 {
			t.Errorf("%v are still on node %s", left, node)
		}
		awaitServing(t, replicas)
		awaitBack(t, clients, held)
	})
	if healthy := minHealthy(); healthy < replicas-1 {
		t.Errorf("the budget counted %d healthy gateways, and allows one of %d to be away", healthy, replicas)
	}
	closes := closesOf(clients, "")
	if len(closes) != held {
		t.Errorf("%d connections have ended, want the %d on the node: %v", len(closes), held, closes)
	}
	expectCleanCloses(t, closes, closeCodes[wsclient.Centrifuge])
	logAway(t, clients)
	stopSubscribers(t, clients)
}

// watchHealthy watches the number of healthy gateways that the fleet's PodDisruptionBudget counts, and returns a
// function that ends it and returns the smallest number.
func watchHealthy(t *testing.T) (minimum func() int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	watch := kube.Command(ctx, "get", "poddisruptionbudget", serviceName, "--watch", "-o",
		`jsonpath={.status.currentHealthy} of {.status.expectedPods}, at least {.status.desiredHealthy}{"\n"}`)
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	var counts []string
	smallest := replicas
	started, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		begun := sync.OnceFunc(func() { close(started) })
		defer begun()
		for lines := bufio.NewScanner(out); lines.Scan(); begun() {
			counts = append(counts, lines.Text())
			var healthy int
			if _, err := fmt.Sscan(lines.Text(), &healthy); err == nil {
				smallest = min(smallest, healthy)
			}
		}
		_ = watch.Wait() // it is killed
	}()
	<-started
	end := func() { stop(); <-ended }
	t.Cleanup(end)
	return func() int {
		end()
		if len(counts) == 0 {
			t.Error("the watch of the budget has shown nothing")
		}
		t.Log("healthy gateways, as the budget counted them: ", strings.Join(counts, "; "))
		return smallest
	}
}
