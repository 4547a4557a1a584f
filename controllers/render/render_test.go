package render

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

var update = flag.Bool("update", false, "write the golden files")

// golden is a case's input file: the spec as a user writes it, and what was observed in the cluster.
type golden struct {
	Spec            v1alpha1.WebSocketClusterSpec `json:"spec"`
	Profile         v1alpha1.IngressProfile       `json:"profile,omitempty"`
	Metrics         v1alpha1.AutoscalingMetrics   `json:"metrics,omitempty"`
	CredentialsHash string                        `json:"credentialsHash,omitempty"`
	// Installed are the optional kinds that the cluster has, each with the shape of its session persistence.
	Installed map[string]PersistenceShape `json:"installed,omitempty"`
	// OutsideOfCluster is whether the operator runs outside of the cluster.
	OutsideOfCluster bool  `json:"outsideOfCluster,omitempty"`
	Front            Front `json:"front,omitempty"`
	// GatewayReplicas and HoldRollout are what drains ask for.
	GatewayReplicas *int32 `json:"gatewayReplicas,omitempty"`
	HoldRollout     bool   `json:"holdRollout,omitempty"`
	HoldLast        bool   `json:"holdLast,omitempty"`
	HoldEvictions   bool   `json:"holdEvictions,omitempty"`
	RefusedVersion  string `json:"refusedVersion,omitempty"`
}

// TestObjectsMatchGoldenFiles compares each case in testdata, NAME.in.yaml, with its golden file, NAME.out.yaml.
func TestObjectsMatchGoldenFiles(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.in.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, file := range cases {
		name := strings.TrimSuffix(filepath.Base(file), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			var in golden
			require.NoError(t, yaml.UnmarshalStrict(raw, &in))

			got := renderYAML(t, input(in))

			out := "testdata/" + name + ".out.yaml"
			if *update {
				require.NoError(t, os.WriteFile(out, got, 0o600))
				return
			}
			want, err := os.ReadFile(out)
			require.NoError(t, err, "run: go test ./controllers/render -update")
			assert.Empty(t, cmp.Diff(string(want), string(got)))
		})
	}
}

func input(in golden) Input {
	in.Spec.SetDefaults()
	if in.Spec.Replicas == nil {
		in.Spec.Replicas = new(int32(v1alpha1.DefaultReplicas))
	}
	if in.Metrics == "" {
		in.Metrics = v1alpha1.AutoscalingMetricsBuiltIn
	}
	operatorNamespace := "wsfleet-system"
	if in.OutsideOfCluster {
		operatorNamespace = ""
	}
	return Input{
		Name:              "demo",
		Namespace:         "team",
		UID:               "00000000-0000-0000-0000-000000000001",
		Spec:              in.Spec,
		Images:            Images{Gateway: "wsfleet/gateway:test", Redis: "redis:test"},
		OperatorNamespace: operatorNamespace,
		Installed:         installed(in.Installed),
		Profile:           in.Profile,
		Metrics:           in.Metrics,
		Secrets:           Secrets{AdminToken: "admin-token", Salt: "salt", RedisPassword: "redis-password"},
		CredentialsHash:   in.CredentialsHash,
		Front:             in.Front,
		GatewayReplicas:   in.GatewayReplicas,
		HoldRollout:       in.HoldRollout,
		HoldLast:          in.HoldLast,
		HoldEvictions:     in.HoldEvictions,
		RefusedVersion:    in.RefusedVersion,
	}
}

// installed returns the optional kinds of these names.
func installed(names map[string]PersistenceShape) Installed {
	kinds := Installed{}
	for _, kind := range OptionalKinds() {
		if shape, found := names[kind.Kind.Kind]; found {
			kinds[kind.Kind] = Features{SessionPersistence: shape}
		}
	}
	return kinds
}

// allInstalled are all optional kinds.
func allInstalled() map[string]PersistenceShape {
	names := map[string]PersistenceShape{}
	for _, kind := range OptionalKinds() {
		names[kind.Kind.Kind] = PersistenceByCookie
	}
	return names
}

func renderYAML(t *testing.T, in Input) []byte {
	t.Helper()
	objects, err := Objects(in)
	require.NoError(t, err)
	var all bytes.Buffer
	for _, object := range objects {
		all.WriteString("---\n")
		if object.Desired == nil {
			all.WriteString("# none: " + object.String() + "\n")
			continue
		}
		raw, err := yaml.Marshal(object.Desired.Object)
		require.NoError(t, err)
		all.Write(raw)
	}
	return all.Bytes()
}

// A gateway of an older release refuses keys that it does not know, so a spec that uses nothing new must not write
// them.
func TestConfigFileHasNewerKeysOnlyOnDemand(t *testing.T) {
	keys := func(change func(*v1alpha1.WebSocketClusterSpec)) []string {
		var in golden
		change(&in.Spec)
		content, err := configFile(input(in))
		require.NoError(t, err)
		settings := map[string]any{}
		require.NoError(t, yaml.Unmarshal([]byte(content), &settings))
		return slices.Sorted(maps.Keys(settings))
	}
	defaultKeys := keys(func(*v1alpha1.WebSocketClusterSpec) {})
	assert.Equal(t, defaultKeys, keys(func(spec *v1alpha1.WebSocketClusterSpec) {
		spec.Gateway.MaxConnectionsPerUser = new(int32(0))
		spec.Gateway.ConnectionsPerUserPolicy = v1alpha1.ConnectionsPerUserCloseOldest
		spec.Gateway.Auth.Anonymous = new(true)
		spec.Gateway.PersonalChannels = new(false)
		spec.Gateway.Presence.TTL = &metav1.Duration{Duration: time.Minute}
		spec.Gateway.Presence.Grace = &metav1.Duration{Duration: 15 * time.Second}
		spec.Gateway.OriginAnyPort, spec.Gateway.PublicHealth = new(false), new(false)
		spec.Gateway.ProxyProtocol = v1alpha1.ProxyProtocolDisabled
		spec.Gateway.HTTPIdleTimeout = &metav1.Duration{Duration: 75 * time.Second}
		spec.Gateway.RefusalDelay = &metav1.Duration{Duration: 3 * time.Second}
		spec.Drain.CloseCode = new(int32(1012))
	}))
	for _, key := range defaultKeys {
		for _, newer := range []string{
			"anonymous", "jwt", "presence", "hook", "per-user", "any-port", "proxy-protocol", "public-health", "idle", "code",
			"refusal", "personal",
		} {
			assert.NotContains(t, key, newer)
		}
	}
	rules := channelRules([]v1alpha1.ChannelRule{{
		Pattern:      "a",
		RecoveryMode: v1alpha1.RecoveryStream,
		ReadPresence: v1alpha1.ReadSubscribers,
		ReadHistory:  v1alpha1.ReadSubscribers,
		Publish:      v1alpha1.PublishSubscribers,
		Subscribe:    v1alpha1.SubscribeAnybody,
		SlowConsumer: v1alpha1.SlowConsumerDisconnect,
	}})
	raw, err := json.Marshal(rules)
	require.NoError(t, err)
	assert.JSONEq(t, `[{"pattern":"a","slowConsumer":"Disconnect"}]`, string(raw))
}

// Server-side apply, watches and garbage collection depend on the kind, labels, annotations and owner of every object.
func TestObjectsAreOwnedAndLabelled(t *testing.T) {
	rendered := map[Ref]bool{}
	// An XBackend takes the place of a Service.
	for _, persistence := range []v1alpha1.SessionPersistence{
		v1alpha1.SessionPersistenceRoute, v1alpha1.SessionPersistenceBackend,
	} {
		everything := golden{Profile: v1alpha1.IngressProfileNginx, Installed: allInstalled()}
		everything.Spec.Autoscaling = &v1alpha1.AutoscalingSpec{MaxReplicas: 3}
		everything.Spec.Ingress = &v1alpha1.IngressSpec{}
		everything.Spec.Redis = &v1alpha1.RedisSpec{Managed: &v1alpha1.ManagedRedis{Storage: &v1alpha1.RedisStorage{}}}
		everything.Spec.Monitoring = v1alpha1.MonitoringSpec{Rules: v1alpha1.MonitoringAuto, Dashboards: true}
		everything.Spec.GatewayAPI = &v1alpha1.GatewayAPISpec{
			ParentRefs:         []v1alpha1.GatewayReference{{Name: "a"}},
			SessionPersistence: persistence,
		}
		objects, err := Objects(input(everything))
		require.NoError(t, err)
		for _, object := range objects {
			rendered[object.Ref] = rendered[object.Ref] || object.Desired != nil
			if object.Desired == nil {
				continue
			}
			assert.Equal(t, object.Kind, object.Desired.GroupVersionKind())
			assert.Equal(t, object.Name, object.Desired.GetName())
			assert.Equal(t, "team", object.Desired.GetNamespace())
			assert.Equal(t, "demo", object.Desired.GetLabels()[LabelCluster], object)
			assert.NotEmpty(t, object.Desired.GetAnnotations()[AnnotationApplied], object)
			owners := object.Desired.GetOwnerReferences()
			require.Len(t, owners, 1, object)
			assert.True(t, *owners[0].Controller)
			// A deletion in the foreground begins with the objects that block it, and Redis goes last.
			assert.Equal(t, !object.IsManagedRedis("demo"), *owners[0].BlockOwnerDeletion, object)
		}
	}
	for ref, once := range rendered {
		assert.True(t, once, "%s was never rendered", ref)
	}
}

// An object whose need comes later in the list would never be written.
func TestObjectsComeAfterTheirNeeds(t *testing.T) {
	objects, err := Objects(input(golden{}))
	require.NoError(t, err)
	before := map[Ref]bool{}
	for _, object := range objects {
		for _, need := range object.Needs {
			assert.True(t, before[need], "%s needs %s, which comes later or never", object, need)
		}
		before[object.Ref] = true
	}
}

// The configuration must not depend on the profile in use, or the installation of an ingress controller would roll the
// fleet.
func TestConfigFileDependsOnSpecAlone(t *testing.T) {
	configuration := func(spec, observed v1alpha1.IngressProfile) string {
		in := golden{Profile: observed}
		in.Spec.Ingress = &v1alpha1.IngressSpec{Profile: spec}
		content, err := configFile(input(in))
		require.NoError(t, err)
		return content
	}
	with := configuration(v1alpha1.IngressProfileAuto, v1alpha1.IngressProfileNginx)
	assert.Contains(t, with, contract.KeyAffinityCookie)
	assert.Equal(t, with, configuration(v1alpha1.IngressProfileAuto, v1alpha1.IngressProfileNone))
	assert.Equal(t, with, configuration(v1alpha1.IngressProfileNginx, v1alpha1.IngressProfileNginx))
	without := configuration(v1alpha1.IngressProfileNone, v1alpha1.IngressProfileNone)
	assert.NotContains(t, without, contract.KeyAffinityCookie)
}

// The operator generates a lost admin Secret again with other values. That must not restart Redis.
func TestRedisDeploymentDependsOnItsOwnSecret(t *testing.T) {
	hash := func(change func(*Secrets)) string {
		in := input(golden{})
		change(&in.Secrets)
		objects, err := Objects(in)
		require.NoError(t, err)
		for _, object := range objects {
			if object.Ref == DeploymentRef(RedisName(in.Name)) {
				annotations, _, err := unstructured.NestedStringMap(
					object.Desired.Object, "spec", "template", "metadata", "annotations")
				require.NoError(t, err)
				return annotations[AnnotationConfigHash]
			}
		}
		return ""
	}
	before := hash(func(*Secrets) {})
	assert.NotEmpty(t, before)
	assert.Equal(t, before, hash(func(s *Secrets) { s.AdminToken, s.Salt = "new", "new" }))
	assert.NotEqual(t, before, hash(func(s *Secrets) { s.RedisPassword = "new" }))
}

func TestWholeSecondsRoundsUp(t *testing.T) {
	for want, duration := range map[string]time.Duration{
		"2":        2 * time.Second,
		"3":        2*time.Second + time.Millisecond,
		"31536000": 8760 * time.Hour,
	} {
		assert.Equal(t, want, wholeSeconds(&metav1.Duration{Duration: duration}))
	}
}

func TestHashSecretSeparatesContents(t *testing.T) {
	assert.NotEqual(t, HashSecret("s", "ab", "c"), HashSecret("s", "a", "bc"))
	assert.NotEqual(t, HashSecret("s", "a"), HashSecret("t", "a"))
}

// The longest allowed name of a WebSocketCluster must give names that Kubernetes accepts.
func TestObjectNamesFit(t *testing.T) {
	longest := strings.Repeat("a", 50)
	for _, name := range []string{
		GatewayName(longest), AdminSecretName(longest), RedisName(longest), RouteServiceName(longest),
	} {
		assert.LessOrEqual(t, len(name), 63)
	}
}
