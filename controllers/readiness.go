package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// readinessTimeout bounds one check of the readiness.
const readinessTimeout = 2 * time.Second

// ReadyCheck returns a check that passes while the manager's caches are filled and the API server lets the operator
// read WebSocketClusters. It reads only the metadata of one, in the first of the namespaces or in any, so that an
// object that does not decode does not matter.
func ReadyCheck(mgr manager.Manager, namespaces []string) healthz.Checker {
	where := namespacesOrAll(namespaces)[0]
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), readinessTimeout)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New(
				"the caches are not filled yet: the API server does not answer, or the operator's role lacks a rule")
		}
		some := &metav1.PartialObjectMetadataList{}
		some.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.KindWebSocketCluster + "List"))
		if err := mgr.GetAPIReader().List(ctx, some, client.InNamespace(where), client.Limit(1)); err != nil {
			return fmt.Errorf("read WebSocketClusters: %w", err)
		}
		return nil
	}
}
