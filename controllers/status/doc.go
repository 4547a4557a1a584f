// Package status decides what a WebSocketCluster's status says. It is pure: facts come in, a status
// comes out, one small file per condition.
package status
