package fleet

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadReport(t *testing.T) {
	_, err := readReport(strings.NewReader(`{"connections":-1}`))
	require.ErrorIs(t, err, errNegative)
	_, err = readReport(strings.NewReader(`{"maxConnections":-1}`))
	require.ErrorIs(t, err, errNegative)
	_, err = readReport(strings.NewReader(`{"connectRate":-0.5}`))
	require.ErrorIs(t, err, errNegative)

	long := `{"drain":{"reason":"a` + strings.Repeat("ä", 1000) + `"}}`
	report, err := readReport(strings.NewReader(long))
	require.NoError(t, err)
	assert.LessOrEqual(t, len(report.Drain.Reason), maxReasonBytes)
	assert.True(t, utf8.ValidString(report.Drain.Reason), "cut between two characters")
}

func FuzzReadReport(f *testing.F) {
	f.Add([]byte(`{"node":"a","state":"draining","connections":3,"maxConnections":10,
		"broker":{"kind":"redis","state":"ready"},
		"drain":{"reason":"preStop","startedAt":"2026-01-02T03:04:05Z","deadline":"2026-01-02T03:09:05Z"}}`))
	f.Add([]byte(`{"connections":-1}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		report, err := readReport(bytes.NewReader(body))
		if err != nil {
			assert.Zero(t, report)
			return
		}
		assert.GreaterOrEqual(t, report.Connections, 0)
		assert.GreaterOrEqual(t, report.MaxConnections, 0)
		if report.Drain != nil {
			assert.LessOrEqual(t, len(report.Drain.Reason), maxReasonBytes)
			assert.True(t, utf8.ValidString(report.Drain.Reason))
		}
	})
}
