package metricsapi

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// manifest reads a file of config/metricsapi into object, and fails on fields that do not exist.
func manifest(t *testing.T, file string, object any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../config/metricsapi", file))
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(content, object))
}

func TestManifestsHaveTheNamesThatTheProgramUses(t *testing.T) {
	var deployment appsv1.Deployment
	var service corev1.Service
	var budget policyv1.PodDisruptionBudget
	manifest(t, "deployment.yaml", &deployment)
	manifest(t, "service.yaml", &service)
	manifest(t, "budget.yaml", &budget)
	assert.Equal(t, []string{Name, Name, Name}, []string{deployment.Name, service.Name, budget.Name})
	assert.Equal(t, int32(ServicePort), service.Spec.Ports[0].Port)
	for _, labels := range []map[string]string{
		deployment.Spec.Template.Labels, deployment.Spec.Selector.MatchLabels, service.Spec.Selector,
		budget.Spec.Selector.MatchLabels,
	} {
		assert.Equal(t, PodLabels(), labels)
	}
}

func TestManifestKeepsAReplicaRunning(t *testing.T) {
	var deployment appsv1.Deployment
	var budget policyv1.PodDisruptionBudget
	manifest(t, "deployment.yaml", &deployment)
	manifest(t, "budget.yaml", &budget)
	assert.Equal(t, int32(2), *deployment.Spec.Replicas)
	assert.Equal(t, 0, deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue())
	assert.Equal(t, 1, budget.Spec.MaxUnavailable.IntValue())
	pod := deployment.Spec.Template
	nodes, zones := pod.Spec.TopologySpreadConstraints,
		pod.Spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	require.Len(t, nodes, 1, "with a constraint for zones beside it, nodes without a zone are not spread over")
	assert.Equal(t, corev1.LabelHostname, nodes[0].TopologyKey)
	require.Len(t, zones, 1)
	assert.Equal(t, corev1.LabelTopologyZone, zones[0].PodAffinityTerm.TopologyKey)
	for _, selector := range []*metav1.LabelSelector{nodes[0].LabelSelector, zones[0].PodAffinityTerm.LabelSelector} {
		assert.Equal(t, PodLabels(), selector.MatchLabels)
	}
}
