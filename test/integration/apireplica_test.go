package integration

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// apiReplica is another kube-apiserver on the etcd of the shared control plane. A test stops and starts it under the
// operator that uses it. The administrator's client goes on through the first one, and so do other tests.
type apiReplica struct {
	t      *testing.T
	server *envtest.APIServer
}

// startAPIReplica starts an API server. It ends with the test.
func startAPIReplica(t *testing.T) *apiReplica {
	t.Helper()
	first := env.control.ControlPlane.GetAPIServer()
	replica := &apiReplica{t: t, server: &envtest.APIServer{
		// The certificates and the users of the first one.
		CertDir:      first.CertDir,
		EtcdURL:      env.control.ControlPlane.Etcd.URL,
		StartTimeout: 2 * time.Minute,
		// A process that ends by itself waits a minute for its watches. This one is killed at once.
		StopTimeout: time.Nanosecond,
	}}
	replica.server.Authn = first.Authn
	env.configureAPIServer(replica.server)
	replica.start()
	t.Cleanup(replica.stop)
	return replica
}

func (r *apiReplica) start() {
	r.t.Helper()
	env.users.Lock()
	defer env.users.Unlock()
	require.NoError(r.t, r.server.Start())
}

// stop kills the process, and blocks until connections to it are refused.
func (r *apiReplica) stop() {
	r.t.Helper()
	env.users.Lock()
	// The error says that the process was killed, or that it had ended.
	_ = r.server.Stop()
	env.users.Unlock()
	require.Eventually(r.t, func() bool {
		conn, err := net.Dial("tcp", r.server.HostPort())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, waitTimeout, pollInterval)
}

// config returns the operator's credentials for this API server.
func (r *apiReplica) config() *rest.Config {
	config := rest.CopyConfig(env.operator)
	config.Host = r.server.SecureServing.URL("https", "").String()
	return config
}

// compactEtcd drops the history of all objects, as the API server does every few minutes. A watch cannot go on from an
// earlier version after that.
func compactEtcd(t *testing.T, namespace string) {
	t.Helper()
	marker := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "revision-"}}
	require.NoError(t, env.client.Create(t.Context(), marker))
	body := fmt.Sprintf(`{"revision":%q,"physical":true}`, marker.ResourceVersion)
	url := env.control.ControlPlane.Etcd.URL.JoinPath("/v3/kv/compaction").String()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewBufferString(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}
