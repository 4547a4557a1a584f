// Package fleetview decides what `kubectl wsc` says of a fleet, and which drains it refuses. Its functions are pure: an
// Observation goes in, and a view comes out, which is printed as a table, as JSON or as YAML. Package fleetclient makes
// the observation, and cmd/wsfleet prints the view.
package fleetview
