package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// An operator that ends after any of its writes leaves nothing that the next one does not complete: each object is
// created once, and generated Secrets keep their values.
func TestOperatorCompletesWhatAnotherBegan(t *testing.T) {
	t.Parallel()
	for writes := range len(allChildren()) + 1 {
		t.Run(fmt.Sprintf("after %d writes", writes), func(t *testing.T) {
			t.Parallel()
			o := startOperator(t)
			cut := o.endAfter(writes)
			f := createFleet(t, o.namespace, "fleet", everything)
			<-cut
			o.stop()
			before := f.existing()

			o.sent.before(nil)
			o.start()
			f.eventuallyHas(allChildren()...)
			f.eventuallySettled()
			o.awaitQuiet()
			after := f.existing()
			for name, object := range before {
				assert.Equal(t, object, after[name], "%s was replaced or changed", name)
			}
			o.requireEachCreatedOnce()
		})
	}
}

// endAfter lets the operator send a number of writes and no more, as when it is killed. The channel is closed when it
// has tried another one.
func (o *operator) endAfter(writes int) <-chan struct{} {
	var sent atomic.Int64
	cut := make(chan struct{})
	end := sync.OnceFunc(func() { close(cut) })
	o.sent.before(func(request *http.Request) *http.Response {
		isEvent := strings.HasSuffix(request.URL.Path, "/events")
		if request.Method == http.MethodGet || isEvent || sent.Add(1) <= int64(writes) {
			return nil
		}
		end()
		<-request.Context().Done()
		return answer(request, http.StatusServiceUnavailable, `{}`)
	})
	return cut
}

// requireEachCreatedOnce asserts that no object of the operator's namespace was created twice.
func (o *operator) requireEachCreatedOnce() {
	o.t.Helper()
	created := map[string]int{}
	for _, w := range writesBy(o.t, operatorUser, o.namespace) {
		if w.Status.Code == http.StatusCreated && w.ObjectRef.Resource != "events" {
			created[w.ObjectRef.Resource+" "+w.ObjectRef.Name]++
		}
	}
	assert.NotEmpty(o.t, created)
	for object, times := range created {
		assert.Equal(o.t, 1, times, "%s was created %d times", object, times)
	}
}
