package load

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histograms count microseconds from 1 to an hour, exact to three digits.
const (
	maxLatency    = int64(time.Hour / time.Microsecond)
	latencyDigits = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, maxLatency, latencyDigits)
}

// record adds a time in nanoseconds.
func record(h *hdrhistogram.Histogram, nanoseconds int64) {
	// The value is within the range, the only error there is.
	_ = h.RecordValue(min(max(nanoseconds/int64(time.Microsecond), 1), maxLatency))
}

// encode encodes a histogram for another process; nil when it is empty.
func encode(h *hdrhistogram.Histogram) ([]byte, error) {
	if h.TotalCount() == 0 {
		return nil, nil
	}
	b, err := h.EncodeV2()
	if err != nil {
		return nil, fmt.Errorf("encode histogram: %w", err)
	}
	return b, nil
}

// merge adds a histogram that encode returned.
func merge(into *hdrhistogram.Histogram, encoded []byte) error {
	if len(encoded) == 0 {
		return nil
	}
	h, err := hdrhistogram.Decode(encoded)
	if err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	into.Merge(h)
	return nil
}

// Latency is the summary of a histogram, in seconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

func summary(h *hdrhistogram.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	seconds := func(us float64) float64 { return us / 1e6 }
	q := func(percent float64) float64 { return seconds(float64(h.ValueAtQuantile(percent))) }
	return Latency{
		P50:  q(50),
		P90:  q(90),
		P99:  q(99),
		P999: q(99.9),
		Max:  seconds(float64(h.Max())),
		Mean: seconds(h.Mean()),
	}
}
