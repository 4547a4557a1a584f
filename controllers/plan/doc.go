// Package plan holds decisions of the reconciler that are pure functions: what is observed goes in, and what to do
// comes out. Its functions use no client, clock or context, so that tests can check whole sequences of decisions as
// data. Package controllers observes the cluster, calls this package and carries the decision out.
//
// It decides how the Service and the Ingress reach gateways of different versions (Front), the size of a fleet whose
// spec leaves replicas out (Replicas), where its autoscaler reads connections (MetricsSource), which pods are marked as
// draining (DrainMarks), which fleets follow a new release of the operator (NextUpgrades), how a fleet is deleted
// (NextDeletionStep), how long a managed Redis that the spec no longer asks for is kept (KeepManagedRedis), and which
// gateways of a fleet that becomes smaller drain, and when they are deleted (NextScaleInStep), whether a rollout waits
// for gateways that drain (HoldRollout), how fast each of them closes its connections (Paces), and which gateways send
// clients to emptier ones (NextRebalanceStep).
package plan
