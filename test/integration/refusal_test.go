package integration

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// refusal is a manifest that the API server refuses, and its message.
type refusal struct {
	// title is the name of the case after field. It may be empty.
	title string
	// name is the name of the object. The default is "fleet".
	name string
	spec string
	// field is the field that the API server names, and msg a part of its message.
	field, msg string
}

func (r refusal) String() string {
	return strings.TrimSpace(r.field + " " + r.title)
}

// requireRefused asserts that err is the API server's refusal of field with a message that contains msg.
func requireRefused(t *testing.T, err error, field, msg string) {
	t.Helper()
	require.Error(t, err, "the API server took it")
	var refused apierrors.APIStatus
	require.ErrorAs(t, err, &refused, "%v is not an answer of the API server", err)
	status := refused.Status()
	require.Equal(t, metav1.StatusReasonInvalid, status.Reason, "%v", err)
	require.NotNil(t, status.Details)
	var causes []string
	for _, cause := range status.Details.Causes {
		if cause.Field == field && strings.Contains(cause.Message, msg) {
			// What is read in a terminal is the message, not the causes.
			require.Contains(t, status.Message, msg)
			require.Contains(t, status.Message, field)
			return
		}
		causes = append(causes, cause.Field+": "+cause.Message)
	}
	require.Failf(t, "refused for something else", "want %s: %s\ngot  %s", field, msg, strings.Join(causes, "\n     "))
}

// testRefused tries to create every manifest by a dry run.
func testRefused(t *testing.T, refusals []refusal) {
	t.Helper()
	namespace := newNamespace(t)
	for _, r := range refusals {
		t.Run(r.String(), func(t *testing.T) {
			name := r.name
			if name == "" {
				name = "fleet"
			}
			err := env.client.Create(t.Context(), manifest(t, namespace, name, r.spec), client.DryRunAll)
			requireRefused(t, err, r.field, r.msg)
		})
	}
}

var indexes = regexp.MustCompile(`\[[^\]]*\]`)

// schemaPath turns the path of a value into the path of its schema: spec.tls[0] becomes spec.tls[], and <nil>, which is
// the API server's name of the whole object, becomes "".
func schemaPath(field string) string {
	if field == "<nil>" {
		return ""
	}
	return indexes.ReplaceAllString(field, "[]")
}
