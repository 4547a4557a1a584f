package load

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSequenceGapsCheck(t *testing.T) {
	for name, c := range map[string]struct {
		numbers []uint32
		want    []sequenceResult
		// missing are the numbers below the last one that never arrived.
		missing []numberRange
	}{
		"in order":              {[]uint32{1, 2, 3}, []sequenceResult{newest, newest, newest}, nil},
		"one lost":              {[]uint32{1, 3}, []sequenceResult{newest, newest}, []numberRange{{2, 2}}},
		"the first lost":        {[]uint32{3}, []sequenceResult{newest}, []numberRange{{1, 2}}},
		"two exchanged":         {[]uint32{1, 3, 2, 4}, []sequenceResult{newest, newest, late, newest}, nil},
		"late twice":            {[]uint32{1, 3, 2, 2}, []sequenceResult{newest, newest, late, duplicate}, nil},
		"duplicate":             {[]uint32{1, 1, 2}, []sequenceResult{newest, duplicate, newest}, nil},
		"old duplicate":         {[]uint32{1, 2, 3, 1}, []sequenceResult{newest, newest, newest, duplicate}, nil},
		"late inside of a gap":  {[]uint32{6, 3, 5}, []sequenceResult{newest, late, late}, []numberRange{{1, 2}, {4, 4}}},
		"late at a gap's edges": {[]uint32{5, 1, 4}, []sequenceResult{newest, late, late}, []numberRange{{2, 3}}},
		"two gaps":              {[]uint32{2, 5, 4, 1}, []sequenceResult{newest, newest, late, late}, []numberRange{{3, 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			o, last := sequenceGaps{}, uint32(0)
			var got []sequenceResult
			for _, n := range c.numbers {
				got = append(got, o.check(sequenceKey{}, &last, n))
			}
			require.Equal(t, c.want, got)
			require.Equal(t, c.missing, o[sequenceKey{}])
		})
	}
}

// TestSequenceGapsCheckAgainstSet compares with a set of all numbers.
func TestSequenceGapsCheckAgainstSet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		o, last, seen := sequenceGaps{}, uint32(0), map[uint32]bool{}
		highest := uint32(0)
		for range 100 {
			n := uint32(random.IntN(40) + 1)
			want := late
			switch {
			case seen[n]:
				want = duplicate
			case n > highest:
				want = newest
			}
			require.Equal(t, want, o.check(sequenceKey{}, &last, n))
			seen[n], highest = true, max(highest, n)
		}
	}
}
