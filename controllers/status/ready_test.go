package status

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	lua "github.com/yuin/gopher-lua"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// toolCase is an observation, and what tools that wait take the fleet for.
type toolCase struct {
	name    string
	changes []change
	kstatus status.Status
	argoCD  string
	// message is a part of the message that the tools show.
	message string
}

func toolCases() []toolCase {
	crashLoop := brokenPod(backingOff(corev1.ContainerStateTerminated{ExitCode: 2, Message: "bad level"}))
	noneServes := func(o *Observation) {
		noPods(o)
		o.Gateways.Status = appsv1.DeploymentStatus{}
	}
	pausedDeployment := func(o *Observation) {
		o.Gateways.Spec.Paused = true
		o.Gateways.Status.UpdatedReplicas = 0
	}
	return []toolCase{
		{"settled", nil, status.CurrentStatus, "Healthy", "the fleet matches the spec"},
		{"new", []change{noneServes, func(o *Observation) { o.Gateways = nil }}, status.InProgressStatus, "Progressing", ""},
		{"scaling", []change{noneServes}, status.InProgressStatus, "Progressing", "0 of 2 gateways exist"},
		{"crash loop", []change{crashLoop}, status.InProgressStatus, "Progressing", "bad level"},
		{"crash loop for ten minutes", []change{crashLoop, stuck}, status.FailedStatus, "Degraded", "bad level"},
		{"Deployment paused", []change{pausedDeployment}, status.FailedStatus, "Degraded", "kubectl rollout resume"},
		{"Secret missing", []change{problem(secretNotFound)}, status.InProgressStatus, "Progressing", "spec.redis..."},
		{"foreign object", []change{problem(foreignObject)}, status.FailedStatus, "Degraded", "ConfigMap x"},
		{"managed Redis away", []change{func(o *Observation) { o.Redis = nil }}, status.InProgressStatus, "Progressing",
			"Redis"},
		{"no load balancer yet", []change{loadBalancer()}, status.InProgressStatus, "Progressing", "load balancer"},
		{"no metrics API", []change{autoscaled}, status.CurrentStatus, "Healthy", ""},
		{"draining", []change{drainingPod(5)}, status.CurrentStatus, "Healthy", ""},
		{"scaled to 0", []change{replicas(0), noPods, func(o *Observation) {
			o.Gateways.Status = appsv1.DeploymentStatus{}
		}}, status.CurrentStatus, "Healthy", "spec.replicas is 0"},
		{"paused", []change{paused}, status.CurrentStatus, "Healthy", "spec.paused"},
		{"waits for its upgrade", []change{upgradeWaits}, status.CurrentStatus, "Healthy", "3 fleets before this one"},
		{"crash loop before its upgrade", []change{crashLoop, upgradeWaits}, status.InProgressStatus, "Progressing",
			"bad level"},
	}
}

// asObject returns the cluster with the status as tools read it.
func asObject(t *testing.T, o Observation) *unstructured.Unstructured {
	t.Helper()
	cluster := o.Cluster.DeepCopy()
	cluster.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.KindWebSocketCluster))
	cluster.Status = Compute(o)
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(cluster)
	require.NoError(t, err)
	return &unstructured.Unstructured{Object: object}
}

// The code by which Flux and Helm wait reads the status right.
func TestKstatusReadsTheStatus(t *testing.T) {
	for _, c := range toolCases() {
		t.Run(c.name, func(t *testing.T) {
			result, err := status.Compute(asObject(t, settled(c.changes...)))
			require.NoError(t, err)
			assert.Equal(t, c.kstatus, result.Status, result.Message)
			if c.kstatus != status.CurrentStatus {
				assert.Contains(t, result.Message, c.message)
			}
		})
	}
	old := asObject(t, settled())
	old.SetGeneration(8)
	result, err := status.Compute(old)
	require.NoError(t, err)
	assert.Equal(t, status.InProgressStatus, result.Status, "the status of an older spec")
}

// The health check that the documentation has for Argo CD reads the status right.
func TestArgoCDReadsTheStatus(t *testing.T) {
	page, err := os.ReadFile("../../docs/gitops.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "resource.customizations.health.wsfleet.dev_WebSocketCluster: |\n")
	require.True(t, found, "docs/gitops.md has no health check")
	script, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	health := func(t *testing.T, object map[string]any) (status, message string) {
		state := lua.NewState()
		defer state.Close()
		state.SetGlobal("obj", luaValue(state, object))
		require.NoError(t, state.DoString(script))
		result, isTable := state.Get(-1).(*lua.LTable)
		require.True(t, isTable)
		return result.RawGetString("status").String(), result.RawGetString("message").String()
	}
	for _, c := range toolCases() {
		t.Run(c.name, func(t *testing.T) {
			status, message := health(t, asObject(t, settled(c.changes...)).Object)
			assert.Equal(t, c.argoCD, status, message)
			assert.Contains(t, message, c.message)
		})
	}
	old := asObject(t, settled())
	old.SetGeneration(8)
	status, _ := health(t, old.Object)
	assert.Equal(t, "Progressing", status, "the status of an older spec")
	status, _ = health(t, map[string]any{"metadata": map[string]any{"generation": int64(1)}})
	assert.Equal(t, "Progressing", status, "no status")
}

// luaValue converts a value of unstructured data.
func luaValue(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, one := range value {
			table.RawSetString(key, luaValue(state, one))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, one := range value {
			table.Append(luaValue(state, one))
		}
		return table
	case string:
		return lua.LString(value)
	case int64:
		return lua.LNumber(value)
	case bool:
		return lua.LBool(value)
	default:
		return lua.LNil
	}
}

// One problem is one event, in whichever conditions it shows.
func TestSummaryCausesNoWarning(t *testing.T) {
	now := Compute(settled(ingress(func(i *v1alpha1.IngressSpec) { i.ClassName = new("x") }, IngressClass{}))).Conditions
	assert.Equal(t, metav1.ConditionFalse, conditionOf(now, v1alpha1.ConditionReady).Status)
	var types []string
	for _, warning := range Warnings(nil, now) {
		types = append(types, warning.Type)
	}
	assert.Equal(t, []string{v1alpha1.ConditionExposed}, types)
}

func conditionOf(all []metav1.Condition, kind string) metav1.Condition {
	for _, one := range all {
		if one.Type == kind {
			return one
		}
	}
	return metav1.Condition{}
}
