// Package alerts evaluates the alerts that the operator renders with the engine of Prometheus.
package alerts

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// goldenFile has the objects of a fleet with rules.
const goldenFile = "../../controllers/render/testdata/monitoring.out.yaml"

// rule is an alert as the PrometheusRule has it.
type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// renderedRules returns the alerts of the golden file by their names.
func renderedRules(t *testing.T) map[string]rule {
	t.Helper()
	content, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	rules := map[string]rule{}
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		var object struct {
			Kind string `json:"kind"`
			Spec struct {
				Groups []struct {
					Rules []rule `json:"rules"`
				} `json:"groups"`
			} `json:"spec"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &object))
		if object.Kind != "PrometheusRule" {
			continue
		}
		for _, group := range object.Spec.Groups {
			for _, one := range group.Rules {
				rules[one.Alert] = one
			}
		}
	}
	require.NotEmpty(t, rules)
	return rules
}

// own and other are the labels of two gateways of the fleet, and foreign those of another fleet's.
const (
	own     = `{namespace="team",fleet="demo",pod="a"`
	other   = `{namespace="team",fleet="demo",pod="b"`
	foreign = `{namespace="team",fleet="other",pod="c"`
)

// scenario is what the gateways report each minute, and whether the alert fires after 20 minutes.
type scenario struct {
	title  string
	series []string
	fires  bool
}

func scenarios() map[string][]scenario {
	return map[string][]scenario{
		"WebSocketFleetNearCapacity": {
			{"95 % of all", []string{
				"websocket_connections" + own + "} 100x20", "websocket_connections_limit" + own + "} 100x20",
				"websocket_connections" + other + "} 90x20", "websocket_connections_limit" + other + "} 100x20",
			}, true},
			{"one full, one empty", []string{
				"websocket_connections" + own + "} 100x20", "websocket_connections_limit" + own + "} 100x20",
				"websocket_connections" + other + "} 0x20", "websocket_connections_limit" + other + "} 100x20",
			}, false},
			{"another fleet", []string{
				"websocket_connections" + foreign + "} 100x20", "websocket_connections_limit" + foreign + "} 100x20",
			}, false},
		},
		"WebSocketGatewayFull": {
			{"one full, one empty", []string{
				"websocket_connections" + own + "} 100x20", "websocket_connections_limit" + own + "} 100x20",
				"websocket_connections" + other + "} 0x20", "websocket_connections_limit" + other + "} 100x20",
			}, true},
			{"almost", []string{
				"websocket_connections" + own + "} 99x20", "websocket_connections_limit" + own + "} 100x20",
			}, false},
		},
		"WebSocketBackplaneDown": {
			{"connecting", []string{
				"websocket_broker_state" + own + `,state="ready"} 0x20`,
				"websocket_broker_state" + own + `,state="connecting"} 1x20`,
			}, true},
			{"ready", []string{
				"websocket_broker_state" + own + `,state="ready"} 1x20`,
				"websocket_broker_state" + own + `,state="connecting"} 0x20`,
			}, false},
		},
		"WebSocketHandshakesRefused": {
			{"10 % for its own reasons", []string{
				"websocket_accepted_total" + own + `,protocol="plain"} 0+90x20`,
				"websocket_refused_total" + own + `,reason="full"} 0+10x20`,
			}, true},
			{"10 % for reasons of clients", []string{
				"websocket_accepted_total" + own + `,protocol="plain"} 0+90x20`,
				"websocket_refused_total" + own + `,reason="token"} 0+10x20`,
				"websocket_refused_total" + own + `,reason="full"} 0x20`,
			}, false},
			{"no handshakes", []string{
				"websocket_accepted_total" + own + `,protocol="plain"} 0x20`,
				"websocket_refused_total" + own + `,reason="full"} 0x20`,
			}, false},
		},
		"WebSocketDrainForced": {
			{"forced", []string{"websocket_drain_closed_total" + own + `,how="forced"} 0x10 7x10`}, true},
			{"paced", []string{
				"websocket_drain_closed_total" + own + `,how="paced"} 0+9x20`,
				"websocket_drain_closed_total" + own + `,how="forced"} 0x20`,
			}, false},
		},
		"WebSocketFleetUnavailable": {
			{"no target", nil, true},
			{"all drain", []string{
				"websocket_drain_state" + own + `,state="serving"} 0x20`,
				"websocket_drain_state" + own + `,state="draining"} 1x20`,
			}, true},
			{"another fleet serves", []string{"websocket_drain_state" + foreign + `,state="serving"} 1x20`}, true},
			{"one serves", []string{
				"websocket_drain_state" + own + `,state="serving"} 1x20`,
				"websocket_drain_state" + other + `,state="serving"} 0x20`,
			}, false},
		},
	}
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	rules := renderedRules(t)
	for name, cases := range scenarios() {
		alert, found := rules[name]
		require.True(t, found, "no alert %s", name)
		for _, c := range cases {
			t.Run(name+"/"+c.title, func(t *testing.T) {
				storage := promqltest.LoadedStorage(t, "load 1m\n  "+strings.Join(c.series, "\n  ")+"\n")
				engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
				query, err := engine.NewInstantQuery(t.Context(), storage, nil, alert.Expr, time.Unix(0, 0).Add(20*time.Minute))
				require.NoError(t, err)
				result := query.Exec(t.Context())
				require.NoError(t, result.Err)
				vector, isVector := result.Value.(promql.Vector)
				require.True(t, isVector)
				assert.Equal(t, c.fires, len(vector) > 0, vector)
			})
		}
	}
}

// An alert without a scenario may never fire, or always.
func TestAlertsAreWhole(t *testing.T) {
	for name, alert := range renderedRules(t) {
		assert.NotEmpty(t, scenarios()[name], "%s has no scenario", name)
		_, err := model.ParseDuration(alert.For)
		assert.NoError(t, err, name)
		assert.Contains(t, []string{"critical", "warning"}, alert.Labels["severity"], name)
		assert.Equal(t, "demo", alert.Labels["fleet"], name)
		assert.NotEmpty(t, alert.Annotations["summary"], name)
		assert.NotEmpty(t, alert.Annotations["description"], name)
	}
}
