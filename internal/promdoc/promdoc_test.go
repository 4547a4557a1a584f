package promdoc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/promdoc"
)

func TestTableSortsAndEscapes(t *testing.T) {
	require.Equal(t, "| name | type | labels | help |\n|---|---|---|---|\n"+
		"| `a` | counter | `x`, `y` | This\\|that. |\n"+
		"| `b` | gauge |  | Bees. |\n",
		promdoc.Table([]promdoc.Metric{
			{Name: "b", Type: promdoc.Gauge, Help: "Bees."},
			{Name: "a", Type: promdoc.Counter, Labels: []string{"x", "y"}, Help: "This|that."},
		}))
}
