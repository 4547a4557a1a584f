package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// retired are words that identifiers had before the project took the field's own (docs/glossary.md). A word counts
// wherever it is a whole word of a name in camel case: "patience" is found in RoomPatience too.
var retired = []struct {
	directory string
	words     string
	now       string
}{
	{".", "patience", "timeout"},
	{".", "linger", "grace or delay"},
	{".", "teller roster sayings", "recorder, sender; lease set"},
	{".", "complain complaint complaints", "warn, with ratelog"},
	{".", "hasty untold insist", "skipDelayIfIdle, noNotify, force"},
	{".", "rig usher turnstile newcomer", "harness, hook; connect rate limiter; pending connection"},
	{".", "obey asker askers", "execute, caller"},
	{".", "least mostAsked mostHandshakes", "min…, max…"},
	{".", "errBug", "recovery.ErrPanic"},
	{"gateway", "crew lobby", "worker pool or repair queue; pending listener"},
	{"gateway", "whoever somebody nobody", "the actor's name"},
	{"gateway", "lapse lapsing", "expire"},
	{"gateway/hub", "topic topics seat seats hold holds unwant", "channel state, slot, Subscription, release"},
	{"gateway/hub", "judge transmit finding", "classify, fanOut, comparison"},
	{"gateway/hub", "condemn mend supply suspect lose wentBack", "invalidateEpoch, apply repair, rolledBack"},
	{"gateway/presence", "seat seats turns come stay", "memberKey, keyed serializer, acquire"},
	{"gateway/transport", "guest front door pulse inbox arrival", "pending connection, upgrader, inbound queue"},
	{"gateway/transport", "farewell allowance bulk kick spend exceed", "close frame, rate limiter, broadcast"},
	{"gateway/session", "amend standing terms", "update, not revoked, grant"},
	{"gateway/broker", "wishes wish era letGo holders heard", "desired, replicationID, Deregister, Lookup, OnMessage"},
	{"gateway/fleet", "silent gone heard spared crowded vanished appeared", "Failed, Unreachable, OnMessage"},
	{"gateway/fleet/rpc", "ask question", "call, method"},
	{"gateway/fleet/control", "order orders give", "command, dispatch"},
	{"gateway/protocol", "early hangUp", "pre-connect buffer, closeWithError"},
	{"controllers", "worth rehearse lookAgain onlyIfStill isAnother neverWritten readCertain telling told",
		"damping, dry run, requeueAfter, preconditions, isUIDConflict, createOnlyVersion, readThrough"},
	{"test", "scene witness annals", "case, recorder, history"},
}

// retiredNames are whole names that were given to something else than what they say.
var retiredNames = []string{"FleetReport", "worthShowing", "sameAgain", "InBulk"}

// allowedNames gives the reason for each name that keeps a retired word, as `file:name`.
var allowedNames = map[string]string{}

func TestIdentifiersHaveNoRetiredWords(t *testing.T) {
	used := map[string]bool{}
	for _, path := range trackedFiles(t, ".go") {
		for name, line := range declaredNames(t, path) {
			word, now, found := retiredWord(path, name)
			if !found {
				continue
			}
			key := path + ":" + name
			if _, allowed := allowedNames[key]; allowed {
				used[key] = true
				continue
			}
			assert.Fail(t, "a retired word", "%s:%d: %s has the retired word %q; now: %s", path, line, name, word, now)
		}
	}
	for key, why := range allowedNames {
		assert.NotEmpty(t, why, "%s is allowed without a reason", key)
		assert.True(t, used[key], "%s is allowed and does not exist", key)
	}
}

func TestRetiredWordIsFoundInCamelCase(t *testing.T) {
	for _, name := range []string{"patience", "RoomPatience", "patienceOf", "FleetReport", "HTTPPatience"} {
		_, _, found := retiredWord("gateway/x.go", name)
		assert.True(t, found, name)
	}
	for _, name := range []string{"patient", "impatience", "FleetReports", "topic"} {
		_, _, found := retiredWord("gateway/x.go", name)
		assert.False(t, found, name)
	}
	_, _, found := retiredWord("gateway/hub/x.go", "topicOf")
	assert.True(t, found)
}

func retiredWord(path, name string) (word, now string, found bool) {
	if slices.Contains(retiredNames, name) {
		return name, "see docs/glossary.md", true
	}
	words := append(camelWords(name), strings.ToLower(name))
	for _, r := range retired {
		if r.directory != "." && !within(filepath.ToSlash(path), r.directory) {
			continue
		}
		for _, word := range strings.Fields(r.words) {
			if slices.Contains(words, strings.ToLower(word)) {
				return word, r.now, true
			}
		}
	}
	return "", "", false
}

// camelWords returns the words of a name in lower case: readHTTPBody has read, http and body.
func camelWords(name string) []string {
	var spaced strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		begins := i > 0 && unicode.IsUpper(r) &&
			(!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1]))
		if begins || r == '_' {
			spaced.WriteByte(' ')
		}
		if r != '_' {
			spaced.WriteRune(unicode.ToLower(r))
		}
	}
	return strings.Fields(spaced.String())
}

// declaredNames returns the names that a file declares, with the line of one of their declarations.
func declaredNames(t *testing.T, path string) map[string]int {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, filepath.Join(root, path), nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	names := map[string]int{}
	declare := func(expressions ...ast.Expr) {
		for _, e := range expressions {
			if name, ok := e.(*ast.Ident); ok && name.Name != "_" {
				names[name.Name] = files.Position(name.Pos()).Line
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			declare(n.Name)
		case *ast.TypeSpec:
			declare(n.Name)
		case *ast.ValueSpec:
			for _, name := range n.Names {
				declare(name)
			}
		case *ast.Field:
			for _, name := range n.Names {
				declare(name)
			}
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				declare(n.Lhs...)
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				declare(n.Key, n.Value)
			}
		}
		return true
	})
	return names
}

// aTest matches the name of a test and the word after it.
var aTest = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)([A-Z]\w*)$`)

// vagueTestName matches names that begin with a word that is no unit under test.
var vagueTestName = regexp.MustCompile(
	`^(?:A|An|The|Who|Whoever|What|When|Where|Nobody|Somebody|Nothing|No|One|Only|All)[A-Z][a-z]`)

func TestTestNamesBeginWithTheUnitUnderTest(t *testing.T) {
	for _, path := range trackedFiles(t, ".go") {
		if !strings.HasSuffix(path, "_test.go") {
			continue
		}
		for name, line := range declaredNames(t, path) {
			if match := aTest.FindStringSubmatch(name); match != nil && vagueTestName.MatchString(match[1]) {
				assert.Fail(t, "a test's name", "%s:%d: %s does not begin with the unit under test", path, line, name)
			}
		}
	}
}
