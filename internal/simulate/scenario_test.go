package simulate

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/internal/reconnect"
)

func TestValidateNamesFieldAndRemedy(t *testing.T) {
	for want, change := range map[string]func(*Scenario){
		"--replicas: 0 gateways cannot be simulated: give 1 to 10000": func(s *Scenario) { s.Spec.Replicas = new(int32(0)) },
		"--connections: -1 cannot be simulated":                       func(s *Scenario) { s.Connections = -1 },
		"--connections: 100001 connections do not fit into 10 gateways of 10000": func(s *Scenario) {
			s.Connections = 100_001
		},
		"--clients: no layer: give one":      func(s *Scenario) { s.Clients = nil },
		"--clients: stompjs has the share 0": func(s *Scenario) { s.Clients = []Share{{Layer: reconnect.Known()[3]}} },
		"--clients: 33 layers":               func(s *Scenario) { s.Clients = make([]Share, 33) },
		"--layer: x: 0 waits": func(s *Scenario) {
			s.Clients = []Share{{reconnect.Layer{Name: "x", Growth: 1}, 1}}
		},
		"--leave: 1.5 is no share":       func(s *Scenario) { s.LeaveShare = 1.5 },
		"--leave: NaN is no share":       func(s *Scenario) { s.LeaveShare = math.NaN() },
		"--zones: 0 zones":               func(s *Scenario) { s.Zones = 0 },
		"--pods-per-node: 0 pods":        func(s *Scenario) { s.PodsPerNode = 0 },
		"--limit: 0s is no time":         func(s *Scenario) { s.Limit = 0 },
		"--pod-start: 2s-1s":             func(s *Scenario) { s.PodStart = Range{2 * time.Second, time.Second} },
		"--endpoint-delay: -1s":          func(s *Scenario) { s.EndpointDelay = -time.Second },
		"spec.gateway.connectRate: -1":   func(s *Scenario) { s.Spec.Gateway.ConnectRate = new(int32(-1)) },
		"spec.gateway.maxConnections: 0": func(s *Scenario) { s.Spec.Gateway.MaxConnections = new(int32(0)) },
		"spec.drain.timeout: -1s": func(s *Scenario) {
			s.Spec.Drain.Timeout = &metav1.Duration{Duration: -time.Second}
		},
		"spec.drain.propagationDelay: 10m0s: give 0s to spec.drain.timeout, which is 5m0s": func(s *Scenario) {
			s.Spec.Drain.PropagationDelay = &metav1.Duration{Duration: 10 * time.Minute}
		},
		`spec.disruption.maxUnavailable: "some": give a number or a percentage`: func(s *Scenario) {
			s.Spec.Disruption.MaxUnavailable = new(intstr.FromString("some"))
		},
		"--event: scale-out=9991: all scale-outs together make more than 10000 gateways": func(s *Scenario) {
			s.Events = []Event{{Kind: ScaleOut, Count: 9991}}
		},
		"--event: scale-in=6: all scale-ins together take 12 of 10": func(s *Scenario) {
			s.Events = []Event{{Kind: ScaleIn, Count: 6}, {Kind: ScaleIn, Count: 6}}
		},
		"--event: zone-loss: the only zone would be lost": func(s *Scenario) {
			s.Zones, s.Events = 1, []Event{{Kind: ZoneLoss}}
		},
		"--event: kill=11: there are 10 gateways": func(s *Scenario) { s.Events = []Event{{Kind: Kill, Count: 11}} },
		"--event: node-loss=4: 4 nodes may hold all 10 gateways": func(s *Scenario) {
			s.PodsPerNode, s.Events = 3, []Event{{Kind: NodeLoss, Count: 4}}
		},
		"--event: rollout@2h0m0s: it happens outside of the simulated time": func(s *Scenario) {
			s.Limit, s.Events = time.Hour, []Event{{Kind: Rollout, At: 2 * time.Hour}}
		},
	} {
		s := Defaults()
		require.NoError(t, s.Validate())
		change(&s)
		require.ErrorContains(t, s.Validate(), want)
	}
}

// manifest returns a manifest with a spec in flow style, after a document of another kind.
func manifest(spec string) []byte {
	return []byte("kind: ConfigMap\n---\napiVersion: wsfleet.dev/v1alpha1\nkind: WebSocketCluster\n" +
		"metadata: {name: chat}\nspec: " + spec + "\n")
}

func TestSetFleetReadsTheManifestWithItsDefaults(t *testing.T) {
	s := Defaults()
	require.NoError(t, s.SetFleet(manifest("{replicas: 4, drain: {timeout: 2m}, gateway: {maxConnections: 500}}"), Size{}))
	require.Equal(t, int32(4), *s.Spec.Replicas)
	require.Equal(t, 2*time.Minute, s.Spec.Drain.Timeout.Duration)
	require.Equal(t, int32(500), *s.Spec.Gateway.ConnectRate, "the default")
	require.Equal(t, int64(1000), s.Connections, "half of what fits")
	require.NoError(t, s.Validate())

	require.NoError(t, s.SetFleet(manifest("{}"), Size{}))
	require.Equal(t, int32(2), *s.Spec.Replicas, "as the operator decides for a new fleet")

	require.NoError(t, s.SetFleet(manifest("{replicas: 4}"), Size{
		Replicas: new(int32(7)), Connections: new(int64(3)), MaxConnections: new(int32(20)),
	}))
	require.Equal(t, int32(7), *s.Spec.Replicas)
	require.Equal(t, int64(3), s.Connections)
	require.Equal(t, int32(20), *s.Spec.Gateway.MaxConnections)
}

func TestSetFleetMakesRoomForTheConnections(t *testing.T) {
	for connections, replicas := range map[int64]int32{0: 2, 15_000: 2, 15_001: 3, 1_000_000: 134, 100_000_000: 10_000} {
		s := Defaults()
		require.NoError(t, s.SetFleet(nil, Size{Connections: &connections}))
		require.Equal(t, replicas, *s.Spec.Replicas, connections)
	}
}

func TestSetFleetRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"kind: ConfigMap\n": "it has 0 WebSocketClusters: give a file with one",
		string(manifest("{}")) + "---\n" + string(manifest("{}")): "it has 2 WebSocketClusters",
		"apiVersion: v1\nkind: WebSocketCluster\n":                `its apiVersion is "v1": use wsfleet.dev/v1alpha1`,
		string(manifest("{gateway: {conectRate: 5}}")):            `unknown field "conectRate"`,
		string(manifest("{replicas: many}")):                      "cannot be read",
		"\tx":                                                     "it is no YAML",
	} {
		s := Defaults()
		err := s.SetFleet([]byte(text), Size{})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "--filename: ")
	}
}
