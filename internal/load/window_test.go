package load

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWindow(t *testing.T) {
	w := newWindow(2, func(publisher int) bool { return publisher == 0 })
	first, second := publication{0, 1}, publication{0, 2}
	for _, p := range []publication{first, second} {
		<-w.slots
		w.start(p, 3)
	}
	w.delivered([]deliveryCount{{first, 2}, {second, 1}})
	require.Empty(t, w.slots)
	require.Equal(t, 2, w.inFlightCount())
	w.delivered([]deliveryCount{{first, 1}})
	require.Len(t, w.slots, 1, "all three have it")
	w.delivered([]deliveryCount{{first, 1}})
	require.Len(t, w.slots, 1, "once is enough")
	w.cancel(second)
	w.cancel(second)
	require.Len(t, w.slots, 2)
	require.Zero(t, w.inFlightCount())

	elsewhere := publication{1, 1}
	w.delivered([]deliveryCount{{elsewhere, 1}})
	w.delivered([]deliveryCount{{elsewhere, 2}})
	<-w.remoteReady
	require.Equal(t, []deliveryCount{{elsewhere, 3}}, w.takeRemote())
	require.Empty(t, w.takeRemote())
}
