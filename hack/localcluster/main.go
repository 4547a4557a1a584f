//go:build linux

// Command localcluster runs a real Kubernetes on one Linux machine, without
// Docker, in namespaces and cgroups of its own.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
