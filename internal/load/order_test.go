package load

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOrder(t *testing.T) {
	for name, c := range map[string]struct {
		numbers []uint32
		want    []arrival
		// missing are the numbers that never came, as far as the last one.
		missing []span
	}{
		"in order":              {[]uint32{1, 2, 3}, []arrival{fresh, fresh, fresh}, nil},
		"one lost":              {[]uint32{1, 3}, []arrival{fresh, fresh}, []span{{2, 2}}},
		"the first lost":        {[]uint32{3}, []arrival{fresh}, []span{{1, 2}}},
		"two exchanged":         {[]uint32{1, 3, 2, 4}, []arrival{fresh, fresh, late, fresh}, nil},
		"late twice":            {[]uint32{1, 3, 2, 2}, []arrival{fresh, fresh, late, duplicate}, nil},
		"duplicate":             {[]uint32{1, 1, 2}, []arrival{fresh, duplicate, fresh}, nil},
		"old duplicate":         {[]uint32{1, 2, 3, 1}, []arrival{fresh, fresh, fresh, duplicate}, nil},
		"late inside of a gap":  {[]uint32{6, 3, 5}, []arrival{fresh, late, late}, []span{{1, 2}, {4, 4}}},
		"late at a gap's edges": {[]uint32{5, 1, 4}, []arrival{fresh, late, late}, []span{{2, 3}}},
		"two gaps":              {[]uint32{2, 5, 4, 1}, []arrival{fresh, fresh, late, late}, []span{{3, 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			o, last := order{}, uint32(0)
			var got []arrival
			for _, n := range c.numbers {
				got = append(got, o.check(stream{}, &last, n))
			}
			require.Equal(t, c.want, got)
			require.Equal(t, c.missing, o[stream{}])
		})
	}
}

// TestOrderOfAnyMess compares with remembering everything.
func TestOrderOfAnyMess(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		o, last, seen := order{}, uint32(0), map[uint32]bool{}
		highest := uint32(0)
		for range 100 {
			n := uint32(random.IntN(40) + 1)
			want := late
			switch {
			case seen[n]:
				want = duplicate
			case n > highest:
				want = fresh
			}
			require.Equal(t, want, o.check(stream{}, &last, n))
			seen[n], highest = true, max(highest, n)
		}
	}
}
