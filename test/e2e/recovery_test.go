//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/e2e/event"
	"github.com/wsfleet/wsfleet/test/goclient"
)

// keptChannel has history and recovery by the fleet's rules.
const keptChannel = "kept:numbers"

// publisherLoop publishes numbers through any gateway, each until one has accepted it. The idempotency key makes sure
// that each is published once.
type publisherLoop struct {
	t *testing.T
	// last is the latest number that was accepted.
	last    atomic.Int64
	address string
	stop    func()
}

// run publishes until ctx ends, and then until the current number is accepted.
func (p *publisherLoop) run(ctx context.Context) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	defer p.closeAll()
	for {
		n := p.last.Load() + 1
		if err := p.publish(context.WithoutCancel(ctx), n); err != nil && p.t.Context().Err() == nil {
			p.closeAll()
			continue
		}
		p.last.Store(n)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// publish sends one number to a gateway that serves.
func (p *publisherLoop) publish(ctx context.Context, n int64) error {
	if p.address == "" {
		pods, err := kube.ServingPods(ctx, selector)
		if err != nil || len(pods) == 0 {
			return fmt.Errorf("no gateway serves: %w", err)
		}
		if p.address, p.stop, err = kube.PortForward(ctx, "pod/"+pods[int(n)%len(pods)], contract.PublicPort); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	api := goclient.Client{
		URL:  "http://" + p.address + strings.TrimSuffix(contract.PathAPI, "/"),
		Key:  apiKey,
		HTTP: http.DefaultClient,
	}
	var published struct{}
	return api.Call(ctx, "publish",
		map[string]any{"channel": keptChannel, "data": n, "idempotency_key": fmt.Sprint(p.t.Name(), n)}, &published)
}

func (p *publisherLoop) closeAll() {
	if p.stop != nil {
		p.stop()
	}
	p.address, p.stop = "", nil
}

// Subscribers of a channel with recovery receive every message once and in order while pods are replaced.
func TestSubscribersMissNothing(t *testing.T) {
	t.Parallel()
	missNothing(t, "recover", func() {
		gone := awaitServing(t, replicas)
		t.Log("deleting", gone[0])
		run(t, "delete", "pod", gone[0], "--wait=false")
		t.Log("killing", gone[1])
		run(t, "delete", "pod", gone[1], "--grace-period=0", "--force")
		awaitReplaced(t, gone[:2])
		// The third pod as well: then no client is on its first pod.
		run(t, "delete", "pod", gone[2], "--wait=false")
		awaitReplaced(t, gone)
		run(t, "scale", "websocketcluster", clusterName, fmt.Sprintf("--replicas=%d", replicas-1))
		awaitServing(t, replicas-1)
		run(t, "scale", "websocketcluster", clusterName, fmt.Sprintf("--replicas=%d", replicas))
		awaitServing(t, replicas)
		rollOut(t)
	})
}

// They miss nothing either when nodes are drained.
func TestSubscribersMissNothingInEvictions(t *testing.T) {
	missNothing(t, "evicted", func() { evictAll(t) })
}

// missNothing publishes messages to subscribers while replace replaces each gateway once or more, and fails the test
// when a subscriber has missed one, got one twice, or got them in another order.
func missNothing(t *testing.T, prefix string, replace func()) {
	t.Helper()
	awaitServing(t, replicas)
	clients := startSubscribers(t, prefix, 3)
	publishWhile(t, clients, replace)
	reconnects, subscribers := len(closesOf(clients, "")), len(clients)*subscribersEach
	if reconnects < subscribers {
		t.Errorf("%d reconnects, though each of %d subscribers lost its gateway", reconnects, subscribers)
	}
	stopClients(t, prefix)
}

// subscribersEach is the number of connections of a pod with subscribers.
const subscribersEach = 4

// startSubscribers runs pods with subscribers that recover.
func startSubscribers(t *testing.T, prefix string, pods int) []clientPod {
	t.Helper()
	return startClients(t, prefix, event.SDK, pods, subscribersEach)
}

// publishWhile publishes messages while act runs, and fails the test when a subscriber has missed one, got one twice,
// or got them in another order.
func publishWhile(t *testing.T, clients []clientPod, act func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := &publisherLoop{t: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.run(ctx)
	}()
	act()
	cancel()
	<-done

	last := p.last.Load()
	reconnects := 0
	for _, c := range clients {
		eventually(t, time.Minute, c.name+" has the last message", func() error { return c.caughtUp(last) })
		reconnects += len(c.closes())
		for _, problem := range c.missing(last) {
			t.Errorf("%s: %s", c.name, problem)
		}
	}
	t.Logf("%d messages to %d subscribers, who came back %d times", last, len(clients)*subscribersEach, reconnects)
}

// rollOut replaces all gateways by a change of the spec, one after the other: a gateway goes when the one before has
// handed over its clients.
func rollOut(t *testing.T) {
	t.Helper()
	before := awaitServing(t, replicas)
	run(t, "patch", "wsc", clusterName, "--type=merge", "-p",
		fmt.Sprintf(`{"spec":{"pod":{"annotations":{"rolled":"%d"}}}}`, time.Now().UnixNano()))
	eventually(t, 3*time.Minute, "all gateways are replaced", func() error {
		expectOneDrain(t)
		pods := strings.Fields(run(t, "get", "pods", "-l", selector, "-o", "jsonpath={.items[*].metadata.name}"))
		for _, pod := range before {
			if slices.Contains(pods, pod) {
				_, reason, message := condition(t, "Progressing")
				return fmt.Errorf("%s is still there; Progressing is %s: %s", pod, reason, message)
			}
		}
		return nil
	})
	awaitServing(t, replicas)
}

// expectOneDrain fails the test when several gateways drain that have clients.
func expectOneDrain(t *testing.T) {
	t.Helper()
	const withClients = "jsonpath={.status.drain[?(@.connections>0)].pod}"
	if going := strings.Fields(run(t, "get", "wsc", clusterName, "-o", withClients)); len(going) > 1 {
		t.Errorf("%v drain at once, want one after the other", going)
	}
}

// evictAll evicts all gateways as `kubectl drain` does: it tries each one again until the API server allows it. A
// PodDisruptionBudget alone would let them drain together.
func evictAll(t *testing.T) {
	t.Helper()
	before := awaitServing(t, replicas)
	left, refused := slices.Clone(before), 0
	eventually(t, 3*time.Minute, "all gateways are evicted", func() error {
		expectOneDrain(t)
		left = slices.DeleteFunc(left, func(pod string) bool {
			err := kube.Evict(t.Context(), pod)
			if err != nil && !strings.Contains(err.Error(), "disruption budget") {
				t.Errorf("evict %s: %v", pod, err)
			}
			if err != nil {
				refused++
			}
			return err == nil
		})
		if len(left) > 0 {
			_, reason, message := condition(t, "Draining")
			return fmt.Errorf("%v are left; Draining is %s: %s", left, reason, message)
		}
		return nil
	})
	t.Logf("evicted %v; %d evictions were refused before", before, refused)
	awaitReplaced(t, before)
}

// awaitReplaced waits until other gateways serve, and these are gone with all their connections.
func awaitReplaced(t *testing.T, pods []string) {
	t.Helper()
	awaitServing(t, replicas)
	awaitDeleted(t, pods)
}

// awaitDeleted waits until pods are gone.
func awaitDeleted(t *testing.T, pods []string) {
	t.Helper()
	for _, pod := range pods {
		eventually(t, 2*time.Minute, pod+" is gone", func() error {
			out, err := kube.Run(t.Context(), "get", "pod", pod, "--ignore-not-found", "-o", "name")
			if err == nil && strings.TrimSpace(out) != "" {
				err = fmt.Errorf("%s is still there", pod)
			}
			return err
		})
	}
}

// received returns the numbers that each connection received, in their order.
func (p clientPod) received() map[int][]int64 {
	numbers := map[int][]int64{}
	for _, e := range p.events() {
		if e.Kind == event.Message {
			n, _ := strconv.ParseInt(e.Reason, 10, 64)
			numbers[e.Client] = append(numbers[e.Client], n)
		}
	}
	return numbers
}

func (p clientPod) caughtUp(last int64) error {
	heard := p.received()
	for client := range p.connections {
		if numbers := heard[client]; len(numbers) == 0 || numbers[len(numbers)-1] != last {
			return fmt.Errorf("client %d has %d messages, and not number %d", client, len(numbers), last)
		}
	}
	return nil
}

// missing describes the problems of the pod's connections, which were subscribed before the first message.
func (p clientPod) missing(last int64) (problems []string) {
	for _, e := range p.events() {
		if e.Kind == event.Failed {
			problems = append(problems, fmt.Sprintf("client %d: %d %s", e.Client, e.Code, e.Reason))
		}
	}
	for client, numbers := range p.received() {
		for i, n := range numbers {
			if n != int64(i)+1 {
				problems = append(problems, fmt.Sprintf("client %d got number %d as message %d of %d", client, n, i+1, last))
				break
			}
		}
	}
	return problems
}
