// Package binaries builds the programs of a local cluster from pinned Go modules, and knows which are up to date.
package binaries

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// group is a module whose go.mod pins one project, with the build options.
type group struct {
	dir string
	cgo bool
	// tags are build tags that leave out parts that the cluster does not use or that need further libraries.
	tags []string
	// stamped names the module whose version is written into the binaries.
	stamped string
}

// Binary is one executable of the cluster.
type Binary struct {
	// Name is its path below the directory of the binaries.
	Name  string
	group group
	// pkg is the main package; "." is the group's own.
	pkg string
}

// All returns every binary: those of a cluster, and those that only tests need. The latter are the API server of the
// oldest Kubernetes that wsfleet supports, and what scales fleets in test/adapters.
func All() []Binary {
	oldest := group{dir: "kubernetes-oldest", stamped: "k8s.io/kubernetes"}
	keda := group{dir: "keda"}
	prometheus := group{dir: "prometheus", tags: []string{"remove_all_sd", "enable_kubernetes_sd"}}
	adapter := group{dir: "prometheus-adapter"}
	return append(OfCluster(),
		Binary{"oldest/kube-apiserver", oldest, "k8s.io/kubernetes/cmd/kube-apiserver"},
		Binary{"prometheus", prometheus, "github.com/prometheus/prometheus/cmd/prometheus"},
		Binary{"prometheus-adapter", adapter, "sigs.k8s.io/prometheus-adapter/cmd/adapter"},
		Binary{"keda", keda, "github.com/kedacore/keda/v2/cmd/operator"},
		Binary{"keda-adapter", keda, "github.com/kedacore/keda/v2/cmd/adapter"},
	)
}

// OfCluster returns the binaries that a cluster is made of. Those that integration tests wait for come first.
func OfCluster() []Binary {
	kubernetes := group{dir: "kubernetes", stamped: "k8s.io/kubernetes"}
	containerd := group{dir: "containerd", tags: []string{"no_btrfs", "no_zfs", "no_devmapper"}}
	runc := group{dir: "runc", cgo: true, tags: []string{"seccomp", "netgo", "osusergo"}}
	cni := group{dir: "cni"}
	all := []Binary{{"etcd", group{dir: "etcd"}, "go.etcd.io/etcd/server/v3"}}
	for _, name := range []string{
		"kube-apiserver", "kubectl", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy",
	} {
		all = append(all, Binary{name, kubernetes, "k8s.io/kubernetes/cmd/" + name})
	}
	for _, name := range []string{"containerd", "containerd-shim-runc-v2", "ctr"} {
		all = append(all, Binary{name, containerd, "github.com/containerd/containerd/v2/cmd/" + name})
	}
	all = append(all, Binary{"runc", runc, "github.com/opencontainers/runc"})
	for _, plugin := range []string{"main/ptp", "main/loopback", "ipam/host-local", "meta/portmap"} {
		all = append(all, Binary{"cni/" + path.Base(plugin), cni, "github.com/containernetworking/plugins/plugins/" + plugin})
	}
	return append(all,
		Binary{"coredns", group{dir: "coredns"}, "."},
		Binary{"pause", group{dir: "pause"}, "."},
	)
}

// Named returns the binaries with these names, or those of a cluster without a name. It returns an error that lists the
// names when one is unknown.
func Named(names ...string) ([]Binary, error) {
	if len(names) == 0 {
		return OfCluster(), nil
	}
	all := All()
	var picked []Binary
	for _, name := range names {
		at := slices.IndexFunc(all, func(b Binary) bool { return b.Name == name })
		if at < 0 {
			known := make([]string, len(all))
			for i, b := range all {
				known[i] = b.Name
			}
			return nil, fmt.Errorf("no binary %q; there are %s", name, strings.Join(known, ", "))
		}
		picked = append(picked, all[at])
	}
	return picked, nil
}

// arguments returns the arguments of `go build` before the package.
func (b Binary) arguments(source string) ([]string, error) {
	ldflags := []string{"-s", "-w"}
	if b.group.stamped != "" {
		version, err := requiredVersion(filepath.Join(source, b.group.dir, "go.mod"), b.group.stamped)
		if err != nil {
			return nil, err
		}
		ldflags = append(ldflags, versionFlags(version)...)
	}
	args := []string{"-trimpath", "-buildvcs=false", "-ldflags", strings.Join(ldflags, " ")}
	if len(b.group.tags) > 0 {
		args = append(args, "-tags", strings.Join(b.group.tags, ","))
	}
	return args, nil
}

func (g group) environment() []string {
	cgo := "0"
	if g.cgo {
		cgo = "1"
	}
	return []string{"CGO_ENABLED=" + cgo, "GOWORK=off"}
}

// versionFlags returns the linker flags that set the Kubernetes version of a binary. Clients and servers compare their
// versions.
func versionFlags(version string) []string {
	const at = "k8s.io/component-base/version."
	major, minor, _ := strings.Cut(strings.TrimPrefix(semver.MajorMinor(version), "v"), ".")
	return []string{
		"-X", at + "gitVersion=" + version,
		"-X", at + "gitMajor=" + major,
		"-X", at + "gitMinor=" + minor,
	}
}

// requiredVersion returns the version of a module that a go.mod requires.
func requiredVersion(goMod, module string) (string, error) {
	data, err := os.ReadFile(goMod)
	if err != nil {
		return "", err
	}
	parsed, err := modfile.Parse(goMod, data, nil)
	if err != nil {
		return "", err
	}
	for _, r := range parsed.Require {
		if r.Mod.Path == module {
			return r.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", goMod, module)
}
