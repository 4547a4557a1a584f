// Package server is the built-in metrics API: a server of custom.metrics.k8s.io from which a HorizontalPodAutoscaler
// reads the connections of a fleet. It runs as `wsfleet-operator metrics-api`, in a Deployment of its own.
//
// A server keeps no state that matters. It asks the gateways when the API server asks it (reading.go), and computes
// each metric from their answers (count.go, pure). Its certificate is in a Secret that all replicas share
// (certificate.go; certificatekeeper.go). It registers itself with the API server where no other server of this
// API is registered (registration.go, pure; registrar.go).
package server
