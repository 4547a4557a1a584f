package integration

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers"
)

// A new cluster costs a write for each of its objects, two of its status and one event. Nothing is read or tried before
// it is written.
func TestReconcilerCreatesAClusterWithFewRequests(t *testing.T) {
	t.Parallel()
	o := newOperator(t, env.operator)
	o.configure = func(options *controllers.Options) { options.StatusInterval = 2 * time.Second }
	o.start()
	t.Cleanup(func() { o.stop() })
	var reads atomic.Int64
	o.sent.before(func(request *http.Request) *http.Response {
		if request.Method == http.MethodGet && strings.Contains(request.URL.Path, "/fleet-") {
			reads.Add(1)
		}
		return nil
	})
	f := createFleet(t, o.namespace, "fleet", "{replicas: 0, redis: {}}")
	f.rollOut()
	f.eventuallyCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonSettled)
	o.awaitQuiet()

	var statuses, events, dryRuns int
	objects := map[string]int{}
	for _, w := range writesBy(t, operatorUser, o.namespace) {
		switch {
		case strings.Contains(w.RequestURI, "dryRun"):
			dryRuns++
		case w.ObjectRef.Resource == "events":
			events++
		case w.ObjectRef.Subresource == "status":
			statuses++
		default:
			objects[w.ObjectRef.Resource+"/"+w.ObjectRef.Name]++
		}
	}
	assert.Zero(t, reads.Load(), "objects that were read")
	assert.LessOrEqual(t, statuses, 2)
	assert.LessOrEqual(t, events, 1)
	assert.Zero(t, dryRuns)
	for object, writes := range objects {
		assert.Equal(t, 1, writes, object)
	}
}
