//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// teamNamespace has an operator of its own.
	teamNamespace = "wsfleet-e2e-team"
	teamName      = "team"
	teamAccount   = "system:serviceaccount:" + teamNamespace + ":wsfleet-operator"
	// operatorAnnotation names the operator of a fleet, on the ServiceAccount of its gateways.
	operatorAnnotation = `jsonpath={.metadata.annotations.wsfleet\.dev/operator}`

	teamNamespaceManifest = `
apiVersion: v1
kind: Namespace
metadata:
  name: ` + teamNamespace + `
  labels: {pod-security.kubernetes.io/enforce: restricted}
`
	teamManifest = `
apiVersion: wsfleet.dev/v1alpha1
kind: WebSocketCluster
metadata:
  name: ` + teamName + `
spec:
  replicas: 1
  redis: {}
  drain: {timeout: 10s, propagationDelay: 4s}
  rollout: {minReadySeconds: 0}
`
)

// An operator with Roles in its own namespace only manages the fleet there. The operator of the whole cluster leaves
// that fleet to it, and goes on with the others.
func TestNamespacedOperatorManagesItsNamespaceOnly(t *testing.T) {
	t.Parallel()
	team := kube.In(teamNamespace)
	if _, err := kube.Apply(t.Context(), teamNamespaceManifest); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			log, err := team.Run(context.WithoutCancel(t.Context()), "logs", "deployment/wsfleet-operator")
			t.Logf("the namespaced operator: %v\n%s", err, log)
		}
	})
	runWith(t, kube.In(""), "apply", "--server-side", "-k", teamOverlay(t))
	runWith(t, team, "rollout", "status", "deployment/wsfleet-operator", "--timeout=120s")
	runWith(t, team, "wait", "--for=create", "--timeout=60s", "lease/wsfleet-operator-heartbeat")

	if _, err := team.Apply(t.Context(), teamManifest); err != nil {
		t.Fatal(err)
	}
	runWith(t, team, "wait", "--for=condition=Ready", "--timeout=120s", "wsc/"+teamName)
	visitor := clientManifest("visitor", "team", "-address="+teamName+"-gateway:80", "-visits=3")
	if _, err := team.Apply(t.Context(), visitor); err != nil {
		t.Fatal(err)
	}
	runWith(t, team, "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", "pod/visitor")
	for _, fleet := range []struct{ namespace, name, operator string }{
		{teamNamespace, teamName, teamNamespace},
		{namespace, clusterName, "wsfleet-system"},
	} {
		got := runWith(t, kube.In(fleet.namespace), "get", "serviceaccount", fleet.name+"-gateway", "-o", operatorAnnotation)
		if want := fleet.operator + "/wsfleet-operator-heartbeat"; got != want {
			t.Errorf("the operator of the fleet in %s is %q, want %q", fleet.namespace, got, want)
		}
	}
	eventually(t, time.Minute, "the operator of the cluster leaves the fleet alone", func() error {
		log, err := kube.In("wsfleet-system").Run(t.Context(), "logs", "deployment/wsfleet-operator")
		if err == nil && !strings.Contains(log, teamNamespace+"/wsfleet-operator-heartbeat") {
			err = fmt.Errorf("its log does not name the other operator")
		}
		return err
	})
	expectNoRightsOutside(t)
	log := runWith(t, team, "logs", "deployment/wsfleet-operator")
	for _, word := range []string{"forbidden", `"` + namespace + `"`, "wsfleet-system"} {
		if strings.Contains(strings.ToLower(log), word) {
			t.Errorf("the log of the namespaced operator has %s", word)
		}
	}

	runWith(t, team, "scale", "wsc", teamName, "--replicas=0")
	runWith(t, team, "wait", "--for=jsonpath={.spec.replicas}=0", "--timeout=60s", "deployment/"+teamName+"-gateway")
	runWith(t, team, "delete", "wsc", teamName, "--timeout=60s")
	run(t, "delete", "namespace", teamNamespace, "--wait=false")
}

// teamOverlay returns a kustomization of the namespaced operator with the images of the cluster.
func teamOverlay(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	config, err := filepath.Abs(filepath.Join("..", "..", "config", "namespaced"))
	if err != nil {
		t.Fatal(err)
	}
	base, err := filepath.Rel(directory, config)
	if err != nil {
		t.Fatal(err)
	}
	overlay := fmt.Sprintf(`
namespace: %s
resources: [%s]
patches:
- target: {kind: Deployment, name: wsfleet-operator}
  patch: |
    - {op: replace, path: /spec/template/spec/containers/0/image, value: %q}
    - {op: add, path: /spec/template/spec/containers/0/args/-, value: %q}
`, teamNamespace, base, os.Getenv("OPERATOR_IMAGE"), "--gateway-image="+os.Getenv("GATEWAY_IMAGE"))
	if err := os.WriteFile(filepath.Join(directory, "kustomization.yaml"), []byte(overlay), 0o600); err != nil {
		t.Fatal(err)
	}
	return directory
}

// expectNoRightsOutside asserts that no ClusterRoleBinding and no other namespace gives the namespaced operator rights.
func expectNoRightsOutside(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"clusterrolebindings", "rolebindings"} {
		var bindings struct {
			Items []struct {
				Metadata struct{ Namespace, Name string }
				Subjects []struct{ Kind, Namespace, Name string }
			}
		}
		if err := kube.JSON(t.Context(), &bindings, "get", kind, "--all-namespaces"); err != nil {
			t.Fatal(err)
		}
		for _, binding := range bindings.Items {
			for _, subject := range binding.Subjects {
				if subject.Namespace == teamNamespace && binding.Metadata.Namespace != teamNamespace {
					t.Errorf("%s %+v binds %+v", kind, binding.Metadata, subject)
				}
			}
		}
	}
	for _, where := range []string{"--all-namespaces", "--namespace=" + namespace} {
		// kubectl ends with an error when the answer is no.
		answer, _ := kube.In("").Run(t.Context(), "auth", "can-i", "list", "websocketclusters", where, "--as="+teamAccount)
		if strings.TrimSpace(answer) != "no" {
			t.Errorf("may the namespaced operator list the fleets with %s? %s", where, answer)
		}
	}
}
