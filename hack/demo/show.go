package main

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/kubectl"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

const (
	demoNamespace = "wsfleet-demo"
	demoCluster   = "demo"
	demoService   = demoCluster + "-gateway"
	demoSelector  = "wsfleet.dev/cluster=" + demoCluster + ",app.kubernetes.io/component=gateway"
)

//go:embed demo.yaml
var manifest string

// client is one of the demo's two clients, with the gateway pod that holds its connection.
type client struct {
	name string
	pod  string
	conn *wsclient.Conn
	stop func()
}

// show applies the demo's WebSocketCluster and exchanges messages between two clients on two pods.
func (s *environment) show(ctx context.Context, listen string) error {
	k := s.provider.kubectl().In(demoNamespace)
	if err := s.progress.step("WebSocketCluster", func(say note) error { return s.applyDemo(ctx, k, say) }); err != nil {
		return err
	}
	var clients []*client
	defer func() {
		for _, c := range clients {
			_ = c.conn.Close()
			c.stop()
		}
	}()
	err := s.progress.step("two clients on two gateways", func(say note) error {
		var err error
		clients, err = connectTwo(ctx, k)
		if err == nil {
			say("alice on %s, bob on %s", clients[0].conn.Node(), clients[1].conn.Node())
		}
		return err
	})
	if err != nil {
		return err
	}
	var talk []string
	err = s.progress.step("a message each way, and both counted", func(note) error {
		if talk, err = exchange(ctx, clients[0], clients[1]); err != nil {
			return err
		}
		// A client answers the gateway's pings only while it reads. The goroutine ends with the connection.
		for _, c := range clients {
			go func() {
				for err := error(nil); err == nil; {
					_, err = c.conn.Receive(ctx)
				}
			}()
		}
		return awaitCounted(ctx, k, len(clients))
	})
	if err != nil {
		return err
	}
	var address string
	err = s.progress.step("forward", func(say note) error {
		address, err = s.provider.forward(ctx, listen, demoNamespace, demoService)
		say("ws://%s%s", address, contract.PathPlain)
		return err
	})
	if err != nil {
		return err
	}
	return s.report(ctx, k, clients, talk, address)
}

func (s *environment) applyDemo(ctx context.Context, k kubectl.Kubectl, say note) error {
	if _, err := k.Apply(ctx, manifest); err != nil {
		return err
	}
	// On a fleet of an earlier demo the conditions are true before the operator has reconciled it. The image shows that it
	// has. Afterwards old gateways may still be terminating.
	for _, condition := range []string{"jsonpath={.status.effective.image}=" + s.images[gatewayImage],
		"condition=Available"} {
		if _, err := k.Run(ctx, "wait", "--for="+condition, "--timeout=180s", "websocketcluster/"+demoCluster); err != nil {
			return err
		}
	}
	out, err := k.Run(ctx, "rollout", "status", "deployment/"+demoService, "--timeout=180s")
	if err == nil {
		lines := strings.Split(strings.TrimSpace(out), "\n")
		say("%s", lines[len(lines)-1])
	}
	return err
}

func connectTwo(ctx context.Context, k kubectl.Kubectl) ([]*client, error) {
	pods, err := k.ServingPods(ctx, demoSelector)
	if err != nil {
		return nil, err
	}
	if len(pods) < 2 {
		return nil, fmt.Errorf("two gateway pods are needed, %d serve", len(pods))
	}
	var clients []*client
	for i, name := range []string{"alice", "bob"} {
		address, stop, err := k.PortForward(ctx, "pod/"+pods[i], contract.PublicPort)
		if err != nil {
			return clients, err
		}
		conn, err := wsclient.Dial(ctx, wsclient.Plain, address, "lobby", nil)
		if err != nil {
			stop()
			return clients, fmt.Errorf("%s to %s: %w", name, pods[i], err)
		}
		clients = append(clients, &client{name: name, pod: pods[i], conn: conn, stop: stop})
	}
	if clients[0].conn.Node() == clients[1].conn.Node() {
		return clients, fmt.Errorf("both clients are on %s", clients[0].conn.Node())
	}
	return clients, nil
}

// awaitCounted waits until the status counts the demo's clients, so that the table shows them. There
// may be more clients, which a user has connected by hand.
func awaitCounted(ctx context.Context, k kubectl.Kubectl, minClients int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		out, err := k.Run(ctx, "get", "websocketcluster/"+demoCluster, "-o", "jsonpath={.status.connections}")
		if err != nil {
			return err
		}
		// The field is empty until the operator has counted for the first time.
		if connections, err := strconv.Atoi(strings.TrimSpace(out)); err == nil && connections >= minClients {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the status counts %q connections, want at minClients %d: %w", out, minClients, ctx.Err())
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func exchange(ctx context.Context, a, b *client) ([]string, error) {
	var talk []string
	for _, way := range [][2]*client{{a, b}, {b, a}} {
		from, to := way[0], way[1]
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		text := fmt.Sprintf("hello %s, this is %s", to.name, from.name)
		took, err := wsclient.Latency(ctx, from.conn, to.conn, text)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("from %s to %s: %w", from.name, to.name, err)
		}
		talk = append(talk, fmt.Sprintf("%s (%s) sent %q; %s (%s) had it after %s",
			from.name, from.pod, text, to.name, to.pod, took.Round(10*time.Microsecond)))
	}
	return talk, nil
}

func (s *environment) report(ctx context.Context, k kubectl.Kubectl, clients []*client, talk []string,
	address string) error {
	fmt.Println()
	for _, args := range [][]string{{"get", "websocketclusters"}, {"get", "pods", "-o", "wide"}} {
		out, err := k.Run(ctx, args...)
		if err != nil {
			return err
		}
		fmt.Printf("$ kubectl -n %s %s\n%s\n", demoNamespace, strings.Join(args, " "), out)
	}
	for _, c := range clients {
		fmt.Printf("%-5s is connected to %s\n", c.name, c.conn.Node())
	}
	for _, line := range talk {
		fmt.Println(line)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	kubeconfig := k.Kubeconfig
	if kubeconfig != "" {
		kubeconfig = "KUBECONFIG=" + kubeconfig + " "
	}
	binary := k.Path
	if binary == "" {
		binary = "kubectl"
	}
	fmt.Printf(`
The fleet stays up. Connect by hand, in two terminals:
  npx wscat -c 'ws://%[1]s%[2]s?channel=lobby'
Look at it:
  %[3]s%[4]s -n %[5]s get websocketclusters
Scale it:
  %[3]s%[4]s -n %[5]s scale websocketcluster/%[6]s --replicas=3
Remove everything:
  %[8]s
Done in %[7]s.
`, net.JoinHostPort(host, port), contract.PathPlain, kubeconfig, binary, demoNamespace, demoCluster,
		s.progress.elapsed().Round(100*time.Millisecond), s.removal())
	return nil
}

// removal returns the command that removes the demo from its cluster.
func (s *environment) removal() string {
	if s.cluster == defaultCluster {
		return "make demo-down"
	}
	return "make demo-down CLUSTER=" + s.cluster
}
