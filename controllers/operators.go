package controllers

import (
	"context"
	"errors"
	"fmt"
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
// as an annotation, as long as it renews its Lease. An identity is the namespace and name of that Lease. Operators that
// elect a leader among themselves have one identity, so that a new leader goes on at once. The methods of operators may
// be called by several goroutines at once.
type operators struct {
	// own is this operator's identity. When its name is empty, this operator takes no notice of others.
	own client.ObjectKey
	// live reads Leases from the API server.
	live    client.Reader
	silence time.Duration
	now     func() time.Time

	// mu guards seen.
	mu sync.Mutex
	// seen holds the Leases of the other operators.
	seen map[string]renewal
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
	known, isKnown := o.seen[identity]
	if !isKnown || o.now().Sub(known.read) >= o.heartbeat() {
		lease := &coordinationv1.Lease{}
		err := o.live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, lease)
		if apierrors.IsNotFound(err) {
			delete(o.seen, identity)
			return true, nil
		}
		if apierrors.IsForbidden(err) {
			return false, errUnreadableLease
		}
		if err != nil {
			return false, fmt.Errorf("read the Lease %s of the operator that manages the fleet: %w", identity, err)
		}
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
	if !found || !isOwned(account, cluster) {
		r.metrics.leftToOthers.Remove(key)
		return true, nil
	}
	identity := account.GetAnnotations()[render.AnnotationOperator]
	mine, err := r.operators.mayManage(ctx, identity)
	remedy := "stop one of the two"
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
