package memory

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQueueKeepsTheOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var q queue
	want := map[*member]time.Duration{}
	for range 3_000 {
		until := time.Duration(random.IntN(200))
		switch n := random.IntN(5); {
		case len(q) == 0 || n < 2 && len(q) < 100:
			m := &member{}
			q.push(m, until)
			want[m] = until
		case n == 2:
			m := q[random.IntN(len(q))].member
			q.set(int(m.index), until)
			want[m] = until
		case n == 3:
			m := q[random.IntN(len(q))].member
			q.remove(int(m.index))
			delete(want, m)
		default:
			require.Equal(t, slices.Min(slices.Collect(maps.Values(want))), q[0].until)
			var due []*member
			for m, at := range want {
				if at <= until {
					due = append(due, m)
				}
			}
			require.ElementsMatch(t, due, slices.Collect(q.over(until)))
		}
		require.Len(t, q, len(want))
	}
	for i, e := range q {
		require.EqualValues(t, i, e.member.index)
		require.Equal(t, want[e.member], e.until)
	}
}
