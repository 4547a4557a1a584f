package main

import (
	"context"
	"errors"
	"fmt"
)

// event is a change of the fleet, by a user, a machine or a fault.
type event struct {
	name string
	// planned reports that users notice nothing: no attempt is refused, and SDKs are back after their own first wait.
	planned bool
	// whilstRolling begins the event in the middle of a rolling update.
	whilstRolling bool
	// keepOperator leaves the operator alone, which is otherwise killed some time within the event.
	keepOperator bool
	// losesStreams reports that what clients missed is gone, and that the gateways tell them so.
	losesStreams bool
	// staysRolling reports that a rolling update which the event begins in does not end with it.
	staysRolling bool
	do           func(ctx context.Context, t *test) error
	// done is what holds after the event. It is atRest where it is nil.
	done func(before, now status) bool
}

// atRest reports that all gateways are there and serve, and that the operator has nothing to do.
func atRest(_, now status) bool {
	return now.Size > 0 && now.Ready == now.Size && len(now.in("serving")) == now.Size &&
		len(now.Gateways) == now.Size && len(now.Conditions) == 0
}

// replaced reports that the fleet is at rest and none of its gateways was there before.
func replaced(before, now status) bool {
	for _, old := range before.Gateways {
		for _, g := range now.Gateways {
			if old.Pod == g.Pod {
				return false
			}
		}
	}
	return atRest(before, now)
}

// size returns what reports that the fleet is at rest with so many gateways.
func size(n int) func(before, now status) bool {
	return func(before, now status) bool { return now.Size == n && atRest(before, now) }
}

func rollingUpdate() event {
	return event{
		name: "rolling update", planned: true, done: replaced,
		do: func(ctx context.Context, t *test) error { return t.roll(ctx) },
	}
}

func killGateway() event {
	return event{
		name: "SIGKILL of a gateway",
		do: func(ctx context.Context, t *test) error {
			s, err := t.watch.last()
			if err != nil {
				return err
			}
			serving := s.in("serving")
			if len(serving) == 0 {
				return errors.New("no gateway serves")
			}
			return t.cluster.killPod(ctx, serving[t.random.IntN(len(serving))])
		},
	}
}

func killRedis() event {
	return event{
		name: "restart of Redis", losesStreams: true,
		do: func(ctx context.Context, t *test) error {
			pod, err := t.cluster.kube.Run(ctx, "get", "pods", "-l", "app.kubernetes.io/component=redis",
				"-o", "jsonpath={.items[0].metadata.name}")
			if err != nil {
				return err
			}
			return t.cluster.killPod(ctx, pod)
		},
	}
}

func nodeDies() event {
	return event{
		name: "death of a node", keepOperator: true, staysRolling: true,
		do: func(ctx context.Context, t *test) error { return t.cluster.node(ctx, "kill-node") },
		// Its gateways stay until Kubernetes gives them up after five minutes, or the node is back.
		done: func(_, now status) bool { return now.Ready < now.Size && now.Ready == len(now.in("serving")) },
	}
}

func nodeIsBack() event {
	return event{
		name: "that node is back", keepOperator: true,
		do: func(ctx context.Context, t *test) error { return t.cluster.node(ctx, "start-node") },
	}
}

func nodeIsDrained() event {
	return event{
		name: "drain of a node", planned: true,
		do: func(ctx context.Context, t *test) error { return t.cluster.drainNode(ctx) },
	}
}

// spreadAgain is a rolling update after an event that has left all gateways on one node.
func spreadAgain() event {
	e := rollingUpdate()
	e.name = "rolling update, to both nodes"
	e.do = func(ctx context.Context, t *test) error {
		if err := t.cluster.uncordon(ctx); err != nil {
			return err
		}
		return t.roll(ctx)
	}
	return e
}

func scaleIn(to int) event {
	return event{
		name: fmt.Sprintf("scale-in to %d", to), planned: true, done: size(to),
		do: func(ctx context.Context, t *test) error { return t.cluster.scale(ctx, to) },
	}
}

func scaleOut() event {
	return event{
		name: fmt.Sprintf("scale-out to %d, rebalance", gateways), planned: true, done: size(gateways),
		do: func(ctx context.Context, t *test) error { return t.cluster.scale(ctx, gateways) },
	}
}

func raisedAgain() event {
	return event{
		name: "scale-in to 2, raised to 5 again", planned: true, done: size(gateways),
		do: func(ctx context.Context, t *test) error {
			if err := t.cluster.scale(ctx, 2); err != nil {
				return err
			}
			// A rolling update comes first.
			if err := t.watch.await(ctx, limit, 0, status.scalesIn); err != nil {
				return fmt.Errorf("a gateway drains for the scale-in: %w", err)
			}
			return t.cluster.scale(ctx, gateways)
		},
	}
}

func evict() event {
	return event{
		name: "eviction of a gateway", planned: true,
		do: func(ctx context.Context, t *test) error { return t.evict(ctx) },
	}
}

func killTheOperator() event {
	return event{
		name: "kill of the operator", planned: true, keepOperator: true,
		do: func(ctx context.Context, t *test) error { return t.cluster.killOperator(ctx, 0) },
	}
}

// rolling returns an event that begins in the middle of a rolling update, which then ends.
func rolling(e event) event {
	e.name += ", in a rolling update"
	e.whilstRolling = true
	return e
}

// allEvents are the events of a whole test, in their order.
func allEvents() []event {
	return []event{
		rollingUpdate(), raisedAgain(), scaleIn(2), scaleOut(), evict(), nodeIsDrained(), spreadAgain(), nodeDies(),
		nodeIsBack(), killGateway(), killRedis(),
		rolling(scaleIn(4)), scaleOut(), rolling(raisedAgain()), rolling(evict()), rolling(killGateway()),
		rolling(killRedis()), rolling(killTheOperator()), rolling(nodeDies()), nodeIsBack(),
	}
}

// shortEvents are those of a short test.
func shortEvents() []event {
	return []event{rollingUpdate(), scaleIn(3), scaleOut(), killGateway()}
}
