package fleet

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Drain asks the pod's gateway to drain, and notes its answer as its latest report. It returns an error when the admin
// token cannot be read, and those of Scraper.Drain.
func (m *Monitor) Drain(
	ctx context.Context, cluster client.ObjectKey, pod *corev1.Pod, request contract.DrainRequest,
) error {
	return m.command(ctx, cluster, pod, func(token string) (contract.GatewayReport, error) {
		return m.options.Scraper.Drain(ctx, pod, token, request)
	})
}

// Undrain asks the pod's gateway to serve again, and notes its answer as its latest report. It returns an error when
// the admin token cannot be read, and those of Scraper.Undrain.
func (m *Monitor) Undrain(ctx context.Context, cluster client.ObjectKey, pod *corev1.Pod) error {
	return m.command(ctx, cluster, pod, func(token string) (contract.GatewayReport, error) {
		return m.options.Scraper.Undrain(ctx, pod, token)
	})
}

// command sends a request to the pod's gateway, and notes its answer as its latest report. It returns an error when the
// admin token cannot be read, and those of send.
func (m *Monitor) command(
	ctx context.Context, cluster client.ObjectKey, pod *corev1.Pod,
	send func(token string) (contract.GatewayReport, error),
) error {
	token, err := m.options.Source.Token(ctx, cluster)
	if err != nil {
		return fmt.Errorf("read the admin token: %w", err)
	}
	report, err := send(token)
	if err != nil {
		return err
	}
	m.storeReport(cluster, pod, report)
	return nil
}

// waitInVain returns the pods of gateways that drain and wait for another gateway to serve, although one does, or none
// is to come because the cluster wants none. Gateways that share a broker notice another one by themselves. Those
// without one, or with one that is down, have to be told.
func waitInVain(cluster *v1alpha1.WebSocketCluster, answers []Answer) []*corev1.Pod {
	var waiting []*corev1.Pod
	served := cluster.DeletionTimestamp != nil || cluster.Spec.Replicas != nil && *cluster.Spec.Replicas == 0
	for _, answer := range answers {
		switch report := answer.Report; {
		case answer.Err != nil:
		case report.Drain != nil && report.Drain.WaitsForAnother:
			waiting = append(waiting, answer.Pod)
		case report.State == contract.StateServing:
			served = served || answer.Pod.DeletionTimestamp == nil && IsReady(answer.Pod)
		}
	}
	if !served {
		return nil
	}
	return waiting
}

// endWaiting tells the gateways that wait in vain so. The next scrape tries again where that fails.
func (m *Monitor) endWaiting(ctx context.Context, cluster *v1alpha1.WebSocketCluster, answers []Answer) {
	waiting := waitInVain(cluster, answers)
	if len(waiting) == 0 {
		return
	}
	key := client.ObjectKeyFromObject(cluster)
	log := m.options.Log.WithValues("cluster", key)
	token, err := m.options.Source.Token(ctx, key)
	if err != nil {
		log.V(1).Info("Could not read the admin token", "reason", err.Error())
		return
	}
	for _, pod := range waiting {
		_, err := m.options.Scraper.Drain(ctx, pod, token, contract.DrainRequest{HandOver: true, JoinOnly: true})
		if err != nil {
			log.V(1).Info("Could not tell a draining gateway not to wait", "pod", pod.Name,
				"reason", err.Error())
		}
	}
}
