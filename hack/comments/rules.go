package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
)

// finding is one violation of a rule.
type finding struct {
	path, rule string
	line       int
	// subject is what an exception names: the identifier, or the text of the line.
	subject string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.path, f.line, f.rule, f.subject)
}

// The rules, by the names that findings and exceptions have.
const (
	ruleError = "the doc of a function that returns an error does not say which or when"
	ruleActor = "a comment does not name the actor"
)

var (
	// vagueActor matches the words that stand in the place of an actor.
	vagueActor = regexp.MustCompile(`(?i)\b(who|whoever|somebody|nobody)\b`)
	// saysError matches a sentinel, an error type, the word itself, and the promise that there is none.
	saysError = regexp.MustCompile(`(?i)\berrors?\b|\bErr[A-Z]|[a-z]Error\b|\bctx\.Err\b|\breturns nil\b`)
)

// checkFile returns the findings of one Go file. It returns an error when the file cannot be read or parsed.
func checkFile(path string) ([]finding, error) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(parsed) {
		return nil, nil
	}
	at := func(p token.Pos) int { return files.Position(p).Line }
	findings := checkActors(path, parsed, at)
	if !strings.HasSuffix(path, "_test.go") && parsed.Name.Name != "main" {
		findings = append(findings, checkErrorDocs(path, parsed, at)...)
	}
	return findings, nil
}

// isMarker reports whether the line is a marker for controller-gen, which cannot span lines.
func isMarker(line string) bool {
	return strings.HasPrefix(strings.TrimSpace(line), "// +")
}

func checkActors(path string, file *ast.File, at func(token.Pos) int) (findings []finding) {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			for i, line := range strings.Split(comment.Text, "\n") {
				if vagueActor.MatchString(line) && !isMarker(line) {
					findings = append(findings, finding{path, ruleActor, at(comment.Pos()) + i, strings.TrimSpace(line)})
				}
			}
		}
	}
	return findings
}

// checkErrorDocs looks at exported functions, exported methods of exported types, and methods of exported interfaces.
func checkErrorDocs(path string, file *ast.File, at func(token.Pos) int) (findings []finding) {
	check := func(name string, doc *ast.CommentGroup, signature *ast.FuncType, p token.Pos) {
		if returnsError(signature) && !saysError.MatchString(doc.Text()) && !conventional[name[strings.LastIndexByte(name,
			'.')+1:]] {
			findings = append(findings, finding{path, ruleError, at(p), name})
		}
	}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			receiver := receiverName(d)
			if d.Name.IsExported() && (receiver == "" || ast.IsExported(receiver)) {
				check(strings.TrimPrefix(receiver+"."+d.Name.Name, "."), d.Doc, d.Type, d.Pos())
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				checkInterface(spec, check)
			}
		}
	}
	return findings
}

// conventional are methods whose contract is the standard library's, so that their docs need not repeat it.
var conventional = map[string]bool{
	"MarshalJSON":   true,
	"UnmarshalJSON": true,
	"MarshalText":   true,
	"UnmarshalText": true,
	"Unwrap":        true,
	"Read":          true,
	"Write":         true,
	"Close":         true,
}

func checkInterface(spec ast.Spec, check func(string, *ast.CommentGroup, *ast.FuncType, token.Pos)) {
	named, ok := spec.(*ast.TypeSpec)
	if !ok || !named.Name.IsExported() {
		return
	}
	declared, ok := named.Type.(*ast.InterfaceType)
	if !ok {
		return
	}
	for _, method := range declared.Methods.List {
		signature, ok := method.Type.(*ast.FuncType)
		if ok && len(method.Names) == 1 && method.Names[0].IsExported() {
			check(named.Name.Name+"."+method.Names[0].Name, method.Doc, signature, method.Pos())
		}
	}
}

func returnsError(signature *ast.FuncType) bool {
	if signature.Results == nil {
		return false
	}
	for _, result := range signature.Results.List {
		if name, ok := result.Type.(*ast.Ident); ok && name.Name == "error" {
			return true
		}
	}
	return false
}

// receiverName returns the name of a method's type, without pointer and type parameters, or "".
func receiverName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	expression := d.Recv.List[0].Type
	for {
		switch e := expression.(type) {
		case *ast.StarExpr:
			expression = e.X
		case *ast.IndexExpr:
			expression = e.X
		case *ast.IndexListExpr:
			expression = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}
