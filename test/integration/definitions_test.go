package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

// modulesVariable names the environment variable with a directory of modules of the Gateway API, such as $(go env
// GOMODCACHE)/sigs.k8s.io with gateway-api@v1.6.3 in it. With it, the tests use the real definitions instead of
// gatewayAPIVersions.
const modulesVariable = "GATEWAY_API_MODULES"

// gatewayAPIVersions are what the operator uses of the definitions of the Gateway API, by version and channel: the
// schema of session persistence in an HTTPRoute and in an XBackend, or nothing.
var gatewayAPIVersions = map[string]struct{ route, backend string }{
	"v1.4.1/standard":     {},
	"v1.4.1/experimental": {route: persistenceBySessionName},
	"v1.6.3/experimental": {route: persistenceBySessionName},
	"v1.7.0/experimental": {route: persistenceByCookie, backend: persistenceByCookie},
}

const (
	persistenceBySessionName = `{type: object, properties: {absoluteTimeout: {type: string}, sessionName: {type: string},
  type: {type: string, default: Cookie}, cookieConfig: {type: object, properties: {lifetimeType: {type: string,
  default: Session, enum: [Permanent, Session]}}}}}`
	persistenceByCookie = `{type: object, properties: {absoluteTimeout: {type: string},
  type: {type: string, default: Cookie},
  cookie: {type: object, properties: {name: {type: string}, path: {type: string, default: /},
    lifetimeType: {type: string,
  default: Session, enum: [Permanent, Session]}}}}}`

	routeSchema = `{type: object, properties: {
  parentRefs: {type: array, x-kubernetes-list-type: atomic, items: {type: object, properties: {
    group: {type: string, default: gateway.networking.k8s.io}, kind: {type: string, default: Gateway},
    name: {type: string}, namespace: {type: string}, sectionName: {type: string},
    port: {type: integer, format: int32}}}},
  hostnames: {type: array, x-kubernetes-list-type: atomic, items: {type: string}},
  rules: {type: array, x-kubernetes-list-type: atomic, items: {type: object, properties: {
    matches: {type: array, x-kubernetes-list-type: atomic, items: {type: object, properties: {path: {type: object,
      properties: {type: {type: string}, value: {type: string}}}}}},
    name: {type: string}, timeouts: {type: object, properties: {request: {type: string}}},
    backendRefs: {type: array, x-kubernetes-list-type: atomic, items: {type: object, properties: {
      group: {type: string, default: ""}, kind: {type: string, default: Service}, name: {type: string},
      port: {type: integer, format: int32}, weight: {type: integer, format: int32, default: 1}}}}%s}}}}}`

	backendSchema = `{type: object, properties: {type: {type: string}, protocol: {type: string},
  endpointSelector: {type: object, properties: {matchLabels: {type: object, additionalProperties: {type: string}}}},
  port: {type: object, properties: {number: {type: integer, format: int32}}}%s}}`

	anySchema = "{type: object, x-kubernetes-preserve-unknown-fields: true}"
)

// installGatewayAPI installs the definitions of a version and channel, such as v1.6.3/experimental. They are removed
// after the test, or by the function that it returns.
func installGatewayAPI(t *testing.T, version string) (remove func()) {
	t.Helper()
	names := []string{"gateways", "httproutes"}
	if gatewayAPIVersions[version].backend != "" {
		names = append(names, "xbackends")
	}
	var definitions []*apiextensionsv1.CustomResourceDefinition
	for _, name := range names {
		definitions = append(definitions, gatewayDefinition(t, version, name))
	}
	return install(t, definitions)
}

// gatewayDefinition returns a definition of the Gateway API.
func gatewayDefinition(t *testing.T, version, plural string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	group, api := "gateway.networking.k8s.io", "v1"
	if plural == "xbackends" {
		group, api = "gateway.networking.x-k8s.io", "v1alpha1"
	}
	if modules := os.Getenv(modulesVariable); modules != "" {
		release, channel := filepath.Split(version)
		file := filepath.Join(modules, "gateway-api@"+filepath.Clean(release), "config/crd", channel,
			group+"_"+plural+".yaml")
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		definition := &apiextensionsv1.CustomResourceDefinition{}
		require.NoError(t, yaml.Unmarshal(raw, definition))
		return definition
	}
	field := func(schema string) string {
		if schema == "" {
			return ""
		}
		return ", sessionPersistence: " + schema
	}
	switch plural {
	case "httproutes":
		return definition(t, group, api, "HTTPRoute", fmt.Sprintf(routeSchema, field(gatewayAPIVersions[version].route)))
	case "xbackends":
		return definition(t, group, api, "XBackend", fmt.Sprintf(backendSchema, field(gatewayAPIVersions[version].backend)))
	default:
		return definition(t, group, api, "Gateway", anySchema)
	}
}

// definition returns the definition of a namespaced kind with the schema of its spec.
func definition(t *testing.T, group, version, kind, schema string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	made := &apiextensionsv1.CustomResourceDefinition{}
	require.NoError(t, yaml.Unmarshal(fmt.Appendf(nil, `
metadata:
  name: %[1]ss.%[2]s
  annotations: {api-approved.kubernetes.io: "unapproved, for a test"}
spec:
  group: %[2]s
  scope: Namespaced
  names: {kind: %[3]s, listKind: %[3]sList, plural: %[1]ss, singular: %[1]s}
  versions:
  - name: %[4]s
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
          spec: %[5]s
`, strings.ToLower(kind), group, kind, version, schema), made))
	return made
}

// install installs definitions. They are removed after the test, or by the function that it returns.
func install(t *testing.T, definitions []*apiextensionsv1.CustomResourceDefinition) (remove func()) {
	t.Helper()
	options := envtest.CRDInstallOptions{MaxTime: waitTimeout}
	for _, definition := range definitions {
		// The copy gets what the API server adds. The caller may install the definition again.
		options.CRDs = append(options.CRDs, definition.DeepCopy())
	}
	_, err := envtest.InstallCRDs(env.config, options)
	require.NoError(t, err)
	remove = sync.OnceFunc(func() {
		assert.NoError(t, envtest.UninstallCRDs(env.config, options))
		assert.Eventually(t, func() bool { return !slices.ContainsFunc(definitions, exists) }, waitTimeout, pollInterval)
	})
	t.Cleanup(remove)
	return remove
}

// exists reports whether the API server has the definition.
func exists(definition *apiextensionsv1.CustomResourceDefinition) bool {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	// Not the test's context, which has ended before the cleanups.
	err := env.client.Get(context.Background(), client.ObjectKeyFromObject(definition), found)
	return !apierrors.IsNotFound(err)
}
