package transport

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// blockedJob is a job that blocks until release is closed, and then sends the name of its goroutine.
type blockedJob struct {
	release    chan struct{}
	goroutines chan string
}

func (j *blockedJob) run() {
	<-j.release
	stack := make([]byte, 64)
	name, _, _ := strings.Cut(string(stack[:runtime.Stack(stack, false)]), " [")
	j.goroutines <- name
}

func TestWorkerPoolReusesIdleGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jobs = 2 * maxIdleWorkers
		pool := newWorkerPool()
		defer pool.close()
		together := func(n int) map[string]bool {
			all := &blockedJob{release: make(chan struct{}), goroutines: make(chan string, n)}
			for range n {
				pool.start(all)
			}
			close(all.release)
			synctest.Wait()
			require.Len(t, all.goroutines, n, "no job waits for another")
			names := map[string]bool{}
			for range n {
				names[<-all.goroutines] = true
			}
			return names
		}
		first := together(jobs)
		require.Len(t, first, jobs)
		require.EqualValues(t, maxIdleWorkers, pool.idle.Load())
		for name := range together(maxIdleWorkers) {
			require.True(t, first[name], "an idle one is reused")
		}
	})
}
