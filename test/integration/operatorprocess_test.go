package integration

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"
)

// leaderElectionRoleFile is what the operator may do in its own namespace.
const leaderElectionRoleFile = "../../config/rbac/leader_election_role.yaml"

// operatorProcess is the operator's program with leader election, as it runs in a pod. Tests kill it.
type operatorProcess struct {
	t         *testing.T
	namespace string
	command   *exec.Cmd
	// health is the address of /healthz and /readyz.
	health string
	// ended is closed when the process has ended.
	ended chan struct{}
	log   logBuffer
}

// startOperatorProcess starts the operator's program for one namespace, in which its lease is too. It ends with the
// test.
func startOperatorProcess(t *testing.T, api *rest.Config, namespace string) *operatorProcess {
	t.Helper()
	return startOperatorProcessWith(t, api, namespace, "--watch-namespaces="+namespace)
}

// startOperatorProcessWith is startOperatorProcess with flags in the place of --watch-namespaces.
func startOperatorProcessWith(t *testing.T, api *rest.Config, namespace string, flags ...string) *operatorProcess {
	t.Helper()
	p := &operatorProcess{t: t, namespace: namespace, health: freeAddress(t), ended: make(chan struct{})}
	p.command = exec.Command(operatorProgram(t), append(flags,
		"--leader-elect", "--leader-election-namespace="+namespace,
		"--gateway-image="+gatewayImage, "--redis-image="+redisImage, "--log-format=text",
		"--metrics-bind-address=0", "--health-probe-bind-address="+p.health)...)
	p.command.Env = append(os.Environ(), "KUBECONFIG="+writeKubeconfig(t, api))
	p.command.Stderr = &p.log
	require.NoError(t, p.command.Start())
	go func() {
		// The exit code is in the command's state.
		_ = p.command.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the operator's process logged:\n%s", p.log.String())
		}
	})
	return p
}

// kill ends the process without notice, and blocks until it is gone.
func (p *operatorProcess) kill() {
	// It fails when the process has ended already.
	_ = p.command.Process.Signal(syscall.SIGKILL)
	<-p.ended
}

// terminate asks the process to end, as the kubelet does, and blocks until it is gone. The next one need not wait for
// the lease then.
func (p *operatorProcess) terminate() {
	p.t.Helper()
	require.NoError(p.t, p.command.Process.Signal(syscall.SIGTERM))
	<-p.ended
}

// ready returns the status of /readyz, or 0 while the process does not answer.
func (p *operatorProcess) ready() int { return p.probe("/readyz") }

// probe returns the status of a path for the kubelet's probes, or 0 while the process does not answer.
func (p *operatorProcess) probe(path string) int {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+p.health+path, nil)
	require.NoError(p.t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	require.NoError(p.t, response.Body.Close())
	return response.StatusCode
}

// admitToLease gives the operator's user the role of leader election in a namespace.
func admitToLease(t *testing.T, namespace string) {
	t.Helper()
	data, err := os.ReadFile(leaderElectionRoleFile)
	require.NoError(t, err)
	role := &rbacv1.Role{}
	require.NoError(t, yaml.UnmarshalStrict(data, role))
	role.Namespace = namespace
	require.NoError(t, env.client.Create(t.Context(), role))
	require.NoError(t, env.client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operatorUser}},
	}))
}

// buildOperator builds the operator's program once, and returns its path.
var buildOperator = sync.OnceValues(func() (string, error) {
	path := filepath.Join(env.dir, "wsfleet-operator")
	// The cache of go test sees the packages that a test imports and the files that it opens, and not what a build reads.
	sources, err := filepath.Glob("../../cmd/operator/*.go")
	if err != nil {
		return "", fmt.Errorf("find the operator's sources: %w", err)
	}
	for _, source := range sources {
		if _, err := os.ReadFile(source); err != nil {
			return "", fmt.Errorf("read the operator's sources: %w", err)
		}
	}
	var said bytes.Buffer
	build := exec.Command("go", "build", "-o", path, "../../cmd/operator")
	build.Stdout, build.Stderr = &said, &said
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build the operator: %w\n%s", err, said.String())
	}
	return path, nil
})

func operatorProgram(t *testing.T) string {
	t.Helper()
	path, err := buildOperator()
	require.NoError(t, err)
	return path
}

// writeKubeconfig writes a kubeconfig file with the credentials of config, and returns its path.
func writeKubeconfig(t *testing.T, config *rest.Config) string {
	t.Helper()
	const name = "operator"
	file := clientcmdapi.NewConfig()
	file.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	file.CurrentContext = name
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*file, path))
	return path
}

// freeAddress returns an address on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}
