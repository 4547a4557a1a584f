// Package reconnect describes reconnect layers: when a client comes back whose connection has ended, and when it stays
// away for good. Packages simulate and load have clients that return by them.
package reconnect
