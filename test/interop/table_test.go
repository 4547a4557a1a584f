package interop

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/golden"
)

// page is the document that holds the tables.
const page = "../../docs/clients.md"

// table is one table of the page: its marked part, its heading and its rows by stack.
type table struct {
	part    string
	columns []string
	rows    map[string][]string
}

// compareTables asserts that the page's tables have the rows that this run found. Rows of stacks that it did not run
// stay as they are. With -update it writes the rows.
func compareTables(t *testing.T, results []result) {
	t.Helper()
	seen := table{
		part:    "interop-applications",
		columns: []string{"stack", "version", "exchanged", "drain", "drain with 4000", "503", "reset"},
	}
	layers := table{
		part:    "interop-layers",
		columns: []string{"layer", "version", "first wait at most", "comes back after", "never comes back after"},
	}
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	seen.rows, layers.rows = seen.parse(string(content)), layers.parse(string(content))
	for _, r := range results {
		name := r.stack.title()
		version := r.shownVersion(seen.rows[name])
		seen.rows[name] = []string{
			name,
			version,
			r.exchanges,
			r.drained[drainCodes[0]],
			r.drained[codeConfigured],
			r.refused,
			r.reset,
		}
		if r.stack.layer() {
			layers.rows[name] = []string{
				name,
				version,
				fmt.Sprintf("%v", r.stack.within),
				r.after(true),
				r.after(false),
			}
		}
	}
	golden.Section(t, page, seen.part, seen.render())
	golden.Section(t, page, layers.part, layers.render())
}

// shownVersion returns the version for the row. Versions that no lock file pins follow the page, unless it is being
// written: what Debian updates is no change of ours.
func (r *result) shownVersion(old []string) string {
	update := flag.Lookup("update")
	if r.stack.pinned() || len(old) < 2 || update != nil && update.Value.String() == "true" {
		return r.version
	}
	return old[1]
}

// parse returns the rows of the table in the page, by their first cell.
func (t *table) parse(content string) map[string][]string {
	rows := map[string][]string{}
	_, rest, _ := strings.Cut(content, "<!-- BEGIN "+t.part+" -->")
	rest, _, _ = strings.Cut(rest, "<!-- END "+t.part+" -->")
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) == len(t.columns) {
			rows[cells[0]] = cells
		}
	}
	return rows
}

// render returns the table in the order of the stacks.
func (t *table) render() string {
	var out strings.Builder
	line := func(cells []string) { out.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(t.columns)
	out.WriteString(strings.Repeat("|---", len(t.columns)) + "|\n")
	for i := range stacks {
		if row := t.rows[stacks[i].title()]; row != nil {
			line(row)
		}
	}
	return out.String()
}

func TestTableKeepsRowsOfStacksThatDidNotRun(t *testing.T) {
	layers := table{part: "p", columns: []string{"layer", "seen"}}
	name, other := stacks[0].title(), stacks[1].title()
	content := "<!-- BEGIN p -->\n\n| layer | seen |\n|---|---|\n| " + name + " | close 1 \\| 2 |\n| gone | x |\n| " +
		other + " | - |\n\n<!-- END p -->\n"
	layers.rows = layers.parse(content)
	layers.rows[other] = []string{other, "error"}
	require.Equal(t, "| layer | seen |\n|---|---|\n| "+name+" | close 1 \\| 2 |\n| "+other+" | error |\n",
		layers.render())
}
