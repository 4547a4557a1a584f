package main

import (
	"cmp"
	"os"
	"regexp"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// heartbeatLease is the name of the Lease that the operator renews while it manages fleets. Operators without leader
// election add their host's name to it.
const heartbeatLease = "wsfleet-operator-heartbeat"

// notInNames is what a Kubernetes name cannot have.
var notInNames = regexp.MustCompile(`[^a-z0-9-]+`)

// identity returns the namespace and name of the Lease by which other operators know this one. Operators that elect a
// leader among themselves have the same, so that each new leader takes over at once. The Lease is in the namespace of
// the flag, in that of the operator, or in default outside of a cluster.
func (s *settings) identity(operatorNamespace string) client.ObjectKey {
	name := heartbeatLease
	if host, err := os.Hostname(); err == nil && !s.leaderElect {
		name += "-" + strings.Trim(notInNames.ReplaceAllString(strings.ToLower(host), "-"), "-")
	}
	return client.ObjectKey{Namespace: cmp.Or(s.leaderElectionNS, operatorNamespace, "default"), Name: name}
}
