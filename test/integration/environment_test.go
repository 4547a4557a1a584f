package integration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/test/roles"
)

// crdDirectory is where controller-gen writes the CRD.
const crdDirectory = "../../config/crd/bases"

// roleFile is where controller-gen writes the operator's ClusterRoles.
const roleFile = "../../config/rbac/role.yaml"

// auditPolicy records each write with its user, and no read. Leases are left out: leader election writes them all the
// time, and they concern no fleet.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// environment is a kube-apiserver with its etcd, and clients of it.
type environment struct {
	programs programs
	control  *envtest.Environment
	scheme   *runtime.Scheme
	// config has an administrator's credentials.
	config *rest.Config
	// operator has the operator's credentials.
	operator *rest.Config
	// client has an administrator's credentials and asks for strict field validation, as kubectl does.
	client client.WithWatch
	// auditLog is a file with a line of JSON for every write.
	auditLog string
	// dir has the environment's files.
	dir string
	// users guards the users of the API server, and the certificate authority that signs theirs, which another API server
	// shares: users are added, and such servers start and stop, one at a time.
	users sync.Mutex
}

// addUser returns the credentials of a new user. It returns the error of envtest.
func (e *environment) addUser(user envtest.User) (*envtest.AuthenticatedUser, error) {
	e.users.Lock()
	defer e.users.Unlock()
	return e.control.AddUser(user, nil)
}

// startEnvironment starts the control plane. It returns an error when a part does not start; nothing runs then.
func startEnvironment(ctx context.Context) (*environment, error) {
	programs, err := findPrograms()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "wsfleet-integration-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the audit log: %w", err)
	}
	e := &environment{
		programs: programs,
		dir:      dir,
		auditLog: filepath.Join(dir, "audit.log"),
		scheme:   runtime.NewScheme(),
	}
	if err := os.WriteFile(e.auditPolicyFile(), []byte(auditPolicy), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write the audit policy: %w", err), e.stop())
	}
	e.control = &envtest.Environment{
		CRDDirectoryPaths:        []string{crdDirectory},
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: 2 * time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	e.control.ControlPlane.Etcd = &envtest.Etcd{Path: programs.etcd}
	e.configureAPIServer(e.control.ControlPlane.GetAPIServer())
	if err := frontProxy(dir, e.control.ControlPlane.GetAPIServer()); err != nil {
		return nil, errors.Join(fmt.Errorf("make the certificates of the aggregation layer: %w", err), e.stop())
	}
	if e.config, err = e.control.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the control plane: %w", err), e.stop())
	}
	if err := errors.Join(clientgoscheme.AddToScheme(e.scheme), apiregistrationv1.AddToScheme(e.scheme),
		v1alpha1.AddToScheme(e.scheme)); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	if e.client, err = client.NewWithWatch(e.config,
		client.Options{Scheme: e.scheme, FieldValidation: "Strict"}); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	if err := e.admitOperator(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("give the operator its role: %w", err), e.stop())
	}
	return e, nil
}

// configureAPIServer sets what all API servers of the environment have in common.
func (e *environment) configureAPIServer(server *envtest.APIServer) {
	server.Path = e.programs.apiServer
	server.Configure().
		// The default range has only 254 addresses for Services, and those of one family.
		Set("service-cluster-ip-range", "10.0.0.0/16,fd00:10::/108").
		// Before Kubernetes 1.36, MutatingAdmissionPolicy is beta and switched off.
		Set("feature-gates", "MutatingAdmissionPolicy=true").
		Set("runtime-config", "admissionregistration.k8s.io/v1beta1=true").
		Append("audit-policy-file", e.auditPolicyFile()).
		Append("audit-log-path", e.auditLog).
		Append("audit-log-mode", "blocking")
}

func (e *environment) auditPolicyFile() string { return filepath.Join(e.dir, "policy.yaml") }

// admitOperator creates the operator's user with the roles that controller-gen wrote, so that a permission that is
// missing in the roles fails a test. It returns an error when the file cannot be read or the API server refuses a role.
func (e *environment) admitOperator(ctx context.Context) error {
	if err := roles.Grant(ctx, e.client, roleFile, operatorUser); err != nil {
		return err
	}
	user, err := e.addUser(envtest.User{Name: operatorUser})
	if err != nil {
		return err
	}
	e.operator = user.Config()
	return nil
}

// stop stops the control plane and removes its files. It returns the errors of both, joined.
func (e *environment) stop() error {
	var err error
	if e.control != nil {
		err = e.control.Stop()
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}

// apiServerVariable is the environment variable with the path of another kube-apiserver than the one of the assets. It
// has the name that envtest gives it.
const apiServerVariable = "TEST_ASSET_KUBE_APISERVER"

// programs are the paths of the programs of the control plane.
type programs struct{ apiServer, etcd string }

// findPrograms returns the programs of the control plane. It returns an error when one is missing. The tests must not
// be skipped then: a test that did not run would look like one that passed.
func findPrograms() (programs, error) {
	assets, err := filepath.Abs(cmp.Or(os.Getenv("KUBEBUILDER_ASSETS"), "../../bin/k8s"))
	if err != nil {
		return programs{}, err
	}
	found := programs{
		apiServer: cmp.Or(os.Getenv(apiServerVariable), filepath.Join(assets, "kube-apiserver")),
		etcd:      filepath.Join(assets, "etcd"),
	}
	for _, path := range []string{found.apiServer, found.etcd} {
		if _, err := os.Stat(path); err != nil {
			return programs{}, fmt.Errorf("%s is missing: run `make assets`, or set KUBEBUILDER_ASSETS and %s: %w",
				path, apiServerVariable, err)
		}
	}
	return found, nil
}
