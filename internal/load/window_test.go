package load

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWindow(t *testing.T) {
	w := newWindow(2, func(publisher int) bool { return publisher == 0 })
	first, second := publication{0, 1}, publication{0, 2}
	for _, p := range []publication{first, second} {
		<-w.free
		w.fly(p, 3)
	}
	w.delivered([]gotten{{first, 2}, {second, 1}})
	require.Empty(t, w.free)
	require.Equal(t, 2, w.inFlight())
	w.delivered([]gotten{{first, 1}})
	require.Len(t, w.free, 1, "all three have it")
	w.delivered([]gotten{{first, 1}})
	require.Len(t, w.free, 1, "once is enough")
	w.cancel(second)
	w.cancel(second)
	require.Len(t, w.free, 2)
	require.Zero(t, w.inFlight())

	elsewhere := publication{1, 1}
	w.delivered([]gotten{{elsewhere, 1}})
	w.delivered([]gotten{{elsewhere, 2}})
	<-w.awake
	require.Equal(t, []gotten{{elsewhere, 3}}, w.takeAway())
	require.Empty(t, w.takeAway())
}
