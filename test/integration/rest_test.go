package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// restClient returns a client for requests that typed clients cannot send.
func restClient(t *testing.T) rest.Interface {
	t.Helper()
	config := rest.CopyConfig(env.config)
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.ContentType = "application/json"
	client, err := rest.UnversionedRESTClientFor(config)
	require.NoError(t, err)
	return client
}
