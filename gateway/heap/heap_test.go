package heap

import (
	"context"
	"math"
	"runtime"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		name  string
		inUse uint64
		want  int
	}{
		{"nothing is in use", 0, maxPercent},
		{"almost nothing", 1, maxPercent},
		{"a small heap", 4 << 20, 400},
		{"as much as the slack", slack, 100},
		{"a byte less", slack - 1, 100},
		{"a large heap", 8 << 30, 100},
		{"more than any machine has", math.MaxUint64, 100},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, percent(c.inUse)) })
	}
}

func TestReleaserReleases(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		name        string
		before, now sample
		want        bool
	}{
		{"garbage in a quiet process", sample{}, sample{inUse: 8 * mb, objects: 12 * mb}, true},
		{"a little garbage", sample{}, sample{inUse: 8 * mb, objects: 12*mb - 1}, false},
		{"memory that is not used", sample{}, sample{inUse: 8 * mb, objects: 8 * mb, unused: 4 * mb}, true},
		{"both together", sample{}, sample{inUse: 8 * mb, objects: 10 * mb, unused: 2 * mb}, true},
		{"less than a quarter of a large heap", sample{}, sample{inUse: 800 * mb, objects: 999 * mb}, false},
		{"a quarter of a large heap", sample{}, sample{inUse: 800 * mb, objects: 1000 * mb}, true},
		{"a busy process", sample{allocated: 50 * mb}, sample{allocated: 54 * mb, inUse: 8 * mb, objects: 40 * mb}, false},
		{"almost busy", sample{allocated: 50 * mb}, sample{allocated: 54*mb - 1, inUse: 8 * mb, objects: 40 * mb}, true},
		{"quiet for a large heap", sample{}, sample{allocated: 12 * mb, inUse: 800 * mb, objects: 1000 * mb}, true},
		{"busy for a large heap", sample{}, sample{allocated: 13 * mb, inUse: 800 * mb, objects: 1000 * mb}, false},
		// The sizes are read one after the other.
		{"fewer objects than in use", sample{}, sample{inUse: 8 * mb, objects: 7 * mb}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := releaser{before: c.before}
			require.Equal(t, c.want, r.releases(c.now))
		})
	}
}

func TestReleaserReleasesOnceAfterAWave(t *testing.T) {
	r := releaser{}
	require.False(t, r.releases(sample{allocated: 100 << 20, inUse: 80 << 20, objects: 80 << 20}))
	require.False(t, r.releases(sample{allocated: 200 << 20, inUse: 80 << 20, objects: 80 << 20}))
	quiet := sample{allocated: 201 << 20, inUse: 80 << 20, objects: 80 << 20}
	require.True(t, r.releases(quiet))
	require.False(t, r.releases(quiet))
}

// gogc returns the value of GOGC that is in effect.
func gogc() int {
	value := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(value)
	return int(value[0].Value.Uint64())
}

func TestPaceFollowsTheHeap(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Setenv("GOGC", "")
	pace(ctx)
	afterCollection := func(ok func(percent int) bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			runtime.GC()
			return ok(gogc())
		}, 10*time.Second, time.Millisecond)
	}
	afterCollection(func(percent int) bool { return percent > usualPercent })
	held := make([]byte, 2*slack)
	afterCollection(func(percent int) bool { return percent == usualPercent })
	runtime.KeepAlive(held)
	afterCollection(func(percent int) bool { return percent > usualPercent })
	cancel()
	require.Eventually(t, func() bool { return gogc() == usualPercent }, 10*time.Second, time.Millisecond)
}

func TestPaceLeavesAGivenPercentageAlone(t *testing.T) {
	t.Setenv("GOGC", "100")
	pace(t.Context())
	for range 3 {
		runtime.GC()
	}
	require.Equal(t, usualPercent, gogc())
}

func TestRunReleasesWhatAWaveLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go Run(ctx)
		time.Sleep(interval + time.Second)
		wave := make([]byte, 64<<20)
		runtime.GC()
		runtime.KeepAlive(wave)
		before := read()
		time.Sleep(2 * interval)
		synctest.Wait()
		now := read()
		require.Less(t, now.objects, before.objects-60<<20)
		require.Less(t, now.unused, uint64(minRelease))
	})
}
