package fleetbench

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const (
	// startDelay is how long a simulated pod takes to become ready.
	startDelay = time.Second
	// simulationWorkers is the number of Deployments that are worked on at once.
	simulationWorkers = 8
)

// simulation does the part of the Deployment controller and of the kubelet, and answers as the gateways of the pods.
// It knows creation only: Deployments do not change their template here.
type simulation struct {
	client client.Client
	queue  chan *appsv1.Deployment
	// moving lets the gateways' numbers of connections change from scrape to scrape.
	moving atomic.Bool

	// mu guards the fields below.
	mu sync.Mutex
	// started are the Deployments whose pods exist.
	started map[client.ObjectKey]bool
	pods    int
	servers []*http.Server
}

func newSimulation(p *plane) *simulation {
	return &simulation{
		client:  p.client,
		queue:   make(chan *appsv1.Deployment, 10_000),
		started: map[client.ObjectKey]bool{},
	}
}

// run works until ctx ends, and stops the gateways then.
func (s *simulation) run(ctx context.Context) {
	var workers sync.WaitGroup
	for range simulationWorkers {
		workers.Go(func() {
			for {
				select {
				case deployment := <-s.queue:
					s.observe(ctx, deployment)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	workers.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, server := range s.servers {
		_ = server.Close()
	}
}

// enqueue takes a Deployment that has changed.
func (s *simulation) enqueue(deployment *appsv1.Deployment) { s.queue <- deployment.DeepCopy() }

// observe writes that the controller has observed the Deployment, and starts its pods.
func (s *simulation) observe(ctx context.Context, deployment *appsv1.Deployment) {
	if deployment.Status.ObservedGeneration == deployment.Generation {
		return
	}
	replicas := *deployment.Spec.Replicas
	deployment.Status.ObservedGeneration = deployment.Generation
	deployment.Status.Replicas, deployment.Status.UpdatedReplicas = replicas, replicas
	deployment.Status.UnavailableReplicas = replicas
	s.write(ctx, deployment)

	key := client.ObjectKeyFromObject(deployment)
	s.mu.Lock()
	first := !s.started[key]
	s.started[key] = true
	s.mu.Unlock()
	if first && replicas > 0 {
		time.AfterFunc(startDelay, func() { s.start(ctx, deployment) })
	}
}

// start makes the Deployment's pods ready, unless ctx has ended. Those of a managed Redis are left out: the operator
// does not look at them.
func (s *simulation) start(ctx context.Context, deployment *appsv1.Deployment) {
	if deployment.Spec.Template.Labels["app.kubernetes.io/component"] == render.ComponentGateway {
		for i := range *deployment.Spec.Replicas {
			s.startPod(ctx, deployment, i)
		}
	}
	replicas := *deployment.Spec.Replicas
	deployment.Status.UnavailableReplicas = 0
	deployment.Status.ReadyReplicas, deployment.Status.AvailableReplicas = replicas, replicas
	s.write(ctx, deployment)
}

// startPod creates a ready pod with a gateway behind it.
func (s *simulation) startPod(ctx context.Context, deployment *appsv1.Deployment, ordinal int32) {
	name := fmt.Sprintf("%s-%d", deployment.Name, ordinal)
	address, err := s.serve(ctx, name)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		panic(fmt.Sprintf("a simulated gateway cannot listen: %v", err))
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   deployment.Namespace,
			Name:        name,
			Labels:      deployment.Spec.Template.Labels,
			Annotations: deployment.Spec.Template.Annotations,
		},
		Spec: corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "gateway", Image: "bench"}}},
	}
	if err := s.client.Create(ctx, pod); err != nil {
		return
	}
	pod.Status = corev1.PodStatus{
		Phase:      corev1.PodRunning,
		PodIP:      address,
		PodIPs:     []corev1.PodIP{{IP: address}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}
	_ = s.client.Status().Update(ctx, pod)
}

// write writes the Deployment's status, and takes over the newest version when the Deployment has changed meanwhile.
func (s *simulation) write(ctx context.Context, deployment *appsv1.Deployment) {
	for {
		err := s.client.Status().Update(ctx, deployment)
		if !apierrors.IsConflict(err) {
			return
		}
		status := deployment.Status
		if s.client.Get(ctx, client.ObjectKeyFromObject(deployment), deployment) != nil {
			return
		}
		deployment.Status = status
	}
}

// serve starts a gateway's admin port on a loopback address of its own, and returns the address. It returns the error
// of ctx once that has ended: run, which would stop the gateway, may have returned.
func (s *simulation) serve(ctx context.Context, node string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	s.pods++
	address := fmt.Sprintf("127.77.%d.%d", s.pods/250, s.pods%250+1)
	adminAddress := net.JoinHostPort(address, strconv.Itoa(contract.AdminPort))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", adminAddress)
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: s.report(node), ReadHeaderTimeout: time.Second}
	s.servers = append(s.servers, server)
	go func() { _ = server.Serve(listener) }()
	return address, nil
}

// report answers with a gateway's report. While the simulation moves, its connections change by up to 20 %.
func (s *simulation) report(node string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		connections := 1000
		if s.moving.Load() {
			connections += rand.IntN(401) - 200
		}
		_ = json.NewEncoder(w).Encode(contract.GatewayReport{
			Node:           node,
			Version:        "bench",
			State:          contract.StateServing,
			Connections:    connections,
			MaxConnections: 10_000,
			Broker:         contract.BrokerReport{Kind: contract.BrokerRedis, State: contract.BrokerReady},
		})
	}
}
