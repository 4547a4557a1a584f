package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

const (
	// accessInterval is the time between two looks at the namespaces in which the operator may work.
	accessInterval = 30 * time.Second
	// accessTimeout bounds one question for a namespace.
	accessTimeout = 5 * time.Second
)

// NamespaceAccess knows in which namespaces a namespaced operator may work. Namespaces without the operator's Role,
// such as those that do not exist, are left out: the caches of all namespaces are filled before the first fleet is
// reconciled, so one that cannot be read would hold up all fleets. It is a manager's Runnable.
type NamespaceAccess struct {
	reviews authorizationclient.SelfSubjectAccessReviewInterface
	// named are the namespaces in which the operator is to work, usable those in which it may.
	named, usable []string
	interval      time.Duration
	log           logr.Logger
}

// NewNamespaceAccess asks the API server in which of the namespaces the operator may work. While the API server does
// not answer, the operator may work in all. NewNamespaceAccess returns an error when config cannot be used, or the
// operator may work in none.
func NewNamespaceAccess(
	ctx context.Context, config *rest.Config, namespaces []string, log logr.Logger,
) (*NamespaceAccess, error) {
	reviewer, err := authorizationclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for access reviews: %w", err)
	}
	a := &NamespaceAccess{
		reviews:  reviewer.SelfSubjectAccessReviews(),
		named:    namespaces,
		interval: accessInterval,
		log:      log,
	}
	return a, a.begin(ctx)
}

// begin finds out which namespaces are usable. It returns an error when none is.
func (a *NamespaceAccess) begin(ctx context.Context) error {
	usable, err := a.review(ctx)
	if err != nil {
		a.log.Info("Could not ask in which namespaces the operator may work, and takes all for usable",
			"error", err.Error())
		usable = a.named
	}
	a.usable = usable
	missing := a.missing()
	switch {
	case len(usable) == 0:
		return fmt.Errorf("the operator may list WebSocketClusters in none of the namespaces %s: create them and apply "+
			"config/namespaced/fleets to each, or name others in --watch-namespaces", strings.Join(missing, ", "))
	case len(missing) > 0:
		a.log.Error(nil, "The operator may not list WebSocketClusters in some of its namespaces and goes on without them: "+
			"create them and apply config/namespaced/fleets to each, or remove them from --watch-namespaces",
			"namespaces", missing)
	}
	return nil
}

// Usable returns the namespaces in which the operator may work.
func (a *NamespaceAccess) Usable() []string { return a.usable }

// missing returns the namespaces in which the operator is to work and may not.
func (a *NamespaceAccess) missing() []string {
	return slices.DeleteFunc(slices.Clone(a.named), func(one string) bool { return slices.Contains(a.usable, one) })
}

// review returns the namespaces in which the operator may work now. It returns an error when the API server does not
// answer.
func (a *NamespaceAccess) review(ctx context.Context) ([]string, error) {
	var usable []string
	for _, namespace := range a.named {
		allowed, err := a.mayList(ctx, namespace)
		if err != nil {
			return nil, err
		}
		if allowed {
			usable = append(usable, namespace)
		}
	}
	return usable, nil
}

// mayList reports whether the operator may list WebSocketClusters in the namespace. It returns an error when the API
// server does not answer.
func (a *NamespaceAccess) mayList(ctx context.Context, namespace string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, accessTimeout)
	defer cancel()
	question := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace,
			Verb:      "list",
			Group:     v1alpha1.GroupName,
			Resource:  "websocketclusters",
		},
	}}
	answer, err := a.reviews.Create(ctx, question, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask whether WebSocketClusters of namespace %s may be listed: %w", namespace, err)
	}
	return answer.Status.Allowed, nil
}

// NeedLeaderElection reports that operators that wait for their turn follow the namespaces too.
func (*NamespaceAccess) NeedLeaderElection() bool { return false }

// Start asks at an interval in which namespaces the operator may work. It returns nil when ctx ends, and an error when
// two answers in a row are not those of the beginning: a cache cannot take in namespaces and cannot let go of them, so
// the operator has to be started again.
func (a *NamespaceAccess) Start(ctx context.Context) error {
	tick := time.NewTicker(a.interval)
	defer tick.Stop()
	before := a.usable
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := a.review(ctx)
		if err != nil {
			a.log.V(1).Info("Could not ask in which namespaces the operator may work", "error", err.Error())
			continue
		}
		if slices.Equal(now, before) && !slices.Equal(now, a.usable) {
			return errors.New("the namespaces in which the operator may list WebSocketClusters are now " +
				cmp.Or(strings.Join(now, ", "), "none") + ": it ends, to be started again with these")
		}
		before = now
	}
}
