package render

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// metricName matches the gateways' metrics in queries.
var metricName = regexp.MustCompile(`websocket_[a-z_]+`)

// requireKnownMetrics asserts that gateways serve the metrics of a query.
func requireKnownMetrics(t *testing.T, query string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	names := metricName.FindAllString(query, -1)
	require.NotEmpty(t, names, query)
	for _, name := range names {
		// A histogram's series have suffixes.
		assert.Contains(t, string(page), "| `"+strings.TrimSuffix(name, "_bucket")+"` |", query)
	}
}

// The dashboard shows metrics that exist, of the fleet that is chosen.
func TestDashboardQueriesKnownMetrics(t *testing.T) {
	object, err := dashboard(input(golden{Spec: v1alpha1.WebSocketClusterSpec{
		Monitoring: v1alpha1.MonitoringSpec{Dashboards: true},
	}}))
	require.NoError(t, err)
	raw, err := json.Marshal(object)
	require.NoError(t, err)
	var configMap struct {
		Data map[string]string `json:"data"`
	}
	require.NoError(t, json.Unmarshal(raw, &configMap))
	var board struct {
		Title  string `json:"title"`
		Panels []struct {
			ID      int    `json:"id"`
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	require.NoError(t, json.Unmarshal([]byte(configMap.Data["wsfleet-team-demo.json"]), &board))
	assert.Equal(t, "WebSocket fleet team/demo", board.Title)
	ids := map[int]bool{}
	for _, panel := range board.Panels {
		assert.False(t, ids[panel.ID], "two panels have the id %d", panel.ID)
		ids[panel.ID] = true
		require.NotEmpty(t, panel.Targets, panel.Title)
		for _, target := range panel.Targets {
			requireKnownMetrics(t, target.Expr)
			assert.Contains(t, target.Expr, `namespace="$namespace",fleet="$fleet"`)
		}
	}
}

// The alerts are about metrics that exist. test/alerts evaluates them.
func TestAlertsQueryKnownMetrics(t *testing.T) {
	for _, alert := range alerts(input(golden{})) {
		requireKnownMetrics(t, alert.expression)
		assert.Contains(t, alert.expression, `namespace="team",fleet="demo"`)
	}
}
