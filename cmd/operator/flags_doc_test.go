package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"

	"github.com/wsfleet/wsfleet/internal/golden"
)

const flagsPageHead = `# The operator's flags

Flags of ` + "`wsfleet-operator`" + `. The page is generated from the code:
` + "`go test ./cmd/operator -update`" + ` rewrites it.

| flag | default | description |
|---|---|---|
`

func TestFlagsAreDocumented(t *testing.T) {
	var page strings.Builder
	page.WriteString(flagsPageHead)
	newRoot().Flags().VisitAll(func(flag *pflag.Flag) {
		value, usage := pflag.UnquoteUsage(flag)
		assert.NotEmpty(t, usage, flag.Name)
		name := "--" + flag.Name
		if value != "" {
			name += " " + value
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", name, defaultCell(flag), strings.ReplaceAll(usage, "|", `\|`))
	})
	golden.File(t, "../../docs/operator-flags.md", page.String())
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
