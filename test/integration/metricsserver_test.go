package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/controllers/metricsapi"
	"github.com/wsfleet/wsfleet/controllers/metricsapi/server"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const (
	metricsAPIDirectory = "../../config/metricsapi"
	// autoscalerUser is the user that the controller of HorizontalPodAutoscalers is.
	autoscalerUser = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
)

// metricsAPI is an installation of the metrics API in a namespace of its own, without pods: its replicas run in the
// test's process. The tests that have one do not run in parallel, because a cluster has one custom metrics API.
type metricsAPI struct {
	t         *testing.T
	namespace string
	// client has an administrator's credentials and knows APIServices.
	client client.Client
	user   *envtest.AuthenticatedUser
	// kubeconfig is a file with the user's credentials.
	kubeconfig string
	// first is the address of the replica that the Service stands for.
	first net.Addr
}

// installMetricsAPI creates what config/metricsapi has besides the Deployment. The role belongs to a user in the place
// of the ServiceAccount, and the Service stands for the test's process.
func installMetricsAPI(t *testing.T) *metricsAPI {
	t.Helper()
	scheme, err := server.NewScheme()
	require.NoError(t, err)
	m := &metricsAPI{t: t, namespace: newNamespace(t), kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	m.client, err = client.New(env.config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	m.user, err = env.addUser(envtest.User{Name: m.namespace})
	require.NoError(t, err)
	kubeconfig, err := m.user.KubeConfig()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(m.kubeconfig, kubeconfig, 0o600))
	for _, file := range []string{"role.yaml", "role_binding.yaml", "reader_role.yaml"} {
		m.createAll(file)
	}
	m.create(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: metricsapi.Name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	})
	return m
}

// createAll creates the objects of a file of config/metricsapi.
func (m *metricsAPI) createAll(file string) {
	m.t.Helper()
	content, err := os.ReadFile(filepath.Join(metricsAPIDirectory, file))
	require.NoError(m.t, err)
	for _, document := range bytes.Split(content, []byte("\n---\n")) {
		var meta metav1.TypeMeta
		require.NoError(m.t, yaml.Unmarshal(document, &meta))
		object, err := m.client.Scheme().New(meta.GroupVersionKind())
		require.NoError(m.t, err)
		require.NoError(m.t, yaml.UnmarshalStrict(document, object))
		m.create(m.adapt(object.(client.Object)))
	}
}

// adapt moves an object of the installation's namespace to that of the test, and its role to the test's user.
func (m *metricsAPI) adapt(object client.Object) client.Object {
	if object.GetNamespace() == "wsfleet-system" {
		object.SetNamespace(m.namespace)
	}
	own := func(subjects []rbacv1.Subject) {
		for i := range subjects {
			if subjects[i].Name == metricsapi.Name {
				subjects[i] = rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: m.namespace}
			}
		}
	}
	switch binding := object.(type) {
	case *rbacv1.RoleBinding:
		own(binding.Subjects)
	case *rbacv1.ClusterRoleBinding:
		own(binding.Subjects)
	}
	return object
}

// create creates an object, and deletes it after the test.
func (m *metricsAPI) create(object client.Object) {
	m.t.Helper()
	require.NoError(m.t, m.client.Create(m.t.Context(), object))
	m.t.Cleanup(func() {
		// Not the test's context, which has ended before the cleanups.
		assert.NoError(m.t, client.IgnoreNotFound(m.client.Delete(context.Background(), object)))
	})
}

// start starts a replica and returns its address. It ends with the test, or with the result.
func (m *metricsAPI) start(manageCertificate bool) (address net.Addr, stop func()) {
	m.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(m.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(m.t, err)
	if m.first == nil {
		m.first = listener.Addr()
	}
	scheme, err := server.NewScheme()
	require.NoError(m.t, err)
	cacheOptions, err := server.CacheOptions(m.namespace, nil)
	require.NoError(m.t, err)
	log := &logBuffer{}
	manager, err := ctrl.NewManager(m.user.Config(), ctrl.Options{
		Scheme:     scheme,
		Cache:      cacheOptions,
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Logger:     log.logger(),
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	require.NoError(m.t, err)
	require.NoError(m.t, server.Setup(manager, server.Options{
		Namespace:         m.namespace,
		ServicePort:       int32(m.first.(*net.TCPAddr).Port),
		Listener:          listener,
		ManageCertificate: manageCertificate,
		Kubeconfig:        m.kubeconfig,
		DrainDelay:        time.Millisecond,
		AdminAddress:      adminAddress,
		Metrics:           prometheus.NewRegistry(),
	}))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			m.t.Errorf("the metrics API ended with: %v", err)
		}
		if m.t.Failed() {
			m.t.Logf("the metrics API logged:\n%s", log)
		}
	})
	m.t.Cleanup(func() {
		stop()
		m.removeAPIService(metricsapi.APIServiceName)
	})
	return listener.Addr(), stop
}

// removeAPIService deletes an APIService, and waits until the API server no longer serves it.
func (m *metricsAPI) removeAPIService(name string) {
	m.t.Helper()
	a := &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: name}}
	assert.NoError(m.t, client.IgnoreNotFound(m.client.Delete(context.Background(), a)))
}

func (m *metricsAPI) apiService(t require.TestingT) *apiregistrationv1.APIService {
	a := &apiregistrationv1.APIService{}
	require.NoError(t, m.client.Get(m.t.Context(), client.ObjectKey{Name: metricsapi.APIServiceName}, a))
	return a
}

func (m *metricsAPI) secret(t require.TestingT) *corev1.Secret {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: m.namespace, Name: server.SecretName}
	require.NoError(t, m.client.Get(m.t.Context(), key, secret))
	return secret
}

// eventually waits until asserted holds.
func (m *metricsAPI) eventually(asserted func(t *assert.CollectT)) {
	m.t.Helper()
	require.EventuallyWithT(m.t, asserted, waitTimeout, pollInterval)
}

// ask requests a path below the API's version through the API server, as a user.
func (m *metricsAPI) ask(user, path string) ([]v1beta2.MetricValue, error) {
	as := rest.CopyConfig(env.config)
	as.Impersonate.UserName = user
	clients, err := kubernetes.NewForConfig(as)
	if err != nil {
		return nil, err
	}
	body, err := clients.Discovery().RESTClient().Get().
		RequestURI("/apis/" + metricsapi.GroupName + "/" + metricsapi.Version + "/" + path).
		MaxRetries(0).DoRaw(m.t.Context())
	if err != nil {
		return nil, err
	}
	var list v1beta2.MetricValueList
	err = json.Unmarshal(body, &list)
	return list.Items, err
}

// values returns name=value of each metric that the autoscaler reads at a path.
func (m *metricsAPI) values(t require.TestingT, path string) string {
	items, err := m.ask(autoscalerUser, path)
	require.NoError(t, err)
	var all []string
	for _, item := range items {
		all = append(all, fmt.Sprintf("%s=%s", item.DescribedObject.Name, item.Value.String()))
	}
	return strings.Join(all, " ")
}

func TestMetricsAPIServesAutoscalersAndNoOthers(t *testing.T) {
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{replicas: 2}")
	gateways := startFakeGateways(t, f, 2)
	gateways[0].report(func(r *report) { r.Connections, r.ConnectRate = 7500, new(1.5) })
	gateways[1].report(func(r *report) {
		r.Connections, r.ConnectRate, r.State = 500, new(0.25), contract.StateDraining
	})
	m := installMetricsAPI(t)
	m.start(true)

	ofFleet := "namespaces/" + f.namespace + "/websocketclusters.wsfleet.dev/fleet/"
	ofPods := "namespaces/" + f.namespace + "/pods/"
	m.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "fleet=8k", m.values(t, ofFleet+contract.MetricConnections))
	})
	assert.Equal(t, "fleet=750m", m.values(t, ofFleet+contract.MetricConnectionsMaxRatio))
	assert.Equal(t, "fleet=1750m", m.values(t, ofFleet+contract.MetricConnectRate))
	assert.Equal(t, "fleet-gateway-1=500", m.values(t, ofPods+"fleet-gateway-1/"+contract.MetricConnections))
	assert.Equal(t, "fleet-gateway-0=7500 fleet-gateway-1=500",
		m.values(t, ofPods+"*/"+contract.MetricConnections+"?labelSelector=wsfleet.dev/cluster=fleet"))

	for _, user := range []string{"system:serviceaccount:default:default", "system:anonymous"} {
		_, err := m.ask(user, ofFleet+contract.MetricConnections)
		require.True(t, apierrors.IsForbidden(err), "%s: %v", user, err)
	}
	_, err := m.ask(autoscalerUser, ofFleet+"another_metric")
	require.True(t, apierrors.IsNotFound(err) || apierrors.IsForbidden(err), "%v", err)
	_, err = m.ask(autoscalerUser,
		"namespaces/"+f.namespace+"/websocketclusters.wsfleet.dev/other/"+contract.MetricConnections)
	require.True(t, apierrors.IsNotFound(err), "%v", err)

	// The token of the gateways changes, as after a restored backup: the next request reads it anew.
	gateways[0].mu.Lock()
	gateways[0].token = "changed"
	gateways[0].mu.Unlock()
	m.eventually(func(t *assert.CollectT) {
		_, refused := gateways[0].seen()
		assert.Positive(t, refused)
		_, _ = m.ask(autoscalerUser, ofFleet+contract.MetricConnections)
	})
	assert.Equal(t, "fleet=8k", m.values(t, ofFleet+contract.MetricConnections), "the last number counts for a while")
}

// adapter is the APIService of another server of custom metrics.
func adapter(version string) *apiregistrationv1.APIService {
	return &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: version + "." + metricsapi.GroupName},
		Spec: apiregistrationv1.APIServiceSpec{
			Service:               &apiregistrationv1.ServiceReference{Namespace: "monitoring", Name: "adapter"},
			Group:                 metricsapi.GroupName,
			Version:               version,
			InsecureSkipTLSVerify: true,
			GroupPriorityMinimum:  100,
			VersionPriority:       100,
		},
	}
}

func TestMetricsAPILeavesAnotherServersAPIService(t *testing.T) {
	m := installMetricsAPI(t)
	foreign := adapter("v1beta2")
	m.create(foreign)
	m.start(true)
	m.eventually(func(t *assert.CollectT) { m.secret(t) })
	// A second replica looks at the same APIService with a certificate at hand.
	second, stop := m.start(true)
	m.eventually(func(t *assert.CollectT) { served(t, second) })
	stop()
	assert.Equal(t, "adapter", m.apiService(t).Spec.Service.Name)

	require.NoError(t, m.client.Delete(t.Context(), foreign))
	m.eventually(func(t *assert.CollectT) {
		assert.Equal(t, metricsapi.Name, m.apiService(t).Spec.Service.Name, "taken over")
	})

	// An adapter that has only the older version would be hidden by ours.
	older := adapter("v1beta1")
	m.create(older)
	m.eventually(func(t *assert.CollectT) {
		a := &apiregistrationv1.APIService{}
		err := m.client.Get(m.t.Context(), client.ObjectKey{Name: metricsapi.APIServiceName}, a)
		assert.True(t, apierrors.IsNotFound(err), "withdrawn: %v", err)
	})
	require.NoError(t, m.client.Delete(t.Context(), older))
	m.eventually(func(t *assert.CollectT) { m.apiService(t) })
}

// With the role, the garbage collector removes the APIService. There is none here, so the test checks what it goes by.
func TestMetricsAPIGivesTheAPIServiceAnOwner(t *testing.T) {
	m := installMetricsAPI(t)
	m.start(true)
	role := &rbacv1.ClusterRole{}
	require.NoError(t, m.client.Get(t.Context(), client.ObjectKey{Name: metricsapi.Name}, role))
	m.eventually(func(t *assert.CollectT) {
		owners := m.apiService(t).OwnerReferences
		require.Len(t, owners, 1)
		assert.Equal(t, role.UID, owners[0].UID)
		assert.Nil(t, owners[0].BlockOwnerDeletion)
	})
}

// served returns the certificate that a replica serves.
func served(t require.TestingT, address net.Addr) []byte {
	conn, err := tls.Dial("tcp", address.String(), &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].Raw
}

func TestMetricsAPIReplicasShareTheirCertificate(t *testing.T) {
	m := installMetricsAPI(t)
	first, _ := m.start(true)
	second, _ := m.start(true)
	var before []byte
	m.eventually(func(t *assert.CollectT) {
		before = served(t, first)
		assert.Equal(t, before, served(t, second))
		assert.Equal(t, m.secret(t).Data["ca.crt"], m.apiService(t).Spec.CABundle)
	})

	require.NoError(t, m.client.Delete(t.Context(), m.secret(t)))
	m.eventually(func(t *assert.CollectT) {
		now := served(t, first)
		assert.NotEqual(t, before, now, "a new certificate")
		assert.Equal(t, now, served(t, second))
		assert.Equal(t, m.secret(t).Data["ca.crt"], m.apiService(t).Spec.CABundle)
	})
	m.eventually(func(t *assert.CollectT) {
		_, err := m.ask(autoscalerUser, "namespaces/none/websocketclusters.wsfleet.dev/none/"+contract.MetricConnections)
		assert.True(t, apierrors.IsNotFound(err), "the API server trusts it: %v", err)
	})
}

func TestMetricsAPIUsesTheCertificateOfAnotherProgram(t *testing.T) {
	m := installMetricsAPI(t)
	_, stop := m.start(true)
	m.eventually(func(t *assert.CollectT) { m.secret(t) })
	stop()
	made := m.secret(t)
	require.NoError(t, m.client.Delete(t.Context(), made))

	m.first = nil
	address, _ := m.start(false)
	// The Secret as cert-manager writes it.
	delete(made.Data, "ca.key")
	m.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: server.SecretName},
		Type:       corev1.SecretTypeTLS,
		Data:       made.Data,
	})
	m.eventually(func(t *assert.CollectT) {
		assert.NotEmpty(t, served(t, address))
		assert.Equal(t, made.Data["ca.crt"], m.apiService(t).Spec.CABundle)
	})
	assert.NotContains(t, m.secret(t).Data, "ca.key", "the Secret is not written")
}

// A connection whose handshake ends when the server no longer listens is never asked to close. The metrics API ends all
// the same, within the manager's 30 seconds.
func TestMetricsAPIEndsDespiteAConnectionThatOpensMeanwhile(t *testing.T) {
	m := installMetricsAPI(t)
	address, stop := m.start(true)
	secure := &tls.Config{InsecureSkipVerify: true}
	m.eventually(func(t *assert.CollectT) {
		serving, err := (&tls.Dialer{Config: secure}).DialContext(m.t.Context(), "tcp", address.String())
		if assert.NoError(t, err) {
			_ = serving.Close()
		}
	})
	opening, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = opening.Close() })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop()
	}()
	m.eventually(func(t *assert.CollectT) {
		late, err := (&net.Dialer{}).DialContext(m.t.Context(), "tcp", address.String())
		if assert.Error(t, err, "no longer listening") {
			return
		}
		_ = late.Close()
	})
	client := &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return opening, nil },
		TLSClientConfig:   secure,
		ForceAttemptHTTP2: true,
	}
	_, err = client.NewClientConn(t.Context(), "https", address.String())
	require.NoError(t, err)
	<-ended
}
