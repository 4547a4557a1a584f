// Package tagfilter decides which publications of a channel a subscriber wants, by their tags. A client sends the
// filter with its subscription, as a tree of FilterNode of the Centrifuge protocol (client.proto): the protocol
// translates that to Nodes, and the hub asks a Filter for each publication. A filter saves what a client would throw
// away. It keeps nothing secret: the client may subscribe without one.
package tagfilter

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quagmt/udecimal"
)

// Bounds of a filter. It is evaluated for each publication, so that its cost must stay below that of a delivery.
// One as large as it may be takes some 4 KiB.
const (
	// MaxNodes is the maximum number of nodes, MaxDepth that of nodes above one another.
	MaxNodes = 32
	MaxDepth = 8
	// MaxValues is the maximum number of values that a filter compares tags with.
	MaxValues = 64
	// MaxBytes is the maximum size of all keys and values.
	MaxBytes = 1 << 10
)

// Node is a filter, or a part of one. A node with an Op has Nodes and nothing else; one without is a comparison.
type Node struct {
	// Op is and, or, not (which has one of Nodes), or empty.
	Op    string
	Nodes []Node
	// Compare is the name of a comparison of the tag Key with Value, or with Values for in and nin. ex and nex need
	// neither.
	Compare, Key, Value string
	Values              []string
}

// ErrInvalid is returned for a filter that cannot be used. Its text says what is wrong.
var ErrInvalid = errors.New("the filter cannot be used")

// Filter decides about publications. It is safe for use by many goroutines.
type Filter struct {
	matches func(tags map[string]string) bool
	key     Key
}

// Key is the same for filters that are written in the same way, and for no others.
type Key [sha256.Size]byte

// New returns the filter of a tree of nodes, or an ErrInvalid.
func New(root Node) (*Filter, error) {
	b := builder{}
	matches, err := b.build(root, 1)
	if err != nil {
		return nil, err
	}
	return &Filter{matches: matches, key: sha256.Sum256([]byte(b.text.String()))}, nil
}

// Matches reports whether a subscriber wants a publication with these tags. A nil filter wants all.
func (f *Filter) Matches(tags map[string]string) bool { return f == nil || f.matches(tags) }

// Key returns the filter's key.
func (f *Filter) Key() Key { return f.key }

// builder builds the functions of a tree and counts what it holds.
type builder struct {
	nodes, values, bytes int
	text                 strings.Builder
}

type matcher = func(tags map[string]string) bool

// build returns the function of a node at a depth, or an ErrInvalid.
func (b *builder) build(n Node, depth int) (matcher, error) {
	b.nodes++
	b.values += len(n.Values)
	b.bytes += len(n.Key) + len(n.Value)
	for _, value := range n.Values {
		b.bytes += len(value)
	}
	switch {
	case b.nodes > MaxNodes || depth > MaxDepth:
		return nil, fmt.Errorf("%w: it has more than %d nodes, or more than %d levels", ErrInvalid, MaxNodes, MaxDepth)
	case b.values > MaxValues || b.bytes > MaxBytes:
		return nil, fmt.Errorf("%w: it has more than %d values, or more than %d bytes", ErrInvalid, MaxValues, MaxBytes)
	}
	fmt.Fprintf(&b.text, "(%q %q %q %q %q", n.Op, n.Compare, n.Key, n.Value, n.Values)
	defer b.text.WriteByte(')')
	n = n.copied()
	if n.Op == "" {
		return comparison(n)
	}
	if n.Compare != "" || n.Key != "" || n.Value != "" || len(n.Values) > 0 {
		return nil, fmt.Errorf("%w: a node with op has no comparison", ErrInvalid)
	}
	parts := make([]matcher, 0, len(n.Nodes))
	for _, node := range n.Nodes {
		part, err := b.build(node, depth+1)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return combination(n.Op, parts)
}

// copied returns a node with texts of its own: those that a client sent may share the memory of a large message.
func (n Node) copied() Node {
	n.Key, n.Value, n.Values = strings.Clone(n.Key), strings.Clone(n.Value), slices.Clone(n.Values)
	for i, value := range n.Values {
		n.Values[i] = strings.Clone(value)
	}
	return n
}

// combination returns the function of a node with parts, or an ErrInvalid.
func combination(op string, parts []matcher) (matcher, error) {
	switch {
	case op != "and" && op != "or" && op != "not":
		return nil, fmt.Errorf("%w: its op is none of and, or, not", ErrInvalid)
	case len(parts) == 0 || op == "not" && len(parts) > 1:
		return nil, fmt.Errorf("%w: and and or have one node at least, and not has one", ErrInvalid)
	case op == "not":
		return func(tags map[string]string) bool { return !parts[0](tags) }, nil
	case op == "or":
		return func(tags map[string]string) bool {
			return slices.ContainsFunc(parts, func(part matcher) bool { return part(tags) })
		}, nil
	}
	return func(tags map[string]string) bool {
		return !slices.ContainsFunc(parts, func(part matcher) bool { return !part(tags) })
	}, nil
}

// texts are the comparisons of a tag that is there with a value.
var texts = map[string]func(tag, value string) bool{
	"eq": func(tag, value string) bool { return tag == value },
	"sw": strings.HasPrefix,
	"ew": strings.HasSuffix,
	"ct": strings.Contains,
}

// numbers are the comparisons of numbers, by the result of comparing the tag with the value: -1, 0 or 1.
var numbers = map[string]func(order int) bool{
	"lt":  func(order int) bool { return order < 0 },
	"lte": func(order int) bool { return order <= 0 },
	"gt":  func(order int) bool { return order > 0 },
	"gte": func(order int) bool { return order >= 0 },
}

// comparison returns the function of a node that compares, or an ErrInvalid.
func comparison(n Node) (matcher, error) {
	if len(n.Nodes) > 0 {
		return nil, fmt.Errorf("%w: a comparison has no nodes", ErrInvalid)
	}
	key, value, values := n.Key, n.Value, n.Values
	switch n.Compare {
	case "ex", "nex":
		wanted := n.Compare == "ex"
		return func(tags map[string]string) bool {
			_, there := tags[key]
			return there == wanted
		}, nil
	}
	if key == "" {
		return nil, fmt.Errorf("%w: a comparison has no key", ErrInvalid)
	}
	switch n.Compare {
	case "neq":
		return func(tags map[string]string) bool {
			tag, there := tags[key]
			return !there || tag != value
		}, nil
	case "in", "nin":
		if len(values) == 0 {
			return nil, fmt.Errorf("%w: in and nin need vals", ErrInvalid)
		}
		wanted := n.Compare == "in"
		// A tag that is not there counts as an empty one.
		return func(tags map[string]string) bool { return slices.Contains(values, tags[key]) == wanted }, nil
	}
	if compare, ok := texts[n.Compare]; ok {
		return func(tags map[string]string) bool {
			tag, there := tags[key]
			return there && compare(tag, value)
		}, nil
	}
	return numeric(n)
}

// numeric returns the function of a node that compares numbers, or an ErrInvalid. A tag that is no number does not
// match.
func numeric(n Node) (matcher, error) {
	compare, ok := numbers[n.Compare]
	if !ok {
		return nil, fmt.Errorf("%w: its cmp is none of eq, neq, in, nin, ex, nex, sw, ew, ct, lt, lte, gt, gte", ErrInvalid)
	}
	value, err := udecimal.Parse(n.Value)
	if err != nil {
		return nil, fmt.Errorf("%w: the val of %s is no number", ErrInvalid, n.Compare)
	}
	key := n.Key
	return func(tags map[string]string) bool {
		tag, there := tags[key]
		if !there {
			return false
		}
		number, err := udecimal.Parse(tag)
		return err == nil && compare(number.Cmp(value))
	}, nil
}
