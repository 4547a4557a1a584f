package v1alpha1

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The user's guide documents every condition and reason that a status or an event can have.
func TestConditionsAndReasonsAreDocumented(t *testing.T) {
	guide, err := os.ReadFile("../../docs/operator.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "conditions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		value, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		if !strings.Contains(string(guide), "`"+value+"`") {
			t.Errorf("docs/operator.md does not have %s (%s)", value, spec.Names[0])
		}
		return true
	})
	if seen < 30 {
		t.Errorf("conditions.go has only %d constants: have they moved to another file?", seen)
	}
}
