package plan

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestDrainMarks(t *testing.T) {
	pod := func(name string, labels map[string]string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(name), Name: name, Labels: labels}}
	}
	marked := map[string]string{render.LabelDraining: "true"}
	terminating, finished := pod("terminating", nil), pod("finished", nil)
	terminating.DeletionTimestamp = &metav1.Time{}
	finished.Status.Phase = corev1.PodFailed
	pods := []corev1.Pod{
		pod("serves", nil), pod("drains", nil), pod("drains and is marked", marked), pod("serves again", marked),
		pod("silent", marked), terminating, finished,
	}
	reports := fleet.Snapshot{Gateways: map[types.UID]fleet.Gateway{}}
	for uid, state := range map[types.UID]contract.State{
		"serves": contract.StateServing, "drains": contract.StateDraining, "drains and is marked": contract.StateDraining,
		"serves again": contract.StateServing, "terminating": contract.StateDraining, "finished": contract.StateDraining,
	} {
		reports.Gateways[uid] = fleet.Gateway{Report: contract.GatewayReport{State: state}}
	}
	assert.Equal(t, []DrainMark{{&pods[1], true}, {&pods[3], false}}, DrainMarks(pods, reports))
}
