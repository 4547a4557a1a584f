package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers"
	"github.com/wsfleet/wsfleet/test/roles"
)

// The kustomizations of an operator without a ClusterRole.
const (
	namespacedOperator = "../../config/namespaced"
	namespacedFleets   = "../../config/namespaced/fleets"
)

// kustomize returns the objects of a kustomization as an administrator builds them for a namespace.
func kustomize(t *testing.T, directory, namespace string) []*unstructured.Unstructured {
	t.Helper()
	own := t.TempDir()
	absolute, err := filepath.Abs(directory)
	require.NoError(t, err)
	base, err := filepath.Rel(own, absolute)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(own, "kustomization.yaml"),
		fmt.Appendf(nil, "namespace: %s\nresources: [%s]\n", namespace, base), 0o600))
	program := filepath.Join(filepath.Dir(env.programs.etcd), "kubectl")
	kubectl := exec.CommandContext(t.Context(), program, "kustomize", own)
	var said bytes.Buffer
	kubectl.Stderr = &said
	built, err := kubectl.Output()
	require.NoError(t, err, said.String())
	var objects []*unstructured.Unstructured
	for documents := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(built), 4096); ; {
		object := &unstructured.Unstructured{}
		err := documents.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		require.NoError(t, err)
		objects = append(objects, object)
	}
}

// apply creates the objects of a kustomization in a namespace.
func apply(t *testing.T, directory, namespace string) []*unstructured.Unstructured {
	t.Helper()
	objects := kustomize(t, directory, namespace)
	for _, object := range objects {
		require.NoError(t, env.client.Create(t.Context(), object.DeepCopy()))
	}
	return objects
}

// namespacedAccount returns the credentials of the operator's ServiceAccount in a namespace.
func namespacedAccount(t *testing.T, namespace string) *rest.Config {
	t.Helper()
	user, err := env.addUser(envtest.User{
		Name:   "system:serviceaccount:" + namespace + ":" + operatorUser,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace},
	})
	require.NoError(t, err)
	return user.Config()
}

// refusals has the requests that the API server answered with Forbidden.
type refusals struct {
	// mu guards requests.
	mu       sync.Mutex
	requests []string
}

func (r *refusals) note(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err == nil && response.StatusCode == http.StatusForbidden {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.requests = append(r.requests, request.Method+" "+request.URL.Path)
		}
		return response, err
	})
}

func (r *refusals) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// newNamespaced returns an operator as config/namespaced installs it, in a new namespace. The test starts it.
func newNamespaced(t *testing.T) (*operator, *refusals) {
	t.Helper()
	o := newOperator(t, nil)
	apply(t, namespacedOperator, o.namespace)
	o.api = namespacedAccount(t, o.namespace)
	refused := &refusals{}
	o.api.Wrap(refused.note)
	o.configure = func(options *controllers.Options) {
		options.Namespaced = true
		options.OperatorNamespace = o.namespace
		options.Identity = client.ObjectKey{Namespace: o.namespace, Name: "wsfleet-operator-heartbeat"}
		options.Silence = silence
	}
	return o, refused
}

// newWhole returns an operator of the whole cluster, whose Lease is in a new namespace, and its identity. Its cache has
// the one namespace only, so that the fleets of other tests are left alone. The test starts it.
func newWhole(t *testing.T, namespace string) (whole *operator, identity string) {
	t.Helper()
	whole = newOperator(t, env.operator)
	letRenewLeases(t, whole.namespace)
	whole.as("wsfleet-operator-heartbeat", "example.com/gateway:whole")
	own, configure := whole.namespace, whole.configure
	whole.namespace = namespace
	whole.configure = func(options *controllers.Options) {
		configure(options)
		options.Identity.Namespace = own
	}
	return whole, own + "/wsfleet-operator-heartbeat"
}

func (o *operator) startForTest() {
	o.t.Helper()
	o.start()
	o.t.Cleanup(func() { o.stop() })
}

// The overlay has the operator without a ClusterRole, in whatever namespace, with the rules of the ClusterRole.
func TestNamespacedOverlay(t *testing.T) {
	t.Parallel()
	generated, err := roles.Read(roleFile)
	require.NoError(t, err)
	require.Equal(t, operatorUser, generated[0].Name)
	var kinds []string
	for _, object := range kustomize(t, namespacedOperator, "team") {
		kinds = append(kinds, object.GetKind()+" "+object.GetName())
		assert.Equal(t, "team", object.GetNamespace(), object.GetKind())
		switch object.GetKind() {
		case "Role":
			if object.GetName() == operatorUser {
				var role rbacv1.Role
				require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role))
				assert.Equal(t, generated[0].Rules, role.Rules)
			}
		case "RoleBinding":
			requireBound(t, object, "team")
		case "Deployment":
			var deployment appsv1.Deployment
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &deployment))
			container := deployment.Spec.Template.Spec.Containers[0]
			assert.Equal(t, []string{"--leader-elect", "--namespaced", "--metrics-bind-address=0"}, container.Args)
			assert.Len(t, container.Ports, 1)
		}
	}
	assert.ElementsMatch(t, []string{
		"ServiceAccount wsfleet-operator", "Deployment wsfleet-operator", "Role wsfleet-operator",
		"Role wsfleet-operator-leader-election", "RoleBinding wsfleet-operator",
		"RoleBinding wsfleet-operator-leader-election",
	}, kinds)

	kinds = nil
	for _, object := range kustomize(t, namespacedFleets, "other-team") {
		kinds = append(kinds, object.GetKind())
		assert.Equal(t, "other-team", object.GetNamespace())
		if object.GetKind() == "RoleBinding" {
			requireBound(t, object, "wsfleet-system")
		}
	}
	assert.ElementsMatch(t, []string{"Role", "RoleBinding"}, kinds)
}

// requireBound asserts that a RoleBinding gives a Role to the operator in a namespace.
func requireBound(t *testing.T, object *unstructured.Unstructured, namespace string) {
	t.Helper()
	var binding rbacv1.RoleBinding
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &binding))
	require.Equal(t, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: binding.Name}, binding.RoleRef)
	require.Equal(t,
		[]rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: operatorUser}}, binding.Subjects)
}

// An operator with nothing but the Roles of config/namespaced brings up a fleet with every object, asks for nothing
// that it may not have, and does not see the fleets of other namespaces.
func TestNamespacedOperatorNeedsNoClusterRole(t *testing.T) {
	t.Parallel()
	o, refused := newNamespaced(t)
	elsewhere := createFleet(t, newNamespace(t), "fleet", "{}")
	o.startForTest()
	f := createFull(t, o)
	startFakeGateways(t, f, 3)
	setDeploymentStatus(t, f, gatewayDeployment, 3, 3)
	setDeploymentStatus(t, f, redisDeployment, 1, 1)
	f.eventuallyCondition(v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonEnoughServing)
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonSettled)
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionTrue, v1alpha1.ReasonConnected)
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	f.eventuallyEvent("Normal", "Created", "")
	require.Equal(t, o.namespace+"/wsfleet-operator-heartbeat",
		gatewayAccount.get(t, f).GetAnnotations()["wsfleet.dev/operator"])

	// No IngressClass: the cluster has no default one that the API server would have written into the Ingress.
	f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonIngressClassNotFound)
	for profile, reason := range map[string]string{
		"Auto": v1alpha1.ReasonNoProfile, "nginx": v1alpha1.ReasonProfileApplied,
	} {
		f.setSpec("{replicas: 3, ingress: {className: any, profile: " + profile + "}}")
		f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionTrue, reason, "namespaced operator")
	}
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionTrue, v1alpha1.ReasonNotNeeded)
	require.NoError(t, env.client.Delete(t.Context(), f.get(t)))
	f.eventually(func(t *assert.CollectT) { assert.NotNil(t, gatewayDeployment.get(t, f).GetDeletionTimestamp()) })

	assert.Empty(t, refused.all())
	assert.NotContains(t, strings.ToLower(o.log.String()), "forbidden")
	assert.NoError(t, o.ready(httpRequest(t)))
	assert.Empty(t, elsewhere.existing())
	assert.Empty(t, elsewhere.get(t).Status.Conditions)
}

// Operators of two namespaces have no part in each other's fleets, and an operator of the whole cluster leaves those of
// both alone.
func TestNamespacedOperatorsSideBySide(t *testing.T) {
	t.Parallel()
	first, refusedFirst := newNamespaced(t)
	second, refusedSecond := newNamespaced(t)
	first.startForTest()
	second.startForTest()
	var fleets []*fleet
	for _, o := range []*operator{first, second} {
		f := createFleet(t, o.namespace, "fleet", "{}")
		f.eventuallySettled()
		require.Equal(t, o.namespace+"/wsfleet-operator-heartbeat",
			gatewayAccount.get(t, f).GetAnnotations()["wsfleet.dev/operator"])
		fleets = append(fleets, f)
	}

	whole, _ := newWhole(t, first.namespace)
	whole.startForTest()
	fleets[0].eventually(func(t *assert.CollectT) {
		assert.InDelta(t, 1, whole.metric(t, "foreign_fleets"), 0)
	})
	for i, o := range []*operator{first, second} {
		fleets[i].setSpec("replicas: 3")
		fleets[i].eventually(func(t *assert.CollectT) {
			assert.Equal(t, "3", read(t, gatewayDeployment.get(t, fleets[i]), ".spec.replicas"))
		})
		assert.Zero(t, o.metric(t, "foreign_fleets"))
	}
	image := fleets[0].getDeployment(t, gatewayDeployment).Spec.Template.Spec.Containers[0].Image
	assert.Equal(t, gatewayImage, image)
	assert.Empty(t, refusedFirst.all())
	assert.Empty(t, refusedSecond.all())
}

// A namespaced operator cannot see whether the operator of the whole cluster still lives. It leaves that one's fleets
// alone, and its log says how they are handed over.
func TestNamespacedOperatorTakesOverByHand(t *testing.T) {
	t.Parallel()
	o, _ := newNamespaced(t)
	whole, _ := newWhole(t, o.namespace)
	whole.start()
	t.Cleanup(func() { whole.stop() })
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	whole.stop()

	o.startForTest()
	const remedy = "remove the annotation wsfleet.dev/operator from the ServiceAccount fleet-gateway"
	f.eventually(func(t *assert.CollectT) { assert.Len(t, o.logged(remedy), 1) })
	f.setSpec("replicas: 3")
	require.Equal(t, "2", read(t, gatewayDeployment.get(t, f), ".spec.replicas"))
	f.patch(t, gatewayAccount, `{"metadata": {"annotations": {"wsfleet.dev/operator": null}}}`)
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "3", read(t, gatewayDeployment.get(t, f), ".spec.replicas"))
		assert.Equal(t, o.namespace+"/wsfleet-operator-heartbeat",
			gatewayAccount.get(t, f).GetAnnotations()["wsfleet.dev/operator"])
	})
}

// A fleet without an operator is for the operator of its namespace, also while that one is away for a moment. That
// holds for a new fleet, and for one from which the name of the operator of the whole cluster was removed.
func TestNamespacedOperatorComesFirstInItsNamespace(t *testing.T) {
	t.Parallel()
	o, _ := newNamespaced(t)
	whole, wholeIdentity := newWhole(t, o.namespace)
	whole.startForTest()
	given := createFleet(t, o.namespace, "given", "{}")
	given.eventuallySettled()
	own := o.namespace + "/wsfleet-operator-heartbeat"
	identity := func(t require.TestingT, f *fleet) string {
		return gatewayAccount.get(t, f).GetAnnotations()["wsfleet.dev/operator"]
	}
	require.Equal(t, wholeIdentity, identity(t, given))

	o.start()
	// The operator of the whole cluster notices the other one within a heartbeat, and takes the fleet back until then.
	given.eventually(func(c *assert.CollectT) {
		if identity(c, given) == wholeIdentity {
			given.patch(t, gatewayAccount, `{"metadata": {"annotations": {"wsfleet.dev/operator": null}}}`)
		}
		assert.Equal(c, own, identity(c, given))
		assert.Equal(c, gatewayImage, read(c, gatewayDeployment.get(c, given), container+".image"))
		assert.InDelta(c, 1, whole.metric(c, "foreign_fleets"), 0)
	})

	o.stop()
	fresh := createFleet(t, o.namespace, "fresh", "{}")
	fresh.eventually(func(c *assert.CollectT) {
		assert.InDelta(c, 2, whole.metric(c, "foreign_fleets"), 0)
	})
	require.Empty(t, fresh.existing())
	o.startForTest()
	fresh.eventuallySettled()
	require.Equal(t, own, identity(t, fresh))
}

// Definitions come and go while a namespaced operator runs, and it reads from the published schema what they can
// express. The test does not run in parallel: definitions are there for all fleets or for none.
func TestNamespacedOperatorFollowsOptionalKinds(t *testing.T) {
	o, refused := newNamespaced(t)
	o.startForTest()
	f := createFleet(t, o.namespace, "fleet", withRoute)
	f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonGatewayAPINotInstalled)
	for _, c := range []struct{ version, cookie string }{
		{"v1.6.3/experimental", ".sessionPersistence.cookieConfig.lifetimeType"},
		{"v1.7.0/experimental", ".sessionPersistence.cookie.lifetimeType"},
	} {
		remove := installGatewayAPI(t, c.version)
		f.eventually(func(t *assert.CollectT) {
			assert.Equal(t, "Permanent", read(t, gatewayRoute.get(t, f), inRoute+c.cookie))
		})
		remove()
		f.eventuallyCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonGatewayAPINotInstalled)
	}
	for _, request := range refused.all() {
		// A write is refused while the definition is being deleted.
		assert.NotContains(t, request, http.MethodGet)
	}
}

// The program itself: a namespace that does not exist holds up no other one, and is named in the log. Where none can be
// used, or the namespace is there later, the program ends.
func TestNamespacedOperatorProcess(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	ghost := namespace + "-ghost"
	config := namespacedAccount(t, namespace)
	none := startOperatorProcessWith(t, config, namespace, "--namespaced", "--watch-namespaces="+ghost)
	<-none.ended
	require.Equal(t, 1, none.command.ProcessState.ExitCode())
	require.Contains(t, none.log.String(),
		"none of the namespaces "+ghost+": create them and apply config/namespaced/fleets")

	apply(t, namespacedOperator, namespace)
	p := startOperatorProcessWith(t, config, namespace, "--namespaced", "--watch-namespaces="+namespace+","+ghost)
	f := createFleet(t, namespace, "fleet", everything)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		f.requireCondition(t, v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		assert.Len(t, f.existing(), len(allChildren()))
		assert.Equal(t, http.StatusOK, p.ready())
	}, recoveryTimeout, pollInterval)
	log := p.log.String()
	for _, words := range []string{
		"goes on without them: create them and apply config/namespaced/fleets", ghost,
		"The operator is namespaced: IngressClasses are not read",
	} {
		assert.Contains(t, log, words)
	}
	assert.NotContains(t, strings.ToLower(log), "forbidden")

	// It looks twice, 30 s apart.
	require.NoError(t, env.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ghost}}))
	for _, object := range kustomize(t, namespacedFleets, ghost) {
		if object.GetKind() == "RoleBinding" {
			object.Object["subjects"].([]any)[0].(map[string]any)["namespace"] = namespace
		}
		require.NoError(t, env.client.Create(t.Context(), object))
	}
	<-p.ended
	require.Equal(t, 1, p.command.ProcessState.ExitCode())
	require.Contains(t, p.log.String(), "are now "+namespace+", "+ghost+": it ends, to be started again with these")
}

// A namespaced operator finds wsfleet's metrics API by discovery. The test does not run in parallel: a cluster has one
// custom metrics API.
func TestNamespacedOperatorFindsTheMetricsAPI(t *testing.T) {
	o, refused := newNamespaced(t)
	o.startForTest()
	f := createFleet(t, o.namespace, "fleet", withAutoscaling)
	f.setScaling(corev1.ConditionFalse, "FailedGetObjectMetric", "its own words")
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionFalse, v1alpha1.ReasonNoMetricsAPI)

	installMetricsAPI(t).start(true)
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionFalse, v1alpha1.ReasonMetricUnreadable,
		"custom.metrics.k8s.io belongs to wsfleet's metrics API")
	f.setScaling(corev1.ConditionTrue, "ValidMetricFound", "")
	f.eventuallyCondition(v1alpha1.ConditionMetricsAvailable, metav1.ConditionTrue, v1alpha1.ReasonMetricsServed,
		"from wsfleet's metrics API")
	require.Equal(t, "BuiltIn", f.get(t).Status.Effective.Metrics)
	assert.Empty(t, refused.all())
}
