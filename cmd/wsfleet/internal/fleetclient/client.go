package fleetclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// requestTimeout bounds one request to a gateway. A port-forward passes the API server and a kubelet, which may be far
// away.
const requestTimeout = 10 * time.Second

// Client observes the fleets of one namespace and sends commands to their gateways.
type Client struct {
	namespace string
	config    *rest.Config
	api       client.Client
	scraper   *fleet.Scraper
	reader    *fleet.Reader
	// gateways sends what the scraper does not know to the private ports.
	gateways *http.Client
}

// New returns a Client for a namespace of the API server of config. It returns an error when config cannot be used.
func New(config *rest.Config, namespace string) (*Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		v1alpha1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme, autoscalingv2.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err //nolint:wrapcheck // cannot happen: the types are compiled in
		}
	}
	api, err := client.New(config, client.Options{Scheme: scheme, Mapper: kinds()})
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	forwards, err := newForwards(config, namespace)
	if err != nil {
		return nil, err
	}
	c := &Client{namespace: namespace, config: config, api: api}
	c.gateways = &http.Client{
		Transport: &http.Transport{DialContext: forwards.dial, MaxIdleConnsPerHost: 1},
		// The token must not follow a redirect to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.scraper = fleet.NewScraper(fleet.ScraperOptions{
		// The host is the pod's name, from which dial makes the port-forward.
		Address: func(pod *corev1.Pod) string { return net.JoinHostPort(pod.Name, strconv.Itoa(contract.AdminPort)) },
		Dial:    forwards.dial,
		Timeout: requestTimeout,
	})
	c.reader = fleet.NewReader(c, c.scraper, prometheus.NewCounter(prometheus.CounterOpts{}))
	return c, nil
}

// kinds returns the kinds that a Client reads, so that it need not ask the API server for all that it has.
func kinds() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []schema.GroupVersionKind{
		v1alpha1.GroupVersion.WithKind(v1alpha1.KindWebSocketCluster),
		corev1.SchemeGroupVersion.WithKind("Pod"),
		corev1.SchemeGroupVersion.WithKind("Event"),
		corev1.SchemeGroupVersion.WithKind("Secret"),
		appsv1.SchemeGroupVersion.WithKind("Deployment"),
		autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"),
	} {
		mapper.Add(kind, meta.RESTScopeNamespace)
	}
	return mapper
}

// Close closes the connections to gateways.
func (c *Client) Close() {
	c.scraper.Close()
	c.gateways.CloseIdleConnections()
}

// Namespace returns the client's namespace.
func (c *Client) Namespace() string { return c.namespace }

// Clusters lists the fleets of the namespace. It returns an error when the list cannot be read, which says so when
// wsfleet is not installed.
func (c *Client) Clusters(ctx context.Context) ([]v1alpha1.WebSocketCluster, error) {
	var list v1alpha1.WebSocketClusterList
	if err := c.api.List(ctx, &list, client.InNamespace(c.namespace)); err != nil {
		return nil, fmt.Errorf("list the fleets of namespace %s: %w", c.namespace, explained(err))
	}
	return list.Items, nil
}

// explained returns an error of the API server about fleets with what to do.
func explained(err error) error {
	if isUnknownKind(err) {
		return errors.New("the cluster has no kind WebSocketCluster: install wsfleet, or choose another --context")
	}
	return err
}

// isUnknownKind reports whether the API server does not know the kind of what was asked for.
func isUnknownKind(err error) bool {
	return apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) && apierrors.IsNotFound(err)
}

// ErrNoPod means that there is no such pod in the namespace.
var ErrNoPod = errors.New("there is no such pod")

// ClusterOfPod returns the name of the fleet that a gateway pod belongs to. It returns ErrNoPod when there is no such
// pod, and another error when it is no gateway or cannot be read.
func (c *Client) ClusterOfPod(ctx context.Context, name string) (string, error) {
	pod := &corev1.Pod{}
	err := c.api.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, pod)
	if apierrors.IsNotFound(err) {
		return "", fmt.Errorf("pod %s in namespace %s: %w: `status` lists the gateway pods", name, c.namespace, ErrNoPod)
	}
	if err != nil {
		return "", fmt.Errorf("read pod %s: %w", name, err)
	}
	cluster := ClusterOf(pod)
	for label, value := range render.SelectorLabels(cluster, render.ComponentGateway) {
		if cluster == "" || pod.Labels[label] != value {
			return "", fmt.Errorf("pod %s is not a gateway of a fleet: `status` lists the gateway pods", name)
		}
	}
	return cluster, nil
}

// ClusterOf returns the name of the fleet that a pod belongs to by its labels, or "".
func ClusterOf(pod *corev1.Pod) string { return pod.Labels[render.LabelCluster] }

// Refresh observes one gateway of a fleet that was observed before. The observation has no other gateways. Refresh
// returns ErrNoPod when the pod was deleted or another one has its name, and an error when it cannot be read.
func (c *Client) Refresh(
	ctx context.Context, before fleetview.Observation, pod *corev1.Pod,
) (fleetview.Observation, error) {
	now := &corev1.Pod{}
	err := c.api.Get(ctx, client.ObjectKeyFromObject(pod), now)
	switch {
	case apierrors.IsNotFound(err), err == nil && now.UID != pod.UID:
		return before, fmt.Errorf("pod %s: %w", pod.Name, ErrNoPod)
	case err != nil:
		return before, fmt.Errorf("read pod %s: %w", pod.Name, err)
	}
	o := fleetview.Observation{Cluster: before.Cluster, Pods: []corev1.Pod{*now}}
	answer := fleet.Answer{Pod: &o.Pods[0]}
	token, err := c.Token(ctx, client.ObjectKeyFromObject(before.Cluster))
	if err == nil {
		answer.Report, err = c.scraper.Scrape(ctx, now, token)
	}
	answer.Err, answer.At, o.Now = err, time.Now(), time.Now()
	o.Answers = []fleet.Answer{answer}
	return o, nil
}

// Observe reads a fleet and asks its gateways for their reports. A gateway that does not answer, and an admin token
// that cannot be read, are part of the observation. Observe returns an error when the fleet or its objects cannot be
// read.
func (c *Client) Observe(ctx context.Context, name string) (fleetview.Observation, error) {
	key := client.ObjectKey{Namespace: c.namespace, Name: name}
	o := fleetview.Observation{Cluster: &v1alpha1.WebSocketCluster{}}
	err := c.readCluster(ctx, key, o.Cluster)
	if err != nil {
		return o, err
	}
	if o.Deployment, err = readOwned(ctx, c.api, o.Cluster, &appsv1.Deployment{}); err != nil {
		return o, err
	}
	if o.Autoscaler, err = readOwned(ctx, c.api, o.Cluster, &autoscalingv2.HorizontalPodAutoscaler{}); err != nil {
		return o, err
	}
	o.Cluster.Spec.SetDefaults()
	o.Cluster.Spec.Replicas = new(plan.Replicas(o.Cluster.Spec, o.Deployment))
	if o.Pods, err = c.Pods(ctx, key); err != nil {
		return o, fmt.Errorf("list the gateway pods of %s: %w", key, err)
	}
	o.Answers, err = c.reader.Read(ctx, key, fleet.NewSlots())
	if ctx.Err() != nil {
		return o, ctx.Err() //nolint:wrapcheck // the user's own interrupt
	}
	if err != nil {
		o.NotAsked = err.Error()
	}
	o.Now = time.Now()
	return o, nil
}

// readOwned reads the object of the gateways of a kind into object, and returns it, or nil when there is none or it
// does not belong to the cluster. It returns an error when it cannot be read.
func readOwned[T client.Object](
	ctx context.Context, api client.Reader, cluster *v1alpha1.WebSocketCluster, object T,
) (T, error) {
	var absent T
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: render.GatewayName(cluster.Name)}
	err := api.Get(ctx, key, object)
	switch {
	case apierrors.IsNotFound(err):
		return absent, nil
	case err != nil:
		return absent, fmt.Errorf("read the %T %s: %w", object, key, err)
	case !metav1.IsControlledBy(object, cluster):
		return absent, nil
	}
	return object, nil
}

// Pods lists the gateway pods of a fleet. It returns the API server's error.
func (c *Client) Pods(ctx context.Context, cluster client.ObjectKey) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := c.api.List(ctx, &list, client.InNamespace(cluster.Namespace),
		client.MatchingLabels(render.SelectorLabels(cluster.Name, render.ComponentGateway)))
	return list.Items, err //nolint:wrapcheck // the callers wrap it
}

// AllPods lists the gateway pods of all fleets of the namespace. It returns an error when the list cannot be read.
func (c *Client) AllPods(ctx context.Context) ([]corev1.Pod, error) {
	labels := render.SelectorLabels("", render.ComponentGateway)
	for label, value := range labels {
		if value == "" {
			// The name of the fleet.
			delete(labels, label)
		}
	}
	var list corev1.PodList
	err := c.api.List(ctx, &list, client.InNamespace(c.namespace), client.MatchingLabels(labels),
		client.HasLabels{render.LabelCluster})
	if err != nil {
		return nil, fmt.Errorf("list the gateway pods of namespace %s: %w", c.namespace, err)
	}
	return list.Items, nil
}

// Token returns the bearer token of the gateways' private port. It returns fleet.ErrNoToken when there is none yet, and
// the API server's error, which tells a user without the right to read the Secret so.
func (c *Client) Token(ctx context.Context, cluster client.ObjectKey) (string, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: render.AdminSecretName(cluster.Name)}
	err := c.api.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) {
		return "", fleet.ErrNoToken
	}
	if err != nil {
		return "", err //nolint:wrapcheck // the caller wraps it
	}
	return fleet.TokenOf(secret, cluster) //nolint:wrapcheck // the caller wraps it
}

// Drain tells a gateway to drain. It returns an error when the gateway does not answer or refuses.
func (c *Client) Drain(ctx context.Context, pod *corev1.Pod, cluster string, request contract.DrainRequest) error {
	token, err := c.Token(ctx, client.ObjectKey{Namespace: c.namespace, Name: cluster})
	if err != nil {
		return fmt.Errorf("read the admin token: %w", err)
	}
	_, err = c.scraper.Drain(ctx, pod, token, request)
	return err //nolint:wrapcheck // it names the pod
}

// Undrain tells a gateway to serve again. It returns an error when the gateway does not answer, and one that wraps
// fleet.ErrConflict when its process is ending.
func (c *Client) Undrain(ctx context.Context, pod *corev1.Pod, cluster string) error {
	token, err := c.Token(ctx, client.ObjectKey{Namespace: c.namespace, Name: cluster})
	if err != nil {
		return fmt.Errorf("read the admin token: %w", err)
	}
	_, err = c.scraper.Undrain(ctx, pod, token)
	return err //nolint:wrapcheck // it names the pod
}
