// Package metricsapi concerns the custom metrics API of Kubernetes (custom.metrics.k8s.io), from which a
// HorizontalPodAutoscaler reads the gateways' connections. It has the API's names, and finds out to which server the
// API belongs. Package server is the server of the API that wsfleet brings.
package metricsapi
