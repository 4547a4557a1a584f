package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationac "k8s.io/client-go/applyconfigurations/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

const (
	// defaultSilence is how long an operator may renew its Lease no more until another one takes its fleets over.
	defaultSilence = time.Minute
	// heartbeatsPerSilence is how often an operator renews its Lease within the silence that ends its claim.
	heartbeatsPerSilence = 4
)

// errUnreadableLease means that this operator may not read the Lease of the operator that manages a fleet.
var errUnreadableLease = errors.New("the operator's role does not let it read the Lease of the other operator")

// operators decides which of several operators manages a fleet: the one whose identity the fleet's ServiceAccount has
// as an annotation, as long as it renews its Lease. A fleet that no operator manages yet is for the operator that has
// its Lease in the fleet's namespace, such as a namespaced one, and else for any. An identity is the namespace and name
// of the Lease. Operators that elect a leader among themselves have one identity, so that a new leader goes on at once.
// The methods of operators may be called by several goroutines at once.
type operators struct {
	// own is this operator's identity. When its name is empty, this operator takes no notice of others.
	own client.ObjectKey
	// live reads Leases from the API server.
	live    client.Reader
	silence time.Duration
	now     func() time.Time

	// mu guards seen and without.
	mu sync.Mutex
	// seen holds the Leases of the other operators.
	seen map[string]renewal
	// without holds, for each namespace that has no operator of its own, when that was seen.
	without map[string]time.Time
}

// renewal is the last renewal of an operator's Lease. Its age is measured by this operator's own clock, because that of
// the other one may be wrong.
type renewal struct {
	// at is the time that the other operator wrote.
	at metav1.MicroTime
	// since is when this operator first saw it.
	since time.Time
	// read is when this operator last read the Lease.
	read time.Time
}

// identity returns this operator's identity as an annotation's value. It is empty when the operator has none.
func (o *operators) identity() string {
	if o.own.Name == "" {
		return ""
	}
	return o.own.String()
}

// mayManage reports whether this operator manages the fleets of the operator with the identity: they are its own, or
// that operator has been silent for too long. It returns errUnreadableLease when this operator may not read the other
// operator's Lease, and an error when the Lease cannot be read for now.
func (o *operators) mayManage(ctx context.Context, identity string) (bool, error) {
	namespace, name, _ := strings.Cut(identity, "/")
	if o.own.Name == "" || name == "" || identity == o.own.String() {
		return true, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.hasEnded(ctx, client.ObjectKey{Namespace: namespace, Name: name})
}

// mayBegin reports whether this operator manages the fleets of the namespace that no operator manages yet. Otherwise it
// returns the identity of the one that does. It returns an error when that one's Lease cannot be read for now.
func (o *operators) mayBegin(ctx context.Context, namespace string) (mine bool, identity string, err error) {
	lease := client.ObjectKey{Namespace: namespace, Name: o.own.Name}
	if lease.Name == "" || lease == o.own {
		return true, "", nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	// A tenant may create many fleets at once: the Lease is not looked up for each.
	isOld := func(_ string, seen time.Time) bool { return o.now().Sub(seen) >= o.heartbeat() }
	if seen, known := o.without[namespace]; known && !isOld(namespace, seen) {
		return true, "", nil
	}
	maps.DeleteFunc(o.without, isOld)
	mine, err = o.hasEnded(ctx, lease)
	if errors.Is(err, errUnreadableLease) {
		mine, err = true, nil
	}
	if mine {
		o.without[namespace] = o.now()
	}
	return mine, lease.String(), err
}

// hasEnded reports whether the other operator with the Lease has been silent for too long. It returns
// errUnreadableLease when this operator may not read the Lease, and an error when it cannot be read for now. The caller
// holds the lock.
func (o *operators) hasEnded(ctx context.Context, key client.ObjectKey) (bool, error) {
	identity := key.String()
	known, isKnown := o.seen[identity]
	if !isKnown || o.now().Sub(known.read) >= o.heartbeat() {
		lease := &coordinationv1.Lease{}
		err := o.live.Get(ctx, key, lease)
		if apierrors.IsNotFound(err) {
			delete(o.seen, identity)
			return true, nil
		}
		if apierrors.IsForbidden(err) {
			return false, errUnreadableLease
		}
		if err != nil {
			return false, fmt.Errorf("read the Lease %s of the other operator: %w", identity, err)
		}
		delete(o.without, key.Namespace)
		known = known.after(lease.Spec.RenewTime, o.now())
		o.seen[identity] = known
	}
	return o.now().Sub(known.since) >= o.silence, nil
}

// after returns the renewal that a Lease shows that was read now.
func (r renewal) after(at *metav1.MicroTime, now time.Time) renewal {
	next := renewal{since: r.since, read: now}
	if at != nil {
		next.at = *at
	}
	if r.since.IsZero() || !next.at.Equal(&r.at) {
		next.since = now
	}
	return next
}

// heartbeat is the time between two renewals of a Lease, and between two looks at that of another operator.
func (o *operators) heartbeat() time.Duration { return o.silence / heartbeatsPerSilence }

// managesFleet reports whether this operator manages the cluster, and logs when it begins to leave the cluster to
// another one. It returns an error when it cannot find out.
func (r *Reconciler) managesFleet(ctx context.Context, cluster *v1alpha1.WebSocketCluster) (bool, error) {
	account := metadataOf(render.ServiceAccountRef(render.GatewayName(cluster.Name)))
	key := client.ObjectKeyFromObject(cluster)
	err := r.client.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: render.GatewayName(key.Name)}, account)
	found := err == nil
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("look up the operator of the fleet: %w", err)
	}
	identity := ""
	if found && isOwned(account, cluster) {
		identity = account.GetAnnotations()[render.AnnotationOperator]
	}
	var mine bool
	remedy := "stop one of the two, unless the other one is that of its namespace"
	if identity == "" {
		mine, identity, err = r.operators.mayBegin(ctx, key.Namespace)
	} else {
		mine, err = r.operators.mayManage(ctx, identity)
	}
	if errors.Is(err, errUnreadableLease) {
		err = nil
		remedy = "stop one of the two; this one cannot find out whether the other one has ended: if it has, remove the " +
			"annotation " + render.AnnotationOperator + " from the ServiceAccount " + account.Name
	}
	switch {
	case err != nil:
		return false, err
	case mine:
		r.metrics.leftToOthers.Remove(key)
	case r.metrics.leftToOthers.Add(key):
		r.metrics.fleets.forget(key)
		log.FromContext(ctx).Info("Another operator manages the cluster; this one changes nothing of it: "+remedy,
			"otherOperator", identity, "thisOperator", r.operators.identity())
	}
	return mine, nil
}

// heartbeat renews this operator's Lease, so that other operators leave its fleets alone. It is a manager's Runnable.
type heartbeat struct {
	client   client.Client
	lease    client.ObjectKey
	interval time.Duration
	silence  time.Duration
}

// NeedLeaderElection reports that only the leader renews the Lease.
func (h *heartbeat) NeedLeaderElection() bool { return true }

// Start renews the Lease until ctx ends. A renewal that fails is logged and tried again. Start returns nil.
func (h *heartbeat) Start(ctx context.Context) error {
	tick := time.NewTicker(h.interval)
	defer tick.Stop()
	for {
		if err := h.renew(ctx); err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "Could not renew the operator's Lease; other operators may take its fleets over",
				"lease", h.lease.String())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// renew writes the time into the Lease. It returns the API server's error.
func (h *heartbeat) renew(ctx context.Context) error {
	lease := coordinationac.Lease(h.lease.Name, h.lease.Namespace).
		WithSpec(coordinationac.LeaseSpec().
			WithHolderIdentity(render.FieldOwner).
			WithLeaseDurationSeconds(max(1, int32(h.silence.Seconds()))).
			WithRenewTime(metav1.NowMicro()))
	//nolint:wrapcheck // the caller logs it
	return h.client.Apply(ctx, lease, client.FieldOwner(render.FieldOwner), client.ForceOwnership)
}
