package fleetbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/test/roles"
)

const (
	// namespaces is the number of namespaces over which clusters are spread.
	namespaces = 100
	// operatorUser is a service account, so that API priority and fairness treats the operator as in a real cluster.
	operatorUser = "system:serviceaccount:wsfleet-system:wsfleet-operator"
	// setupWorkers is the number of requests at once with which objects are created.
	setupWorkers = 16
)

// auditPolicy records each request of the operator without its body.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
  users: ["` + operatorUser + `"]
- level: None
`

// Build is a build of the operator: its binary, and the CRD and the role that belong to it.
type Build struct {
	Binary, CRDs, Role string
}

// plane is a control plane of one measurement.
type plane struct {
	control *envtest.Environment
	scheme  *runtime.Scheme
	// client has an administrator's credentials.
	client client.WithWatch
	// kubeconfig is the path of the operator's credentials.
	kubeconfig string
	auditLog   string
	dir        string
}

// startPlane starts a control plane with the CRD and the role of build. It returns an error when a part does not start;
// nothing runs then.
func startPlane(ctx context.Context, assets string, build Build) (*plane, error) {
	dir, err := os.MkdirTemp("", "wsfleet-bench-operator-")
	if err != nil {
		return nil, err
	}
	p := &plane{dir: dir, auditLog: filepath.Join(dir, "audit.log"), scheme: runtime.NewScheme()}
	policy := filepath.Join(dir, "policy.yaml")
	err = errors.Join(
		os.WriteFile(policy, []byte(auditPolicy), 0o600),
		clientgoscheme.AddToScheme(p.scheme),
		v1alpha1.AddToScheme(p.scheme),
	)
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.control = &envtest.Environment{
		CRDDirectoryPaths:        []string{build.CRDs},
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: 2 * time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	p.control.ControlPlane.Etcd = &envtest.Etcd{Path: filepath.Join(assets, "etcd")}
	apiServer := p.control.ControlPlane.GetAPIServer()
	apiServer.Path = filepath.Join(assets, "kube-apiserver")
	apiServer.Configure().
		Set("service-cluster-ip-range", "10.0.0.0/16").
		Append("audit-policy-file", policy).
		Append("audit-log-path", p.auditLog).
		Append("audit-log-mode", "blocking")
	config, err := p.control.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the control plane: %w", err), p.stop())
	}
	config.QPS = -1
	if p.client, err = client.NewWithWatch(config, client.Options{Scheme: p.scheme}); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	if err := errors.Join(p.admitOperator(ctx, build.Role), p.createNamespaces(ctx)); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// admitOperator gives the operator's user its roles, and writes its kubeconfig.
func (p *plane) admitOperator(ctx context.Context, roleFile string) error {
	if err := roles.Grant(ctx, p.client, roleFile, operatorUser); err != nil {
		return err
	}
	user, err := p.control.AddUser(envtest.User{
		Name:   operatorUser,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:wsfleet-system"},
	}, nil)
	if err != nil {
		return err
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return err
	}
	p.kubeconfig = filepath.Join(p.dir, "kubeconfig")
	return os.WriteFile(p.kubeconfig, kubeconfig, 0o600)
}

func (p *plane) createNamespaces(ctx context.Context) error {
	return inParallel(ctx, namespaces, func(ctx context.Context, i int) error {
		return p.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace(i)}})
	})
}

// namespace returns the name of the namespace of the i-th cluster.
func namespace(i int) string { return fmt.Sprintf("team-%02d", i%namespaces) }

// stop stops the control plane and removes its files. It returns the errors of both, joined.
func (p *plane) stop() error {
	var err error
	if p.control != nil {
		err = p.control.Stop()
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// inParallel calls do for 0 to n-1 with setupWorkers goroutines, and returns the first error.
func inParallel(ctx context.Context, n int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(setupWorkers)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}
