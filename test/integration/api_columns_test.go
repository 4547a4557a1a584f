package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/golden"
)

// What `kubectl get websocketclusters -o wide` prints, column by column.
func TestAPIPrintsColumns(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	require.NoError(t, env.client.Create(t.Context(), manifest(t, namespace, "fleet", "replicas: 3")))
	cluster := &v1alpha1.WebSocketCluster{}
	require.NoError(t, env.client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "fleet"}, cluster))
	cluster.Status = v1alpha1.WebSocketClusterStatus{
		Ready:            "2/3",
		Replicas:         2,
		Connections:      1234,
		Capacity:         20_000,
		DrainingReplicas: 1,
		URLs:             []string{"wss://ws.example.com/ws", "ws://fleet-gateway/ws"},
		Effective:        v1alpha1.EffectiveStatus{Image: "wsfleet/gateway:v1", Redis: "Managed", IngressProfile: "nginx"},
	}
	for _, kind := range v1alpha1.ConditionTypes() {
		cluster.Status.Conditions = append(cluster.Status.Conditions, metav1.Condition{
			Type:               kind,
			Status:             metav1.ConditionFalse,
			Reason:             "Because" + kind,
			LastTransitionTime: metav1.Now(),
		})
	}
	require.NoError(t, env.client.Status().Update(t.Context(), cluster))

	data, err := restClient(t).Get().AbsPath("/apis/wsfleet.dev/v1alpha1/namespaces", namespace, "websocketclusters").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context())
	require.NoError(t, err)
	var table metav1.Table
	require.NoError(t, json.Unmarshal(data, &table))
	require.Len(t, table.Rows, 1)

	var printed strings.Builder
	for i, column := range table.ColumnDefinitions {
		cell := table.Rows[0].Cells[i]
		if column.Name == "Age" {
			_, err := time.ParseDuration(fmt.Sprint(cell))
			require.NoError(t, err, "the age of an object that is new")
			cell = "(age)"
		}
		wide := ""
		if column.Priority > 0 {
			wide = " (wide)"
		}
		fmt.Fprintf(&printed, "%s%s: %v\n", column.Name, wide, cell)
	}
	golden.File(t, "testdata/columns.txt", printed.String())
}
