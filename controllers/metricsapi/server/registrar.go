package server

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wsfleet/wsfleet/controllers/metricsapi"
)

// registrar keeps the APIService. It runs in every replica: they write the same, and a replica whose write comes second
// looks again. It is a reconciler without an object of its own: each request stands for all APIServices of the group.
type registrar struct {
	client client.Client
	// live reads the ClusterRole that owns the APIService.
	live client.Reader
	// namespace and port are those of the Service.
	namespace string
	port      int32
	metrics   *serverMetrics

	// mu guards last.
	mu   sync.Mutex
	last metricsapi.Owner
}

// Reconcile brings the APIService in line with the certificate, unless another server owns the API. It returns an error
// when the API server refuses a read or a write.
func (r *registrar) Reconcile(ctx context.Context, _ reconcile.Request) (ctrl.Result, error) {
	var list apiregistrationv1.APIServiceList
	if err := r.client.List(ctx, &list); err != nil {
		return ctrl.Result{}, fmt.Errorf("list APIServices: %w", err)
	}
	r.noteOwner(ctx, metricsapi.OwnerOf(list.Items))
	own, err := r.registration(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	if len(own.authorities) == 0 {
		// The Secret's event comes when there is a certificate.
		return ctrl.Result{}, nil
	}
	next, current := decide(list.Items, own)
	err = r.do(ctx, next, current, own)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		// Another replica, or another server, was first. Its event is on the way.
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("%s APIService %s: %w", next, metricsapi.APIServiceName, err)
	}
	return ctrl.Result{}, nil
}

// registration returns what this installation registers. Its authorities are empty while there is no certificate.
// registration returns an error when the Secret or the owning ClusterRole cannot be read.
func (r *registrar) registration(ctx context.Context) (registration, error) {
	own := registration{namespace: r.namespace, port: r.port}
	var secret corev1.Secret
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: SecretName}, &secret)
	if client.IgnoreNotFound(err) != nil {
		return own, fmt.Errorf("read Secret %s: %w", SecretName, err)
	}
	own.authorities = secret.Data[keyAuthorities]
	var role rbacv1.ClusterRole
	if err := r.live.Get(ctx, client.ObjectKey{Name: metricsapi.Name}, &role); err != nil {
		// Without an owner the APIService would stay after an uninstall, and keep namespaces from being deleted.
		return own, fmt.Errorf("read ClusterRole %s, which is to own the APIService: %w", metricsapi.Name, err)
	}
	own.owner = metav1.OwnerReference{
		APIVersion: rbacv1.SchemeGroupVersion.String(),
		Kind:       "ClusterRole",
		Name:       role.Name,
		UID:        role.UID,
	}
	return own, nil
}

// do carries out a step. Each write has the version that the decision was made from as its precondition.
func (r *registrar) do(ctx context.Context, next step, current *apiregistrationv1.APIService, own registration) error {
	logger := log.FromContext(ctx).WithValues("apiService", metricsapi.APIServiceName)
	switch next {
	case stepCreate:
		created := &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: metricsapi.APIServiceName}}
		own.apply(created)
		logger.Info("Registering the metrics API")
		return r.client.Create(ctx, created)
	case stepUpdate:
		updated := current.DeepCopy()
		own.apply(updated)
		logger.Info("Updating the registration of the metrics API")
		return r.client.Update(ctx, updated)
	case stepWithdraw:
		logger.Info("Withdrawing the metrics API, because another server of it was installed")
		return r.client.Delete(ctx, current, client.Preconditions{
			UID:             new(current.UID),
			ResourceVersion: new(current.ResourceVersion),
		})
	default:
		return nil
	}
}

// noteOwner logs and exports the owner of the API when it is another one than before.
func (r *registrar) noteOwner(ctx context.Context, owner metricsapi.Owner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if owner == r.last {
		return
	}
	r.last = owner
	r.metrics.setOwner(owner)
	message := "The metrics API is answered by another server; autoscaling uses it or none"
	switch {
	case owner.Kind == metricsapi.OwnerNone:
		message = "No server is registered for the metrics API"
	case owner.Kind == metricsapi.OwnerBuiltIn && owner.Service.Namespace == r.namespace:
		message = "The metrics API is answered by this installation"
	}
	log.FromContext(ctx).Info(message, "owner", owner.String())
}
