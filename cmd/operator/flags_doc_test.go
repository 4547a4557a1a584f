package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"

	"github.com/wsfleet/wsfleet/internal/golden"
)

const flagsPageHead = `# The operator's flags

The page is generated from the code: ` + "`go test ./cmd/operator -update`" + ` rewrites it.

## wsfleet-operator

`

const flagsTableHead = "| flag | default | description |\n|---|---|---|\n"

func TestFlagsAreDocumented(t *testing.T) {
	golden.File(t, "../../docs/operator-flags.md", flagsPageHead+flagsTable(t, newRoot())+
		"\n## wsfleet-operator metrics-api\n\nSee [autoscaling.md](autoscaling.md).\n\n"+flagsTable(t, newMetricsAPI()))
}

// flagsTable returns a Markdown table of a command's own flags.
func flagsTable(t *testing.T, command *cobra.Command) string {
	t.Helper()
	var table strings.Builder
	table.WriteString(flagsTableHead)
	command.Flags().VisitAll(func(flag *pflag.Flag) {
		value, usage := pflag.UnquoteUsage(flag)
		assert.NotEmpty(t, usage, flag.Name)
		name := "--" + flag.Name
		if value != "" {
			name += " " + value
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", name, defaultCell(flag), strings.ReplaceAll(usage, "|", `\|`))
	})
	return table.String()
}

// defaultCell returns the default of a flag in a form that is the same for every build.
func defaultCell(flag *pflag.Flag) string {
	switch value := strings.ReplaceAll(flag.DefValue, ownVersion(), "VERSION"); value {
	case "", "[]":
		return ""
	default:
		return "`" + value + "`"
	}
}
