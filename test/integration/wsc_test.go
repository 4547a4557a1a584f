package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

// pluginPage is the page that has the Role of the plugin's users.
const pluginPage = "../../docs/kubectl-wsc.md"

// buildPlugin builds the plugin of kubectl once, and returns its path.
var buildPlugin = sync.OnceValues(func() (string, error) {
	path := filepath.Join(env.dir, "kubectl-wsc")
	sources, err := filepath.Glob("../../cmd/wsfleet/*.go")
	if err != nil {
		return "", fmt.Errorf("find the plugin's sources: %w", err)
	}
	inner, err := filepath.Glob("../../cmd/wsfleet/internal/*/*.go")
	if err != nil {
		return "", fmt.Errorf("find the plugin's sources: %w", err)
	}
	// The cache of go test sees the packages that a test imports and the files that it opens, and not what a build reads.
	for _, source := range append(sources, inner...) {
		if _, err := os.ReadFile(source); err != nil {
			return "", fmt.Errorf("read the plugin's sources: %w", err)
		}
	}
	var said bytes.Buffer
	build := exec.Command("go", "build", "-o", path, "../../cmd/wsfleet")
	build.Stdout, build.Stderr = &said, &said
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build the plugin: %w\n%s", err, said.String())
	}
	return path, nil
})

// pluginUser runs the plugin with the rights of one user in one namespace.
type pluginUser struct {
	name, namespace, kubeconfig string
}

// addPluginUser adds a user without rights.
func addPluginUser(t *testing.T, namespace string) pluginUser {
	t.Helper()
	user, err := env.addUser(envtest.User{Name: "plugin-" + namespace})
	require.NoError(t, err)
	return pluginUser{
		name:       "plugin-" + namespace,
		namespace:  namespace,
		kubeconfig: writeKubeconfig(t, rest.CopyConfig(user.Config())),
	}
}

// allow gives the user the rules of a Role that keep returns true for.
func (u pluginUser) allow(t *testing.T, role rbacv1.Role, keep func(rbacv1.PolicyRule) bool) {
	t.Helper()
	var rules []rbacv1.PolicyRule
	for _, rule := range role.Rules {
		if keep(rule) {
			rules = append(rules, rule)
		}
	}
	role.Namespace, role.Rules, role.GenerateName, role.Name = u.namespace, rules, "plugin-", ""
	require.NoError(t, env.client.Create(t.Context(), &role))
	require.NoError(t, env.client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: u.namespace, Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: u.name}},
	}))
}

// run runs the plugin, and returns its exit code and what it wrote.
func (u pluginUser) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	program, err := buildPlugin()
	require.NoError(t, err)
	// After the command's name, because what a shell completes comes last.
	args = slices.Insert(args, 1, "--namespace", u.namespace, "--kubeconfig", u.kubeconfig)
	cmd := exec.CommandContext(t.Context(), program, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// documentedRole returns the Role of the plugin's page for a fleet.
func documentedRole(t *testing.T, fleet string) rbacv1.Role {
	t.Helper()
	page, err := os.ReadFile(pluginPage)
	require.NoError(t, err)
	_, text, found := strings.Cut(string(page), "```yaml\n")
	require.True(t, found, "%s has no Role", pluginPage)
	text, _, _ = strings.Cut(text, "```")
	var role rbacv1.Role
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &role))
	for i := range role.Rules {
		for j, name := range role.Rules[i].ResourceNames {
			role.Rules[i].ResourceNames[j] = strings.ReplaceAll(name, "chat", fleet)
		}
	}
	return role
}

// The API server has no kubelet behind it, so that no gateway can be reached here: the plugin has to say so, and show
// what the API server knows.
func TestPluginAgainstAnAPIServer(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{replicas: 2}")
	gateways := startFakeGateways(t, f, 2)
	gateways[0].report(func(r *report) { r.Connections = 40 })
	f.eventually(func(t *assert.CollectT) { assert.EqualValues(t, 40, f.get(t).Status.Connections) })
	user, role := addPluginUser(t, o.namespace), documentedRole(t, f.name)

	code, _, stderr := user.run(t, "status")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, `cannot list resource "websocketclusters"`)

	isSecret := func(rule rbacv1.PolicyRule) bool { return rule.Resources[0] == "secrets" }
	user.allow(t, role, func(rule rbacv1.PolicyRule) bool { return !isSecret(rule) })
	code, stdout, stderr := user.run(t, "status")
	assert.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, "Connections:  40 of 20000", "the operator's last status")
	assert.Contains(t, stdout, `cannot get resource "secrets"`)

	user.allow(t, role, isSecret)
	code, stdout, stderr = user.run(t, "status", "fleet", "-o", "json")
	require.Equal(t, 0, code, stderr)
	var status struct {
		Size     int
		Notes    []string
		Gateways []struct{ Pod, State, Detail string }
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &status))
	assert.Equal(t, 2, status.Size)
	assert.Empty(t, status.Notes)
	require.Len(t, status.Gateways, 2)
	assert.Equal(t, gateways[0].pod.Name, status.Gateways[0].Pod)
	assert.Equal(t, "silent", status.Gateways[0].State)
	assert.NotContains(t, status.Gateways[0].Detail, "forbidden", "the documented Role is enough")

	code, _, stderr = user.run(t, "drain", gateways[0].pod.Name, "--force")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "nothing was changed: it is silent")
	code, stdout, stderr = user.run(t, "explain")
	assert.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, "Size:      2 wanted (spec.replicas)")
	archive := filepath.Join(t.TempDir(), "report.tar.gz")
	code, stdout, stderr = user.run(t, "report", "--file", archive)
	assert.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, "events.yaml")
	assert.NotContains(t, stdout, "forbidden", "the documented Role is enough")
	code, _, stderr = user.run(t, "connections")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "no gateway of fleet fleet answered")
	assert.NotContains(t, stderr, "forbidden", "the documented Role is enough")
	code, stdout, stderr = user.run(t, "__complete", "drain", "")
	assert.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, gateways[1].pod.Name)
}
