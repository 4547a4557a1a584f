package fleetclient

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// Object is something of a fleet as the API server has it, or why it could not be read.
type Object struct {
	// Name is what the object is, in words of a file's name.
	Name  string
	Value any
	Err   error
}

// Objects reads what there is of a fleet: its own object, the Deployment, the HorizontalPodAutoscaler, the pods and the
// events. It reads no Secret. It returns an error when the fleet itself cannot be read. An object that does not exist
// is left out.
func (c *Client) Objects(ctx context.Context, cluster string) ([]Object, error) {
	key := client.ObjectKey{Namespace: c.namespace, Name: cluster}
	own := &v1alpha1.WebSocketCluster{}
	if err := c.readCluster(ctx, key, own); err != nil {
		return nil, err
	}
	gateways := client.ObjectKey{Namespace: c.namespace, Name: render.GatewayName(cluster)}
	objects := []Object{{Name: "websocketcluster", Value: c.withKind(own)}}
	deployment, autoscaler := &appsv1.Deployment{}, &autoscalingv2.HorizontalPodAutoscaler{}
	if err := c.api.Get(ctx, gateways, deployment); !apierrors.IsNotFound(err) {
		objects = append(objects, Object{"deployment", c.withKind(deployment), err})
	}
	if err := c.api.Get(ctx, gateways, autoscaler); !apierrors.IsNotFound(err) {
		objects = append(objects, Object{"horizontalpodautoscaler", c.withKind(autoscaler), err})
	}
	pods, err := c.Pods(ctx, key)
	objects = append(objects, Object{"pods", pods, err})
	events, err := c.events(ctx, cluster)
	return append(objects, Object{"events", events, err}), nil
}

// withKind returns the object with its kind, which objects of Go may lack.
func (c *Client) withKind(object client.Object) client.Object {
	// It fails only for kinds that New has not registered.
	if kind, err := c.api.GroupVersionKindFor(object); err == nil {
		object.GetObjectKind().SetGroupVersionKind(kind)
	}
	return object
}

// events returns the events of a fleet and of its objects, the oldest first. It returns an error when they cannot be
// read.
func (c *Client) events(ctx context.Context, cluster string) ([]corev1.Event, error) {
	var list corev1.EventList
	if err := c.api.List(ctx, &list, client.InNamespace(c.namespace)); err != nil {
		return nil, fmt.Errorf("list the events of namespace %s: %w", c.namespace, err)
	}
	events := slices.DeleteFunc(list.Items, func(event corev1.Event) bool {
		return !isOfFleet(event.InvolvedObject.Name, cluster)
	})
	slices.SortStableFunc(events, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	return events, nil
}

// isOfFleet reports whether an object belongs to a fleet by its name: that of the fleet itself, of its Deployments and
// what begins with them.
func isOfFleet(object, cluster string) bool {
	return object == cluster || strings.HasPrefix(object, render.GatewayName(cluster)) ||
		strings.HasPrefix(object, render.RedisName(cluster))
}

// ServerVersion returns the version of the API server. It returns an error when it cannot be read.
func (c *Client) ServerVersion() (string, error) {
	d, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return "", fmt.Errorf("read the version of the API server: %w", err)
	}
	version, err := d.ServerVersion()
	if err != nil {
		return "", fmt.Errorf("read the version of the API server: %w", err)
	}
	return version.GitVersion, nil
}

// GatewayReports returns the report of each running gateway of a fleet, or why there is none. It returns an error when
// the pods or the admin token cannot be read.
func (c *Client) GatewayReports(ctx context.Context, cluster string) ([]fleet.Answer, error) {
	//nolint:wrapcheck // it says what it did
	return c.reader.Read(ctx, client.ObjectKey{Namespace: c.namespace, Name: cluster}, fleet.NewSlots())
}
