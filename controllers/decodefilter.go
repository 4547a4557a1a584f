package controllers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// DecodeFilter takes stored WebSocketClusters that do not decode, such as those of another version of the CRD, out of
// the API server's answers. Without it, one such object would make every list fail, and no fleet would be managed. It
// logs the object and counts it in a metric. An object that no longer decodes after a change stays in the cache as it
// was before. Its methods may be called by several goroutines at once.
type DecodeFilter struct {
	log  logr.Logger
	desc *prometheus.Desc

	// mu guards broken.
	mu sync.Mutex
	// broken holds the resourceVersions of the objects that do not decode.
	broken map[client.ObjectKey]string
}

// NewDecodeFilter returns a filter that logs to log and whose metric is in the registry. It returns an error when the
// metric is registered already.
func NewDecodeFilter(registry prometheus.Registerer, log logr.Logger) (*DecodeFilter, error) {
	f := &DecodeFilter{
		log: log,
		desc: prometheus.NewDesc(metricPrefix+"undecodable_cluster",
			"1 for each stored WebSocketCluster that this version of the operator cannot decode, and leaves alone.",
			[]string{"namespace", "name"}, nil),
		broken: map[client.ObjectKey]string{},
	}
	if err := registry.Register(f); err != nil {
		return nil, fmt.Errorf("register the metric of clusters that cannot be decoded: %w", err)
	}
	return f, nil
}

// Wrap returns a transport that filters the answers of next. It is a transport.WrapperFunc of client-go.
func (f *DecodeFilter) Wrap(next http.RoundTripper) http.RoundTripper {
	return filterTransport{f, next}
}

// Describe sends the description of the metric.
func (f *DecodeFilter) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- f.desc }

// Collect sends one metric for each object that does not decode.
func (f *DecodeFilter) Collect(metrics chan<- prometheus.Metric) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range f.broken {
		metrics <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, 1, key.Namespace, key.Name)
	}
}

// decodable is what may not decode of a stored WebSocketCluster. The API server itself reads the rest of the metadata.
type decodable struct {
	Metadata struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"metadata"`
	Spec   v1alpha1.WebSocketClusterSpec   `json:"spec"`
	Status v1alpha1.WebSocketClusterStatus `json:"status"`
}

func (d *decodable) key() client.ObjectKey {
	return client.ObjectKey{Namespace: d.Metadata.Namespace, Name: d.Metadata.Name}
}

// decodes reports whether the object decodes, and notes what it found.
func (f *DecodeFilter) decodes(object []byte) bool {
	var cluster decodable
	err := kjson.Unmarshal(object, &cluster)
	if err == nil {
		f.forget(cluster.key())
		return true
	}
	identity := metadataIn(object)
	key := client.ObjectKeyFromObject(identity)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken[key] != identity.ResourceVersion {
		f.log.Error(err, "A stored WebSocketCluster cannot be decoded and is left alone; correct it or delete it",
			"namespace", key.Namespace, "name", key.Name)
	}
	f.broken[key] = identity.ResourceVersion
	return false
}

// forget drops an object that decodes, or was deleted.
func (f *DecodeFilter) forget(key client.ObjectKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.broken, key)
}

// metadataIn returns the metadata of an encoded object. What cannot be read is empty.
func metadataIn(object []byte) *metav1.PartialObjectMetadata {
	found := &metav1.PartialObjectMetadata{}
	// An object without readable metadata has no name to report.
	_ = kjson.Unmarshal(object, found)
	return found
}

// filterList returns the body of a list without the objects that do not decode. It returns an error when the body is
// not a list.
func (f *DecodeFilter) filterList(body []byte) ([]byte, error) {
	var list struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        json.RawMessage   `json:"metadata"`
		Items           []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("read a list of WebSocketClusters: %w", err)
	}
	kept := make([]json.RawMessage, 0, len(list.Items))
	for _, item := range list.Items {
		if f.decodes(item) {
			kept = append(kept, item)
		}
	}
	if len(kept) == len(list.Items) {
		return body, nil
	}
	list.Items = kept
	return json.Marshal(list)
}

// filterEvent returns what is left of a watch's event: all, nothing, or, of a deleted object that does not decode, its
// metadata.
func (f *DecodeFilter) filterEvent(encoded []byte) []byte {
	// Nearly all events are those of objects that decode, so that the event is read once for these.
	var usual struct {
		Object decodable `json:"object"`
	}
	if kjson.Unmarshal(encoded, &usual) == nil {
		f.forget(usual.Object.key())
		return encoded
	}
	var event struct {
		Type   watch.EventType `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	if json.Unmarshal(encoded, &event) != nil || event.Type == watch.Error || event.Type == watch.Bookmark ||
		f.decodes(event.Object) {
		return encoded
	}
	if event.Type != watch.Deleted {
		return nil
	}
	gone := metadataIn(event.Object)
	f.forget(client.ObjectKeyFromObject(gone))
	gone.ManagedFields = nil
	var err error
	if event.Object, err = json.Marshal(gone); err != nil {
		return nil
	}
	if encoded, err = json.Marshal(event); err != nil {
		return nil
	}
	return encoded
}

// filterTransport filters the answers of a transport.
type filterTransport struct {
	filter *DecodeFilter
	next   http.RoundTripper
}

// RoundTrip sends the request and filters the answer. It returns the error of the transport, or of reading a list.
func (t filterTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err != nil || response.StatusCode != http.StatusOK || !readsClusters(request) {
		return response, err //nolint:wrapcheck // the transport's own
	}
	if request.URL.Query().Get("watch") != "" {
		response.Body = &watchBody{
			source: response.Body,
			events: json.NewDecoder(response.Body),
			filter: t.filter.filterEvent,
		}
		return response, nil
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("read a list of WebSocketClusters: %w", err)
	}
	if body, err = t.filter.filterList(body); err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	response.ContentLength = int64(len(body))
	response.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return response, nil
}

// readsClusters reports whether the request lists or watches whole WebSocketClusters.
func readsClusters(request *http.Request) bool {
	return request.Method == http.MethodGet &&
		strings.HasPrefix(request.URL.Path, "/apis/"+v1alpha1.GroupName+"/") &&
		strings.HasSuffix(request.URL.Path, "/websocketclusters") &&
		!strings.Contains(request.Header.Get("Accept"), "as=")
}

// watchBody is the body of a watch without the events that the filter drops.
type watchBody struct {
	source io.Closer
	events *json.Decoder
	filter func([]byte) []byte
	// rest is what is left of the last event.
	rest []byte
}

// Read reads the next part of an event. It returns the error of the watch's body.
func (b *watchBody) Read(into []byte) (int, error) {
	for len(b.rest) == 0 {
		var event json.RawMessage
		if err := b.events.Decode(&event); err != nil {
			return 0, err //nolint:wrapcheck // io.EOF must be itself
		}
		if left := b.filter(event); left != nil {
			left = append(left, '\n')
			b.rest = left
		}
	}
	n := copy(into, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close closes the watch. It returns the error of the watch's body.
func (b *watchBody) Close() error { return b.source.Close() } //nolint:wrapcheck // the body's own
