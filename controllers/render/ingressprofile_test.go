package render

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// The API lets a user choose a profile only if it is in the field's enum, and without a golden file nothing shows what
// it does.
func TestIngressProfilesAreInSchemaAndGoldenFiles(t *testing.T) {
	names := []string{string(v1alpha1.IngressProfileAuto), string(v1alpha1.IngressProfileNone)}
	for _, profile := range ingressProfiles() {
		names = append(names, string(profile.name))
	}
	assert.ElementsMatch(t, schemaProfiles(t), names, "the enum of IngressProfile and ingressProfiles() differ")

	for _, name := range names[1:] {
		file := "testdata/ingress-" + name + ".in.yaml"
		raw, err := os.ReadFile(file)
		require.NoError(t, err, "every ingress profile has a golden file")
		var in golden
		require.NoError(t, yaml.UnmarshalStrict(raw, &in))
		assert.Equal(t, name, string(in.Profile), file)
	}
}

// schemaProfiles returns the values that the CRD allows for spec.ingress.profile.
func schemaProfiles(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile("../../config/crd/bases/wsfleet.dev_websocketclusters.yaml")
	require.NoError(t, err)
	var crd apiextensionsv1.CustomResourceDefinition
	require.NoError(t, yaml.Unmarshal(raw, &crd))
	field := *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, name := range []string{"spec", "ingress", "profile"} {
		field = field.Properties[name]
	}
	values := make([]string, 0, len(field.Enum))
	for _, value := range field.Enum {
		values = append(values, strings.Trim(string(value.Raw), `"`))
	}
	return values
}

func TestProfileForController(t *testing.T) {
	for controller, profile := range map[string]v1alpha1.IngressProfile{
		"k8s.io/ingress-nginx":                 v1alpha1.IngressProfileNginx,
		"traefik.io/ingress-controller":        v1alpha1.IngressProfileTraefik,
		"haproxy.org/ingress-controller":       v1alpha1.IngressProfileHAProxy,
		"haproxy-ingress.github.io/controller": v1alpha1.IngressProfileHAProxyIngress,
		"ingress.k8s.aws/alb":                  v1alpha1.IngressProfileALB,
		"nginx.org/ingress-controller":         v1alpha1.IngressProfileF5NGINX,
		"example.com/c":                        v1alpha1.IngressProfileNone,
		"":                                     v1alpha1.IngressProfileNone,
	} {
		assert.Equal(t, profile, ProfileForController(controller), controller)
	}
}

// The Service is there without an Ingress too. It must not have annotations of a profile then.
func TestServiceProfileAnnotationsNeedAnIngress(t *testing.T) {
	for _, profile := range ingressProfiles() {
		assert.Nil(t, serviceProfileAnnotations(input(golden{Profile: profile.name})), profile.name)
	}
}

// A user's annotation wins over the profile's, and gateways expire the cookie that clients really have.
func TestServiceProfileAnnotationsYieldToTheUser(t *testing.T) {
	in := golden{Profile: v1alpha1.IngressProfileTraefik}
	in.Spec.Ingress = &v1alpha1.IngressSpec{}
	in.Spec.Service.Annotations = map[string]string{traefikPrefix + "sticky.cookie.name": "chosen"}
	objects, err := Objects(input(in))
	require.NoError(t, err)
	for _, object := range objects {
		if object.Ref == ServiceRef(GatewayName("demo")) {
			assert.Equal(t, "chosen", object.Desired.GetAnnotations()[traefikPrefix+"sticky.cookie.name"])
			assert.Equal(t, "true", object.Desired.GetAnnotations()[traefikPrefix+"sticky.cookie"])
		}
	}
	content, err := configFile(input(in))
	require.NoError(t, err)
	assert.Contains(t, content, "affinity-cookie: chosen\n")
	assert.Equal(t, "chosen", EffectOfProfile(input(in)).Cookie)
}

// Each limit is told with the field that asks for more.
func TestEffectOfProfileNamesLimits(t *testing.T) {
	for _, c := range []struct {
		profile v1alpha1.IngressProfile
		change  func(*v1alpha1.WebSocketClusterSpec)
		want    []string
	}{
		{v1alpha1.IngressProfileNginx, longIdle, nil},
		{v1alpha1.IngressProfileTraefik, longIdle, nil},
		{v1alpha1.IngressProfileTraefik, withTLS, []string{"spec.gateway.tls"}},
		{v1alpha1.IngressProfileHAProxy, unchanged, nil},
		{v1alpha1.IngressProfileHAProxy, longIdle, []string{"spec.ingress.idleTimeout"}},
		{v1alpha1.IngressProfileHAProxy, strictCookie, []string{
			"spec.ingress.cookie.maxAge", "spec.ingress.cookie.sameSite", "spec.ingress.cookie.secure"}},
		{v1alpha1.IngressProfileHAProxyIngress, longIdle, nil},
		{v1alpha1.IngressProfileHAProxyIngress, strictCookie, []string{
			"spec.ingress.cookie.maxAge", "spec.ingress.cookie.sameSite"}},
		{v1alpha1.IngressProfileALB, unchanged, nil},
		{v1alpha1.IngressProfileALB, longIdle, []string{"spec.ingress.idleTimeout counts as 4000 s"}},
		{v1alpha1.IngressProfileALB, strictCookie, []string{
			"spec.ingress.cookie.maxAge counts as 604800 s", "spec.ingress.cookie.name"}},
		{v1alpha1.IngressProfileALB, longDrain, []string{"spec.drain.timeout counts as 3600 s"}},
		{v1alpha1.IngressProfileF5NGINX, longIdle, nil},
		{v1alpha1.IngressProfileF5NGINX, strictCookie, []string{"spec.ingress.cookie.sameSite"}},
	} {
		in := golden{Profile: c.profile}
		in.Spec.Ingress = &v1alpha1.IngressSpec{}
		c.change(&in.Spec)
		limits := EffectOfProfile(input(in)).Limits
		require.Len(t, limits, len(c.want), "%s: %s", c.profile, limits)
		for i, want := range c.want {
			assert.Contains(t, limits[i], want, c.profile)
		}
	}
}

func unchanged(*v1alpha1.WebSocketClusterSpec) {}

func longIdle(spec *v1alpha1.WebSocketClusterSpec) {
	spec.Ingress.IdleTimeout = &metav1.Duration{Duration: 2 * time.Hour}
}

func longDrain(spec *v1alpha1.WebSocketClusterSpec) {
	spec.Drain.Timeout = &metav1.Duration{Duration: 2 * time.Hour}
}

func withTLS(spec *v1alpha1.WebSocketClusterSpec) {
	spec.Gateway.TLS = &v1alpha1.GatewayTLS{SecretName: "certificate"}
}

func strictCookie(spec *v1alpha1.WebSocketClusterSpec) {
	spec.Ingress.Cookie = v1alpha1.CookieSpec{
		Name:     "pod",
		MaxAge:   &metav1.Duration{Duration: 240 * time.Hour},
		SameSite: v1alpha1.SameSiteStrict,
		Secure:   new(true),
	}
}
