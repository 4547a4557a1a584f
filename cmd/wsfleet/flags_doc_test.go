package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"

	"github.com/wsfleet/wsfleet/internal/golden"
)

// The page has the flags of all commands about fleets.
func TestFleetFlagsAreDocumented(t *testing.T) {
	var page strings.Builder
	root := newPluginCommand()
	writeFlags(t, &page, "all commands", root.PersistentFlags())
	for _, cmd := range root.Commands() {
		if cmd.Name() != "version" {
			writeFlags(t, &page, "`"+cmd.Name()+"`", cmd.LocalNonPersistentFlags())
		}
	}
	golden.Section(t, "../../docs/kubectl-wsc.md", "flags", page.String())
}

// writeFlags writes a Markdown table of flags.
func writeFlags(t *testing.T, page *strings.Builder, of string, flags *pflag.FlagSet) {
	t.Helper()
	fmt.Fprintf(page, "\n| %s | default | |\n|---|---|---|\n", of)
	flags.VisitAll(func(flag *pflag.Flag) {
		value, usage := pflag.UnquoteUsage(flag)
		assert.NotEmpty(t, usage, flag.Name)
		name := "--" + flag.Name
		if flag.Shorthand != "" {
			name = "-" + flag.Shorthand + ", " + name
		}
		if value != "" {
			name += " " + value
		}
		initial := ""
		if flag.DefValue != "" && flag.DefValue != "0s" {
			initial = "`" + flag.DefValue + "`"
		}
		fmt.Fprintf(page, "| `%s` | %s | %s |\n", name, initial, usage)
	})
}
