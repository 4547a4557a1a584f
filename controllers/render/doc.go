// Package render turns a WebSocketCluster into the objects that make it real. It is pure: what it
// needs to know of the cluster comes in as Input, and the objects come out as data, one file per
// kind. Golden YAML in testdata shows what each case becomes.
package render
