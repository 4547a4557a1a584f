package controllers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/yaml"
)

// The API server merges some lists by keys or values, and takes others as a whole. What it keeps as the operator's
// fields shows which.
func TestFirstUnowned(t *testing.T) {
	for _, c := range []struct{ name, wanted, owned, lost string }{
		{"nothing lost", "{a: 1, b: {c: x}}", `{"f:a":{},"f:b":{"f:c":{}}}`, ""},
		{"a field", "{a: 1, b: {c: x}}", `{"f:a":{},"f:b":{"f:d":{}}}`, ".b.c"},
		{"a whole map", "{b: {c: x}}", `{"f:a":{}}`, ".b"},
		{"an empty map", "{b: {}}", `{"f:b":{}}`, ""},
		{"an empty map lost", "{b: {}}", `{}`, ".b"},
		{"a map as a whole", "{b: {c: {d: x}}}", `{"f:b":{}}`, ""},
		{"a list as a whole", "{l: [{a: 1}, {a: 2}]}", `{"f:l":{}}`, ""},
		{"a list by keys", "{l: [{name: x, v: 1}, {name: z, v: 2}]}",
			`{"f:l":{"k:{\"name\":\"x\"}":{".":{},"f:name":{},"f:v":{}},"k:{\"name\":\"z\"}":{".":{},"f:name":{},"f:v":{}}}}`,
			""},
		{"a field in a list by keys", "{l: [{name: x, v: 1}, {name: z, v: 2}]}",
			`{"f:l":{"k:{\"name\":\"x\"}":{".":{},"f:name":{},"f:v":{}},"k:{\"name\":\"z\"}":{".":{},"f:name":{}}}}`,
			`.l[name="z"].v`},
		{"an item of a list by keys", "{l: [{name: x}, {name: z}]}",
			`{"f:l":{"k:{\"name\":\"x\"}":{".":{},"f:name":{}}}}`, ".l[1]"},
		{"a key with a default", "{l: [{port: 80}]}",
			`{"f:l":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}}`, ""},
		{"a set", "{l: [x, z]}", `{"f:l":{"v:\"x\"":{},"v:\"z\"":{}}}`, ""},
		{"an item of a set", "{l: [x, z]}", `{"f:l":{"v:\"x\"":{}}}`, ".l[1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var wanted map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(c.wanted), &wanted))
			owned := fieldpath.NewSet()
			require.NoError(t, owned.FromJSON(strings.NewReader(c.owned)))
			assert.Equal(t, c.lost, firstUnowned(wanted, owned, nil).String())
		})
	}
}
