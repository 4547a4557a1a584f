// Package render builds the Kubernetes objects of a WebSocketCluster. The reconciler in controllers calls it and
// applies the result.
//
// The package is pure: it has no client and no clock. Input has what was observed in the cluster, and Objects returns
// data. A file builds the objects of one kind, and testdata has a golden file for each case: NAME.in.yaml is the spec,
// NAME.out.yaml the objects. `go test ./controllers/render -update` writes the latter.
package render
