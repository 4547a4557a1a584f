package integration

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/controllers/render"
)

// child identifies one object of a WebSocketCluster by its kind and the suffix of its name.
type child struct {
	kind   schema.GroupVersionKind
	suffix string
}

func (c child) String() string { return c.kind.Kind + " " + c.suffix }

func (c child) name(cluster string) string { return cluster + "-" + c.suffix }

func (c child) empty(namespace, cluster string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(c.kind)
	object.SetNamespace(namespace)
	object.SetName(c.name(cluster))
	return object
}

func (c child) get(t require.TestingT, f *fleet) *unstructured.Unstructured {
	object := c.empty(f.namespace, f.name)
	require.NoError(t,
		env.client.Get(f.t.Context(), types.NamespacedName{Namespace: f.namespace, Name: object.GetName()}, object))
	return object
}

// The objects of a fleet. Users rely on their names, so the suffixes are repeated here.
var (
	gatewayDeployment = child{schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, "gateway"}
	gatewayService    = child{schema.GroupVersionKind{Version: "v1", Kind: "Service"}, "gateway"}
	gatewayAccount    = child{schema.GroupVersionKind{Version: "v1", Kind: "ServiceAccount"}, "gateway"}
	gatewayIngress    = child{schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"},
		"gateway"}
	gatewayAutoscaler = child{
		schema.GroupVersionKind{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"}, "gateway"}
	gatewayBudget = child{schema.GroupVersionKind{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
		"gateway"}
	gatewayPolicy = child{schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
		"gateway"}
	redisPolicy = child{schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
		"redis"}
	adminSecret     = child{schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, "admin"}
	redisDeployment = child{schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, "redis"}
	redisService    = child{schema.GroupVersionKind{Version: "v1", Kind: "Service"}, "redis"}
	redisVolume     = child{schema.GroupVersionKind{Version: "v1", Kind: "PersistentVolumeClaim"}, "redis"}
	redisSecret     = child{schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, "redis"}
)

// allChildren returns the objects of a fleet with everything switched on. The volume of the managed Redis is not among
// them, because it cannot be switched off while the fleet serves.
func allChildren() []child {
	return []child{
		gatewayDeployment, gatewayService, gatewayAccount, gatewayIngress, gatewayAutoscaler,
		gatewayBudget, gatewayPolicy, redisPolicy, adminSecret, redisDeployment, redisService, redisSecret,
	}
}

// everything is a spec that switches on each part that has an object of its own, and each setting of gateways that
// needs no Secret.
const everything = "{replicas: 3, redis: {managed: {}}, autoscaling: {maxReplicas: 5}, " +
	"ingress: {profile: nginx, hosts: [ws.example.com]}, " +
	"gateway: {maxConnectionsPerUser: 5, connectionsPerUserPolicy: Refuse, presence: {ttl: 30s, grace: 5s}, " +
	"channels: [{pattern: 'chat:*', history: {size: 100, ttl: 10m}, recovery: true, recoveryMode: Cache, " +
	"presence: true, joinLeave: true, forceJoinLeave: true, tagsFilter: true, readPresence: Anybody, " +
	"readHistory: Anybody, " +
	"publish: Nobody, subscribe: Token}, {pattern: '*', slowConsumer: LatestOnly}], " +
	"auth: {anonymous: false, jwt: {jwksURL: 'http://127.0.0.1:1/keys', issuer: i, audience: a}}, " +
	"hooks: {connect: {url: 'http://127.0.0.1:1/connect', whenDown: Allow}, " +
	"subscribe: {url: 'http://127.0.0.1:1/subscribe'}, publish: {url: 'http://127.0.0.1:1/publish'}, " +
	"rpc: {url: 'http://127.0.0.1:1/rpc'}, timeout: 250ms, forwardHeaders: [Cookie]}, " +
	"webhooks: {url: 'http://127.0.0.1:1/events', events: [occupied, vacated]}}}"

// setting begins the path of a key in the configuration file of the gateways' Deployment. Any other path is a JSONPath.
const setting = "setting "

// read returns the value at a path of an object as text, or "" when there is none.
func read(t require.TestingT, object *unstructured.Unstructured, where string) string {
	if key, ok := strings.CutPrefix(where, setting); ok {
		file, _, err := unstructured.NestedString(object.Object, "spec", "template", "metadata", "annotations",
			render.AnnotationConfig)
		require.NoError(t, err)
		settings := map[string]any{}
		require.NoError(t, yaml.Unmarshal([]byte(file), &settings))
		if settings[key] == nil {
			return ""
		}
		return fmt.Sprint(settings[key])
	}
	query := jsonpath.New(where).AllowMissingKeys(true)
	require.NoError(t, query.Parse("{"+where+"}"))
	var found bytes.Buffer
	require.NoError(t, query.Execute(&found, object.Object))
	return found.String()
}

func childNames(objects []child) []string {
	var names []string
	for _, object := range objects {
		names = append(names, object.String())
	}
	return names
}

// requireUntouched asserts that the object has not been written since it was read.
func requireUntouched(t *testing.T, f *fleet, c child, before *unstructured.Unstructured) {
	t.Helper()
	after := c.get(t, f)
	require.Equal(t, before.GetUID(), after.GetUID(), "%s was replaced", c)
	require.Equal(t, before.GetResourceVersion(), after.GetResourceVersion(), "%s was written", c)
}
