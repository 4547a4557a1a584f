package main

import (
	"slices"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
)

// flagWatchNamespaces is the flag that names the namespaces of fleets.
const flagWatchNamespaces = "watch-namespaces"

// checkNamespaces returns a usageError when the flag of the command has no namespace, or names one that cannot be.
func checkNamespaces(flags *pflag.FlagSet, namespaces []string) error {
	if len(namespaces) == 0 && flags.Changed(flagWatchNamespaces) {
		return usagef("--%s is empty: name a namespace, or leave the flag out", flagWatchNamespaces)
	}
	for _, namespace := range namespaces {
		switch {
		case namespace == "":
			// To the cache, an empty name means every namespace.
			return usagef("--%s has an empty name: leave out the comma, or the flag to watch all", flagWatchNamespaces)
		case len(validation.IsDNS1123Label(namespace)) > 0:
			return usagef("--%s has %q: it must be the name of a namespace", flagWatchNamespaces, namespace)
		}
	}
	return nil
}

// fleetNamespaces returns the namespaces in which fleets are managed, each once. None means all. It returns a
// usageError when a namespaced operator has none: own is its own, or empty outside of a cluster.
func (s *settings) fleetNamespaces(own string) ([]string, error) {
	namespaces := slices.Compact(slices.Sorted(slices.Values(s.watchNamespaces)))
	switch {
	case len(namespaces) > 0 || !s.options.Namespaced:
		return namespaces, nil
	case own == "":
		return nil, usagef("--namespaced has no namespace: outside of a cluster, name them in --%s", flagWatchNamespaces)
	default:
		return []string{own}, nil
	}
}

// logNamespaced logs what a namespaced operator does without.
func logNamespaced(log logr.Logger) {
	for _, limit := range namespacedLimits() {
		log.Info("The operator is namespaced: " + limit)
	}
}

// namespacedLimits returns what a namespaced operator does without, and what holds instead.
func namespacedLimits() []string {
	return []string{
		"IngressClasses are not read: set spec.ingress.profile, because Auto is none, and whether a class exists is not " +
			"checked",
		"CustomResourceDefinitions are not watched: that the Gateway API or the Prometheus Operator has come or gone is " +
			"noticed within half a minute, by discovery",
		"APIServices are not watched: whose the custom metrics API is shows in discovery, as wsfleet's or another's, " +
			"and within half a minute; wsfleet's own is installed by an administrator",
		"Gateways of other namespaces are not read: status.urls lacks their addresses",
		"--metrics-secure needs the ClusterRole wsfleet-operator-metrics-auth, without which nothing may read the metrics",
	}
}
