package simulate

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDelayIsTheSumOfItsParts(t *testing.T) {
	second := Range{time.Second, time.Second}
	require.Equal(t, delay{first: 20, cumulative: []float64{1}}, newDelay(second, second))
	require.Equal(t, delay{first: 1, cumulative: []float64{1}}, newDelay(Range{}), "an attempt comes after the loss")
	d := newDelay(Range{0, 200 * time.Millisecond}, Range{100 * time.Millisecond, 200 * time.Millisecond})
	require.Equal(t, slot(1), d.first)
	for i, want := range []float64{1. / 6, 3. / 6, 5. / 6, 1} {
		require.InDelta(t, want, d.cumulative[i], 1e-12)
	}
	early := newDelay(Range{0, 100 * time.Millisecond})
	require.Equal(t, delay{first: 1, cumulative: []float64{1}}, early)
}

func TestDelaySpreadsEveryClient(t *testing.T) {
	r := newRandom(1)
	d := newDelay(Range{time.Second, 5 * time.Second})
	for _, n := range []int64{0, 1, 7, 30, 1000, 1_000_000, 100_000_000} {
		sum, weighted := int64(0), 0.0
		d.spread(r, n, 100, func(at slot, part int64) {
			require.Positive(t, part)
			require.GreaterOrEqual(t, at, slot(110))
			require.LessOrEqual(t, at, slot(150))
			sum += part
			weighted += float64(part) * float64(at-100)
		})
		require.Equal(t, n, sum)
		if n >= 1000 {
			require.InDelta(t, 30, weighted/float64(n), 5*12/math.Sqrt(float64(n)), "the mean of 1 s to 5 s is 3 s")
		}
	}
}

func TestAttemptsJoinsEqualCohorts(t *testing.T) {
	a := newAttempts(100)
	for i := range 3 * firstJoin {
		a.add(50, cohort{left: slot(i % 7), layer: uint8(i % 2), count: 1})
	}
	a.add(51, cohort{left: 1, count: 9})
	due := a.take(50)
	require.Len(t, due, 14)
	sum := int64(0)
	for i, c := range due {
		sum += c.count
		require.True(t, i == 0 || compareCohorts(due[i-1], c) < 0, "in order")
	}
	require.Equal(t, int64(3*firstJoin), sum)
	a.giveBack(due)
	require.Empty(t, a.take(50))
	require.Equal(t, []cohort{{left: 1, count: 9}}, a.take(51))
}

func TestBinomialHasItsMeanAndBounds(t *testing.T) {
	r := newRandom(2)
	for _, n := range []int64{0, 1, 10, 100, 10_000, 10_000_000} {
		for _, p := range []float64{0, 1e-6, 0.001, 0.02, 0.3, 0.5, 0.9, 1} {
			const draws = 400
			sum := 0.0
			for range draws {
				k := r.binomial(n, p)
				require.GreaterOrEqual(t, k, int64(0))
				require.LessOrEqual(t, k, n)
				sum += float64(k)
			}
			mean, deviation := float64(n)*p, math.Sqrt(float64(n)*p*(1-p)/draws)
			require.InDelta(t, mean, sum/draws, 5*deviation+1e-9+5*mean*1e-3, "%d of %v", n, p)
		}
	}
}

func TestHypergeometricHasItsMeanAndBounds(t *testing.T) {
	r := newRandom(3)
	for _, c := range [][3]int64{
		{0, 5, 10}, {10, 0, 20}, {10, 20, 20}, {20, 15, 20}, {5, 3, 8}, {1000, 10, 5000}, {1000, 4000, 5000},
		{1_000_000, 3_000_000, 9_000_000}, {3, 2, 1_000_000},
	} {
		n, marked, all := c[0], c[1], c[2]
		const draws = 400
		sum := 0.0
		for range draws {
			k := r.hypergeometric(n, marked, all)
			require.GreaterOrEqual(t, k, max(0, n+marked-all))
			require.LessOrEqual(t, k, min(n, marked))
			sum += float64(k)
		}
		mean := float64(n) * float64(marked) / float64(all)
		require.InDelta(t, mean, sum/draws, 5*math.Sqrt(mean/draws)+1e-9, c)
	}
	require.Zero(t, r.hypergeometric(0, 0, 0))
}

func TestSpreadGivesEachPlaceItsPart(t *testing.T) {
	r := newRandom(4)
	for _, n := range []int64{0, 3, 40, 100_000} {
		parts := make([]int64, 10)
		r.spread(n, len(parts), func(place int, part int64) { parts[place] += part })
		sum := int64(0)
		for _, part := range parts {
			sum += part
			require.InDelta(t, float64(n)/10, part, 5*math.Sqrt(float64(n)/10)+1)
		}
		require.Equal(t, n, sum)
	}
}

func TestTimersCallInOrder(t *testing.T) {
	var all timers
	var called []int
	note := func(n int) func() { return func() { called = append(called, n) } }
	all.add(5, note(3))
	all.add(2, note(1))
	all.add(2, note(2))
	all.add(3, func() { all.add(3, note(4)) })
	all.run(1)
	require.Empty(t, called)
	all.run(4)
	require.Equal(t, []int{1, 2, 4}, called, "in the order in which they were set")
	all.run(5)
	require.Equal(t, []int{1, 2, 4, 3}, called)
}

func TestRateCountsTheBusiestSecond(t *testing.T) {
	var r rate
	for now := range slot(100) {
		if now >= 15 && now < 35 {
			r.add(now, 3)
		}
		if now == 60 {
			r.add(now, 29)
		}
		r.endSlot(now)
		if now == 50 {
			require.Equal(t, int64(30), r.takeHighest())
		}
	}
	require.Equal(t, int64(29), r.takeHighest(), "since the last call")
	require.Equal(t, int64(30), r.peak)
	require.Equal(t, int64(20*3+29), r.total)
}

func TestMeasurementKeepsThePeaksOfManySamples(t *testing.T) {
	m := newMeasurement()
	const seconds = 5 * maxSamples
	for i := range seconds {
		m.keep(Sample{Seconds: float64(i), Connected: 100 - int64(i%7), ClosesPerSecond: int64(i % 997), Draining: i % 13})
	}
	require.Less(t, len(m.samples), maxSamples+1)
	require.Greater(t, len(m.samples), maxSamples/2-1)
	require.InDelta(t, seconds-1, m.samples[len(m.samples)-1].Seconds, 0)
	peak := int64(0)
	for i, s := range m.samples {
		peak = max(peak, s.ClosesPerSecond)
		require.True(t, i == 0 || s.Seconds > m.samples[i-1].Seconds)
	}
	require.Equal(t, int64(996), peak)
}
