package report

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 1_234_567: "1,234,567", -999: "-999", -1000: "-1,000", -123_456: "-123,456",
	} {
		assert.Equal(t, want, Grouped(n))
	}
	for n, want := range map[float64]string{
		0: "0", 0.126: "0.13", 2.5: "2.5", 99.999: "100", 100.4: "100", 12_345.6: "12,346",
	} {
		assert.Equal(t, want, Number(n))
	}
}
