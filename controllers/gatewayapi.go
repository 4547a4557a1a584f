package controllers

import (
	"cmp"
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
)

// gateway is what the URLs of a fleet depend on of a Gateway.
type gateway struct {
	Spec struct {
		Listeners []struct {
			Name     string `json:"name"`
			Hostname string `json:"hostname"`
			Port     int32  `json:"port"`
			Protocol string `json:"protocol"`
		} `json:"listeners"`
	} `json:"spec"`
	Status struct {
		Addresses []struct {
			Value string `json:"value"`
		} `json:"addresses"`
	} `json:"status"`
}

// listeners returns the listeners that the cluster's HTTPRoute attaches to. The Gateways are read from the API server
// and not watched: they are other users' objects, in any namespace, and only URLs depend on them. A Gateway that does
// not exist, or that the operator must not read, has none. listeners returns an error when one cannot be read.
func (r *Reconciler) listeners(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, installed render.Installed,
) ([]status.Listener, error) {
	route := cluster.Spec.GatewayAPI
	kind := render.HTTPRouteRef("").Kind
	if route == nil || !installed.Has(kind) {
		return nil, nil
	}
	var all []status.Listener
	for _, ref := range route.ParentRefs {
		found := &unstructured.Unstructured{}
		found.SetGroupVersionKind(kind.GroupVersion().WithKind("Gateway"))
		key := client.ObjectKey{Namespace: cmp.Or(ref.Namespace, cluster.Namespace), Name: ref.Name}
		err := r.applier.live.Get(ctx, key, found)
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read Gateway %s: %w", key, err)
		}
		all = append(all, listenersOf(found, ref)...)
	}
	return all, nil
}

// listenersOf returns the listeners of the Gateway that the reference names. A Gateway that does not decode has none.
func listenersOf(found *unstructured.Unstructured, ref v1alpha1.GatewayReference) []status.Listener {
	var read gateway
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, &read); err != nil {
		return nil
	}
	var addresses []string
	for _, address := range read.Status.Addresses {
		addresses = append(addresses, address.Value)
	}
	var all []status.Listener
	for _, listener := range read.Spec.Listeners {
		named := ref.SectionName == "" || ref.SectionName == listener.Name
		if !named || ref.Port != nil && *ref.Port != listener.Port {
			continue
		}
		switch listener.Protocol {
		case "HTTP", "HTTPS":
			all = append(all, status.Listener{
				TLS:       listener.Protocol == "HTTPS",
				Port:      listener.Port,
				Hostname:  listener.Hostname,
				Addresses: addresses,
			})
		}
	}
	return all
}
