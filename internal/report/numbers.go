package report

import (
	"math"
	"strconv"
)

// Number formats a number with up to two digits after the point, and none from 100 on.
func Number(n float64) string {
	if n >= 100 {
		return Grouped(int64(math.Round(n)))
	}
	return strconv.FormatFloat(math.Round(n*100)/100, 'f', -1, 64)
}

// Grouped formats a number with a comma between thousands.
func Grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
