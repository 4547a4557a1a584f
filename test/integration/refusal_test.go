package integration

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// refusal is a manifest that the API server refuses, and what it tells the user.
type refusal struct {
	// title of the case, where field does not say it all.
	title string
	// name of the object; "fleet" when empty.
	name string
	spec string
	// field that the message begins with, and what it says of it.
	field, says string
}

func (r refusal) String() string {
	return strings.TrimSpace(r.field + " " + r.title)
}

// requireRefused asserts that an error is the API server's, and reads as the user shall see it.
func requireRefused(t *testing.T, err error, field, says string) {
	t.Helper()
	require.Error(t, err, "the API server took it")
	var refused apierrors.APIStatus
	require.True(t, errors.As(err, &refused), "%v is not an answer of the API server", err)
	status := refused.Status()
	require.Equal(t, metav1.StatusReasonInvalid, status.Reason, "%v", err)
	require.NotNil(t, status.Details)
	var causes []string
	for _, cause := range status.Details.Causes {
		if cause.Field == field && strings.Contains(cause.Message, says) {
			// What is read in a terminal is the message, not the causes.
			require.Contains(t, status.Message, says)
			require.Contains(t, status.Message, field)
			return
		}
		causes = append(causes, cause.Field+": "+cause.Message)
	}
	require.Failf(t, "refused for something else", "want %s: %s\ngot  %s", field, says, strings.Join(causes, "\n     "))
}

// testRefusals tries every manifest without writing any.
func testRefusals(t *testing.T, refusals []refusal) {
	t.Helper()
	namespace := newNamespace(t)
	for _, r := range refusals {
		t.Run(r.String(), func(t *testing.T) {
			name := r.name
			if name == "" {
				name = "fleet"
			}
			err := env.client.Create(t.Context(), manifest(t, namespace, name, r.spec), client.DryRunAll)
			requireRefused(t, err, r.field, r.says)
		})
	}
}

var indexes = regexp.MustCompile(`\[[^\]]*\]`)

// schemaPath turns the path of a value into that of its schema: spec.tls[0] into spec.tls[], and
// what the API server calls the object itself into nothing.
func schemaPath(field string) string {
	if field == "<nil>" {
		return ""
	}
	return indexes.ReplaceAllString(field, "[]")
}
