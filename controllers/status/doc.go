// Package status computes the status of a WebSocketCluster. The reconciler in controllers calls Compute after it has
// applied the objects, and writes the result.
//
// The package is pure: it has no client and no clock. Observation has everything that was observed in the cluster. Each
// condition has a file.
package status
