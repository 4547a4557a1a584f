package main

import (
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A namespaced operator manages the fleets of its own namespace unless it is told others. To any other, no namespaces
// means all.
func TestSettingsChooseTheNamespacesOfFleets(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		own  string
		want []string
	}{
		{"all", nil, "wsfleet-system", nil},
		{"some", []string{"--watch-namespaces=b,a"}, "wsfleet-system", []string{"a", "b"}},
		{"listed twice", []string{"--watch-namespaces=a,b,a"}, "", []string{"a", "b"}},
		{"its own", []string{"--namespaced"}, "team", []string{"team"}},
		{"others", []string{"--namespaced", "--watch-namespaces=a,b"}, "team", []string{"a", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var chosen settings
			flags := pflag.NewFlagSet("operator", pflag.ContinueOnError)
			chosen.register(flags)
			require.NoError(t, flags.Parse(c.args))
			require.NoError(t, chosen.validate())
			options, err := chosen.setupOptions(c.own)
			require.NoError(t, err)
			assert.Equal(t, c.want, options.Namespaces)
			assert.Equal(t, c.own, options.OperatorNamespace)
		})
	}
}
