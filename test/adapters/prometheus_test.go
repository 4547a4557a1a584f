//go:build e2e

package adapters

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// podMonitor is a PodMonitor, with the fields that the operator sets.
type podMonitor struct {
	Metadata struct{ Name string }
	Spec     struct {
		PodMetricsEndpoints []struct {
			Path, Port  string
			Relabelings []struct{ Action, Replacement, TargetLabel string }
		}
		Selector struct{ MatchLabels map[string]string }
	}
}

// object is an object of Prometheus' configuration.
type object map[string]any

// scrape lets Prometheus scrape one fleet as its PodMonitor asks for, or nothing without a name. It waits until
// Prometheus has the fleet's connections. Each call starts another Prometheus, without the samples of the one before.
func scrape(t *testing.T, fleet string) {
	t.Helper()
	jobs := []object{}
	if fleet != "" {
		await(t, time.Minute, func(c *assert.CollectT) {
			assert.NotEmpty(c, field(c, "podmonitor/"+fleet+"-gateway", "{.metadata.name}"))
		})
		var monitor podMonitor
		require.NoError(t, kube.JSON(t.Context(), &monitor, "get", "podmonitor", fleet+"-gateway"))
		jobs = append(jobs, scrapeConfig(monitor))
	}
	config := object{"global": object{"scrape_interval": "5s", "scrape_timeout": "5s"}, "scrape_configs": jobs}
	applyFile(t, "prometheus.yaml", map[string]string{
		"IMAGE": os.Getenv("PROMETHEUS_IMAGE"), "CONFIG": strconv.Quote(encoded(t, config)),
	})
	_, err := kube.In(monitoring).Run(t.Context(), "rollout", "status", "deployment/prometheus", "--timeout=120s")
	require.NoError(t, err)
	if fleet != "" {
		await(t, time.Minute, func(c *assert.CollectT) {
			assert.Len(c, query(c, `websocket_connections{namespace="default",fleet="`+fleet+`"}`), idle)
		})
	}
}

// scrapeConfig returns the scrape configuration that the Prometheus Operator makes of a PodMonitor.
func scrapeConfig(monitor podMonitor) object {
	const pod = "__meta_kubernetes_pod_"
	endpoint := monitor.Spec.PodMetricsEndpoints[0]
	keep := func(label, value string) object {
		return object{"action": "keep", "source_labels": []string{label}, "regex": value}
	}
	set := func(label, from string) object {
		return object{"target_label": label, "source_labels": []string{from}}
	}
	relabel := []object{{"action": "drop", "source_labels": []string{pod + "phase"}, "regex": "(Failed|Succeeded)"}}
	for label, value := range monitor.Spec.Selector.MatchLabels {
		relabel = append(relabel, keep(pod+"label_"+labelName(label), value))
	}
	relabel = append(relabel, keep(pod+"container_port_name", endpoint.Port),
		set("namespace", "__meta_kubernetes_namespace"), set("container", pod+"container_name"), set("pod", pod+"name"),
		object{"target_label": "job", "replacement": namespace + "/" + monitor.Metadata.Name},
		object{"target_label": "endpoint", "replacement": endpoint.Port})
	for _, r := range endpoint.Relabelings {
		relabel = append(relabel, object{"action": r.Action, "target_label": r.TargetLabel, "replacement": r.Replacement})
	}
	return object{
		"job_name":              "podMonitor/" + namespace + "/" + monitor.Metadata.Name + "/0",
		"metrics_path":          endpoint.Path,
		"kubernetes_sd_configs": []object{{"role": "pod", "namespaces": object{"names": []string{namespace}}}},
		"relabel_configs":       relabel,
	}
}

// labelName returns the name of a label as Prometheus writes it.
func labelName(label string) string {
	name := []byte(label)
	for i, c := range name {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter {
			name[i] = '_'
		}
	}
	return string(name)
}

// query returns the values that Prometheus has for a query.
func query(t *assert.CollectT, text string) []string {
	out, err := kube.In("").Run(context.Background(), "get", "--raw", "/api/v1/namespaces/"+monitoring+
		"/services/prometheus-operated:9090/proxy/api/v1/query?query="+url.QueryEscape(text))
	if !assert.NoError(t, err) {
		return nil
	}
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	assert.NoError(t, json.Unmarshal([]byte(out), &answer))
	var values []string
	for _, r := range answer.Data.Result {
		value, _ := r.Value[1].(string)
		values = append(values, value)
	}
	return values
}

func encoded(t *testing.T, value any) string {
	t.Helper()
	out, err := json.Marshal(value)
	require.NoError(t, err)
	return string(out)
}
