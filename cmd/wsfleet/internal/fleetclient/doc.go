// Package fleetclient observes fleets from a user's machine and sends commands to their gateways: it reads the API
// server with the user's own rights, and reaches the private port of a gateway by a port-forward of the API server. The
// API server's pod proxy would not do, because it drops the Authorization header. Commands of cmd/wsfleet use it.
package fleetclient
