// Package controllers makes WebSocketClusters real: it observes the cluster, lets render decide which
// objects there shall be, writes those that differ, and lets status decide what to tell the user.
// Nothing it needs lives only in its memory; a fleet at rest costs no write.
package controllers
