package support_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/support"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/support/supporttest"
)

func TestRedactTextRemovesSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"redis://default:hunter2@redis:6379/0":           "redis://(removed)@redis:6379/0",
		"rediss://:hunter2@redis":                        "rediss://(removed)@redis",
		"https://token@example.com/a":                    "https://(removed)@example.com/a",
		"dial redis://u:hunter2@a, redis://u:hunter2@b":  "dial redis://(removed)@a, redis://(removed)@b",
		"https://example.com/hook?key=hunter2&x=1":       "https://example.com/hook?(removed)",
		"--redis-password=hunter2":                       "--redis-password=(removed)",
		"WSFLEET_API_KEY=hunter2 next":                   "WSFLEET_API_KEY=(removed) next",
		`{"password":"hunter2","user":"u"}`:              `{"password":(removed),"user":"u"}`,
		"Authorization: Bearer hunter2hunter2":           "Authorization: Bearer (removed)",
		"X-API-Key: hunter2":                             "X-API-Key: (removed)",
		"curl -H 'Authorization: apikey hunter2hunter2'": "curl -H 'Authorization: apikey (removed)'",
		"https://example.com/path":                       "https://example.com/path",
		"read the admin token: secrets is forbidden":     "read the admin token: secrets is forbidden",
		"--admin-token-dir=/etc/wsfleet/admin":           "--admin-token-dir=/etc/wsfleet/admin",
		"mailto ops@example.com at 10:00":                "mailto ops@example.com at 10:00",
		"the token of the admin Secret was not accepted": "the token of the admin Secret was not accepted",
	} {
		assert.Equal(t, want, support.RedactText(text))
		assert.NotContains(t, support.RedactText(text), "hunter2")
	}
}

func TestRedactRemovesSecretsOfObjects(t *testing.T) {
	ref := &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "chat-redis"}, Key: "password",
	}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "chat-gateway-1",
			Annotations: map[string]string{
				corev1.LastAppliedConfigAnnotation: `{"spec":"hunter2"}`,
				"example.com/note":                 "kept",
			},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "hunter2"}},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "gateway",
			Args: []string{"--api-key", "hunter2", "--redis-addresses=redis:6379", "--jwt-key=hunter2", "--log-level", "info"},
			Env: []corev1.EnvVar{
				{Name: "PLAIN", Value: "hunter2"},
				{Name: "PASSWORD", ValueFrom: ref},
			},
			LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
				HTTPHeaders: []corev1.HTTPHeader{{Name: "X-Anything", Value: "hunter2"}},
			}}},
		}}},
	}
	redacted, err := support.Redact(pod)
	require.NoError(t, err)
	text, err := json.Marshal(redacted)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "hunter2")
	for _, kept := range []string{
		`"name":"PASSWORD","valueFrom":{"secretKeyRef":{"key":"password","name":"chat-redis"}}`, `"name":"PLAIN"`,
		`"example.com/note":"kept"`, `"--redis-addresses=redis:6379"`, `"--log-level","info"`,
	} {
		assert.Contains(t, string(text), kept)
	}
	assert.Equal(t, "hunter2", pod.Spec.Containers[0].Env[0].Value, "the object itself stays")
}

func TestReportListsWhatItHasAndLacks(t *testing.T) {
	madeAt := time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC)
	r := support.NewReport("wsfleet-chat", madeAt)
	r.AddText("status.txt", "redis://u:hunter2@redis\n")
	r.AddObject("pods.yaml", map[string]string{"a": "b"})
	r.AddObject("odd.yaml", func() {})
	r.AddMissing("events.yaml", errors.New("events is forbidden"))
	var archive bytes.Buffer
	require.NoError(t, r.Write(&archive))
	files := supporttest.Unpack(t, &archive)
	assert.Equal(t, "a: b\n", files["wsfleet-chat/pods.yaml"])
	assert.Equal(t, "redis://(removed)@redis\n", files["wsfleet-chat/status.txt"])
	contents := files["wsfleet-chat/contents.txt"]
	assert.Contains(t, contents, "pods.yaml    5\n")
	assert.Contains(t, contents, "events.yaml: events is forbidden")
	assert.Contains(t, contents, "odd.yaml: encode: json: unsupported type")
	var text strings.Builder
	require.NoError(t, r.WriteText(&text))
	assert.Contains(t, text.String(), contents)
}
