package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"

	"github.com/wsfleet/wsfleet/controllers/metricsapi"
)

// shutdownTimeout is how long a server that has stopped listening waits for its connections. No request takes longer
// than readTimeout. The server cannot wait for ever: an HTTP/2 connection whose TLS handshake ends after the server has
// stopped listening is never asked to close (golang.org/x/net/http2 v0.59.0).
const shutdownTimeout = readTimeout + time.Second

// apiServer serves the API: it authenticates and authorizes each caller with the cluster's API server, and passes the
// request on to the provider. It is a Runnable of controller-runtime's manager.
type apiServer struct {
	listener net.Listener
	// kubeconfig is the file with which to reach the cluster's API server, or "" in a cluster.
	kubeconfig string
	// drainDelay is how long a server that was told to stop goes on, until no API server sends requests to it.
	drainDelay time.Duration
	keeper     *certificateKeeper
	provider   *provider
	log        logr.Logger
}

// NeedLeaderElection reports that every replica serves.
func (s *apiServer) NeedLeaderElection() bool { return false }

// Start serves until ctx ends, and drainDelay longer. It waits for a certificate first. It returns an error when the
// server cannot be built, or ends by itself.
func (s *apiServer) Start(ctx context.Context) error {
	select {
	case <-s.keeper.available:
	case <-ctx.Done():
		return s.listener.Close() //nolint:wrapcheck // nothing to add
	}
	server, err := s.build()
	if err != nil {
		return errors.Join(fmt.Errorf("build the API server: %w", err), s.listener.Close())
	}
	server.GenericAPIServer.ShutdownTimeout = shutdownTimeout
	s.log.Info("Serving the metrics API", "address", s.listener.Addr().String())
	return server.GenericAPIServer.PrepareRun().RunWithContext(ctx) //nolint:wrapcheck // the error names the step
}

// build returns the server. It returns an error when the cluster's API server cannot be asked how it authenticates.
func (s *apiServer) build() (*apiserver.CustomMetricsAdapterServer, error) {
	adapter := &cmd.AdapterBase{
		Name:                 metricsapi.Name,
		RemoteKubeConfigFile: s.kubeconfig,
		// The library's many flags have no place on the command line.
		FlagSet: pflag.NewFlagSet(metricsapi.Name, pflag.ContinueOnError),
	}
	adapter.InstallFlags()
	adapter.SecureServing.Listener = s.listener
	// An empty directory keeps the library from writing a certificate into one. It is replaced below.
	adapter.SecureServing.ServerCert.CertDirectory = ""
	adapter.Authentication.RemoteKubeConfigFile = s.kubeconfig
	adapter.Authorization.RemoteKubeConfigFile = s.kubeconfig
	adapter.Features.EnableProfiling = false
	adapter.WithCustomMetrics(s.provider)
	config, err := adapter.Config()
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller wraps it
	}
	config.GenericConfig.SecureServing.Cert = s.keeper
	config.GenericConfig.ShutdownDelayDuration = s.drainDelay
	return adapter.Server() //nolint:wrapcheck // the caller wraps it
}
