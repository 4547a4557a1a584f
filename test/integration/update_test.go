package integration

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Each field of the spec has its effect. The changes from one spec are made one after the other, so that each also
// reverts the one before it.
func TestReconcilerAppliesEveryField(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	createSecret(t, o.namespace, "credentials", map[string]string{
		"api-key": "k", "api-previous-key": "k", "other": firstValue, "password": "p",
		"jwt-key": firstValue, "jwt-previous-key": firstValue, "hook-secret": firstValue,
	})
	createCertificate(t, o.namespace, "certificate")
	for i, steps := range fieldSteps(fieldChanges()) {
		t.Run(fmt.Sprintf("from %s", steps[0][0].from), func(t *testing.T) {
			t.Parallel()
			f := createFleet(t, o.namespace, fmt.Sprintf("f%d", i), steps[0][0].from)
			for _, step := range steps {
				t.Run(step[0].field, func(t *testing.T) { f.in(t).requireEffects(step) })
			}
		})
	}
}

// requireEffects makes one change of the spec and waits for all its effects.
func (f *fleet) requireEffects(step []fieldChange) {
	f.t.Helper()
	for _, c := range step {
		f.eventuallyHas(c.child)
		before := read(f.t, c.child.get(f.t, f), c.where)
		require.NotEqual(f.t, c.want, before, "the case shows nothing: %s %s is so before the change", c.child, c.where)
	}
	f.setSpec(step[0].to)
	f.eventually(func(t *assert.CollectT) {
		for _, c := range step {
			assert.Equal(t, c.want, read(t, c.child.get(t, f), c.where), "%s %s", c.child, c.where)
		}
	})
	if strings.HasPrefix(step[0].where, setting) {
		// Until then the Deployment may still have the environment of the spec before.
		f.eventuallySettled()
		gatewayConfiguration(f.t, f, "pod")
	}
}

// fieldSteps returns the field changes, grouped by the spec that they begin from and then by the spec that they lead
// to.
func fieldSteps(changes []fieldChange) [][][]fieldChange {
	var (
		all   [][][]fieldChange
		begun = map[string]int{}
	)
	for _, c := range changes {
		i, known := begun[c.from]
		if !known {
			i = len(all)
			begun[c.from] = i
			all = append(all, nil)
		}
		if last := len(all[i]) - 1; last >= 0 && all[i][last][0].to == c.to {
			all[i][last] = append(all[i][last], c)
		} else {
			all[i] = append(all[i], []fieldChange{c})
		}
	}
	return all
}

// A field without a case may have no effect.
func TestReconcilerFieldsHaveCases(t *testing.T) {
	t.Parallel()
	cases := map[string]bool{
		"spec.paused":                true, // TestReconcilerPauses
		"spec.networkPolicy.enabled": true, // TestReconcilerDeletesWhatIsSwitchedOff
		"spec.monitoring.podMonitor": true, // TestReconcilerMakesMonitoringObjects
		"spec.monitoring.rules":      true, // TestReconcilerMakesMonitoringObjects
		"spec.monitoring.dashboards": true, // TestReconcilerMakesMonitoringObjects
		"spec.patch.podMonitor":      true, // TestReconcilerMakesMonitoringObjects
		"spec.patch.prometheusRule":  true, // TestReconcilerMakesMonitoringObjects
		"spec.drain.scaleIn":         true, // TestScaleInOnTermination
		// TestScaleInDrainsFirst
		"spec.rollout.maxReconnectsPerSecond": true,
		// TestRolloutStopsWhenClientsAreRefused
		"spec.rollout.refusalPolicy": true,
		// TestRebalance
		"spec.rebalance.enabled":          true,
		"spec.rebalance.tolerancePercent": true,
		"spec.rebalance.maxShedPerMinute": true,
		// TestReconcilerKeepsRedisDataOnAVolume
		"spec.redis.managed.storage.size":             true,
		"spec.redis.managed.storage.storageClassName": true,
	}
	for _, c := range fieldChanges() {
		cases[c.field] = true
	}
	for _, c := range routeFieldChanges() {
		cases[c.field] = true // TestReconcilerAppliesEveryFieldOfRoutes
	}
	fields := specFields("spec", reflect.TypeFor[v1alpha1.WebSocketClusterSpec]())
	require.NotEmpty(t, fields)
	for _, field := range fields {
		assert.True(t, cases[field], "%s has no case", field)
	}
}

// specFields returns the paths of the fields of the API's own types. A type of Kubernetes counts as one field.
func specFields(path string, typ reflect.Type) []string {
	switch typ.Kind() {
	case reflect.Pointer:
		return specFields(path, typ.Elem())
	case reflect.Slice:
		if elem := typ.Elem(); elem.Kind() == reflect.Struct && ownType(elem) {
			return specFields(path+"[]", elem)
		}
	case reflect.Struct:
		if !ownType(typ) {
			break
		}
		var all []string
		for field := range typ.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			all = append(all, specFields(path+"."+name, field.Type)...)
		}
		return all
	default:
	}
	return []string{path}
}

func ownType(typ reflect.Type) bool {
	return typ.PkgPath() == reflect.TypeFor[v1alpha1.WebSocketCluster]().PkgPath()
}
