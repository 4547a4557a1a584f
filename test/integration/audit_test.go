package integration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// write is a request that changes something, as the API server recorded it in its audit log.
type write struct {
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	ObjectRef  struct {
		Resource, Subresource, Namespace, Name string
	} `json:"objectRef"`
	Status struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

func (w write) String() string {
	return fmt.Sprintf("%s %s: %d", w.Verb, w.RequestURI, w.Status.Code)
}

// writesBy returns every write request that a user has sent to a namespace until now, refused requests included.
func writesBy(t *testing.T, user, namespace string) []write {
	t.Helper()
	var all []write
	for _, w := range auditedSoFar(t, namespace) {
		if w.User.Username == user && w.ObjectRef.Namespace == namespace {
			all = append(all, w)
		}
	}
	return all
}

// auditedSoFar reads the writes that concern any of the namespaces from the audit log, up to a write of the test's own,
// so that every request is there that the API server has answered before.
func auditedSoFar(t *testing.T, namespaces ...string) []write {
	t.Helper()
	marker := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespaces[0], Name: fmt.Sprintf("audit-marker-%d", time.Now().UnixNano())},
	}
	require.NoError(t, env.client.Create(t.Context(), marker, client.DryRunAll))
	var all []write
	require.Eventually(t, func() bool {
		data, err := os.ReadFile(env.auditLog)
		require.NoError(t, err)
		// The API server may be in the middle of a line.
		data = data[:bytes.LastIndexByte(data, '\n')+1]
		if !bytes.Contains(data, []byte(marker.Name)) {
			return false
		}
		all = all[:0]
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if !slices.ContainsFunc(namespaces, func(namespace string) bool {
				return strings.Contains(lines.Text(), `"`+namespace+`"`)
			}) {
				continue
			}
			var w write
			require.NoError(t, json.Unmarshal(lines.Bytes(), &w))
			all = append(all, w)
		}
		return lines.Err() == nil
	}, waitTimeout, pollInterval)
	return all
}
