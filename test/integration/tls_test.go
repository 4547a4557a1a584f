package integration

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/certtest"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const (
	withTLS   = "{ingress: {profile: nginx, hosts: [a.example]}, gateway: {tls: {secretName: mine}}}"
	noTLS     = "ingress: {profile: nginx, hosts: [a.example]}"
	portNames = ".spec.ports[*].targetPort"
	backend   = ".spec.rules[0].http.paths[0].backend.service.port.name"
)

// A certificate that gateways would refuse holds the change back: the Service, the Ingress and the gateways stay as
// they are, and the change goes on when the Secret is right.
func TestReconcilerHoldsGatewaysForABadCertificate(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", noTLS)
	f.eventuallyHas(gatewayDeployment, gatewayService, gatewayIngress)
	startFakeGateways(t, f, 2)
	f.eventuallySettled()
	o.awaitQuiet()
	gateways, service, ingress := gatewayDeployment.get(t, f), gatewayService.get(t, f), gatewayIngress.get(t, f)
	urls := f.get(t).Status.URLs
	requireHeld := func(reason string, words ...string) {
		t.Helper()
		f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, reason,
			append(words, "spec.gateway.tls.secretName")...)
		f.eventuallyEvent(corev1.EventTypeWarning, reason, "spec.gateway.tls.secretName")
		requireUntouched(t, f, gatewayDeployment, gateways)
		requireUntouched(t, f, gatewayService, service)
		requireUntouched(t, f, gatewayIngress, ingress)
		require.Equal(t, urls, f.get(t).Status.URLs)
	}

	f.setSpec(withTLS)
	requireHeld(v1alpha1.ReasonSecretNotFound, "create it")
	pair := certtest.New(t, "fleet")
	secret := createSecret(t, o.namespace, "mine", map[string]string{contract.TLSCertKey: string(pair.Cert)})
	requireHeld(v1alpha1.ReasonSecretKeyMissing, "tls.key")
	secret.StringData = map[string]string{contract.TLSPrivateKey: string(certtest.New(t, "other").Key)}
	require.NoError(t, env.client.Update(t.Context(), secret))
	requireHeld(v1alpha1.ReasonCertificateInvalid, "the key that belongs to it")

	secret.StringData = map[string]string{contract.TLSPrivateKey: string(pair.Key)}
	require.NoError(t, env.client.Update(t.Context(), secret))
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "mine", read(t, gatewayDeployment.get(t, f), pod+`.volumes[?(@.name=="tls")].secret.secretName`))
	})
}

// While TLS is switched on, and off again, each gateway can be reached over a port that it speaks, from the first
// moment to the last.
func TestServiceFollowsTheGatewaysThroughASwitchOfTLS(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	createCertificate(t, o.namespace, "mine")
	f := createFleet(t, o.namespace, "fleet", noTLS)
	f.eventuallyHas(gatewayService, gatewayIngress)
	old := startFakeGateways(t, f, 2)
	// requireFront waits for the ports that the Service targets, the port of the Ingress, and the URLs in the cluster.
	requireFront := func(targets, ingress string, urls ...string) {
		t.Helper()
		f.eventually(func(t *assert.CollectT) {
			assert.Equal(t, targets, read(t, gatewayService.get(t, f), portNames))
			assert.Equal(t, ingress, read(t, gatewayIngress.get(t, f), backend))
			protocol := ""
			if ingress == "wss" {
				protocol = "HTTPS"
			}
			assert.Equal(t, protocol, read(t, gatewayIngress.get(t, f), nginx+"backend-protocol"))
			shown := f.get(t).Status.URLs
			assert.Equal(t, urls, slices.Clone(shown[min(1, len(shown)):]))
		})
	}
	plain, secure := "ws://fleet-gateway."+f.namespace+".svc/ws", "wss://fleet-gateway."+f.namespace+".svc/ws"
	requireFront("ws", "ws", plain)

	f.setSpec(withTLS)
	requireFront("ws wss", "ws", plain, secure)
	f.awaitTemplatePort("wss")
	first := f.startGateway(t, "new-1")
	requireFront("ws wss", "ws", plain, secure)
	second := f.startGateway(t, "new-2")
	requireFront("ws wss", "wss", plain, secure)
	old[0].remove(t)
	require.NoError(t, env.client.Delete(t.Context(), old[1].pod))
	o.awaitQuiet()
	requireFront("ws wss", "wss", plain, secure)
	old[1].remove(t)
	requireFront("wss", "wss", secure)

	f.setSpec(noTLS)
	requireFront("wss ws", "wss", secure, plain)
	f.awaitTemplatePort("ws")
	f.startGateway(t, "newer-1")
	requireFront("wss ws", "wss", secure, plain)
	first.remove(t)
	requireFront("wss ws", "ws", secure, plain)
	f.startGateway(t, "newer-2")
	second.remove(t)
	requireFront("ws", "ws", plain)
}

// awaitTemplatePort waits until the Deployment's pods have a port of the name.
func (f *fleet) awaitTemplatePort(name string) {
	f.t.Helper()
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, name, read(t, gatewayDeployment.get(t, f), container+".ports[0].name"))
	})
}

// startGateway creates a ready gateway of the newest version.
func (f *fleet) startGateway(t *testing.T, name string) *fakeGateway {
	t.Helper()
	g := &fakeGateway{f: f, token: adminToken(t, f)}
	g.createPod(t, name, "")
	return g
}

// createCertificate creates a Secret with a certificate and its private key.
func createCertificate(t *testing.T, namespace, name string) *corev1.Secret {
	t.Helper()
	return createSecret(t, namespace, name, certificateData(t, name))
}

// certificateData returns the data of a Secret with a new certificate.
func certificateData(t *testing.T, name string) map[string]string {
	t.Helper()
	pair := certtest.New(t, name)
	return map[string]string{contract.TLSCertKey: string(pair.Cert), contract.TLSPrivateKey: string(pair.Key)}
}
