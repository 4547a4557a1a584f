package fleetclient

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// maxAnswerBytes is the maximum size of a gateway's answer.
const maxAnswerBytes = 64 << 20

// Gateways are the running gateways of one fleet, and the token that they take.
type Gateways struct {
	cluster string
	pods    []corev1.Pod
	token   string
}

// Gateways returns the running gateways of a fleet, the ready ones first. It returns an error when the fleet does not
// exist, and when its pods or its admin token cannot be read.
func (c *Client) Gateways(ctx context.Context, cluster string) (Gateways, error) {
	key := client.ObjectKey{Namespace: c.namespace, Name: cluster}
	if err := c.readCluster(ctx, key, &v1alpha1.WebSocketCluster{}); err != nil {
		return Gateways{}, err
	}
	pods, err := c.Pods(ctx, key)
	if err != nil {
		return Gateways{}, fmt.Errorf("list the gateway pods of %s: %w", key, err)
	}
	token, err := c.Token(ctx, key)
	if err != nil {
		return Gateways{}, fmt.Errorf("read the admin token of fleet %s: %w", cluster, err)
	}
	pods = slices.DeleteFunc(pods, func(pod corev1.Pod) bool { return pod.Status.Phase != corev1.PodRunning })
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(readyFirst(&a)-readyFirst(&b), strings.Compare(a.Name, b.Name))
	})
	return Gateways{cluster: cluster, pods: pods, token: token}, nil
}

// readyFirst returns the rank of a pod: 0 for one that is ready, 1 for another one.
func readyFirst(pod *corev1.Pod) int {
	if fleet.IsReady(pod) {
		return 0
	}
	return 1
}

// readCluster reads a fleet. It returns an error that says what to do when there is none.
func (c *Client) readCluster(ctx context.Context, key client.ObjectKey, into *v1alpha1.WebSocketCluster) error {
	err := c.api.Get(ctx, key, into)
	if apierrors.IsNotFound(err) && !isUnknownKind(err) {
		return fmt.Errorf("there is no fleet %s in namespace %s: `status` without a name lists those that there are",
			key.Name, key.Namespace)
	}
	if err != nil {
		return fmt.Errorf("read fleet %s: %w", key, explained(err))
	}
	return nil
}

// Only returns the gateway of one pod. It returns an error when it is not among the running gateways of the fleet.
func (g Gateways) Only(pod string) (Gateways, error) {
	i := slices.IndexFunc(g.pods, func(one corev1.Pod) bool { return one.Name == pod })
	if i < 0 {
		return g, fmt.Errorf("pod %s is no running gateway of fleet %s: `status %s` lists its gateways", pod, g.cluster,
			g.cluster)
	}
	g.pods = g.pods[i : i+1]
	return g, nil
}

// Names returns the names of the gateways' pods.
func (g Gateways) Names() []string {
	names := make([]string, 0, len(g.pods))
	for i := range g.pods {
		names = append(names, g.pods[i].Name)
	}
	return names
}

// RefusedError is what a gateway answers when it does not do what it was asked for.
type RefusedError struct {
	Pod    string
	Status int
	// Message is the gateway's own text, which is empty when the answer has none.
	Message string
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("gateway %s answered %d %s", e.Pod, e.Status, http.StatusText(e.Status))
	switch {
	case e.Message != "":
		return text + ": " + e.Message
	case e.Status == http.StatusNotFound:
		return text + ": its version does not have this command: update the fleet's gateways (spec.image)"
	}
	return text
}

// ask sends a request with body as JSON, unless body is nil, to a gateway, and decodes its answer into result. It
// returns a RefusedError, fleet.ErrTokenRefused, or an error that names the pod when the gateway does not answer.
func (c *Client) ask(ctx context.Context, pod, token, method, path string, body, result any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := c.send(ctx, pod, token, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("read the answer of gateway %s: %w", pod, err)
	}
	if err := refusal(pod, response.StatusCode, content); err != nil {
		return err
	}
	if err := json.Unmarshal(content, result); err != nil {
		return fmt.Errorf("read the answer of gateway %s: %w", pod, err)
	}
	return nil
}

// send sends a request to a gateway, and returns its response. It returns an error that names the pod.
func (c *Client) send(
	ctx context.Context, pod, token, method, path string, body any,
) (*http.Response, error) {
	var payload io.Reader = http.NoBody
	if body != nil {
		var encoded bytes.Buffer
		encoder := json.NewEncoder(&encoded)
		// Plain clients get what is published as it was sent.
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(body); err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		payload = &encoded
	}
	url := "http://" + net.JoinHostPort(pod, strconv.Itoa(contract.AdminPort)) + path
	request, err := http.NewRequestWithContext(ctx, method, url, payload)
	if err != nil {
		return nil, fmt.Errorf("ask gateway %s: %w", pod, err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	// The server API then tells errors by the status too.
	request.Header.Set("X-Centrifugo-Error-Mode", "transport")
	response, err := c.gateways.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask gateway %s: %w", pod, err)
	}
	return response, nil
}

// refusal returns the error that an answer is, or nil for an answer that is none.
func refusal(pod string, status int, content []byte) error {
	switch {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("ask gateway %s: %w", pod, fleet.ErrTokenRefused)
	case status < http.StatusMultipleChoices:
		return nil
	}
	refused := &RefusedError{Pod: pod, Status: status}
	var answer struct{ Error json.RawMessage }
	if json.Unmarshal(content, &answer) != nil {
		return refused
	}
	// The private port itself answers with a text, and the server API with an object.
	var object struct{ Message string }
	if json.Unmarshal(answer.Error, &refused.Message) != nil && json.Unmarshal(answer.Error, &object) == nil {
		refused.Message = object.Message
	}
	return refused
}

// isNotFound reports whether a gateway answered that there is no such connection.
func isNotFound(err error) bool {
	refused, ok := errors.AsType[*RefusedError](err)
	return ok && refused.Status == http.StatusNotFound && refused.Message != ""
}
