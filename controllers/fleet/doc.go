// Package fleet scrapes the gateways' reports and keeps one snapshot of them for each WebSocketCluster. The reconciler
// makes the status from these snapshots, so that no two parts of the operator count differently. Package controllers
// starts the Monitor, and package status reads the Snapshot.
package fleet
