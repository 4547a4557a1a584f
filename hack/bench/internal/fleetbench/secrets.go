package fleetbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

const (
	others       = 700
	otherBytes   = 240_000
	namingFleets = 40
	namedSecrets = 5
	namedBytes   = 1_000_000
	// settle is how long the operator's memory is left to the garbage collector.
	settle = 20 * time.Second
)

// annotationsRow makes Secrets as `kubectl apply` leaves them, where no cluster is.
func annotationsRow(ctx context.Context, b *bench) error {
	before, err := b.operator.usage()
	if err != nil {
		return err
	}
	err = inParallel(ctx, others, func(ctx context.Context, i int) error {
		return b.client.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace:   namespace(i),
			Name:        fmt.Sprintf("other-%d", i),
			Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: strings.Repeat("x", otherBytes)},
		}})
	})
	if err != nil {
		return err
	}
	after, err := b.settledUsage(ctx)
	if err != nil {
		return err
	}
	b.values["annotations-rss"] = after.rss - before.rss

	if err := b.restartOperator(ctx); err != nil {
		return err
	}
	pause(ctx, 10*time.Second)
	again, err := b.operator.usage()
	b.values["annotations-peak"] = again.peak
	return err
}

// namedRow makes clusters whose gateways read values of large Secrets, and deletes all of them.
func namedRow(ctx context.Context, b *bench) error {
	before, err := b.operator.usage()
	if err != nil {
		return err
	}
	if err := inParallel(ctx, namingFleets, b.createNaming); err != nil {
		return err
	}
	if _, err := b.watcher.await(ctx, b.watcher.converged, namingFleets, b.settings.Timeout); err != nil {
		return err
	}
	with, err := b.settledUsage(ctx)
	if err != nil {
		return err
	}
	b.values["named-rss"] = with.rss - before.rss
	if err := inParallel(ctx, namingFleets, b.deleteAll); err != nil {
		return err
	}
	after, err := b.settledUsage(ctx)
	b.values["named-after"] = after.rss - before.rss
	return err
}

// settledUsage returns what the operator uses after the time of settle.
func (b *bench) settledUsage(ctx context.Context) (usage, error) {
	pause(ctx, settle)
	return b.operator.usage()
}

// restartOperator replaces the operator by a new process. When that does not start, the operator is the one that has
// ended.
func (b *bench) restartOperator(ctx context.Context) error {
	b.operator.stop()
	next, err := startOperator(ctx, b.plane, b.build)
	if err == nil {
		b.operator = next
	}
	return err
}

// createNaming creates the i-th cluster and the Secrets that it names.
func (b *bench) createNaming(ctx context.Context, i int) error {
	padding := bytes.Repeat([]byte("x"), namedBytes)
	for n := range namedSecrets {
		err := b.client.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace(i), Name: fmt.Sprintf("named-%d", n)},
			Data:       map[string][]byte{"value": []byte(strings.Repeat("v", 64)), "padding": padding},
		})
		if err != nil {
			return err
		}
	}
	return b.createCluster(ctx, namespace(i), "naming", `
replicas: 0
redis: {}
gateway:
  auth:
    apiKeySecretRef: {name: named-0, key: value}
    previousAPIKeySecretRef: {name: named-1, key: value}
    jwt:
      secretRef: {name: named-2, key: value}
      previousSecretRef: {name: named-3, key: value}
  hooks:
    connect: {url: "http://backend/connect"}
    secretRef: {name: named-4, key: value}
`)
}

// deleteAll deletes the i-th cluster and all Secrets of its namespace.
func (b *bench) deleteAll(ctx context.Context, i int) error {
	return errors.Join(
		b.client.DeleteAllOf(ctx, &v1alpha1.WebSocketCluster{}, client.InNamespace(namespace(i))),
		b.client.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace(namespace(i))),
	)
}
