package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/support"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/support/supporttest"
)

// archived returns the files of an archive by their names in its directory.
func archived(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	files := map[string]string{}
	for path, content := range supporttest.Unpack(t, file) {
		directory, name, _ := strings.Cut(path, "/")
		assert.True(t, strings.HasPrefix(directory, "wsfleet-chat-"), path)
		files[name] = content
	}
	return files
}

// putEvent adds an event about an object.
func (a *fakeAPI) putEvent(about, message string) {
	a.put("events", &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: about + ".1"},
		InvolvedObject: corev1.ObjectReference{Name: about},
		Message:        message,
	})
}

func TestReportHasWhatThereIsOfAFleet(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	cluster := api.putFleet("chat", 2)
	cluster.Spec.Pod.Env = []corev1.EnvVar{{Name: "KEY", Value: "hunter2"}}
	api.putGateway("chat", "chat-gateway-1")
	api.putPod("chat", "chat-gateway-2").Spec.Containers = []corev1.Container{{Args: []string{"--api-key=hunter2"}}}
	api.putEvent("chat", "cannot reach redis://u:hunter2@redis")
	api.putEvent("chat-gateway-1", "Started")
	api.putEvent("feed", "of another fleet")
	path := filepath.Join(t.TempDir(), "chat.tar.gz")
	out := succeed(t, plugin(t, api, "report", "chat", "--file", path)).stdout
	assert.Contains(t, out, path+" was written")
	assert.Contains(t, out, "gateways/chat-gateway-2.yaml: ask gateway chat-gateway-2")
	assert.Contains(t, words(t, out, "gateways/chat-gateway-1.yaml")[0], "chat-gateway-1")

	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	files := archived(t, path)
	for name, has := range map[string]string{
		"websocketcluster.yaml":        "kind: WebSocketCluster",
		"deployment.yaml":              "kind: Deployment",
		"pods.yaml":                    "name: chat-gateway-2",
		"events.yaml":                  "message: Started",
		"gateways/chat-gateway-1.yaml": "state: serving",
		"status.txt":                   "Gateways:     1 of 2 serve",
		"explain.txt":                  "Size:      2 wanted",
		"versions.yaml":                "kubernetes: v1.35.0",
		"contents.txt":                 "chat-gateway-2.yaml: ask gateway",
	} {
		assert.Contains(t, files[name], has, name)
	}
	for name, content := range files {
		for _, secret := range []string{"hunter2", testToken, "of another fleet"} {
			assert.NotContains(t, content, secret, name)
		}
	}
	r := run(plugin(t, api, "report", "chat", "--file", path))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "exists: remove it, or give another path")
}

// A user with few rights gets what these show, and a list of the rest.
func TestReportListsWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	api.putGateway("chat", "chat-gateway-1")
	for _, path := range []string{"secrets/chat-admin", "deployments/chat-gateway", "events"} {
		api.refuse(path)
	}
	cmd := plugin(t, api, "report", "-o", "json")
	cmd.Dir = t.TempDir()
	var report support.Report
	require.NoError(t, json.Unmarshal([]byte(succeed(t, cmd).stdout), &report))
	missing := map[string]string{}
	for _, one := range report.Missing {
		missing[one.What] = one.Reason
	}
	assert.Contains(t, missing["gateways"], `secrets "chat-admin" is forbidden`)
	assert.Contains(t, missing["deployment.yaml"], "is forbidden")
	assert.Contains(t, missing["events.yaml"], "is forbidden")
	assert.Contains(t, missing["status.txt"], "is forbidden")
	assert.Contains(t, missing["explain.txt"], "is forbidden")
	assert.Regexp(t, `^wsfleet-chat-\d{8}-\d{6}\.tar\.gz$`, report.Path)
	assert.Contains(t, archived(t, filepath.Join(cmd.Dir, report.Path)), "pods.yaml")
}

func TestReportNeedsAFleetAndAPath(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.put("deployments", &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "chat-gateway"}})
	for want, args := range map[string][]string{
		"there is no fleet chat in namespace default": {"report", "chat"},
		"--file: the value is empty":                  {"report", "chat", "--file="},
	} {
		r := run(plugin(t, api, args...))
		assert.NotZero(t, r.code)
		assert.Contains(t, r.stderr, want)
	}
	api.putFleet("chat", 1)
	r := run(plugin(t, api, "report", "chat", "--file", filepath.Join(t.TempDir(), "no", "such")))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "--file: open ")
}
