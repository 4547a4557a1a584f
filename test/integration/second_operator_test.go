package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/controllers"
)

// silence is how long one of several operators may be silent. It is short here, so that the test need not wait. The
// heartbeats are further apart than the quiet period.
const silence = 4 * 2 * quietPeriod

// letRenewLeases gives the operator the role that it has in its own namespace.
func letRenewLeases(t *testing.T, namespace string) {
	t.Helper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "leases"},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"coordination.k8s.io"},
			Resources: []string{"leases"},
			Verbs:     []string{"create", "patch"},
		}},
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: role.ObjectMeta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operatorUser}},
	}
	require.NoError(t, env.client.Create(t.Context(), role))
	require.NoError(t, env.client.Create(t.Context(), binding))
}

// as makes the operators that start later have an identity and a gateway image.
func (o *operator) as(identity, image string) {
	o.configure = func(options *controllers.Options) {
		options.Identity = client.ObjectKey{Namespace: o.namespace, Name: identity}
		options.Silence = silence
		options.Images.Gateway = image
	}
}

// Two operators with different gateway images do not fight over a fleet: the second one changes nothing, until the
// first one has been silent for a while. An operator with the identity of the first one goes on at once.
func TestOperatorLeavesTheFleetOfAnotherAlone(t *testing.T) {
	t.Parallel()
	first := newOperator(t, env.operator)
	letRenewLeases(t, first.namespace)
	first.as("first", "example.com/gateway:1")
	first.start()
	t.Cleanup(func() { first.stop() })
	f := createFleet(t, first.namespace, "fleet", "{}")
	f.eventuallySettled()
	require.Equal(t, first.namespace+"/first", gatewayAccount.get(t, f).GetAnnotations()["wsfleet.dev/operator"])

	first.awaitQuiet()
	second := newOperator(t, env.operator)
	second.namespace = first.namespace
	second.as("second", "example.com/gateway:2")
	written := len(writesBy(t, operatorUser, first.namespace))
	second.start()
	t.Cleanup(func() { second.stop() })
	f.eventually(func(t *assert.CollectT) {
		assert.InDelta(t, 1, second.metric(t, "foreign_fleets"), 0, "it notices the first one")
	})
	f.touch("with two operators")
	// That nothing is written cannot be awaited.
	time.Sleep(silence + time.Second)
	require.Len(t, writesBy(t, operatorUser, first.namespace), written, "one of them wrote")

	first.stop()
	first.start()
	f.setSpec("{replicas: 3}")
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "3", read(t, gatewayDeployment.get(t, f), ".spec.replicas"))
	})
	require.Equal(t, "example.com/gateway:1", f.getDeployment(t, gatewayDeployment).Spec.Template.Spec.Containers[0].Image)

	first.stop()
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "example.com/gateway:2",
			f.getDeployment(t, gatewayDeployment).Spec.Template.Spec.Containers[0].Image, "the second one takes over")
	})
	assert.Zero(t, second.metric(t, "foreign_fleets"))
}
