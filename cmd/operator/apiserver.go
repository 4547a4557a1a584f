package main

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	kubeversion "k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// oldestKubernetes is the oldest Kubernetes that is supported. README.md names it, and the integration tests run
// against it.
const oldestKubernetes = "1.34"

// apiServerTimeout bounds the question for the API server's version.
const apiServerTimeout = 5 * time.Second

// gap is something that an operator's user can ask for and that an API server may lack.
type gap struct {
	// since is the first Kubernetes that has it by default.
	since string
	// missing says what it is, and what holds without it.
	missing string
}

// gaps returns what the API servers of supported versions lack.
func gaps() []gap {
	return []gap{
		{
			since: "1.35",
			missing: "tolerance in spec.autoscaling.behavior: the API server drops it, and the autoscaler ignores deviations " +
				"of up to 10 % both ways",
		},
		{
			since:   "1.37",
			missing: "spec.autoscaling.minReplicas 0: the API server refuses it unless the feature gate HPAScaleToZero is on",
		},
	}
}

// missingIn returns what an API server of that version lacks.
func missingIn(server *kubeversion.Version) []string {
	var missing []string
	for _, one := range gaps() {
		if server.LessThan(kubeversion.MustParse(one.since)) {
			missing = append(missing, one.missing)
		}
	}
	return missing
}

// logAPIServer logs the version of the API server and what it lacks, or that it does not answer and the operator waits
// for it.
func logAPIServer(ctx context.Context, config *rest.Config, log logr.Logger) {
	config = rest.CopyConfig(config)
	config.Timeout = apiServerTimeout
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		log.Error(err, "Cannot ask the API server for its version")
		return
	}
	answer, err := client.ServerVersionWithContext(ctx)
	if err != nil {
		log.Info("The API server does not answer; the operator waits for it", "error", err.Error())
		return
	}
	server, err := kubeversion.ParseGeneric(answer.GitVersion)
	if err != nil {
		log.Info("Found the API server, with a version that the operator does not understand", "kubernetes",
			answer.GitVersion)
		return
	}
	log.Info("Found the API server", "kubernetes", answer.GitVersion)
	if server.LessThan(kubeversion.MustParse(oldestKubernetes)) {
		log.Info("This Kubernetes is older than any that is supported", "oldest", oldestKubernetes)
	}
	for _, missing := range missingIn(server) {
		log.Info("This Kubernetes lacks a part of the API", "missing", missing)
	}
}
