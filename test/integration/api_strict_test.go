package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A misspelt field is refused and not dropped: kubectl asks for strict validation, and no part of the schema accepts
// unknown fields.
func TestAPIRefusesUnknownFields(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	for field, spec := range map[string]string{
		"spec.replica":                       "replica: 2",
		"spec.gateway.pingIntervall":         "gateway: {pingIntervall: 25s}",
		"spec.gateway.channels[0].histroy":   "gateway: {channels: [{pattern: a, histroy: {}}]}",
		"spec.gateway.auth.jwt.secret":       "gateway: {auth: {jwt: {secretRef: {name: a}, secret: b}}}",
		"spec.gateway.hooks.rpc.whenDown":    "gateway: {hooks: {rpc: {url: 'http://a', whenDown: Allow}}}",
		"spec.redis.managed.replicas":        "redis: {managed: {replicas: 3}}",
		"spec.redis.external.adresses":       "redis: {external: {addresses: ['r:1'], adresses: []}}",
		"spec.drain.gracePeriod":             "drain: {gracePeriod: 5m}",
		"spec.autoscaling.max":               "autoscaling: {maxReplicas: 2, max: 3}",
		"spec.ingress.tls[0].secret":         "ingress: {tls: [{secret: s}]}",
		"spec.ingress.cookie.samesite":       "ingress: {cookie: {samesite: Lax}}",
		"spec.pod.nodeselector":              "pod: {nodeselector: {a: b}}",
		"spec.resources.request":             "resources: {request: {cpu: 1}}",
		"spec.pod.tolerations[0].keys":       "pod: {tolerations: [{keys: a}]}",
		"spec.service.sessionAffinity":       "service: {sessionAffinity: None}",
		"spec.rollout.minreadyseconds":       "rollout: {minreadyseconds: 5}",
		"spec.terminationGracePeriodSeconds": "terminationGracePeriodSeconds: 30",
	} {
		t.Run(field, func(t *testing.T) {
			err := env.client.Create(t.Context(), manifest(t, namespace, "fleet", spec), client.DryRunAll)
			require.True(t, apierrors.IsBadRequest(err), "%v", err)
			require.ErrorContains(t, err, `unknown field "`+field+`"`)
		})
	}
}

func TestAPIRefusesDuplicateFields(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	body := `{"apiVersion":"wsfleet.dev/v1alpha1","kind":"WebSocketCluster",` +
		`"metadata":{"name":"fleet","namespace":"` + namespace + `"},"spec":{"replicas":1,"replicas":2}}`
	err := restClient(t).Post().AbsPath("/apis/wsfleet.dev/v1alpha1/namespaces", namespace, "websocketclusters").
		Param("fieldValidation", "Strict").Body([]byte(body)).Do(t.Context()).Error()
	require.True(t, apierrors.IsBadRequest(err), "%v", err)
	require.ErrorContains(t, err, `duplicate field "spec.replicas"`)
}
