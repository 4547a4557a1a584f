package transport

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// task is a job that says which goroutine did it, when it is let.
type task struct {
	let chan struct{}
	by  chan string
}

func (t *task) work() {
	<-t.let
	stack := make([]byte, 64)
	name, _, _ := strings.Cut(string(stack[:runtime.Stack(stack, false)]), " [")
	t.by <- name
}

func TestGoroutinesStayForTheNextJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const crowd = 2 * mostSpare
		w := newCrew()
		defer w.close()
		together := func(n int) map[string]bool {
			all := &task{let: make(chan struct{}), by: make(chan string, n)}
			for range n {
				w.take(all)
			}
			close(all.let)
			synctest.Wait()
			require.Len(t, all.by, n, "none waits for another")
			who := map[string]bool{}
			for range n {
				who[<-all.by] = true
			}
			return who
		}
		first := together(crowd)
		require.Len(t, first, crowd)
		require.EqualValues(t, mostSpare, w.spare.Load())
		for who := range together(mostSpare) {
			require.True(t, first[who], "one that stayed")
		}
	})
}
