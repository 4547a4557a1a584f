package fleetclient

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Rebalance asks the operator to rebalance a fleet once, by an annotation, and returns the cluster. It returns an error
// when the API server does not answer or refuses.
func (c *Client) Rebalance(ctx context.Context, name string) (*v1alpha1.WebSocketCluster, error) {
	at := time.Now().UTC().Format(time.RFC3339)
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{v1alpha1.AnnotationRebalance: at}},
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // cannot happen: the values are plain
	}
	cluster := &v1alpha1.WebSocketCluster{}
	cluster.Namespace, cluster.Name = c.namespace, name
	if err := c.api.Patch(ctx, cluster, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return nil, fmt.Errorf("annotate WebSocketCluster %s/%s: %w", c.namespace, name, explained(err))
	}
	return cluster, nil
}
