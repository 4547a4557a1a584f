package loglevel_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/loglevel"
)

func TestParseKnowsTheNamesOnly(t *testing.T) {
	for _, name := range loglevel.Names() {
		level, ok := loglevel.Parse(name)
		require.True(t, ok, name)
		require.Equal(t, name, loglevel.Name(level))
	}
	for _, name := range []string{"", "INFO", "info+1", "trace", "0"} {
		_, ok := loglevel.Parse(name)
		require.False(t, ok, name)
	}
}
