// Package controllers is the operator's reconciler and what triggers it. A reconcile observes the cluster, asks package
// render for the desired objects, applies those that differ, and writes the status that package status computes.
// Command wsfleet-operator adds it to a manager with Setup.
//
// The reconciler keeps nothing in memory that it needs: an operator that is restarted at any point carries on from the
// cluster. A fleet that does not change causes no write.
package controllers
