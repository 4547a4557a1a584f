package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// storeUndecodable writes a WebSocketCluster into etcd that the API server would refuse, as a backup of another version
// of the CRD would.
func storeUndecodable(t *testing.T, namespace, name string) {
	t.Helper()
	stored := manifest(t, namespace, name, "{}")
	stored.SetUID("00000000-0000-0000-0000-000000000011")
	stored.SetGeneration(1)
	stored.Object["spec"] = map[string]any{"replicas": "many"}
	value, err := json.Marshal(stored.Object)
	require.NoError(t, err)
	encode := base64.StdEncoding.EncodeToString
	body, err := json.Marshal(map[string]string{
		"key":   encode([]byte("/registry/" + v1alpha1.GroupName + "/websocketclusters/" + namespace + "/" + name)),
		"value": encode(value),
	})
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		env.control.ControlPlane.Etcd.URL.String()+"/v3/kv/put", bytes.NewReader(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, http.StatusOK, response.StatusCode)
}

// One stored object that does not decode is named, and the other fleets are managed: both those that exist when the
// operator starts and those that come later. The operator stays ready.
func TestOperatorManagesOthersBesideAnUndecodableCluster(t *testing.T) {
	t.Parallel()
	o := newOperator(t, env.operator)
	storeUndecodable(t, o.namespace, "restored")
	earlier := createFleet(t, o.namespace, "earlier", "{}")
	o.start()
	t.Cleanup(func() { o.stop() })
	earlier.eventuallySettled()
	storeUndecodable(t, o.namespace, "restored-later")
	later := createFleet(t, o.namespace, "later", "{}")
	later.eventuallySettled()

	for _, name := range []string{"restored", "restored-later"} {
		later.eventually(func(t *assert.CollectT) {
			assert.InDelta(t, 1, o.metric(t, "undecodable_cluster", name, o.namespace), 0)
			assert.Contains(t, o.log.String(), `"name"="`+name+`"`)
		})
	}
	require.NoError(t, o.ready(httpRequest(t)))

	gone := manifest(t, o.namespace, "restored", "{}")
	require.NoError(t, env.client.Delete(t.Context(), gone))
	later.eventually(func(t *assert.CollectT) {
		assert.Zero(t, o.metric(t, "undecodable_cluster", "restored", o.namespace))
	})
	require.NoError(t,
		client.IgnoreNotFound(env.client.Delete(t.Context(), manifest(t, o.namespace, "restored-later", "{}"))))
}

// The operator is not ready while nothing can be read.
func TestOperatorIsReadyWhileItCanRead(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	require.NoError(t, o.ready(httpRequest(t)))
	o.sent.before(func(request *http.Request) *http.Response {
		if request.Method != http.MethodGet {
			return nil
		}
		return answer(request, http.StatusForbidden, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":403,`+
			`"reason":"Forbidden","message":"no rule"}`)
	})
	require.ErrorContains(t, o.ready(httpRequest(t)), "no rule")
	o.sent.before(nil)
	require.NoError(t, o.ready(httpRequest(t)))
}

// The operator is not ready before it has read all that it depends on.
func TestOperatorIsReadyWhenItsCachesAreFilled(t *testing.T) {
	t.Parallel()
	o := newOperator(t, env.operator)
	o.sent.before(func(request *http.Request) *http.Response {
		if !strings.HasSuffix(request.URL.Path, "/secrets") {
			return nil
		}
		return answer(request, http.StatusServiceUnavailable, `{}`)
	})
	o.begin()
	t.Cleanup(func() { o.stop() })
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		assert.ErrorContains(collect, o.ready(httpRequest(t)), "the caches are not filled")
	}, waitTimeout, pollInterval)
	o.sent.before(nil)
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		assert.NoError(collect, o.ready(httpRequest(t)))
	}, waitTimeout, pollInterval)
}

func httpRequest(t *testing.T) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody)
	require.NoError(t, err)
	return request
}
