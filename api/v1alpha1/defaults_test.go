package v1alpha1

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// defaultedByAPIServer returns the spec of a manifest with the defaults that the API server sets, those of the CRD's
// schema.
func defaultedByAPIServer(t *testing.T, specYAML string) WebSocketClusterSpec {
	t.Helper()
	raw, err := os.ReadFile("../../config/crd/bases/wsfleet.dev_websocketclusters.yaml")
	require.NoError(t, err)
	var crd apiextensionsv1.CustomResourceDefinition
	require.NoError(t, yaml.Unmarshal(raw, &crd))
	var props apiextensions.JSONSchemaProps
	require.NoError(t, apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema, &props, nil))
	structural, err := schema.NewStructural(&props)
	require.NoError(t, err)

	object := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(specYAML), &object))
	defaulting.Default(object, structural)
	var cluster WebSocketCluster
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object, &cluster))
	return cluster.Spec
}

// An object that was stored under an older schema lacks defaults. SetDefaults adds them, and must agree with the API
// server.
func TestSetDefaultsAgreesWithSchema(t *testing.T) {
	for name, spec := range map[string]string{
		"nothing":     `{}`,
		"empty":       `spec: {}`,
		"ingress":     `spec: {ingress: {}}`,
		"gateway API": `spec: {gatewayAPI: {parentRefs: [{name: a}]}}`,
		"policies":    `spec: {networkPolicy: {metricsFrom: []}}`,
		"external":    `spec: {redis: {external: {addresses: ["a:1"]}}}`,
		"api key":     `spec: {gateway: {auth: {apiKeySecretRef: {name: a}}}}`,
		"queues":      `spec: {gateway: {maxQueuedBytes: 536870912}}`,
		"channels":    `spec: {gateway: {channels: [{pattern: a}, {pattern: b, slowConsumer: LatestOnly}]}}`,
		"tls":         `spec: {gateway: {tls: {secretName: a}}}`,
		"autoscaling": `spec: {autoscaling: {maxReplicas: 5}}`,
	} {
		t.Run(name, func(t *testing.T) {
			stored := defaultedByAPIServer(t, spec)

			var own WebSocketCluster
			require.NoError(t, yaml.Unmarshal([]byte(spec), &own))
			own.Spec.SetDefaults()

			completed := *stored.DeepCopy()
			completed.SetDefaults()
			assert.Equal(t, own.Spec, completed)

			// Only these may be missing from what the API server stores: stored, they would conflict with the user's
			// next change.
			if stored.Redis == nil {
				stored.Redis = own.Spec.Redis
			}
			if stored.Gateway.MaxTotalQueuedBytes == nil {
				stored.Gateway.MaxTotalQueuedBytes = own.Spec.Gateway.MaxTotalQueuedBytes
			}
			if stored.Autoscaling != nil {
				stored.Autoscaling = own.Spec.Autoscaling
			}
			stored.Gateway.setDefaultKeys()
			assert.Equal(t, own.Spec, stored)
		})
	}
}

func TestSetDefaultsBeyondSchema(t *testing.T) {
	for _, c := range []struct {
		name string
		spec WebSocketClusterSpec
		want func(*testing.T, WebSocketClusterSpec)
	}{
		{"no redis means managed", WebSocketClusterSpec{}, func(t *testing.T, s WebSocketClusterSpec) {
			assert.NotNil(t, s.Redis.Managed)
		}},
		{"empty redis means none", WebSocketClusterSpec{Redis: &RedisSpec{}}, func(t *testing.T, s WebSocketClusterSpec) {
			assert.Equal(t, &RedisSpec{}, s.Redis)
		}},
		{"minReplicas never above maxReplicas", WebSocketClusterSpec{Autoscaling: &AutoscalingSpec{MaxReplicas: 1}},
			func(t *testing.T, s WebSocketClusterSpec) {
				assert.Equal(t, int32(1), *s.Autoscaling.MinReplicas)
			}},
		{"a target keeps the other one out",
			WebSocketClusterSpec{Autoscaling: &AutoscalingSpec{MaxReplicas: 3, TargetConnectionsPerPod: new(int32(5))}},
			func(t *testing.T, s WebSocketClusterSpec) {
				assert.Nil(t, s.Autoscaling.TargetUtilizationPercent)
				assert.Equal(t, int32(2), *s.Autoscaling.MinReplicas)
			}},
		{"256 MiB wait for all clients", WebSocketClusterSpec{}, func(t *testing.T, s WebSocketClusterSpec) {
			assert.Equal(t, int64(268_435_456), *s.Gateway.MaxTotalQueuedBytes)
		}},
		{"all queues hold at least one", WebSocketClusterSpec{Gateway: GatewaySpec{MaxQueuedBytes: new(int32(1 << 30))}},
			func(t *testing.T, s WebSocketClusterSpec) {
				assert.Equal(t, int64(1<<30), *s.Gateway.MaxTotalQueuedBytes)
			}},
		{"one Secret can hold every key", WebSocketClusterSpec{Gateway: GatewaySpec{
			Auth: AuthSpec{
				APIKeySecretRef: &SecretKeyReference{Name: "a"}, PreviousAPIKeySecretRef: &SecretKeyReference{Name: "a"},
				JWT: &JWTSpec{SecretRef: &SecretKeyReference{Name: "a"}, PreviousSecretRef: &SecretKeyReference{Name: "a"}},
			},
			Hooks: &HooksSpec{SecretRef: &SecretKeyReference{Name: "a"}},
		}}, func(t *testing.T, s WebSocketClusterSpec) {
			auth := s.Gateway.Auth
			assert.Equal(t, []string{"api-key", "api-previous-key", "jwt-key", "jwt-previous-key", "hook-secret"}, []string{
				auth.APIKeySecretRef.Key, auth.PreviousAPIKeySecretRef.Key, auth.JWT.SecretRef.Key, auth.JWT.PreviousSecretRef.Key,
				s.Gateway.Hooks.SecretRef.Key,
			})
		}},
		{"the key of the spec stays",
			WebSocketClusterSpec{
				Gateway: GatewaySpec{Auth: AuthSpec{APIKeySecretRef: &SecretKeyReference{Name: "a", Key: "k"}}},
			},
			func(t *testing.T, s WebSocketClusterSpec) {
				assert.Equal(t, "k", s.Gateway.Auth.APIKeySecretRef.Key)
			}},
		{"replicas depend on the fleet", WebSocketClusterSpec{}, func(t *testing.T, s WebSocketClusterSpec) {
			assert.Nil(t, s.Replicas)
		}},
		{"zero replicas stay zero", WebSocketClusterSpec{Replicas: new(int32(0))},
			func(t *testing.T, s WebSocketClusterSpec) {
				assert.Zero(t, *s.Replicas)
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.SetDefaults()
			c.want(t, c.spec)
		})
	}
}
