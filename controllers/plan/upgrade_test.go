package plan

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/controllers/render"
)

func TestDiffersByReleaseOnly(t *testing.T) {
	annotations := func(template, asked string) map[string]string {
		return map[string]string{render.AnnotationTemplate: template, render.AnnotationAsked: asked}
	}
	desired := annotations("new", "a")
	assert.True(t, DiffersByReleaseOnly(annotations("old", "a"), desired))
	assert.True(t, DiffersByReleaseOnly(nil, desired), "a Deployment of an earlier release")
	assert.False(t, DiffersByReleaseOnly(annotations("old", "b"), desired), "the user has changed the spec")
	assert.False(t, DiffersByReleaseOnly(annotations("new", "a"), desired))
}

func TestRolloutUnderway(t *testing.T) {
	now := time.Now()
	settled := appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Generation: 2},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3},
	}
	draining := func(until time.Time) []corev1.Pod {
		return []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{Time: until}}}}
	}
	for _, c := range []struct {
		name   string
		change func(*appsv1.Deployment)
		pods   []corev1.Pod
		want   bool
	}{
		{"settled", func(*appsv1.Deployment) {}, []corev1.Pod{{}}, false},
		{"not observed", func(d *appsv1.Deployment) { d.Generation = 3 }, nil, true},
		{"old gateways are left", func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 2 }, nil, true},
		{"an old gateway drains", func(*appsv1.Deployment) {}, draining(now.Add(time.Minute)), true},
		{"a pod whose node is gone", func(*appsv1.Deployment) {}, draining(now.Add(-time.Minute)), false},
		{"paused", func(d *appsv1.Deployment) { d.Status.UpdatedReplicas, d.Spec.Paused = 2, true }, nil, false},
		{"no progress", func(d *appsv1.Deployment) {
			d.Status.UpdatedReplicas = 2
			d.Status.Conditions = []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse},
			}
		}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			deployment := settled.DeepCopy()
			c.change(deployment)
			assert.Equal(t, c.want, RolloutUnderway(deployment, c.pods, metav1.Time{Time: now}))
		})
	}
}

// A whole upgrade: never more than the budget roll, each fleet has its turn once, and the oldest comes first.
func TestNextUpgradesKeepTheBudget(t *testing.T) {
	for budget := 1; budget <= 3; budget++ {
		start := time.Now()
		var all []Upgrade
		for i, name := range []string{"c", "a", "b", "d", "e"} {
			since := metav1.Time{Time: start.Add(time.Duration(i/2) * time.Second)}
			all = append(all, Upgrade{Fleet: types.NamespacedName{Name: name}, Since: since})
		}
		var order string
		for len(all) > 0 {
			for _, next := range NextUpgrades(all, budget) {
				order += next.Name
				for i := range all {
					all[i].Rolling = all[i].Rolling || all[i].Fleet == next
				}
			}
			rolling := 0
			for _, one := range all {
				if one.Rolling {
					rolling++
				}
			}
			assert.LessOrEqual(t, rolling, budget)
			assert.Empty(t, NextUpgrades(all, rolling))
			for i := range all {
				if all[i].Rolling {
					all = append(all[:i:i], all[i+1:]...)
					break
				}
			}
		}
		assert.Equal(t, "acbde", order, budget)
	}
}

func TestUpgradesBefore(t *testing.T) {
	name := func(name string) types.NamespacedName { return types.NamespacedName{Name: name} }
	at := func(after time.Duration) metav1.Time { return metav1.Time{Time: time.Unix(1, 0).Add(after)} }
	all := []Upgrade{
		{Fleet: name("rolls"), Since: at(0), Rolling: true},
		{Fleet: name("second"), Since: at(2)},
		{Fleet: name("first"), Since: at(1)},
	}
	assert.Equal(t, 1, UpgradesBefore(all, name("first")))
	assert.Equal(t, 2, UpgradesBefore(all, name("second")))
}
